"""How much of a budget is used, cheap enough to ask every second.

What lies in finished hours is summed once and again only when a record or the books of such an hour
change; the running hour's providers' prices are summed each time (a few rows); the provisional
shares of own machines are computed again after a pause that grows with what computing them takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from plinth.gateway.costs import store
from plinth.gateway.costs.bookkeeper import Bookkeeper
from plinth.gateway.costs.model import Currencies
from plinth.gateway.usage import change_signature, hour_of, remote_by_payer
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
    Not thread-safe; make one per thread that asks."""

    def __init__(self, clock: Clock, bookkeeper: Bookkeeper, currencies: Currencies) -> None:
        self._clock, self._bookkeeper, self._currencies = clock, bookkeeper, currencies
        self._finished: dict[int, tuple[_Signature, dict[Payer, int]]] = {}
        self._provisional: dict[int, tuple[float, tuple[int, int], dict[Payer, int]]] = {}

    def spent(self, session: Session, period_start: float) -> Mapping[Payer, int]:
        """What everybody has spent since the hour of `period_start` (unix seconds): providers'
        prices, settled shares, and a provisional share of hours without books.

        Raises `ExchangeRateMissing`.
        """
        since, running = hour_of(period_start), hour_of(self._clock.unix())
        total = dict(self._of_finished_hours(session, since, running))
        self._add(total, remote_by_payer(session, max(since, running), running + 3600))
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
        lines = self._bookkeeper.open_lines(session, since)
        total: dict[Payer, int] = {}
        self._add(
            total,
            [
                (line.organization_id, line.project_id, line.key_id, line.currency, line.nanos)
                for line in lines
                if line.nanos and not line.idle
            ],
        )
        took = self._clock.monotonic() - began
        while len(self._provisional) >= _PERIODS_KEPT:
            self._provisional.pop(next(iter(self._provisional)))
        self._provisional[since] = (began + max(_PROVISIONAL_SECONDS, _PAUSE_FACTOR * took), books, total)
        return total

    def _add(self, total: dict[Payer, int], rows: Iterable[_Row]) -> None:
        for organization, project, key, currency, nanos in rows:
            amount = self._currencies.to_base(nanos, currency)
            for payer in (("organization", organization), ("project", project), ("key", key)):
                if payer[1]:
                    total[payer] = total.get(payer, 0) + amount
