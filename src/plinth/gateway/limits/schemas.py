"""Wire types. The `Project…` and `Spend…` ones follow the official SDK's `client.admin.organization.*`;
amounts there are hundredths of the currency's unit, and a rate without limit is the largest exact number."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints

from plinth.gateway.limits.budgets import AlertDraft, BudgetDraft, BudgetState
from plinth.gateway.limits.errors import UnlimitedKind
from plinth.gateway.limits.model import (
    MAX_COUNT,
    MAX_MONEY_NANOS,
    NANOS,
    NANOS_PER_CENT,
    Budget,
    Limit,
    Mode,
    ModelRule,
    Period,
    Scope,
    SpendAlert,
    money,
)
from plinth.gateway.limits.service import ALL_MODELS, Rates
from plinth.kit.errors import NotFound
from plinth.kit.http import ListPage, Wire

Id = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9_\-]+$")]
# PostgreSQL cannot store the character NUL
ModelName = Annotated[str, StringConstraints(max_length=256, pattern=r"^[^\x00]*$")]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Cents = Annotated[int, Field(ge=0, le=MAX_MONEY_NANOS // NANOS_PER_CENT)]
Amount = Annotated[Decimal, Field(ge=0, le=MAX_MONEY_NANOS // NANOS, decimal_places=9)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Percent = Annotated[int, Field(ge=1, le=1000)]
Email = Annotated[str, StringConstraints(min_length=3, max_length=254, pattern=r"^[^\x00\s@]+@[^\x00\s@]+$")]
# the hosted API can limit these too
_NOT_LIMITED = (
    "batch_1_day_max_input_tokens",
    "max_audio_megabytes_per_1_minute",
    "max_images_per_1_minute",
    "max_requests_per_1_day",
)


class RateLimitChange(Wire):
    max_requests_per_1_minute: Count | None = None
    max_tokens_per_1_minute: Count | None = None
    batch_1_day_max_input_tokens: int | None = None
    max_audio_megabytes_per_1_minute: int | None = None
    max_images_per_1_minute: int | None = None
    max_requests_per_1_day: int | None = None

    def changes(self) -> dict[str, int | None]:
        """Raises `UnlimitedKind` for what would have no effect."""
        for field in _NOT_LIMITED:
            if getattr(self, field) is not None:
                raise UnlimitedKind(field=field, param=field)
        given = {
            "requests_per_minute": self.max_requests_per_1_minute,
            "tokens_per_minute": self.max_tokens_per_1_minute,
        }
        return {name: None if value == MAX_COUNT else value for name, value in given.items() if value is not None}


class ProjectRateLimit(Wire):
    id: str
    object: Literal["project.rate_limit"] = "project.rate_limit"
    model: str = Field(description="`*`: all models together")
    max_requests_per_1_minute: int
    max_tokens_per_1_minute: int

    @classmethod
    def of(cls, limit: Limit) -> ProjectRateLimit:
        model = limit.model or ALL_MODELS
        return cls(
            id=f"rl-{model}",
            model=model,
            max_requests_per_1_minute=_shown(limit.requests_per_minute),
            max_tokens_per_1_minute=_shown(limit.tokens_per_minute),
        )


def limited_model(rate_limit_id: str) -> str:
    """The model of a rate limit's id, empty for all together. Raises `NotFound`."""
    model = rate_limit_id.removeprefix("rl-")
    if model == rate_limit_id:
        raise NotFound(what="rate limit", id=rate_limit_id)
    return "" if model == ALL_MODELS else model


class ModelPermissionsChange(Wire):
    mode: Mode
    model_ids: Annotated[list[ModelName], Field(max_length=1000)]


class ModelPermissions(Wire):
    object: str = "project.model_permissions"
    mode: Mode
    model_ids: list[str]

    @classmethod
    def of(cls, rule: ModelRule) -> ModelPermissions:
        return cls(object=f"{rule.subject.scope}.model_permissions", mode=rule.mode, model_ids=sorted(rule.models))


class Gone(Wire):
    """A deletion's confirmation where the thing has no id of its own."""

    object: str
    deleted: Literal[True] = True


class SpendLimitChange(Wire):
    currency: Currency
    interval: Literal["month"]
    threshold_amount: Cents

    def draft(self, known: Budget | None) -> BudgetDraft:
        percents = known.alert_percent if known else ()
        return BudgetDraft(Period.month, self.threshold_amount * NANOS_PER_CENT, self.currency, True, percents)


class Enforcement(Wire):
    status: Literal["inactive", "enforcing"]


