"""Tells the limiter about once a second what the books hold. While the database is away, what this
host settles still counts against the last reading."""

from __future__ import annotations

import logging
import threading
from collections import deque

from plinth.gateway.limits.limiter import Limiter, Purse, Reading
from plinth.gateway.limits.model import key_of
from plinth.gateway.limits.ports import Spending
from plinth.kit.clock import Clock
from plinth.kit.db import Database

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
BOOKING_LAG_SECONDS = 5.0


class BudgetKeeper:
    """A thread; one in each gateway worker.

    `booking_lag_seconds` is how long a settled call may take to appear in the database (the usage
    journal's delay). Costs that this host settled within that time are counted on top of what the
    books say, so for that long some count twice: a budget stops a little early rather than late.
    A journal that is further behind (the database was away) makes budgets stop later by what is waiting.
    """

    def __init__(
        self, db: Database, spending: Spending, limiter: Limiter, clock: Clock, booking_lag_seconds: float
    ) -> None:
        self._db, self._spending, self._limiter, self._clock = db, spending, limiter, clock
        self._lag_seconds = booking_lag_seconds
        # per purse: (monotonic seconds, what had been settled by then), oldest first
        self._settled: dict[str, deque[tuple[float, int]]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._away = False

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="gateway-budgets", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def refresh(self) -> None:
        """Read the books once. Costs nothing when no budget is in force. Raises what the database raises."""
        purses = self._limiter.purses()
        now, unix = self._clock.monotonic(), self._clock.unix()
        self._settled = {p.name: self._sampled(self._settled.get(p.name), now, p) for p in purses}
        periods = {purse.budget.period for purse in purses}
        if not periods:
            return
        with self._db.read() as session:
            spent = {period: self._spending.spent(session, period.start(unix)) for period in periods}
        for purse in purses:
            budget = purse.budget
            nanos = spent[budget.period].get(key_of(budget.subject), 0)
            settled_then = self._settled[purse.name][0][1]
            purse.reading = Reading(nanos, settled_then, budget.period.end(unix))

    def _sampled(self, known: deque[tuple[float, int]] | None, now: float, purse: Purse) -> deque[tuple[float, int]]:
        """The samples with a new one, beginning with the newest that is surely booked (or the oldest there is)."""
        samples = known or deque()
        samples.append((now, purse.settled()))
        while len(samples) > 1 and samples[1][0] <= now - self._lag_seconds:
            samples.popleft()
        return samples

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.refresh()
            except Exception:  # any outage of the database: the last reading stands, settled costs add to it
                if not self._away:
                    log.exception("what was spent cannot be read; budgets go on from the last reading")
                self._away = True
            else:
                if self._away:
                    log.warning("what was spent is read again")
                self._away = False
            self._stop.wait(POLL_SECONDS)
