"""A route's plan, its versions, and the rules for both. Knows no database and makes no choice.

A plan is plain data: it is written as a whole, checked as a whole and kept as an immutable numbered
version. What is made of it for the hot path is in `choice`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from plinth.gateway.errors import MissingField, NotOneOf, OutOfRange, TooMany
from plinth.gateway.routes.errors import BadRouteName, BadTimeOfDay, DuplicateTarget, UnknownTarget, UnknownTimezone
from plinth.privacy import DataClass

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60

MAX_TARGETS, MAX_FALLBACKS, MAX_WINDOWS = 32, 16, 64
MAX_NAME_CHARACTERS = 255
_WEIGHT = (0.001, 1_000_000)
_PERCENT = (0, 100)
_PROBABILITY = (0.000_001, 1)
_SECONDS = (0.001, 86_400)
_WAIT_SECONDS = (0, 3600)
_RETRIES = (0, 10)
_PLACES = (1, 100_000)
_QUEUE = (0, 100_000)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*(/[A-Za-z0-9._:-]+)*")
_MODEL = re.compile(r"[^\x00-\x20\x7f]{1,255}")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_RESERVED = ("history", "rollback", ".", "..")


class Sticky(StrEnum):
    """By what a request stays on its side of a canary: the client's `user`, the conversation, nothing."""

    user = "user"
    conversation = "conversation"
    none = "none"


class Signal(StrEnum):
    """What a cascade takes for the confidence of an answer, from the probabilities of its tokens."""

    mean_token_probability = "mean_token_probability"  # noqa: S105 (no password)
    min_token_probability = "min_token_probability"  # noqa: S105


class Action(StrEnum):
    """How a version came to be."""

    created = "created"
    changed = "changed"
    rolled_back = "rolled_back"
    deleted = "deleted"


@dataclass(frozen=True, slots=True)
class Target:
    """`weight` is a share relative to the other targets' weights."""

    model: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Canary:
    """`percent` of the requests (or, when sticky, of the users or conversations) go to `model` first."""

    model: str
    percent: float
    sticky: Sticky = Sticky.none


@dataclass(frozen=True, slots=True)
class Mirror:
    """`percent` of the requests are copied to `model`; its answers are recorded, never returned."""

    model: str
    percent: float


@dataclass(frozen=True, slots=True)
class Cascade:
    """`first` answers; below the confidence `threshold` the request goes on to the route's targets."""

    first: str
    threshold: float
    signal: Signal = Signal.mean_token_probability


@dataclass(frozen=True, slots=True)
class Window:
    """Other targets at some hours of the week.

    `start` and `end` are HH:MM in `timezone` (an IANA name), `end` exclusive. A window whose `end`
    comes before its `start` lasts until `end` of the next day; it belongs to the day it starts on.
    """

    targets: tuple[Target, ...]
    days: tuple[str, ...] = DAYS
    start: str = "00:00"
    end: str = "24:00"
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None leaves it to the server's settings. `total` runs from the request's arrival."""

    connect: float | None = None
    first_token: float | None = None
    between_tokens: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a route does. Every name in it is a model's.

    Args:
        targets: who answers, by weight. fallbacks: who answers when none of them does, in order.
        schedule: the first window that is open replaces `targets`.
        retries: attempts after the first one, over all targets.
        concurrency: requests that may run at once in each gateway process, None for no limit;
            queue: how many more may wait, for at most `queue_seconds`.
        hedge_seconds: embeddings that take longer are asked of a second target as well.
        stay_on_machine: targets outside this machine are never used, not even as a fallback.
        privacy_policy: the project's policy for what may leave to such targets, None for `default`;
        data_class: what the requests are declared to be (`public`, `internal`, `personal`, `secret`).
    """

    targets: tuple[Target, ...]
    fallbacks: tuple[str, ...] = ()
    canary: Canary | None = None
    mirror: Mirror | None = None
    cascade: Cascade | None = None
    schedule: tuple[Window, ...] = ()
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = 2
    concurrency: int | None = None
    queue: int = 100
    queue_seconds: float = 30.0
    hedge_seconds: float | None = None
    stay_on_machine: bool = False
    privacy_policy: str | None = None
    data_class: DataClass | None = None

    def models(self) -> Iterator[tuple[str, str]]:
        """Every (field, model name) of the plan, in the order in which it is written."""
        yield from _named("targets", self.targets)
        yield from ((f"fallbacks.{place}", model) for place, model in enumerate(self.fallbacks))
        if self.canary:
            yield "canary.model", self.canary.model
        if self.mirror:
            yield "mirror.model", self.mirror.model
        if self.cascade:
            yield "cascade.first", self.cascade.first
        for place, window in enumerate(self.schedule):
            yield from _named(f"schedule.{place}.targets", window.targets)


