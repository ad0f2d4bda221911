"""Time as a dependency: services take a `Clock`, tests hand them a `FixedClock`."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """UTC wall time, and a monotonic timer for durations."""

    def unix(self) -> float:
        """Seconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin that never runs backwards."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def unix(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class FixedClock:
    """A clock that moves only when told: `clock.advance(60)`; `sleep` advances it."""

    def __init__(self, unix: float = 1_800_000_000.0) -> None:
        self._now = unix

    def unix(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now += seconds
