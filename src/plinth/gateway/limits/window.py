"""The sliding window counter: this minute's count plus the share of the last minute's that is still inside.

Assumes that the last minute's calls came evenly. A caller that spends a whole limit at the very end
of one minute can therefore get up to a second one during the next; on average the rate holds.
Minutes are counted on a monotonic clock that all processes of a host share, so that a jump of the
wall clock changes nothing.
"""

from __future__ import annotations

import math

WINDOW_SECONDS = 60.0


def wait_seconds(limit: int, current: int, previous: int, left: float, amount: int) -> float:
    """How long until `amount` fits under `limit`, if nobody else calls; a minute when it never will.

    Args:
        current, previous: counts of this minute and of the last one.
        left: the share of this minute that is still to come, which is also the weight of `previous`.
    """
    if amount > limit:
        return WINDOW_SECONDS
    if current + amount <= limit:
        # enough of the last minute's calls will have left the window before this minute ends
        return max(0.0, (left - (limit - current - amount) / previous) * WINDOW_SECONDS) if previous else 0.0
    # this minute's calls must leave, which they begin to do when it has become the last one
    return (left + 1 - (limit - amount) / current) * WINDOW_SECONDS


def empty_seconds(current: int, previous: int, left: float) -> float:
    """How long until nothing is left inside the window."""
    if current:
        return (left + 1) * WINDOW_SECONDS
    return left * WINDOW_SECONDS if previous else 0.0


def duration(seconds: float) -> bytes:
    """As the hosted API writes it in its headers: `0s`, `250ms`, `12s`, `1m30s`; rounded up."""
    if seconds < 1:
        return b"%dms" % math.ceil(seconds * 1000) if seconds > 0 else b"0s"
    whole = math.ceil(seconds)
    return b"%ds" % whole if whole < 60 else b"%dm%ds" % divmod(whole, 60)
