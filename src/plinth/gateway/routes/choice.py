"""What the data plane asks for every request: which targets, in which order.

A `RoutePlan` is made once per version. Every answer it can give is built then, so that `choose` only
looks up: it allocates nothing, reads no clock, and depends on nothing but its arguments.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from itertools import accumulate
from zoneinfo import ZoneInfo

from plinth.gateway.routes.errors import UnknownTimezone
from plinth.gateway.routes.model import DAYS, Cascade, Plan, Sticky, Target, Window, minute_of_day, zone

log = logging.getLogger(__name__)

Dice = Callable[[], float]
"""Uniform numbers in [0, 1), as `random.random`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Where one request goes.

    `targets`: first choice, then who else may answer, in order, each once. `cascade`: ask its
    `first` before them; a canary's request has none, because it would mostly measure the cheap
    model. `mirror`: send a copy there.
    """

    targets: tuple[str, ...]
    canary: bool = False
    mirror: str | None = None
    cascade: Cascade | None = None

    def only(self, allowed: Callable[[str], bool]) -> Choice:
        """Without the targets, mirror and cascade that are not allowed; `targets` may become empty."""
        mirror = self.mirror if self.mirror is not None and allowed(self.mirror) else None
        cascade = self.cascade if self.cascade is not None and allowed(self.cascade.first) else None
        targets = tuple(target for target in self.targets if allowed(target))
        canary = self.canary and targets[:1] == self.targets[:1]
        return Choice(targets, canary, mirror, cascade)


@dataclass(frozen=True)
class RoutePlan:
    """One version of one route, ready for use. Thread-safe."""

    id: str
    project_id: str
    name: str
    version: int
    plan: Plan
    _usual: _Table = field(init=False, repr=False, compare=False)
    _windows: tuple[_OpenWindow, ...] = field(init=False, repr=False, compare=False)
    _canary_share: float = field(init=False, repr=False, compare=False)
    _mirror_share: float = field(init=False, repr=False, compare=False)
    _sticks: bool = field(init=False, repr=False, compare=False)
    # (minute since the epoch, the table of that minute): one tuple, so a swap of it is atomic
    _now: tuple[int, _Table] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        plan, usual = self.plan, _table(self.plan, self.plan.targets)
        made = {
            "_usual": usual,
            "_windows": _windows(self.id, plan),
            "_canary_share": plan.canary.percent / 100 if plan.canary else 0.0,
            "_mirror_share": plan.mirror.percent / 100 if plan.mirror else 0.0,
            "_sticks": self.sticky is not Sticky.none,
            "_now": (-1, usual),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def sticky(self) -> Sticky:
        """What `choose` wants to be given as `sticky`."""
        return self.plan.canary.sticky if self.plan.canary else Sticky.none

    def choose(self, now: float, sticky: str, dice: Dice) -> Choice:
        """Where this request goes.

        Args:
            now: unix seconds, for the schedule.
            sticky: the user's or conversation's id (see `self.sticky`); "" when there is none, then
                the dice decide.
        """
        table = self._table_at(now) if self._windows else self._usual
        mirrored = self._mirror_share > 0.0 and dice() < self._mirror_share
        if self._canary_share > 0.0:
            place = position(self.id, sticky) if self._sticks and sticky else dice()
            if place < self._canary_share:
                return table.canary[mirrored]
        if len(table.picks) == 1:
            return table.picks[0][mirrored]
        return table.picks[bisect_right(table.bounds, dice() * table.total)][mirrored]

    def _table_at(self, now: float) -> _Table:
        # windows open and close on local minutes, and today's zones are whole minutes off UTC
        minute = int(now // 60)
        known, table = self._now
        if known == minute:
            return table
        table = next((window.table for window in self._windows if window.is_open(now)), self._usual)
        object.__setattr__(self, "_now", (minute, table))
        return table


def position(route_id: str, key: str) -> float:
    """A place in [0, 1) that is the same for the same key everywhere and for ever, and independent
    from one route to the next: while a canary grows, who is in it stays in it."""
    digest = blake2b(f"{route_id}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) * 2.0**-53  # 53 bits: exact, and below 1


@dataclass(frozen=True, slots=True)
class _Table:
    """Every choice of one set of targets, as (without, with mirror). `bounds` are the upper ends of
    the targets' shares of `total`, the last one left out."""

    picks: tuple[tuple[Choice, Choice], ...]
    bounds: tuple[float, ...]
    total: float
    canary: tuple[Choice, Choice]


@dataclass(frozen=True, slots=True)
class _OpenWindow:
    """`start` and `end` in minutes of the local day."""

    days: frozenset[int]
    start: int
    end: int
    zone: ZoneInfo
    table: _Table

    def is_open(self, now: float) -> bool:
        local = datetime.fromtimestamp(now, self.zone)
        today, minute = local.weekday(), local.hour * 60 + local.minute
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        yesterday = (today - 1) % 7
        return (today in self.days and minute >= self.start) or (yesterday in self.days and minute < self.end)


def _table(plan: Plan, targets: tuple[Target, ...]) -> _Table:
    by_weight = [target.model for target in sorted(targets, key=lambda target: -target.weight)]

    def choices(first: str, cascade: Cascade | None, canary: bool) -> tuple[Choice, Choice]:
        order = _distinct([first, *by_weight, *plan.fallbacks])
        plain = Choice(order, canary, None, cascade)
        return plain, (Choice(order, canary, plan.mirror.model, cascade) if plan.mirror else plain)

    shares = list(accumulate(target.weight for target in targets))
    return _Table(
        picks=tuple(choices(target.model, plan.cascade, canary=False) for target in targets),
        bounds=tuple(shares[:-1]),
        total=shares[-1],
        canary=choices(plan.canary.model if plan.canary else by_weight[0], None, canary=True),
    )


def _windows(route_id: str, plan: Plan) -> tuple[_OpenWindow, ...]:
    try:
        return tuple(_open_window(plan, window) for window in plan.schedule)
    except UnknownTimezone:
        # written on a machine that knows the zone, run on one that does not: answering with the
        # usual targets is better than not at all, and the log says what to install
        log.exception("a route's schedule is ignored: install the time zone database", extra={"route": route_id})
        return ()


def _open_window(plan: Plan, window: Window) -> _OpenWindow:
    return _OpenWindow(
        days=frozenset(DAYS.index(day) for day in window.days),
        start=minute_of_day("start", window.start),
        end=minute_of_day("end", window.end),
        zone=zone("timezone", window.timezone),
        table=_table(plan, window.targets),
    )


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
