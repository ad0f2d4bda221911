"""Decisions about limits and model permissions. Budgets and alerts are in `service.budgets`.

A project's own keys may narrow its keys (`project:write`); a project's and the organization's limits
are the organization's to set (`organization:write`), or a limit would bind nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from plinth.gateway.limits import store
from plinth.gateway.limits.budgets import Budgets
from plinth.gateway.limits.errors import NothingLimited
from plinth.gateway.limits.model import Limit, LimitTable, Mode, ModelRule, Scope, Subject, label
from plinth.gateway.limits.ports import Audit, Models, Spending, Subjects
from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import Forbidden, NotFound
from plinth.kit.ids import new_id

ALL_MODELS = "*"
"""The name under which the rate limits' list shows the limit of all models together."""


@dataclass(frozen=True)
class LimitPorts:
    """Args: `models` lists what a project can name, routes included; `spending` reads the books;
    `currency` (ISO 4217) is what they are kept in."""

    clock: Clock
    subjects: Subjects
    models: Models
    spending: Spending
    audit: Audit
    currency: str = "USD"


@dataclass(frozen=True)
class Rates:
    """What a limit limits; None does not limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None

    @property
    def empty(self) -> bool:
        return all(value is None for value in vars(self).values())


class LimitService:
    """Emits `gateway.limit.changed`, `gateway.model_permissions.changed` and, from `budgets`,
    `gateway.budget.changed`, `gateway.spend_alert.changed` and `gateway.budget.alert`."""

    def __init__(self, ports: LimitPorts) -> None:
        self._clock, self._subjects, self._models, self._audit = (
            ports.clock,
            ports.subjects,
            ports.models,
            ports.audit,
        )
        self.budgets = Budgets(ports.clock, ports.spending, ports.audit, ports.currency)

    def snapshot(self, session: Session) -> LimitTable:
        """Everything that the limiter enforces. Read it again after events whose kind starts with `gateway.`."""
        return LimitTable.of(store.all_limits(session), store.all_budgets(session), store.all_rules(session))

    def subject(self, session: Session, actor: Actor, scope: Scope, id: str) -> Subject:
        """Raises `NotFound`."""
        return self._subjects.find(session, actor, scope.value, id)

    def subject_to_change(self, session: Session, actor: Actor, scope: Scope, id: str) -> Subject:
        """Raises `NotFound`, `Forbidden`."""
        found = self.subject(session, actor, scope, id)
        if scope is not Scope.key and not actor.may("organization:write"):
            raise Forbidden(permission="organization:write")
        return found

    def page(self, session: Session, actor: Actor, after: str | None, limit: int) -> list[Limit]:
        """Up to `limit + 1` limits of the organization, or of the project that the actor is bound to."""
        return store.list_limits(session, actor.organization_id, actor.project_id, after, limit + 1)

    def limits(self, session: Session, subject: Subject) -> list[Limit]:
        return store.limits_of(session, subject)

    def set_limit(self, session: Session, actor: Actor, subject: Subject, model: str, rates: Rates) -> Limit:
        """Replace the subject's limit for `model` (empty: for all together). Raises `NothingLimited`."""
        if rates.empty:
            raise NothingLimited(fields=", ".join(vars(rates)))
        known = self._limit(store.limits_of(session, subject), model)
        limit = Limit(
            id=known.id if known else new_id("limit_"),
            subject=subject,
            model=model,
            updated_at=self._clock.unix(),
            **vars(rates),
        )
        if known and replace(known, updated_at=limit.updated_at) == limit:
            return known
        store.put_limit(session, limit)
        self._changed(session, actor, subject, "rate_limit.updated", {"model": model, **vars(rates)})
        return limit

    def delete_limit(self, session: Session, actor: Actor, subject: Subject, model: str) -> str:
        """Returns the id. Raises `NotFound`."""
        known = self._limit(store.limits_of(session, subject), model)
        if known is None:
            raise NotFound(what="limit", id=label(subject, model))
        store.delete_limit(session, subject, model)
        self._changed(session, actor, subject, "rate_limit.deleted", {"model": model})
        return known.id

    # the hosted API's view: one entry for every model of a project

    def rate_limits(self, session: Session, subject: Subject) -> list[Limit]:
        """One for all models together, then one for each model that the project can name or that has
        a limit. Where nothing is set the limit limits nothing."""
        known = {limit.model: limit for limit in store.limits_of(session, subject)}
        named = {*known, *self._models(session, subject.id)} - {""}
        return [known.get(model) or Limit("", subject, model) for model in ["", *sorted(named)]]

    def change_rate_limit(
        self, session: Session, actor: Actor, subject: Subject, model: str, changes: dict[str, int | None]
    ) -> Limit:
        """Change single rates of one entry of `rate_limits`; None takes a rate's limit away. Raises `NotFound`."""
        known = self._limit(self.rate_limits(session, subject), model)
        if known is None:
            raise NotFound(what="rate limit", id=f"rl-{model}")
        if not changes:
            return known
        wanted = replace(known, **changes)  # type: ignore[arg-type]
        rates = Rates(wanted.requests_per_minute, wanted.tokens_per_minute, wanted.concurrent_requests)
        if not rates.empty:
            return self.set_limit(session, actor, subject, model, rates)
        if known.id:
            self.delete_limit(session, actor, subject, model)
        return Limit("", subject, model)

    # which models

    def rule(self, session: Session, subject: Subject) -> ModelRule:
        """Without a rule nothing is denied."""
        return store.rule_of(session, subject) or ModelRule(subject, Mode.deny, frozenset())

    def set_rule(
        self, session: Session, actor: Actor, subject: Subject, mode: Mode, models: Iterable[str]
    ) -> ModelRule:
        """Names need not exist: a rule may be there before its model."""
        rule = ModelRule(subject, mode, frozenset(models), self._clock.unix())
        store.put_rule(session, new_id("perm_"), rule)
        detail = {"mode": mode.value, "model_ids": sorted(rule.models)}
        self._changed(session, actor, subject, "model_permissions.updated", detail)
        return rule

    def delete_rule(self, session: Session, actor: Actor, subject: Subject) -> None:
        """Permit every model. Deleting what is not there changes nothing."""
        if store.delete_rule(session, subject):
            self._changed(session, actor, subject, "model_permissions.deleted", {})

    def _limit(self, known: list[Limit], model: str) -> Limit | None:
        return next((limit for limit in known if limit.model == model), None)

    def _changed(
        self, session: Session, actor: Actor, subject: Subject, action: str, detail: Mapping[str, object]
    ) -> None:
        whose = {"scope": subject.scope.value, "subject_id": subject.id}
        self._audit(session, actor, action, subject.id, {**whose, **detail})
        noun = "model_permissions" if action.startswith("model_permissions") else "limit"
        events.emit(session, self._clock, f"gateway.{noun}.changed", {**whose, **detail}, subject.project_id or None)