class SpendLimit(Wire):
    object: str
    currency: str
    interval: Literal["month"] = "month"
    threshold_amount: int
    enforcement: Enforcement

    @classmethod
    def of(cls, state: BudgetState) -> SpendLimit:
        return cls(
            object=f"{state.budget.subject.scope}.spend_limit",
            currency=state.budget.currency,
            threshold_amount=state.budget.limit_nanos // NANOS_PER_CENT,
            enforcement=Enforcement(status="enforcing" if state.enforcing else "inactive"),
        )


class NotificationChannel(Wire):
    type: Literal["email"]
    recipients: Annotated[list[Email], Field(max_length=50)]
    subject_prefix: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")] | None = None


class SpendAlertDraft(Wire):
    currency: Currency
    interval: Literal["month"]
    threshold_amount: Cents
    notification_channel: NotificationChannel

    def draft(self) -> AlertDraft:
        channel = self.notification_channel
        nanos = self.threshold_amount * NANOS_PER_CENT
        return AlertDraft(nanos, self.currency, tuple(channel.recipients), channel.subject_prefix)


class SpendAlertObject(Wire):
    id: str
    object: str
    currency: str
    interval: Literal["month"] = "month"
    threshold_amount: int
    notification_channel: NotificationChannel

    @classmethod
    def of(cls, alert: SpendAlert) -> SpendAlertObject:
        channel = NotificationChannel(
            type="email", recipients=list(alert.recipients), subject_prefix=alert.subject_prefix
        )
        return cls(
            id=alert.id,
            object=f"{alert.subject.scope}.spend_alert",
            currency=alert.currency,
            threshold_amount=alert.threshold_nanos // NANOS_PER_CENT,
            notification_channel=channel,
        )


# Plinth's own


class LimitDraft(Wire):
    """`null` or left out: not limited."""

    model: ModelName = Field(default="", description="a model's name; empty: all models together")
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None

    def rates(self) -> Rates:
        return Rates(self.requests_per_minute, self.tokens_per_minute, self.concurrent_requests)


class LimitObject(Wire):
    id: str
    object: Literal["limit"] = "limit"
    scope: Scope
    subject_id: str
    model: str
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    updated_at: int

    @classmethod
    def of(cls, limit: Limit) -> LimitObject:
        return cls(
            id=limit.id,
            scope=limit.subject.scope,
            subject_id=limit.subject.id,
            model=limit.model,
            requests_per_minute=limit.requests_per_minute,
            tokens_per_minute=limit.tokens_per_minute,
            concurrent_requests=limit.concurrent_requests,
            updated_at=int(limit.updated_at),
        )


class BudgetChange(Wire):
    amount: Amount = Field(description="in the currency's unit, up to nine digits after the point")
    currency: Currency
    hard: bool = Field(default=True, description="refuse calls when the amount is spent; else only alert")
    alert_percent: Annotated[tuple[Percent, ...], Field(max_length=20)] = ()

    def draft(self, period: Period) -> BudgetDraft:
        return BudgetDraft(period, int(self.amount * NANOS), self.currency, self.hard, self.alert_percent)


class BudgetObject(Wire):
    """`amount` and `spent` are decimals as text, so that no client rounds them."""

    id: str
    object: Literal["budget"] = "budget"
    scope: Scope
    subject_id: str
    period: Period
    amount: str
    spent: str
    currency: str
    hard: bool
    enforcing: bool
    alert_percent: list[int]

    @classmethod
    def of(cls, state: BudgetState) -> BudgetObject:
        budget = state.budget
        return cls(
            id=budget.id,
            scope=budget.subject.scope,
            subject_id=budget.subject.id,
            period=budget.period,
            amount=money(budget.limit_nanos),
            spent=money(state.spent_nanos),
            currency=budget.currency,
            hard=budget.hard,
            enforcing=state.enforcing,
            alert_percent=list(budget.alert_percent),
        )


class SubjectObject(Wire):
    """Everything that one key, project or organization is held to by itself."""

    object: Literal["limits"] = "limits"
    scope: Scope
    subject_id: str
    limits: list[LimitObject]
    budgets: list[BudgetObject]
    models: ModelPermissions


Entry = TypeVar("Entry", ProjectRateLimit, SpendAlertObject)


def cut(entries: Sequence[Entry], after: str | None, before: str | None, limit: int) -> ListPage[Entry]:
    """A page of a short list: from behind `after`, or the last ones ahead of `before`. Raises `NotFound`
    for a cursor that is not in the list."""
    found = list(entries)
    ids = [entry.id for entry in found]
    for cursor in (after, before):
        if cursor and cursor not in ids:
            raise NotFound(what="list position", id=cursor)
    if after:
        found = found[ids.index(after) + 1 :]
    elif before:
        found = found[: ids.index(before)]
    data = found[-limit:] if before and not after else found[:limit]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return ListPage(data=data, first_id=first, last_id=last, has_more=len(found) > limit)


def _shown(limit: int | None) -> int:
    return MAX_COUNT if limit is None else limit