@dataclass(frozen=True)
class Route:
    """A route as it is now. Its `id` stays with the project's name for good: it is the same again
    when a deleted route is made anew, and versions go on counting."""

    id: str
    project_id: str
    name: str
    version: int
    plan: Plan
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class RouteVersion:
    """One immutable version. `plan` is None where the route was deleted; `restored` is the version
    that a rollback went back to; `principal` made it."""

    id: str
    number: int
    action: Action
    plan: Plan | None
    restored: int | None
    principal: str
    created_at: float


def is_route_name(name: str) -> bool:
    parts = name.split("/")
    dotted = any(part in (".", "..") for part in parts)
    return (
        len(name) <= MAX_NAME_CHARACTERS
        and bool(_NAME.fullmatch(name))
        and not dotted
        and (len(parts) == 1 or parts[-1] not in _RESERVED)
    )


def check_name(name: str) -> None:
    """Raises `BadRouteName`."""
    if not is_route_name(name):
        raise BadRouteName(name=name[:80], param="name")


def check(plan: Plan) -> None:
    """Everything that can be said about a plan by itself. Each error names its field.

    Raises `MissingField`, `OutOfRange`, `TooMany`, `NotOneOf`, `UnknownTarget`, `DuplicateTarget`,
    `BadTimeOfDay`, `UnknownTimezone`.
    """
    for name, model in plan.models():
        if not _MODEL.fullmatch(model):
            raise UnknownTarget(field=name, model=model[:80], param=name)
    _check_targets("targets", plan.targets)
    _check_length("fallbacks", plan.fallbacks, MAX_FALLBACKS)
    _check_distinct((f"fallbacks.{place}", model) for place, model in enumerate(plan.fallbacks))
    _check_windows(plan.schedule)
    _check_extras(plan)
    _check_numbers(plan)


def minute_of_day(field: str, text: str) -> int:
    """Minutes since local midnight, 0 to 1440. Raises `BadTimeOfDay`."""
    if not _TIME.fullmatch(text):
        raise BadTimeOfDay(field=field, param=field)
    return int(text[:2]) * 60 + int(text[3:])


