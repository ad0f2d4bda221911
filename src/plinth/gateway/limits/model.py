"""Limits, budgets and permissions as values, and the arithmetic of periods. Knows no counter and no table.

A limit belongs to a *subject*: a key, a project or an organization, for one model or for all of
them together (`model` is empty). Several apply to one call; each must have room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

NANOS = 1_000_000_000
NANOS_PER_CENT = NANOS // 100
MAX_COUNT = 2**53 - 1
"""The largest count on the wire (JSON numbers are exact up to here); it also means "no limit" there."""
MAX_MONEY_NANOS = 2**62


class Scope(StrEnum):
    key = "key"
    project = "project"
    organization = "organization"


class Period(StrEnum):
    """Calendar days and months, in UTC."""

    day = "day"
    month = "month"

    def start(self, unix: float) -> float:
        """Unix seconds at which the period around `unix` began."""
        return self._first(unix).timestamp()

    def end(self, unix: float) -> float:
        """Unix seconds at which the next period begins."""
        first = self._first(unix)
        later = first + timedelta(days=1 if self is Period.day else 32)
        return (later if self is Period.day else later.replace(day=1)).timestamp()

    def _first(self, unix: float) -> datetime:
        midnight = datetime.fromtimestamp(unix, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight if self is Period.day else midnight.replace(day=1)


class Mode(StrEnum):
    """The hosted API's words: only what is listed, or all but what is listed."""

    allow = "allow_list"
    deny = "deny_list"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose limit it is. `project_id` is the project of a key or the project itself, empty for an organization."""

    scope: Scope
    id: str
    organization_id: str
    project_id: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """Rates for one model, or for all together when `model` is empty. None does not limit."""

    id: str
    subject: Subject
    model: str = ""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    updated_at: float = 0.0

    @property
    def label(self) -> str:
        return label(self.subject, self.model)


@dataclass(frozen=True, slots=True)
class Budget:
    """Money per period. `limit_nanos` (None: no hard stop) is in 1e-9 of `currency`; alerts are raised
    at `alert_percent` of it."""

    id: str
    subject: Subject
    period: Period
    limit_nanos: int
    currency: str
    hard: bool = True
    alert_percent: tuple[int, ...] = ()
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class SpendAlert:
    """An alert at a fixed amount a month, with whom to tell (the hosted API's shape)."""

    id: str
    subject: Subject
    threshold_nanos: int
    currency: str
    recipients: tuple[str, ...] = ()
    subject_prefix: str | None = None
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelRule:
    subject: Subject
    mode: Mode
    models: frozenset[str]
    updated_at: float = 0.0

    def permits(self, names: Iterable[str]) -> bool:
        """Args: `names` are the name a client used and the model that it means. One listed name is
        enough, to be allowed as well as to be denied: an alias opens and hides nothing."""
        return (not self.models.isdisjoint(names)) is (self.mode is Mode.allow)


@dataclass(frozen=True)
class LimitTable:
    """Everything the limiter enforces, keyed by (scope, subject id). Immutable."""

    limits: Mapping[tuple[str, str], tuple[Limit, ...]] = field(default_factory=dict)
    budgets: Mapping[tuple[str, str], tuple[Budget, ...]] = field(default_factory=dict)
    rules: Mapping[tuple[str, str], ModelRule] = field(default_factory=dict)

    @classmethod
    def of(
        cls, limits: Iterable[Limit] = (), budgets: Iterable[Budget] = (), rules: Iterable[ModelRule] = ()
    ) -> LimitTable:
        limited: dict[tuple[str, str], list[Limit]] = {}
        for limit in limits:
            limited.setdefault(key_of(limit.subject), []).append(limit)
        paid: dict[tuple[str, str], list[Budget]] = {}
        for budget in budgets:
            paid.setdefault(key_of(budget.subject), []).append(budget)
        return cls(
            limits={key: tuple(found) for key, found in limited.items()},
            budgets={key: tuple(found) for key, found in paid.items()},
            rules={key_of(rule.subject): rule for rule in rules},
        )


def key_of(subject: Subject) -> tuple[str, str]:
    return subject.scope.value, subject.id


def label(subject: Subject, model: str = "") -> str:
    """`key=key_1`, `project=proj_1 model=smol`: the same in every language."""
    return f"{subject.scope}={subject.id}" + (f" model={model}" if model else "")


def money(nanos: int) -> str:
    """Nanos as a plain decimal with at least two digits after the point: `12.50`, `0.000001`."""
    text = f"{Decimal(nanos).scaleb(-9):f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
