"""How much of a budget is used, cheap enough to ask every second.

What lies in finished hours is summed once and again only when a record or the books of such an hour
change; the running hour's providers' prices are summed each time (a few rows). The shares of own
machines in hours without books are estimated, again after a pause that grows with what it takes:
the database sums how long each payer's requests worked, and a payer gets that part of the meter.
The total is never below what the books will say (work that overlaps counts as if it filled idle
time), and a process that answers requests does not spend its time sweeping a hundred thousand
intervals.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

from plinth.gateway.costs import store
from plinth.gateway.costs.bookkeeper import unsettled
from plinth.gateway.costs.books import MICROSECONDS
from plinth.gateway.costs.model import Currencies, Rate
from plinth.gateway.costs.service import meters
from plinth.gateway.usage import (
    HOUR_SECONDS,
    change_signature,
    hour_marks,
    hour_of,
    occupied_seconds,
    remote_by_payer,
)
from plinth.kit.clock import Clock
from plinth.kit.db import Session

Payer = tuple[str, str]
"""("organization" | "project" | "key", id)"""

_PROVISIONAL_SECONDS = 5.0
_PAUSE_FACTOR = 20.0
_PERIODS_KEPT = 16

_Signature = tuple[tuple[int, int], tuple[int, int], int]
_Row = tuple[str, str, str, str, int]


class Spending:
    """Amounts are nanos of `currencies.base`. Idle time is nobody's request: it uses no budget.
    Threads that ask at once wait for each other, so that one computes and the rest find it."""

    def __init__(self, clock: Clock, currencies: Currencies) -> None:
        self._clock, self._currencies = clock, currencies
        self._lock = threading.Lock()
        self._finished: dict[int, tuple[_Signature, dict[Payer, int]]] = {}
        self._provisional: dict[int, tuple[float, tuple[int, int], dict[Payer, int]]] = {}

    def spent(self, session: Session, period_start: float) -> Mapping[Payer, int]:
        """What everybody has spent since the hour of `period_start` (unix seconds): providers'
        prices, settled shares, and an estimate for hours without books.

        Raises `ExchangeRateMissing`.
        """
        since, running = hour_of(period_start), hour_of(self._clock.unix())
        with self._lock:
            total = dict(self._of_finished_hours(session, since, running))
            self._add(total, remote_by_payer(session, max(since, running), running + HOUR_SECONDS))
            for payer, nanos in self._of_open_hours(session, since).items():
                total[payer] = total.get(payer, 0) + nanos
        return total

    def _of_finished_hours(self, session: Session, since: int, running: int) -> dict[Payer, int]:
        signature = (change_signature(session, since, running), store.settled_signature(session, since), running)
        known = self._finished.get(since)
        if known is not None and known[0] == signature:
            return known[1]
        total: dict[Payer, int] = {}
        self._add(total, store.spent_on_pools(session, since))
        self._add(total, remote_by_payer(session, since, running))
        while len(self._finished) >= _PERIODS_KEPT:
            self._finished.pop(next(iter(self._finished)))
        self._finished[since] = (signature, total)
        return total

    def _of_open_hours(self, session: Session, since: int) -> dict[Payer, int]:
        """An hour that is settled must leave these sums in the moment it enters the others: new books
        end the pause."""
        began, books = self._clock.monotonic(), store.settled_signature(session, since)
        known = self._provisional.get(since)
        if known is not None and began < known[0] and books == known[1]:
            return known[2]
        total: dict[Payer, int] = {}
        self._add(total, self._estimates(session, since))
        took = self._clock.monotonic() - began
        while len(self._provisional) >= _PERIODS_KEPT:
            self._provisional.pop(next(iter(self._provisional)))
        self._provisional[since] = (began + max(_PROVISIONAL_SECONDS, _PAUSE_FACTOR * took), books, total)
        return total

    def _estimates(self, session: Session, since: int) -> list[_Row]:
        now, known = self._clock.unix(), meters(session)
        end = hour_of(now) + HOUR_SECONDS
        touched = hour_marks(session, since, end)
        places = [place for place in unsettled(session, known, end, since, stale=False) if place[1] in touched]
        work = {hour: occupied_seconds(session, hour, now) for hour in {hour for _, hour in places}}
        rows: list[_Row] = []
        for pool, hour in places:
            rate = known.rate(pool, hour)
            if rate is not None:
                rows += _estimate(
                    rate,
                    min(now - hour, HOUR_SECONDS),
                    [item for item in work[hour] if known.pool_of(item[3], hour) == pool],
                )
        return rows

    def _add(self, total: dict[Payer, int], rows: Iterable[_Row]) -> None:
        for organization, project, key, currency, nanos in rows:
            amount = self._currencies.to_base(nanos, currency)
            for payer in (("organization", organization), ("project", project), ("key", key)):
                if payer[1]:
                    total[payer] = total.get(payer, 0) + amount


def _estimate(rate: Rate, elapsed: float, work: Sequence[tuple[str, str, str, str, float]]) -> list[_Row]:
    """Each payer's part of what the pool cost in `elapsed` seconds."""
    length = int(elapsed * MICROSECONDS)
    occupied = [int(seconds * MICROSECONDS) for *_, seconds in work]
    whole = max(length, sum(occupied), 1) * HOUR_SECONDS * MICROSECONDS
    return [
        (organization, project, key, rate.currency, rate.nanos_per_hour * length * part // whole)
        for (organization, project, key, _, _), part in zip(work, occupied, strict=True)
    ]
