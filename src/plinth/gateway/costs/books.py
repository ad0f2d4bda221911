"""The settling of one hour: who pays which part of a meter. Pure; knows no database.

At each moment the running requests share the machine equally; while nobody runs it is idle. So a
request's share of the period is the integral of 1 / (number running) over its time. The sweep keeps
that integral W(t) as an integer in 2**-64 microseconds: exact to far below a nano, and the same on
every machine. A request's weight is W(end) - W(start), so equal times weigh equally and a request
that covers another's time weighs at least as much.

The meter's nanos are then given out in proportion by largest remainder (idle is one of the
claimants): every nano goes to somebody, `sum(shares) + idle == meter` always. Equal remainders are
served in the order of record ids, idle last; so requests of equal weight differ by one nano at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from plinth.gateway.usage import MAX_OCCUPIED_SECONDS

MICROSECONDS = 1_000_000
_SCALE_BITS = 64


@dataclass(frozen=True, slots=True)
class Interval:
    """One record's work: `start` in unix seconds, `seconds` long (0 is allowed)."""

    id: str
    start: float
    seconds: float


@dataclass(frozen=True)
class Meter:
    """What `pool` costs from `start` to `end` (whole unix seconds): `nanos` of `currency`."""

    pool: str
    start: int
    end: int
    nanos: int
    currency: str


@dataclass(frozen=True)
class Settlement:
    """`shares`: nanos per record id, in the order of ids. Conservation: `sum(shares) + idle == meter.nanos`."""

    meter: Meter
    shares: dict[str, int]
    idle: int


def settle(meter: Meter, intervals: Iterable[Interval]) -> Settlement:
    """Share the meter among the intervals, clipped to its period. O(n log n). Ids must be unique."""
    length = (meter.end - meter.start) * MICROSECONDS
    clipped = sorted((item.id, *_clip(item, meter.start, length)) for item in intervals)
    weights, idle_weight = _weights(clipped, length)
    shares, idle = _allocate(meter.nanos, weights, idle_weight)
    return Settlement(meter, {item[0]: nanos for item, nanos in zip(clipped, shares, strict=True)}, idle)


def digest(meter: Meter | None, intervals: Iterable[Interval]) -> str:
    """SHA-256 of everything a settlement depends on, in hex. `meter` is None when the price is unknown."""
    lines = sorted(f"{item.id} {item.start!r} {item.seconds!r}\n" for item in intervals)
    head = "unknown" if meter is None else f"{meter.pool} {meter.start} {meter.end} {meter.nanos} {meter.currency}"
    return sha256(f"{head}\n{''.join(lines)}".encode()).hexdigest()


def _clip(item: Interval, start: int, length: int) -> tuple[int, int]:
    """(from, to) in microseconds after `start`, inside 0 and `length`."""
    begin = round((item.start - start) * MICROSECONDS)
    end = begin + round(min(max(item.seconds, 0.0), MAX_OCCUPIED_SECONDS) * MICROSECONDS)
    return min(max(begin, 0), length), min(max(end, 0), length)


def _weights(clipped: Sequence[tuple[str, int, int]], length: int) -> tuple[list[int], int]:
    """Each interval's weight, and idle's. One microsecond weighs 2**64."""
    border: dict[int, int] = {}
    for _, begin, end in clipped:
        if begin < end:
            border[begin] = border.get(begin, 0) + 1
            border[end] = border.get(end, 0) - 1
    integral: dict[int, int] = {}
    running = busy = total = before = 0
    for moment in sorted(border):
        if running:
            busy += moment - before
            total += ((moment - before) << _SCALE_BITS) // running
        integral[moment] = total
        running += border[moment]
        before = moment
    weights = [integral[end] - integral[begin] if begin < end else 0 for _, begin, end in clipped]
    return weights, (length - busy) << _SCALE_BITS


def _allocate(nanos: int, weights: Sequence[int], idle_weight: int) -> tuple[list[int], int]:
    """Largest remainder; `weights` are in the order in which equal remainders are served."""
    total = sum(weights) + idle_weight
    if not total:  # a meter without length
        return [0] * len(weights), nanos
    shares, remainders = [], []
    for weight in (*weights, idle_weight):
        share, remainder = divmod(nanos * weight, total)
        shares.append(share)
        remainders.append(remainder)
    left = nanos - sum(shares)
    # sorted() is stable: equal remainders keep the order of the claimants
    for position in sorted(range(len(shares)), key=lambda position: -remainders[position])[:left]:
        shares[position] += 1
    return shares[:-1], shares[-1]
