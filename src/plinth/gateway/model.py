"""Values of the data plane: what a request asks, what it used. Knows no socket and no database."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Operation(StrEnum):
    """The calls that the gateway answers itself; the value is the path below `/v1`."""

    chat = "chat/completions"
    completion = "completions"
    embedding = "embeddings"

    @property
    def id_prefix(self) -> str:
        return "cmpl-" if self is Operation.completion else "chatcmpl-"


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One validated request. `fields` are the OpenAI fields that an engine gets to see, nothing else.
    `user` is the client's own name for who asks; `store` asks to keep the answer with `metadata`."""

    operation: Operation
    model: str
    fields: dict[str, Any]
    stream: bool = False
    include_usage: bool = False
    base64: bool = False
    dimensions: int | None = None
    user: str = ""
    store: bool = False
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """What one answer has used so far, in tokens. `pieces` counts received pieces of text: the
    fallback for an engine that reports nothing, or an answer that was cut short."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    pieces: int = 0
    reported: bool = False

    def report(self, usage: dict[str, Any]) -> None:
        """Add an OpenAI `usage` object; engines send one per prompt of a request."""
        if not self.reported:
            self.prompt = self.cached = self.completion = 0
            self.reported = True
        details = usage.get("prompt_tokens_details")
        self.prompt += _count(usage.get("prompt_tokens"))
        self.cached += _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
        self.completion += _count(usage.get("completion_tokens"))

    def progress(self, timings: dict[str, Any]) -> None:
        """Note llama.cpp's running counts (`timings_per_token`): all there is when a client leaves early."""
        if not self.reported:
            self.cached = _count(timings.get("cache_n"))
            self.prompt = self.cached + _count(timings.get("prompt_n"))
            self.completion = _count(timings.get("predicted_n"))

    def settle(self) -> None:
        """Fall back to what was seen when the engine reported nothing."""
        if not self.reported:
            self.completion = max(self.completion, self.pieces)

    def usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }


class RecordKind(StrEnum):
    """`request`: the answer that counted, or the refusal. `attempt`: reached a target, and another
    one gave the answer. `mirror`: a shadow copy. Money counts all, requests count only `request`."""

    request = "request"
    attempt = "attempt"
    mirror = "mirror"


@dataclass(slots=True)
class UsageRecord:
    """What one attempt at one model call used. Not frozen, which would cost every request 5 us; nobody
    changes one.

    Args:
        created_at: unix seconds when the client's request arrived.
        key_id, principal: who asked; end_user: the client's own `user` field.
        operation: path below `/v1`.
        model: the name the client used; route: the route's id when that name is a route.
        model_id: the model that answered; target: the name by which the route chose it.
        endpoint_group: the engine (or remote entry) that worked; engine: its kind.
        first_token_ms: None when nothing was generated; total_ms: from arrival to the end.
        dispatched_at: unix seconds when the target got the request, None when none did;
            occupied_seconds: how long the target worked on it.
        status: HTTP status, 499 when the client left first; error_code: of our error object.
        priority: `interactive` or `batch`.
        cost_nanos: price of a remote target in 1e-9 of the currency's unit; None for own engines
            (their hour is settled later) and unknown prices.
    """

    id: str
    created_at: float
    project_id: str
    key_id: str
    principal: str
    operation: str
    model: str
    model_id: str
    endpoint_group: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    first_token_ms: float | None
    total_ms: float
    status: int
    request_id: str
    organization_id: str = ""
    kind: str = RecordKind.request.value
    end_user: str = ""
    route: str = ""
    target: str = ""
    engine: str = ""
    dispatched_at: float | None = None
    occupied_seconds: float = 0.0
    error_code: str = ""
    streamed: bool = False
    priority: str = "interactive"
    cost_nanos: int | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class UsageLine:
    """Totals of one model in a period. `failed` counts statuses of 400 and above except 499."""

    model: str
    requests: int
    failed: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class UsageSummary:
    project_id: str
    since: float
    until: float
    models: tuple[UsageLine, ...] = field(default_factory=tuple)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
