"""How many requests may be at work at once, and an orderly queue for those who must wait.

A place that comes free is handed to the next in line, never thrown back to be fought for. People
(`interactive`) go before batches, and a full queue makes room for them at the batches' expense.
Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from plinth.gateway.errors import Busy
from plinth.kit.clock import Clock

_LONGEST_RETRY_SECONDS = 60
_SMOOTHING = 0.2


class Priority(StrEnum):
    interactive = "interactive"
    batch = "batch"


@dataclass(frozen=True, slots=True)
class Gate:
    """`places`: requests at work at once, None for no limit; `queue`: how many more may wait, for at
    most `queue_seconds`. `name` is what the error calls it."""

    name: str
    places: int | None = None
    queue: int = 100
    queue_seconds: float = 30.0


class Turnstile:
    """Use: `async with turnstile.passed(priority):`, or `await enter(…)` and later `leave()` once."""

    def __init__(self, clock: Clock, gate: Gate) -> None:
        self._clock, self.gate = clock.monotonic, gate
        self.working = 0
        self._interactive: deque[asyncio.Future[None]] = deque()
        self._batch: deque[asyncio.Future[None]] = deque()
        # seconds between two places coming free while somebody waits: what `Retry-After` is made of
        self._pace_seconds = 0.0
        self._freed_at: float | None = None

    @property
    def waiting(self) -> int:
        return len(self._interactive) + len(self._batch)

    async def enter(self, priority: Priority = Priority.interactive) -> None:
        """Take a place, waiting for one if need be. Raises `Busy`."""
        gate = self.gate
        if gate.places is None or (self.working < gate.places and not self._interactive and not self._batch):
            self.working += 1
            return
        if gate.queue_seconds <= 0 or not self._has_room(priority):
            raise self._busy()
        await self._wait(self._batch if priority is Priority.batch else self._interactive)

    def leave(self) -> None:
        """Give the place to the next in line, or back."""
        self._measure()
        self.working -= 1
        self._admit()

    @asynccontextmanager
    async def passed(self, priority: Priority = Priority.interactive) -> AsyncIterator[None]:
        await self.enter(priority)
        try:
            yield
        finally:
            self.leave()

    def change(self, gate: Gate) -> None:
        """From now on by other rules: more places are filled at once; with fewer, nobody is thrown
        out, and those who wait keep their deadline."""
        self.gate = gate
        self._admit()

    async def _wait(self, line: deque[asyncio.Future[None]]) -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        line.append(waiter)
        if self._freed_at is None:
            self._freed_at = self._clock()
        deadline = loop.call_later(self.gate.queue_seconds, self._give_up, line, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # the place was ours already when we were cancelled: pass it on, or it is lost
                self.leave()
            else:
                _drop(line, waiter)
            raise
        finally:
            deadline.cancel()

    def _admit(self) -> None:
        places = self.gate.places
        while (self._interactive or self._batch) and (places is None or self.working < places):
            waiter = (self._interactive or self._batch).popleft()
            if not waiter.done():  # a cancelled one takes itself out later
                self.working += 1
                waiter.set_result(None)

    def _has_room(self, priority: Priority) -> bool:
        if self.waiting < self.gate.queue:
            return True
        if priority is Priority.batch or not self._batch or not self.gate.queue:
            return False
        self._give_up(self._batch, self._batch[-1])
        return True

    def _give_up(self, line: deque[asyncio.Future[None]], waiter: asyncio.Future[None]) -> None:
        _drop(line, waiter)
        if not waiter.done():
            waiter.set_exception(self._busy())

    def _measure(self) -> None:
        if not self._interactive and not self._batch:
            self._freed_at = None
            return
        now = self._clock()
        if self._freed_at is not None:
            seconds = now - self._freed_at
            known = self._pace_seconds
            self._pace_seconds = known + _SMOOTHING * (seconds - known) if known else seconds
        self._freed_at = now

    def _busy(self) -> Busy:
        """`Retry-After`: when everybody who waits now will have had their turn, at the recent pace."""
        seconds = math.ceil(self._pace_seconds * (self.waiting + 1))
        return Busy(name=self.gate.name, retry_after_seconds=min(max(1, seconds), _LONGEST_RETRY_SECONDS))


class Turnstiles:
    """The turnstiles of all routes, by route id."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turnstiles: dict[str, Turnstile] = {}

    def sync(self, gates: Mapping[str, Gate]) -> None:
        """Make the turnstiles match the routes; call it on the event loop when the snapshot changed.
        Requests that are at work or wait at a turnstile that is gone end there undisturbed."""
        for key, gate in gates.items():
            known = self._turnstiles.get(key)
            if known is None:
                self._turnstiles[key] = Turnstile(self._clock, gate)
            elif known.gate != gate:
                known.change(gate)
        for key in self._turnstiles.keys() - gates.keys():
            del self._turnstiles[key]

    def get(self, key: str) -> Turnstile | None:
        return self._turnstiles.get(key)


def _drop(line: deque[asyncio.Future[None]], waiter: asyncio.Future[None]) -> None:
    try:
        line.remove(waiter)
    except ValueError:  # it was let in, or taken out, a moment ago
        pass
