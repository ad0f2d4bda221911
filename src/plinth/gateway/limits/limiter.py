"""The hot path: may this call go on? A few microseconds, no lock, no I/O.

`Limiter.admit` looks at every limit that applies and only then counts the call in all of them, so
a refused call costs its caller nothing. Tokens are an estimate until `Permit.settle` corrects it.

**How exact.** Each worker reads all columns and then writes its own. Workers that read before one
of them has written can all take the last place: at most `workers - 1` requests more than a limit
(for tokens: that many estimates, and what answers used beyond their estimates). A worker whose
process died stops counting as running within a second.

**Money.** A budget counts what the books hold, what this host has settled since and what its
running requests have reserved (the `cost_nanos` given at admission). It overshoots by at most

- what running requests cost beyond their reservation (all of it, when none was made),
- what the books learn later: requests on own engines, whose price is a share of a running meter
  (seconds, see the costs part), and requests on *other* hosts (the journal's delay and a second),
- one request for each other worker, as above.

Requests settled on this host within `BudgetKeeper`'s `booking_lag_seconds` may be counted twice for
that long: a budget can stop so much early, never late.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from plinth.gateway.limits.errors import BudgetExhausted, ModelNotPermitted
from plinth.gateway.limits.gates import Gate, tightest
from plinth.gateway.limits.model import Budget, Limit, LimitTable, ModelRule, Scope, label, money
from plinth.gateway.limits.ports import CELL_BYTES, CELLS, RESERVED, SETTLED, Counters, InMemoryCounters
from plinth.gateway.limits.window import WINDOW_SECONDS
from plinth.identity import Actor
from plinth.kit.clock import Clock

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
_MAX_PLANS = 20_000


class Permit:
    """A call that may go on. End it exactly once with `settle` or `release`; more calls do nothing."""

    __slots__ = ("_limiter", "_minute", "_plan", "_reserved", "_tokens")

    def __init__(self, limiter: Limiter, plan: _Plan | None, minute: int, tokens: int, reserved: int) -> None:
        self._limiter, self._plan, self._minute = limiter, plan, minute
        self._tokens, self._reserved = tokens, reserved

    def settle(self, tokens: int, cost_nanos: int) -> None:
        """The call has ended. `tokens` is what it used in all; `cost_nanos` its price, 0 when the
        books will say it later (own engines)."""
        self._end(max(tokens, 0), max(cost_nanos, 0))

    def release(self) -> None:
        """The call has ended without using anything: its tokens and its reservation are given back.
        The request itself stays counted."""
        self._end(0, 0)

    def _end(self, tokens: int, cost_nanos: int) -> None:
        plan, self._plan = self._plan, None
        if plan is not None:
            self._limiter._end(plan, self._minute, tokens - self._tokens, (self._reserved, cost_nanos))


@dataclass(frozen=True, slots=True)
class Reading:
    """What the books said. `settled_then` is the money counter's value that was surely booked."""

    spent_nanos: int
    settled_then: int
    period_end: float


