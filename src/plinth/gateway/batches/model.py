"""A batch, its states, and the rules of one line. Times are unix seconds, counts are whole numbers.

    validating -> in_progress -> finalizing -> completed
        |  \\          |   \\
      failed \\        |    `-> expired
              `-> cancelling -> cancelled
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from plinth.gateway.batches.errors import BadWindow

HOUR_SECONDS, DAY_SECONDS = 3600, 86_400
MAX_CUSTOM_ID_CHARACTERS = 512
MAX_MODEL_CHARACTERS = 256
MAX_SHOWN_CHARACTERS = 80


class BatchStatus(StrEnum):
    validating = "validating"
    in_progress = "in_progress"
    finalizing = "finalizing"
    completed = "completed"
    failed = "failed"
    expired = "expired"
    cancelling = "cancelling"
    cancelled = "cancelled"


OPEN = (BatchStatus.validating, BatchStatus.in_progress, BatchStatus.finalizing, BatchStatus.cancelling)


class Ending(StrEnum):
    """Why the asking ended: every line was asked, or somebody cancelled, or the window closed."""

    done = "done"
    cancelled = "cancelled"
    expired = "expired"


@dataclass(frozen=True)
class LineProblem:
    """What is wrong with an input file. `line` counts from 1; None concerns the whole file."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True)
class Counts:
    """`completed` and `failed` count the lines that were asked; what is left of `total` was not.

    Tokens are those of the completed lines, as the answers reported them.
    """

    total: int = 0
    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True)
class BatchDraft:
    """What a client asks for. `output_seconds` is how long the output files live, None for ever."""

    endpoint: str
    input_file_id: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_seconds: int | None = None


@dataclass(frozen=True)
class Batch:
    """`key_id` and `principal` are who created it and is billed. `model` is None while unknown or
    when the lines name several. `input_digest` names the blob, so that deleting the file does not
    stop the batch. `started_at` is when a worker first asked a model."""

    id: str
    project_id: str
    key_id: str
    principal: str
    endpoint: str
    input_file_id: str
    input_digest: str
    completion_window: str
    status: BatchStatus
    created_at: float
    expires_at: float
    metadata: dict[str, str] | None = None
    output_seconds: int | None = None
    model: str | None = None
    counts: Counts = field(default_factory=Counts)
    problems: tuple[LineProblem, ...] = ()
    output_file_id: str | None = None
    error_file_id: str | None = None
    started_at: float | None = None
    in_progress_at: float | None = None
    finalizing_at: float | None = None
    completed_at: float | None = None
    failed_at: float | None = None
    expired_at: float | None = None
    cancelling_at: float | None = None
    cancelled_at: float | None = None

    @property
    def is_final(self) -> bool:
        return self.status not in OPEN


@dataclass(frozen=True, slots=True)
class Line:
    """One checked request. `number` is its line in the input file, from 1."""

    number: int
    custom_id: str
    body: dict[str, Any]

    @property
    def model(self) -> str:
        return str(self.body["model"])


def window_seconds(window: str) -> int:
    """`24h`, `7d`, … in seconds; an hour at least, a week at most. Raises `BadWindow`."""
    found = re.fullmatch(r"([1-9]\d{0,2})([hd])", window, re.ASCII)
    seconds = int(found[1]) * (HOUR_SECONDS if found[2] == "h" else DAY_SECONDS) if found else 0
    if not HOUR_SECONDS <= seconds <= 7 * DAY_SECONDS:
        raise BadWindow(window=window[:MAX_SHOWN_CHARACTERS], param="completion_window")
    return seconds


def check_line(number: int, value: Any, endpoint: str) -> Line | LineProblem:
    """One decoded line of an input file for batches of `endpoint`, or what is wrong with it."""

    def wrong(code: str, message: str, param: str | None = None) -> LineProblem:
        return LineProblem(code, message, number, param)

    if not isinstance(value, dict):
        return wrong("invalid_json_line", "The line is not a JSON object.")
    custom_id, method, url, body = (value.get(name) for name in ("custom_id", "method", "url", "body"))
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= MAX_CUSTOM_ID_CHARACTERS:
        message = f"'custom_id' must be a text of 1 to {MAX_CUSTOM_ID_CHARACTERS} characters."
        return wrong("invalid_custom_id", message, "custom_id")
    if method != "POST":
        return wrong("invalid_method", "'method' must be POST.", "method")
    if url != endpoint:
        shown = str(url)[:MAX_SHOWN_CHARACTERS]
        return wrong("mismatched_endpoint", f"'url' is {shown}, but the batch calls {endpoint}.", "url")
    if not isinstance(body, dict):
        return wrong("invalid_body", "'body' must be a JSON object: the request itself.", "body")
    model = body.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= MAX_MODEL_CHARACTERS or not model.isprintable():
        return wrong("missing_model", "'body.model' must name a model.", "body.model")
    if body.get("stream"):
        return wrong(
            "stream_not_supported", "'body.stream' must be left out: a batch has nobody to stream to.", "body.stream"
        )
    return Line(number, custom_id, body)


def token_counts(usage: Any) -> tuple[int, int, int, int]:
    """Input, cached, output and reasoning tokens of an answer's `usage` (Chat Completions or Responses names)."""
    if not isinstance(usage, dict):
        return (0, 0, 0, 0)
    inputs = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    outputs = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    return (
        _count(usage.get("prompt_tokens", usage.get("input_tokens"))),
        _count(inputs.get("cached_tokens")) if isinstance(inputs, dict) else 0,
        _count(usage.get("completion_tokens", usage.get("output_tokens"))),
        _count(outputs.get("reasoning_tokens")) if isinstance(outputs, dict) else 0,
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
