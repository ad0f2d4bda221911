"""Money: budgets that stop, alerts that only tell."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from plinth.gateway.limits import store
from plinth.gateway.limits.errors import WrongCurrency
from plinth.gateway.limits.model import Budget, Period, SpendAlert, Subject, key_of, label
from plinth.gateway.limits.ports import Audit, Spending
from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import NotFound
from plinth.kit.ids import new_id


@dataclass(frozen=True)
class BudgetDraft:
    """`limit_nanos` in 1e-9 of `currency`; `hard` stops calls when it is used up; alerts at percents of it."""

    period: Period
    limit_nanos: int
    currency: str
    hard: bool = True
    alert_percent: tuple[int, ...] = ()


@dataclass(frozen=True)
class AlertDraft:
    threshold_nanos: int
    currency: str
    recipients: tuple[str, ...] = ()
    subject_prefix: str | None = None


@dataclass(frozen=True)
class BudgetState:
    """A budget with what the books hold now."""

    budget: Budget
    spent_nanos: int

    @property
    def enforcing(self) -> bool:
        return self.budget.hard and self.spent_nanos >= self.budget.limit_nanos


class Budgets:
    def __init__(self, clock: Clock, spending: Spending, audit: Audit, currency: str) -> None:
        self._clock, self._spending, self._audit, self.currency = clock, spending, audit, currency
        self._asking = threading.Lock()  # the books keep sums between questions: one thread at a time

    def states(self, session: Session, subject: Subject) -> list[BudgetState]:
        budgets = store.budgets_of(session, subject)
        spent = self._spent(session, {budget.period for budget in budgets})
        return [BudgetState(budget, spent[budget.period].get(key_of(subject), 0)) for budget in budgets]

    def state(self, session: Session, subject: Subject, period: Period) -> BudgetState:
        """Raises `NotFound`."""
        for state in self.states(session, subject):
            if state.budget.period is period:
                return state
        raise NotFound(what=f"{period} budget", id=label(subject))

    def put(self, session: Session, actor: Actor, subject: Subject, draft: BudgetDraft) -> BudgetState:
        """Replace the subject's budget for the draft's period. An alert that was raised already is
        raised again when the amount changes. Raises `WrongCurrency`."""
        self._check_currency(draft.currency)
        known = next((b for b in store.budgets_of(session, subject) if b.period is draft.period), None)
        budget = Budget(
            id=known.id if known else new_id("budget_"),
            subject=subject,
            updated_at=self._clock.unix(),
            **{**vars(draft), "alert_percent": tuple(sorted(set(draft.alert_percent)))},
        )
        if known is None or replace(known, updated_at=budget.updated_at) != budget:
            store.put_budget(session, budget)
            if known and known.limit_nanos != budget.limit_nanos:
                store.forget_raised(session, known.id)
            detail = {**vars(draft), "period": draft.period.value, "alert_percent": list(budget.alert_percent)}
            self._changed(session, actor, subject, "budget.updated", detail)
        return self.state(session, subject, draft.period)

    def delete(self, session: Session, actor: Actor, subject: Subject, period: Period) -> str:
        """Returns the id. Raises `NotFound`."""
        budget = self.state(session, subject, period).budget
        store.delete_budget(session, subject, period)
        store.forget_raised(session, budget.id)
        self._changed(session, actor, subject, "budget.deleted", {"period": period.value})
        return budget.id

    # alerts at an amount

    def alerts(self, session: Session, subject: Subject) -> list[SpendAlert]:
        """Oldest first."""
        return store.alerts_of(session, subject)

    def alert(self, session: Session, subject: Subject, alert_id: str) -> SpendAlert:
        """Raises `NotFound`."""
        for alert in store.alerts_of(session, subject):
            if alert.id == alert_id:
                return alert
        raise NotFound(what="spend alert", id=alert_id)

    def add_alert(self, session: Session, actor: Actor, subject: Subject, draft: AlertDraft) -> SpendAlert:
        """Raises `WrongCurrency`."""
        self._check_currency(draft.currency)
        alert = SpendAlert(new_id("alert_"), subject, created_at=self._clock.unix(), **vars(draft))
        self._put_alert(session, actor, alert, "spend_alert.created")
        return alert

    def change_alert(self, session: Session, actor: Actor, known: SpendAlert, draft: AlertDraft) -> SpendAlert:
        """Raises `WrongCurrency`."""
        self._check_currency(draft.currency)
        alert = replace(known, **vars(draft))
        if alert.threshold_nanos != known.threshold_nanos:
            store.forget_raised(session, alert.id)
        self._put_alert(session, actor, alert, "spend_alert.updated")
        return alert

    def delete_alert(self, session: Session, actor: Actor, known: SpendAlert) -> None:
        store.delete_alert(session, known.subject, known.id)
        store.forget_raised(session, known.id)
        self._changed(session, actor, known.subject, "spend_alert.deleted", {"alert_id": known.id})

    # telling

    def raise_alerts(self, session: Session) -> int:
        """Emit `gateway.budget.alert` for everything that was reached since the last look, once a
        period and threshold. A chore of the worker. Returns how many.

        A hard budget tells at 100 percent too. Who is to be told by e-mail stays in the alert's row:
        addresses have no place in events, which are never erased.
        """
        budgets, alerts = store.all_budgets(session), store.all_alerts(session)
        spent = self._spent(session, {b.period for b in budgets} | ({Period.month} if alerts else set()))
        count = 0
        for budget in budgets:
            used = spent[budget.period].get(key_of(budget.subject), 0)
            for percent in sorted({*budget.alert_percent, *([100] if budget.hard else [])}):
                if used * 100 >= budget.limit_nanos * percent:
                    count += self._tell(session, budget, used, percent)
        for alert in alerts:
            used = spent[Period.month].get(key_of(alert.subject), 0)
            if used >= alert.threshold_nanos:
                count += self._tell(session, alert, used, 100)
        return count

    def _tell(self, session: Session, source: Budget | SpendAlert, used: int, percent: int) -> bool:
        is_budget = isinstance(source, Budget)
        period = source.period if isinstance(source, Budget) else Period.month
        threshold = source.limit_nanos if isinstance(source, Budget) else source.threshold_nanos
        unix = self._clock.unix()
        start = period.start(unix)
        if not store.raise_once(session, source.id, start, percent, unix):
            return False
        payload = {
            "budget_id" if is_budget else "alert_id": source.id,
            "scope": source.subject.scope.value,
            "subject_id": source.subject.id,
            "organization_id": source.subject.organization_id,
            "period": period.value,
            "period_start": start,
            "percent": percent,
            "spent_nanos": used,
            "threshold_nanos": threshold * percent // 100,
            "currency": source.currency,
            "enforcing": isinstance(source, Budget) and source.hard and used >= threshold,
        }
        events.emit(session, self._clock, "gateway.budget.alert", payload, source.subject.project_id or None)
        return True

    def _spent(self, session: Session, periods: set[Period]) -> dict[Period, Mapping[tuple[str, str], int]]:
        now = self._clock.unix()
        with self._asking:
            return {period: self._spending.spent(session, period.start(now)) for period in periods}

    def _check_currency(self, currency: str) -> None:
        if currency != self.currency:
            raise WrongCurrency(currency=self.currency, param="currency")

    def _put_alert(self, session: Session, actor: Actor, alert: SpendAlert, action: str) -> None:
        store.put_alert(session, alert)
        detail = {"alert_id": alert.id, "threshold_nanos": alert.threshold_nanos, "currency": alert.currency}
        self._changed(session, actor, alert.subject, action, detail)

    def _changed(self, session: Session, actor: Actor, subject: Subject, action: str, detail: dict[str, Any]) -> None:
        whose = {"scope": subject.scope.value, "subject_id": subject.id}
        self._audit(session, actor, action, subject.id, {**whose, **detail})
        noun = action.partition(".")[0]
        events.emit(session, self._clock, f"gateway.{noun}.changed", {**whose, **detail}, subject.project_id or None)
