"""One limit on the hot path: look for room, take it, give it back."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from plinth.gateway.limits.errors import (
    ConcurrencyReached,
    LargerThanLimit,
    LimitReached,
    RequestRateReached,
    TokenRateReached,
)
from plinth.gateway.limits.model import Limit
from plinth.gateway.limits.ports import CELL_BYTES, CELLS, RUNNING, SLOT, Counters
from plinth.gateway.limits.window import duration, empty_seconds, wait_seconds

_NEVER = 2**62
_REQUESTS_ROOM = attrgetter("requests_room")
_TOKENS_ROOM = attrgetter("tokens_room")


class Gate:
    """One limit of one subject.

    A worker's line is rotated by its own worker: a slot is cleared before it gets its new minute,
    so that a reader sees either an old minute, which it ignores, or counts that belong to the new one.
    The last minute's counts are added up once a second only: others do not add to them any more.

    `requests`, `tokens` (of this minute), `requests_before`, `tokens_before` (of the last one),
    `running` and `left` are as the last `check` saw them, without its own request.
    """

    __slots__ = (
        "_byte",
        "_cells",
        "_counters",
        "_max_requests",
        "_max_running",
        "_max_tokens",
        "_own",
        "_second",
        "left",
        "limit",
        "limits_requests",
        "limits_tokens",
        "requests",
        "requests_before",
        "running",
        "tokens",
        "tokens_before",
    )

    def __init__(self, limit: Limit, counters: Counters) -> None:
        self.limit, self._counters, self._cells = limit, counters, counters.cells
        row = counters.row("rate:" + limit.label)
        self._byte, self._own = row * CELL_BYTES, row + counters.column * CELLS
        self._max_requests = _bound(limit.requests_per_minute)
        self._max_tokens = _bound(limit.tokens_per_minute)
        self._max_running = _bound(limit.concurrent_requests)
        # for headers; empty when there is none
        self.limits_requests = _digits(limit.requests_per_minute)
        self.limits_tokens = _digits(limit.tokens_per_minute)
        self._second = -1
        self.requests = self.tokens = self.running = 0
        self.requests_before = self.tokens_before = 0
        self.left = 1.0

    def check(self, second: int, left: float, tokens: int) -> None:
        """Raises a `LimitReached` when there is no room for one more request with so many tokens.

        Args: `second` counts on the monotonic clock; `left` is the share of its minute still to come.
        """
        cells = self._counters.lines(self._byte)
        minute = second // 60
        if self._second != second:
            self._remember(second, cells)
        slot = SLOT if minute & 1 else 0
        used_requests = used_tokens = running = 0
        for at in range(slot, len(cells), CELLS):
            if cells[at] == minute:
                used_requests += cells[at + 1]
                used_tokens += cells[at + 2]
            running += cells[at + RUNNING - slot]
        self.requests, self.tokens, self.running, self.left = used_requests, used_tokens, running, left
        if (
            used_requests + self.requests_before * left + 1 > self._max_requests
            or used_tokens + self.tokens_before * left + tokens > self._max_tokens
            or running >= self._max_running
        ):
            raise self._refusal(tokens)

    def take(self, minute: int, tokens: int) -> None:
        cells, own = self._cells, self._own
        at = own + SLOT if minute & 1 else own
        if cells[at] == minute:
            cells[at + 1] += 1
            cells[at + 2] += tokens
        else:
            _begin(cells, at, minute, 1, tokens)
        cells[own + RUNNING] += 1

    def end(self, minute: int, this_minute: int, more_tokens: int) -> None:
        """A request that was taken in `minute` has ended and used so many tokens more than its estimate.

        What was estimated too much is given back to the minute that it was taken from, as long as
        that one is remembered; what was missed counts now. So no count ever falls below zero.
        """
        cells, own = self._cells, self._own
        cells[own + RUNNING] -= 1
        if more_tokens > 0:
            at = own + SLOT if this_minute & 1 else own
            if cells[at] == this_minute:
                cells[at + 2] += more_tokens
            else:
                _begin(cells, at, this_minute, 0, more_tokens)
        elif more_tokens < 0:
            at = own + SLOT if minute & 1 else own
            if cells[at] == minute:
                cells[at + 2] += more_tokens
                self._second = -1  # what was remembered of that minute is no longer true

    @property
    def requests_room(self) -> float:
        return self._max_requests - self.requests - self.requests_before * self.left

    @property
    def tokens_room(self) -> float:
        return self._max_tokens - self.tokens - self.tokens_before * self.left

    def _remember(self, second: int, cells: tuple[int, ...]) -> None:
        """Add up the last minute."""
        last = second // 60 - 1
        slot = SLOT if last & 1 else 0
        lines = [at for at in range(slot, len(cells), CELLS) if cells[at] == last]
        self.requests_before = sum(cells[at + 1] for at in lines)
        self.tokens_before = sum(cells[at + 2] for at in lines)
        self._second = second

    def _refusal(self, tokens: int) -> LimitReached:
        """What to answer: the reason that waiting helps least against comes first."""
        limit, left = self.limit, self.left
        fields: dict[str, Any] = {
            "subject": limit.label,
            "ratelimit": [(n.decode(), v.decode()) for n, v in tightest([self], 0)],
        }
        if tokens > self._max_tokens:
            return LargerThanLimit(limit=limit.tokens_per_minute, requested=tokens, **fields)
        if self.tokens_room < tokens:
            return TokenRateReached(
                limit=limit.tokens_per_minute,
                used=int(self._max_tokens - self.tokens_room),
                requested=tokens,
                retry_after_seconds=wait_seconds(self._max_tokens, self.tokens, self.tokens_before, left, tokens),
                **fields,
            )
        if self.requests_room < 1:
            wait = wait_seconds(self._max_requests, self.requests, self.requests_before, left, 1)
            return RequestRateReached(limit=limit.requests_per_minute, retry_after_seconds=wait, **fields)
        return ConcurrencyReached(limit=limit.concurrent_requests, retry_after_seconds=1, **fields)


def tightest(gates: Sequence[Gate], request: int, tokens: int = 0) -> list[tuple[bytes, bytes]]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` of the limits with the least room.

    Args: `request` (0 or 1) and `tokens` were taken after the gates were checked.
    """
    headers: list[tuple[bytes, bytes]] = []
    if limited := [gate for gate in gates if gate.limits_requests]:
        gate = limited[0] if len(limited) == 1 else min(limited, key=_REQUESTS_ROOM)
        reset = empty_seconds(gate.requests + request, gate.requests_before, gate.left)
        headers = [
            (b"x-ratelimit-limit-requests", gate.limits_requests),
            (b"x-ratelimit-remaining-requests", b"%d" % max(0.0, gate.requests_room - request)),
            (b"x-ratelimit-reset-requests", duration(reset)),
        ]
    if limited := [gate for gate in gates if gate.limits_tokens]:
        gate = limited[0] if len(limited) == 1 else min(limited, key=_TOKENS_ROOM)
        reset = empty_seconds(gate.tokens + tokens, gate.tokens_before, gate.left)
        headers += [
            (b"x-ratelimit-limit-tokens", gate.limits_tokens),
            (b"x-ratelimit-remaining-tokens", b"%d" % max(0.0, gate.tokens_room - tokens)),
            (b"x-ratelimit-reset-tokens", duration(reset)),
        ]
    return headers


def _begin(cells: memoryview, at: int, minute: int, requests: int, tokens: int) -> None:
    """Use a slot for another minute. Its number is written last: see `Gate`."""
    cells[at + 1] = requests
    cells[at + 2] = tokens
    cells[at] = minute


def _bound(limit: int | None) -> int:
    """The limit for comparisons, a number that nothing reaches when there is none."""
    return _NEVER if limit is None else limit


def _digits(limit: int | None) -> bytes:
    return b"" if limit is None else b"%d" % limit