class Purse:
    """One budget on the hot path. `reading` is replaced about once a second."""

    __slots__ = ("_byte", "_cells", "_counters", "_own", "budget", "name", "reading")

    def __init__(self, budget: Budget, counters: Counters) -> None:
        self.budget, self._counters = budget, counters
        # a row for each period, because each budget of a subject counts every call
        self.name = f"money:{label(budget.subject)} {budget.period}"
        row = counters.row(self.name)
        self._byte, self._own, self._cells = row * CELL_BYTES, row + counters.column * CELLS, counters.cells
        self.reading = Reading(0, self.settled(), 0.0)

    def settled(self) -> int:
        """What all workers have settled since the counters were made."""
        return sum(self._counters.lines(self._byte)[SETTLED::CELLS])

    def used(self, unix: float) -> int:
        """Booked, settled and reserved in the current period, in nanos."""
        reading, cells = self.reading, self._counters.lines(self._byte)
        booked = reading.spent_nanos if unix < reading.period_end else 0
        return booked + sum(cells[SETTLED::CELLS]) - reading.settled_then + sum(cells[RESERVED::CELLS])

    def check(self, unix: float, cost_nanos: int) -> None:
        """Raises `BudgetExhausted` when nothing is left, or less than the call is going to cost."""
        budget, used = self.budget, self.used(unix)
        if used < budget.limit_nanos and used + cost_nanos <= budget.limit_nanos:
            return
        end = budget.period.end(unix)
        raise BudgetExhausted(
            subject=label(budget.subject),
            period=budget.period.value,
            spent=money(used),
            limit=money(budget.limit_nanos),
            currency=budget.currency,
            resets_at=datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M"),
            retry_after_seconds=max(1, int(end - unix)),
        )

    def reserve(self, nanos: int) -> None:
        self._cells[self._own + RESERVED] += nanos

    def settle(self, reserved: int, nanos: int) -> None:
        # settled first: a reader between the two counts the call twice rather than not at all
        if nanos > 0:
            self._cells[self._own + SETTLED] += nanos
        if reserved:
            self._cells[self._own + RESERVED] -= reserved


@dataclass(frozen=True, slots=True)
class _Plan:
    """What applies to one key and model. `forbids` is the rule that says no. Without any of them
    the call is free."""

    gates: tuple[Gate, ...] = ()
    purses: tuple[Purse, ...] = ()
    forbids: ModelRule | None = None


@dataclass(frozen=True, slots=True)
class _State:
    """One table with its counters; replaced whole. `plans` is a cache that only the hot path fills."""

    table: LimitTable
    gates: Mapping[tuple[str, str], tuple[Gate, ...]]
    purses: Mapping[tuple[str, str], tuple[Purse, ...]]
    plans: dict[tuple[str, str, str, str], _Plan] = field(default_factory=dict)


_FREE = _Plan()

Rule = TypeVar("Rule", Limit, Budget)
Enforced = TypeVar("Enforced", Gate, Purse)


