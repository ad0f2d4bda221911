"""Wire types of usage: the summary, and the hosted API's buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from plinth.gateway.model import UsageLine, UsageSummary
from plinth.gateway.usage.model import GROUPS, Period, UsageFilter, UsageSums, Width, Window
from plinth.kit.http import Wire

Seconds = Annotated[int, Field(ge=0, le=253_402_300_799)]
Names = Annotated[tuple[Annotated[str, StringConstraints(max_length=256)], ...], Field(max_length=200)]


class ModelUsage(Wire):
    """Totals of one model. `failed` counts server and request errors, not clients that left."""

    model: str
    requests: int
    failed: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int

    @classmethod
    def of(cls, line: UsageLine) -> ModelUsage:
        return cls(**{name: getattr(line, name) for name in cls.model_fields})


class UsageSummaryOut(Wire):
    """`since` and `until` are unix seconds; `until` is exclusive."""

    object: str = "usage.summary"
    project_id: str
    since: float
    until: float
    models: list[ModelUsage]

    @classmethod
    def of(cls, summary: UsageSummary) -> UsageSummaryOut:
        lines = [ModelUsage.of(line) for line in summary.models]
        return cls(project_id=summary.project_id, since=summary.since, until=summary.until, models=lines)


class PageQuery(Wire):
    """`start_time` and `end_time` are unix seconds, `end_time` exclusive (default: now)."""

    start_time: Seconds
    end_time: Seconds | None = None
    limit: int | None = None
    page: Annotated[str, StringConstraints(max_length=64)] | None = None
    project_ids: Names = Field((), alias="project_ids[]")
    group_by: Names = Field((), alias="group_by[]")

    def period(self) -> Period:
        return Period(self.start_time, self.end_time, self.limit, self.page)


class UsageQuery(PageQuery):
    """The SDK's parameters of `admin.organization.usage.*`; lists come as `models[]=…&models[]=…`."""

    bucket_width: Width = Width.day
    user_ids: Names = Field((), alias="user_ids[]")
    api_key_ids: Names = Field((), alias="api_key_ids[]")
    models: Names = Field((), alias="models[]")
    batch: bool | None = None

    def filter(self) -> UsageFilter:
        return UsageFilter(self.project_ids, self.user_ids, self.api_key_ids, self.models, self.batch)


class UsageResult(Wire):
    """One group of one bucket. A grouping that was not asked for is null. Which token counts there
    are depends on the family: embeddings and moderations have no output."""

    object: str
    num_model_requests: int
    input_tokens: int
    output_tokens: int | None = None
    input_cached_tokens: int | None = None
    input_uncached_tokens: int | None = None
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    batch: bool | None = None
    service_tier: str | None = None
    api_source: str | None = None

    @classmethod
    def of(cls, family: str, sums: UsageSums) -> UsageResult:
        generated: dict[str, int] = {}
        if family in ("completions", "decisions"):
            generated = {
                "output_tokens": sums.output_tokens,
                "input_cached_tokens": sums.cached_tokens,
                "input_uncached_tokens": sums.input_tokens - sums.cached_tokens,
            }
        group: dict[str, Any] = {name: sums.group.get(name) for name in GROUPS}
        return cls(
            object=f"organization.usage.{family}.result",
            num_model_requests=sums.requests,
            input_tokens=sums.input_tokens,
            **generated,
            **group,
        )


class UsageBucket(Wire):
    object: str = "bucket"
    start_time: int
    end_time: int
    results: list[UsageResult]


class UsagePage(Wire):
    """`next_page` goes into `page` of the next call."""

    object: str = "page"
    data: list[UsageBucket]
    has_more: bool
    next_page: str | None

    @classmethod
    def of(cls, family: str, window: Window, found: Sequence[UsageSums]) -> UsagePage:
        results: dict[int, list[UsageResult]] = {start: [] for start in window.buckets}
        for sums in found:
            results[sums.bucket].append(UsageResult.of(family, sums))
        width = window.width.seconds
        buckets = [UsageBucket(start_time=s, end_time=s + width, results=found) for s, found in results.items()]
        return cls(data=buckets, has_more=window.next_page is not None, next_page=window.next_page)
