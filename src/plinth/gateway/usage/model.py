"""Questions about usage: which hours, which buckets, grouped how. Knows no table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from plinth.gateway.model import UsageRecord
from plinth.gateway.usage.errors import BadGrouping, BadPage, BadPeriod
from plinth.identity import Actor

HOUR_SECONDS = 3600
REMOTE_ENGINE = "remote"
"""`UsageRecord.engine` of a target at a provider: it occupies no machine of ours."""

MAX_OCCUPIED_SECONDS = 7 * 86_400.0
"""What one record may occupy at most: a clock that jumped must not touch a year of hours."""


def hour_of(unix: float) -> int:
    """The start of the hour, in whole unix seconds."""
    return int(unix // HOUR_SECONDS) * HOUR_SECONDS


def occupies(record: UsageRecord) -> bool:
    """Whether the record took time of an engine of ours."""
    return record.dispatched_at is not None and record.engine != REMOTE_ENGINE


def is_unpriced(record: UsageRecord) -> bool:
    """Whether a provider worked for it and nobody knows the price."""
    return record.dispatched_at is not None and record.engine == REMOTE_ENGINE and record.cost_nanos is None


def touched_hours(record: UsageRecord) -> range:
    """The starts of all hours whose sums or books this record changes, without its `created_at` hour."""
    if record.dispatched_at is None or record.engine == REMOTE_ENGINE:
        return range(0)
    seconds = min(max(record.occupied_seconds, 0.0), MAX_OCCUPIED_SECONDS)
    first, last = hour_of(record.dispatched_at), hour_of(record.dispatched_at + seconds)
    return range(first, last + HOUR_SECONDS, HOUR_SECONDS)


class Width(StrEnum):
    """Bucket widths of the hosted API."""

    minute = "1m"
    hour = "1h"
    day = "1d"

    @property
    def seconds(self) -> int:
        return {Width.minute: 60, Width.hour: HOUR_SECONDS, Width.day: 86_400}[self]


@dataclass(frozen=True)
class Limits:
    """How many buckets a page holds: by default, and at most."""

    default: int
    most: int


USAGE_LIMITS = {Width.minute: Limits(60, 1440), Width.hour: Limits(24, 168), Width.day: Limits(7, 31)}


@dataclass(frozen=True)
class Period:
    """What the caller asked for; unix seconds, `end` exclusive, None for now."""

    start: int
    end: int | None = None
    limit: int | None = None
    page: str | None = None


@dataclass(frozen=True)
class Window:
    """One page of whole buckets: `start` and `end` lie on bucket borders; `next_page` goes on after it."""

    start: int
    end: int
    width: Width
    next_page: str | None

    @property
    def buckets(self) -> range:
        return range(self.start, self.end, self.width.seconds)


def window(period: Period, width: Width, limits: Limits, now: float) -> Window:
    """The buckets of one page. Buckets lie on UTC borders; those at the ends are whole, so the
    answer may cover a little more than was asked, and each bucket says what it covers.

    Raises `BadPeriod`, `BadPage`.
    """
    end = int(now) + 1 if period.end is None else period.end
    if end <= period.start:
        raise BadPeriod(param="end_time")
    limit = limits.default if period.limit is None else period.limit
    if not 1 <= limit <= limits.most:
        raise BadPage(param="limit", most=limits.most, width=width.value)
    step = width.seconds
    first, border = period.start // step * step, -(-end // step) * step
    if period.page is not None:
        found = re.fullmatch(r"page_(\d{1,12})", period.page)
        if found is None or int(found.group(1)) % step or not first <= int(found.group(1)) < border:
            raise BadPage(param="page", most=limits.most, width=width.value)
        first = int(found.group(1))
    last = min(first + limit * step, border)
    return Window(first, last, width, f"page_{last}" if last < border else None)


@dataclass(frozen=True)
class Scope:
    """Whose usage: a project's (a project key asks), or the whole organization's (`project_id` empty)."""

    organization_id: str
    project_id: str = ""

    @classmethod
    def of(cls, actor: Actor) -> Scope:
        return cls(actor.organization_id, actor.project_id)


@dataclass(frozen=True)
class UsageFilter:
    """Empty tuples and None do not filter. `user_ids` are ids of users or whole principals."""

    project_ids: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    key_ids: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    batch: bool | None = None

    @property
    def principals(self) -> tuple[str, ...]:
        return tuple(user if ":" in user else f"user:{user}" for user in self.user_ids)


def user_of(principal: str) -> str:
    """A user's bare id, as the hosted API shows it; any other principal whole."""
    return principal.removeprefix("user:")


def grouping(wanted: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The wanted groupings in the order of `known`, each once. Raises `BadGrouping`."""
    strange = [name for name in wanted if name not in known]
    if strange:
        raise BadGrouping(param="group_by", group=strange[0][:64], groups=", ".join(known))
    return tuple(name for name in known if name in wanted)


@dataclass(frozen=True)
class UsageQuestion:
    """`operations` are paths below `/v1`; `groups` names of `GROUPS`."""

    scope: Scope
    operations: tuple[str, ...]
    window: Window
    groups: tuple[str, ...] = ()
    filter: UsageFilter = field(default_factory=UsageFilter)


@dataclass(frozen=True)
class UsageSums:
    """One group's totals in one bucket; `group` holds the values of the question's groups."""

    bucket: int
    group: dict[str, str | bool]
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int


GROUPS = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source")

FAMILIES: dict[str, tuple[str, ...]] = {
    "completions": ("chat/completions", "completions", "responses"),
    "embeddings": ("embeddings",),
    "moderations": ("moderations",),
    "decisions": ("decisions",),
}
"""Which operations each `/organization/usage/<family>` counts. The hosted API's other families
(images, audio, sessions, searches) name things that no record describes here: always empty."""


@dataclass(frozen=True, slots=True)
class Occupation:
    """One record that occupied an engine: seconds in unix time, and who gets the bill."""

    id: str
    dispatched_at: float
    occupied_seconds: float
    endpoint_group: str
    organization_id: str
    project_id: str
    key_id: str
    principal: str
    model_id: str
    kind: str


PAYER = ("project_id", "key_id", "principal", "model_id")


@dataclass(frozen=True)
class RemoteCost:
    """What providers cost one payer in a bucket. `nanos` is None for requests without a known price;
    a field of `PAYER` that was not asked for is empty."""

    bucket: int
    project_id: str
    key_id: str
    principal: str
    model_id: str
    currency: str
    nanos: int | None
    requests: int