class Limiter:
    """Enforces a `LimitTable`. `admit`, `headers` and permits belong to one thread (the event loop's);
    `update` may be called from another one.

    Args:
        counters: shared by the workers of this host; other hosts count for themselves.
        clock: its monotonic time must be the same in all processes of the host (`SystemClock` is).
    """

    def __init__(self, counters: Counters, clock: Clock) -> None:
        self._counters, self._clock = counters, clock
        self._monotonic = clock.monotonic
        self._look_at = 0.0
        self._free = Permit(self, None, 0, 0, 0)
        self._state = _State(LimitTable(), {}, {})

    def update(self, table: LimitTable) -> None:
        """Enforce another table from the next call on. What was counted so far stays counted."""
        known = {purse.budget.id: purse for purses in self._state.purses.values() for purse in purses}
        purses = {}
        for key, budgets in table.budgets.items():
            purses[key] = tuple(self._counted(Purse, budget) for budget in budgets if budget.hard)
            for purse in purses[key]:
                if (before := known.get(purse.budget.id)) and before.budget.period is purse.budget.period:
                    purse.reading = before.reading
        gates = {key: tuple(self._counted(Gate, limit) for limit in found) for key, found in table.limits.items()}
        self._state = _State(table, gates, purses)

    def admit(self, actor: Actor, model: str, tokens: int, model_id: str = "", cost_nanos: int = 0) -> Permit:
        """Count the call in, or refuse it and count nothing.

        Args:
            model: the name that the client used; model_id: what it means, when that is known.
                Limits and permissions of either apply.
            tokens: about how many the call will use, prompt and answer together.
            cost_nanos: about what it will cost, when a price is known.

        Raises: `ModelNotPermitted`, `BudgetExhausted`, and of `LimitReached` the kind that was reached.
        """
        plan = self._state.plans.get((actor.key_id, actor.project_id, model, model_id))
        if plan is None:
            plan = self._plan(actor, model, model_id)
        if plan is _FREE:
            return self._free
        if plan.forbids is not None:
            raise ModelNotPermitted(model=model, subject=label(plan.forbids.subject), param="model")
        now = self._monotonic()
        if not 0.0 < self._look_at - now <= LOOK_SECONDS:
            self._look_at = now + LOOK_SECONDS
            self._counters.look()
        if plan.purses:
            unix = self._clock.unix()
            for purse in plan.purses:
                purse.check(unix, cost_nanos)
        second = int(now)
        minute = second // 60
        left = 1.0 - (now - minute * WINDOW_SECONDS) / WINDOW_SECONDS
        for gate in plan.gates:
            gate.check(second, left, tokens)
        for gate in plan.gates:
            gate.take(minute, tokens)
        if cost_nanos:
            for purse in plan.purses:
                purse.reserve(cost_nanos)
        return Permit(self, plan, minute, tokens, cost_nanos)

    def _end(self, plan: _Plan, minute: int, more_tokens: int, money: tuple[int, int]) -> None:
        """A permit was ended. `money` is what was reserved and what is settled, in nanos."""
        if self._counters.closed:
            return
        this_minute = int(self._monotonic() / WINDOW_SECONDS)
        for gate in plan.gates:
            gate.end(minute, this_minute, more_tokens)
        for purse in plan.purses:
            purse.settle(*money)

    def permits(self, actor: Actor, model: str, model_id: str = "") -> bool:
        """Whether the model's use is permitted, for choosing among a route's targets."""
        return _forbidding(self._state.table, actor, {model, model_id}) is None

    def headers(self, actor: Actor, model: str, model_id: str = "", tokens: int = 0) -> list[tuple[bytes, bytes]]:
        """`x-ratelimit-*` for the answer to a call that was admitted: of the limits with the least
        room, as they stood when the last call was admitted. Empty when nothing limits.

        Args: `tokens` is the estimate that the call was admitted with.
        """
        plan = self._state.plans.get((actor.key_id, actor.project_id, model, model_id))
        if plan is None:
            plan = self._plan(actor, model, model_id)
        if not plan.gates:
            return []
        return tightest(plan.gates, 1, tokens)

    def purses(self) -> list[Purse]:
        """Every hard budget in force, for whoever reads the books."""
        return [purse for purses in self._state.purses.values() for purse in purses]

    def close(self) -> None:
        self._counters.close()

    def _counted(self, make: Callable[[Rule, Counters], Enforced], rule: Rule) -> Enforced:
        try:
            return make(rule, self._counters)
        except OSError as error:
            log.warning("a limit is counted by this worker for itself: %s", error, extra={"rule": label(rule.subject)})
            return make(rule, InMemoryCounters(columns=1, rows=1))

    def _plan(self, actor: Actor, model: str, model_id: str) -> _Plan:
        state = self._state
        names = {model, model_id, ""}
        subjects = _subjects(actor)
        forbids = _forbidding(state.table, actor, names)
        gates = tuple(g for key in subjects for g in state.gates.get(key, ()) if g.limit.model in names)
        purses = tuple(p for key in subjects for p in state.purses.get(key, ()))
        plan = _Plan(gates, purses, forbids) if gates or purses or forbids else _FREE
        if len(state.plans) >= _MAX_PLANS:  # names are the clients' to invent
            state.plans.clear()
        state.plans[actor.key_id, actor.project_id, model, model_id] = plan
        return plan


def _forbidding(table: LimitTable, actor: Actor, names: set[str]) -> ModelRule | None:
    found = (table.rules.get(key) for key in _subjects(actor))
    return next((rule for rule in found if rule is not None and not rule.permits(names)), None)


def _subjects(actor: Actor) -> tuple[tuple[str, str], ...]:
    """Narrowest first, so that a refusal names the limit that its caller can change most easily."""
    return (
        (Scope.key.value, actor.key_id),
        (Scope.project.value, actor.project_id),
        (Scope.organization.value, actor.organization_id),
    )
