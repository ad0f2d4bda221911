"""Wire types: the Batch API's shapes (openai 3.54)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from plinth.gateway.batches.model import Batch, BatchDraft, Counts, LineProblem
from plinth.kit.http import Wire

NO_NUL = r"^[^\x00]*$"  # PostgreSQL has no text with NUL characters
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64, pattern=NO_NUL)], Annotated[str, Field(max_length=512, pattern=NO_NUL)]],
    Field(max_length=16),
]


class ExpiresAfter(Wire):
    """How long the output files live after they were made."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=3600, le=30 * 86_400)


class BatchCreate(Wire):
    endpoint: Annotated[str, Field(max_length=64)]
    input_file_id: Annotated[str, Field(max_length=64, pattern=NO_NUL)]
    completion_window: Annotated[str, Field(max_length=16)]
    metadata: Metadata | None = None
    output_expires_after: ExpiresAfter | None = None

    def to_draft(self) -> BatchDraft:
        lives = self.output_expires_after
        return BatchDraft(
            self.endpoint, self.input_file_id, self.completion_window, self.metadata, lives.seconds if lives else None
        )


class ErrorObject(Wire):
    code: str
    message: str
    line: int | None
    param: str | None


class ErrorList(Wire):
    object: Literal["list"] = "list"
    data: list[ErrorObject]

    @classmethod
    def of(cls, problems: tuple[LineProblem, ...]) -> ErrorList:
        return cls(
            data=[ErrorObject(**{name: getattr(p, name) for name in ErrorObject.model_fields}) for p in problems]
        )


class RequestCounts(Wire):
    """`total` minus both others is what was not asked (yet)."""

    total: int
    completed: int
    failed: int


class Usage(Wire):
    """Tokens of the completed lines so far."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int

    @classmethod
    def of(cls, counts: Counts) -> Usage:
        return cls(
            input_tokens=counts.input_tokens,
            input_tokens_details={"cached_tokens": counts.cached_tokens},
            output_tokens=counts.output_tokens,
            output_tokens_details={"reasoning_tokens": counts.reasoning_tokens},
            total_tokens=counts.input_tokens + counts.output_tokens,
        )


class BatchObject(Wire):
    """Lists show the first of a batch's errors; retrieving one shows all that were kept (1000)."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str | None
    errors: ErrorList | None
    input_file_id: str
    completion_window: str
    status: str
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: Usage
    metadata: dict[str, str] | None

    @classmethod
    def of(cls, batch: Batch) -> BatchObject:
        values: dict[str, Any] = {name: getattr(batch, name) for name in cls.model_fields if hasattr(batch, name)}
        times = {name: int(at) for name, at in values.items() if name.endswith("_at") and at is not None}
        counts = batch.counts
        return cls(
            **{**values, **times},
            errors=ErrorList.of(batch.problems) if batch.problems else None,
            request_counts=RequestCounts(total=counts.total, completed=counts.completed, failed=counts.failed),
            usage=Usage.of(counts),
        )
