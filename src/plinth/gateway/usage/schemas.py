"""Wire types of the usage summary."""

from __future__ import annotations

from plinth.gateway.model import UsageLine, UsageSummary
from plinth.kit.http import Wire


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
