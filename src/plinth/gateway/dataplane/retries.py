"""Whether another attempt may be made, and when: never after the first byte, never without budget.

The budget keeps retries a small share of the traffic, so that a target that is overloaded is not
finished off by its own clients (Google SRE book, chapter 22, "Retry budgets"). The pauses have full
jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015): clients that failed together
do not come back together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from plinth.kit.clock import Clock


class Failure(StrEnum):
    """How an attempt failed before the client was sent anything."""

    unreachable = "unreachable"
    """No connection, or the circuit is open: the target did no work."""
    broken = "broken"
    """The connection ended early, or what came was not an answer."""
    too_slow = "too_slow"
    """A time-out."""
    server_error = "server_error"
    """A 5xx."""
    throttled = "throttled"
    """A 429 of a provider."""
    refused = "refused"
    """Any other 4xx: the request itself is wrong, and it will be wrong everywhere."""


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """Retries may be `share` of the requests, plus `per_second`, plus a burst of `reserve` (a target
    that dies takes every request in flight with it, and each of them deserves another one)."""

    share: float = 0.2
    per_second: float = 1.0
    reserve: float = 100.0


class RetryBudget:
    """A token bucket. Over any stretch of time in which `n` requests came in `t` seconds, at most
    `share * n + per_second * t + reserve` retries are allowed. Belongs to one event loop."""

    __slots__ = ("_clock", "_filled_at", "_settings", "_tokens")

    def __init__(self, clock: Clock, settings: BudgetSettings | None = None) -> None:
        self._clock, self._settings = clock.monotonic, settings or BudgetSettings()
        self._tokens, self._filled_at = self._settings.reserve, self._clock()

    def earn(self) -> None:
        """Note one request, the first attempt of it."""
        tokens, reserve = self._tokens + self._settings.share, self._settings.reserve
        self._tokens = tokens if tokens < reserve else reserve

    def spend(self) -> bool:
        """Take one retry out of the budget; False when there is none left."""
        now = self._clock()
        earned = self._settings.per_second * max(0.0, now - self._filled_at)
        self._tokens, self._filled_at = min(self._tokens + earned, self._settings.reserve), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    @property
    def left(self) -> float:
        """Retries that are left, as of the last one."""
        return self._tokens


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between attempts at the same target: uniform between 0 and `base_seconds * 2^(n - 1)`
    after the n-th attempt, at most `longest_seconds`."""

    base_seconds: float = 0.1
    longest_seconds: float = 5.0

    def pause(self, attempt: int, dice: Callable[[], float]) -> float:
        # 2.0**60 is past any cap; a larger power would overflow some day
        return dice() * min(self.longest_seconds, self.base_seconds * 2.0 ** min(attempt - 1, 60))


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that failed.

    Args:
        number: 1 for the first attempt; allowed: how many the route permits in all.
        failure: how it failed. started: whether the client has been sent anything of an answer.
        elsewhere: whether the next attempt goes to another target.
        seconds_left: until the request's total time-out, None when there is none.
        retry_after_seconds: what the target asked for, None when it did not.
    """

    number: int
    allowed: int
    failure: Failure
    started: bool = False
    elsewhere: bool = False
    seconds_left: float | None = None
    retry_after_seconds: float | None = None


class Retries:
    """Args: `dice` gives uniform numbers in [0, 1), as `random.random`."""

    def __init__(self, budget: RetryBudget, dice: Callable[[], float], backoff: Backoff | None = None) -> None:
        self.budget, self._dice, self._backoff = budget, dice, backoff or Backoff()

    def pause(self, attempt: Attempt) -> float | None:
        """Seconds to wait before the next attempt, None when there must not be one. Spends budget.

        Going elsewhere needs no pause, and no budget when the first target did no work: that moves
        load and adds none, so a dead target's traffic always finds its fallback. A target that asks
        for a longer wait than the longest pause is not waited for: the client is told instead.
        """
        if attempt.started or attempt.number >= attempt.allowed or attempt.failure is Failure.refused:
            return None
        seconds = 0.0 if attempt.elsewhere else self._wait(attempt)
        too_late = attempt.seconds_left is not None and seconds >= attempt.seconds_left
        if too_late or seconds > self._backoff.longest_seconds:
            return None
        free = attempt.elsewhere and attempt.failure is Failure.unreachable
        return seconds if free or self.budget.spend() else None

    def _wait(self, attempt: Attempt) -> float:
        pause = self._backoff.pause(attempt.number, self._dice)
        return max(pause, attempt.retry_after_seconds or 0.0)