def zone(field: str, name: str) -> ZoneInfo:
    """Raises `UnknownTimezone`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones ("Asia") is an OSError
        raise UnknownTimezone(field=field, param=field) from None


def document_of(plan: Plan) -> dict[str, Any]:
    """The plan as JSON, the same on the wire, in the database and in the audit log."""
    return _plain(asdict(plan))  # type: ignore[no-any-return]


def plan_of(document: Mapping[str, Any]) -> Plan:
    """The plan of a document whose types were checked; what is missing has its default."""
    fields = dict(document)
    fields["targets"] = _targets(document["targets"])
    fields["fallbacks"] = tuple(document.get("fallbacks") or ())
    fields["schedule"] = tuple(
        Window(**{**window, "days": tuple(window.get("days", DAYS)), "targets": _targets(window["targets"])})
        for window in document.get("schedule") or ()
    )
    if canary := document.get("canary"):
        fields["canary"] = Canary(**{**canary, "sticky": Sticky(canary.get("sticky", Sticky.none))})
    if mirror := document.get("mirror"):
        fields["mirror"] = Mirror(**mirror)
    if cascade := document.get("cascade"):
        signal = Signal(cascade.get("signal", Signal.mean_token_probability))
        fields["cascade"] = Cascade(**{**cascade, "signal": signal})
    if data_class := document.get("data_class"):
        fields["data_class"] = DataClass(data_class)
    fields["timeouts"] = Timeouts(**(document.get("timeouts") or {}))
    return Plan(**fields)


def _targets(documents: Iterable[Mapping[str, Any]]) -> tuple[Target, ...]:
    return tuple(Target(**document) for document in documents)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, StrEnum) else value


def _named(field: str, targets: tuple[Target, ...]) -> Iterator[tuple[str, str]]:
    return ((f"{field}.{place}.model", target.model) for place, target in enumerate(targets))


def _check_targets(field: str, targets: tuple[Target, ...]) -> None:
    if not targets:
        raise MissingField(field=field, param=field)
    _check_length(field, targets, MAX_TARGETS)
    for place, target in enumerate(targets):
        _check_range(f"{field}.{place}.weight", target.weight, _WEIGHT)
    _check_distinct(_named(field, targets))


def _check_windows(windows: tuple[Window, ...]) -> None:
    _check_length("schedule", windows, MAX_WINDOWS)
    for place, window in enumerate(windows):
        prefix = f"schedule.{place}"
        if not window.days:
            raise MissingField(field=f"{prefix}.days", param=f"{prefix}.days")
        if not set(window.days) <= set(DAYS):
            raise NotOneOf(field=f"{prefix}.days", choices=", ".join(DAYS), param=f"{prefix}.days")
        start = minute_of_day(f"{prefix}.start", window.start)
        end = minute_of_day(f"{prefix}.end", window.end)
        if start % MINUTES_A_DAY == end or start == MINUTES_A_DAY:
            raise BadTimeOfDay(field=f"{prefix}.end", param=f"{prefix}.end")
        zone(f"{prefix}.timezone", window.timezone)
        _check_targets(f"{prefix}.targets", window.targets)


def _check_extras(plan: Plan) -> None:
    usual = {target.model for targets in (plan.targets, *(w.targets for w in plan.schedule)) for target in targets}
    if plan.canary:
        _check_range("canary.percent", plan.canary.percent, _PERCENT)
        if plan.canary.model in usual:
            raise DuplicateTarget(field="canary.model", model=plan.canary.model, param="canary.model")
    if plan.mirror:
        _check_range("mirror.percent", plan.mirror.percent, _PERCENT)
    if plan.cascade:
        _check_range("cascade.threshold", plan.cascade.threshold, _PROBABILITY)
        if plan.cascade.first in usual:
            raise DuplicateTarget(field="cascade.first", model=plan.cascade.first, param="cascade.first")


def _check_numbers(plan: Plan) -> None:
    for name, seconds in asdict(plan.timeouts).items():
        _check_range(f"timeouts.{name}", seconds, _SECONDS)
    _check_range("retries", plan.retries, _RETRIES)
    _check_range("concurrency", plan.concurrency, _PLACES)
    _check_range("queue", plan.queue, _QUEUE)
    _check_range("queue_seconds", plan.queue_seconds, _WAIT_SECONDS)
    _check_range("hedge_seconds", plan.hedge_seconds, _SECONDS)


def _check_range(field: str, value: float | None, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if value is not None and not low <= value <= high:  # also false for NaN
        raise OutOfRange(field=field, low=low, high=high, param=field)


def _check_length(field: str, items: tuple[object, ...], limit: int) -> None:
    if len(items) > limit:
        raise TooMany(field=field, limit=limit, param=field)


def _check_distinct(named: Iterable[tuple[str, str]]) -> None:
    seen: set[str] = set()
    for name, model in named:
        if model in seen:
            raise DuplicateTarget(field=name, model=model, param=name)
        seen.add(model)
