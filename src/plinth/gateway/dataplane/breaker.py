"""A circuit per target: stop asking who does not answer, and find out with one request when it does again.

    closed ──(too many failures)──> open ──(pause over)──> half open ──(the trial succeeds)──> closed
                                     ^                         │
                                     └──(the trial fails: a longer pause)

What counts as a failure is the caller's business: no connection, a time-out, a 5xx, garbage. A 4xx
is an answer. Belongs to one event loop; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from plinth.kit.clock import Clock

_SLICES = 10
REFUSED = 0


class Circuit(StrEnum):
    closed = "closed"
    open = "open"
    half_open = "half_open"


# looking a member up on its class costs more than everything else on the happy path
_CLOSED, _OPEN, _HALF_OPEN = Circuit.closed, Circuit.open, Circuit.half_open


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """Opens after `failures_in_a_row`, or when `failure_share` of the calls that ended in the last
    `window_seconds` failed and there were at least `minimum_calls`.

    The first pause takes `pause_seconds`; each trial that fails doubles it up to
    `longest_pause_seconds`. A trial that has not ended after `trial_seconds` counts as lost, and
    another one may be made.
    """

    failures_in_a_row: int = 5
    failure_share: float = 0.5
    minimum_calls: int = 20
    window_seconds: float = 30.0
    pause_seconds: float = 5.0
    longest_pause_seconds: float = 60.0
    trial_seconds: float = 30.0


class Breaker:
    """Use: `ticket = enter()`; if it is not `REFUSED`, call the target and hand the ticket back
    exactly once: `succeeded`, `failed`, or `withdrawn` (the call said nothing about the target, as
    when the client left).

    A ticket belongs to the state that it was given in: a call that began before the circuit opened
    can neither close it nor make the pause longer when it ends at last.
    """

    def __init__(self, clock: Clock, settings: BreakerSettings) -> None:
        self._clock, self._settings = clock.monotonic, settings
        self._slice_seconds = settings.window_seconds / _SLICES
        self.circuit = _CLOSED
        self.opened = 0
        self._generation = 1
        self._pause_seconds = settings.pause_seconds
        self._open_until = self._trial_until = 0.0
        self._all_calls = self._all_failures = self._in_a_row = 0
        self._forget()

    def enter(self) -> int:
        """A ticket for one call, or `REFUSED`."""
        if self.circuit is _CLOSED:
            return self._generation
        now = self._clock()
        if now < (self._open_until if self.circuit is _OPEN else self._trial_until):
            return REFUSED
        # either the pause is over, or the last trial is lost
        self._become(_HALF_OPEN)
        self._trial_until = now + self._settings.trial_seconds
        return self._generation

    def succeeded(self, ticket: int) -> None:
        if ticket != self._generation:
            return
        if self.circuit is _CLOSED:
            self._in_a_row = 0
            self._calls[self._place()] += 1
            self._all_calls += 1
            return
        self._pause_seconds = self._settings.pause_seconds
        self._forget()
        self._become(_CLOSED)

    def failed(self, ticket: int) -> None:
        if ticket != self._generation:
            return
        if self.circuit is not _CLOSED:
            self._pause_seconds = min(2 * self._pause_seconds, self._settings.longest_pause_seconds)
            self._open()
            return
        self._in_a_row += 1
        place, calls = self._place(), self._all_calls + 1
        self._calls[place] += 1
        self._failures[place] += 1
        self._all_calls = calls
        self._all_failures += 1
        share = self._settings.failure_share * calls
        too_many = calls >= self._settings.minimum_calls and self._all_failures >= share
        if too_many or self._in_a_row >= self._settings.failures_in_a_row:
            self._open()

    def withdrawn(self, ticket: int) -> None:
        """The call ended without a verdict; if it was the trial, the next call may be it."""
        if ticket == self._generation and self.circuit is _HALF_OPEN:
            self._trial_until = 0.0

    @property
    def would_refuse(self) -> bool:
        """Whether `enter` would refuse now; takes no ticket."""
        if self.circuit is _CLOSED:
            return False
        return self._clock() < (self._open_until if self.circuit is _OPEN else self._trial_until)

    @property
    def retry_in_seconds(self) -> float:
        """How long an open circuit stays so; 0 in the other states."""
        return max(0.0, self._open_until - self._clock()) if self.circuit is _OPEN else 0.0

    def _open(self) -> None:
        self._open_until = self._clock() + self._pause_seconds
        self.opened += 1
        self._become(_OPEN)

    def _become(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self._generation += 1

    def _forget(self) -> None:
        self._calls, self._failures = [0] * _SLICES, [0] * _SLICES
        self._all_calls = self._all_failures = self._in_a_row = 0
        self._slice = int(self._clock() // self._slice_seconds)
        self._slice_ends = (self._slice + 1) * self._slice_seconds

    def _place(self) -> int:
        """The slice of the window that calls are counted in now."""
        if self._clock() >= self._slice_ends:
            self._turn()
        return self._slice % _SLICES

    def _turn(self) -> None:
        """Empty the slices that the window has left behind."""
        current = max(int(self._clock() // self._slice_seconds), self._slice + 1)
        for passed in range(self._slice + 1, min(current, self._slice + _SLICES) + 1):
            place = passed % _SLICES
            self._all_calls -= self._calls[place]
            self._all_failures -= self._failures[place]
            self._calls[place] = self._failures[place] = 0
        self._slice = current
        self._slice_ends = (current + 1) * self._slice_seconds


class Breakers:
    """One circuit per target, made when it is first asked for."""

    def __init__(self, clock: Clock, settings: BreakerSettings | None = None) -> None:
        self._clock, self._settings = clock, settings or BreakerSettings()
        self._breakers: dict[str, Breaker] = {}

    def of(self, target: str) -> Breaker:
        try:
            return self._breakers[target]
        except KeyError:
            return self._breakers.setdefault(target, Breaker(self._clock, self._settings))

    def keep(self, targets: Iterable[str]) -> None:
        """Forget every other target; call it when the snapshot changes, so that the table cannot grow."""
        wanted = set(targets)
        self._breakers = {name: breaker for name, breaker in self._breakers.items() if name in wanted}

    def circuits(self) -> dict[str, Circuit]:
        """For metrics."""
        return {name: breaker.circuit for name, breaker in self._breakers.items()}
