"""Distributed traces: one span for each model call and one for each attempt at a target.

Names are those of OpenTelemetry's semantic conventions for generative AI (development status, read
at https://github.com/open-telemetry/semantic-conventions-genai in 2026) and of W3C Trace Context
(https://www.w3.org/TR/trace-context/). Spans are made of usage records when they are finished, so
nothing of a prompt or an answer can get into one. Tokens and cost stand on the attempts only: an
attempt is what used them, and a sum over spans counts nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol
from urllib.parse import urlsplit

from plinth.gateway.dataplane.ports import Endpoint
from plinth.gateway.model import ModelRequest, Operation, RecordKind, UsageRecord

Attributes = dict[str, str | int | float | bool]

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?").fullmatch
_STATE_BYTES = 512
_CLIENT_GONE = 499
_OPERATIONS = {
    Operation.chat.value: "chat",
    Operation.completion.value: "text_completion",
    Operation.embedding.value: "embeddings",
}
# well-known values of gen_ai.provider.name by the end of the provider's host name
_PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "api.anthropic.com": "anthropic",
    "api.mistral.ai": "mistral_ai",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.x.ai": "x_ai",
    "api.cohere.com": "cohere",
    "api.perplexity.ai": "perplexity",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
}
_ASKED = {
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
}


@dataclass(frozen=True, slots=True)
class Span:
    """A finished span. `kind` is `server` (a call that we answered) or `client` (an attempt). `parent_id`
    is 0 where there is none; `failed` sets the span's status to error. Times are unix seconds."""

    name: str
    kind: str
    trace_id: int
    span_id: int
    parent_id: int
    started_at: float
    ended_at: float
    attributes: Attributes
    failed: bool = False


class Spans(Protocol):
    """Where finished spans go. `add` must neither block nor raise: it is called on the event loop."""

    def add(self, span: Span) -> None: ...

    def stop(self) -> None:
        """Send what waits, for a few seconds at most."""
        ...


class NoSpans:
    """Nobody wants spans; a `Tracer` over it does nothing at all."""

    def add(self, span: Span) -> None:
        pass

    def stop(self) -> None:
        pass


class InMemorySpans:
    """The twin."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.stopped = False

    def add(self, span: Span) -> None:
        self.spans.append(span)

    def stop(self) -> None:
        self.stopped = True


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt under way."""

    span_id: int
    endpoint: Endpoint


class Tracer:
    """Begins traces. Belongs to one event loop.

    Args:
        sample: share of the calls whose client did not decide; one that sent a `traceparent` decided.
        outside: whether targets outside the machine get a `traceparent` too.
        name: makes a request id safe to write down (`Pseudonyms.plain`).
    """

    def __init__(
        self, spans: Spans, sample: float = 1.0, outside: bool = False, name: Callable[[str], str] = str
    ) -> None:
        self.spans, self.outside, self.name = spans, outside, name
        self._off = isinstance(spans, NoSpans)
        self._threshold = int(sample * (1 << 64))
        self._random = Random()  # noqa: S311 (ids need to be different, not secret); seeded by the kernel

    def begin(self, headers: Mapping[bytes, bytes]) -> Trace | None:
        """The trace of a call with these headers; None when tracing is off."""
        if self._off:
            return None
        parent = _parse(headers.get(b"traceparent", b""))
        if parent is None:
            trace_id, parent_id = self.new_id(128), 0
            return Trace(self, trace_id, parent_id, (trace_id & ((1 << 64) - 1)) < self._threshold, b"")
        state = headers.get(b"tracestate", b"")
        return Trace(self, *parent, state if len(state) <= _STATE_BYTES else b"")

    def new_id(self, bits: int) -> int:
        return self._random.getrandbits(bits) or 1


class Trace:
    """One model call's trace."""

    __slots__ = ("_asked", "_parent_id", "_sampled", "_span_id", "_state", "_trace_id", "_tracer")

    def __init__(self, tracer: Tracer, trace_id: int, parent_id: int, sampled: bool, state: bytes) -> None:
        self._tracer, self._trace_id, self._parent_id = tracer, trace_id, parent_id
        self._sampled, self._state = sampled, state
        self._span_id = tracer.new_id(64)
        self._asked: Attributes = {}

    def asked(self, request: ModelRequest) -> None:
        """Note the numbers (and nothing but numbers) of what was asked."""
        for field, name in _ASKED.items():
            value = request.fields.get(field)
            if isinstance(value, int | float):
                self._asked[name] = value
        choices = request.fields.get("n")
        if isinstance(choices, int) and choices != 1:
            self._asked["gen_ai.request.choice.count"] = choices

    def attempt(self, endpoint: Endpoint) -> Attempted:
        return Attempted(self._tracer.new_id(64), endpoint)

    def headers(self, attempt: Attempted) -> bytes:
        """The header lines that make the target's own spans children of the attempt."""
        if attempt.endpoint.egress and not self._tracer.outside:
            return b""
        line = b"traceparent: 00-%032x-%016x-%02x\r\n" % (self._trace_id, attempt.span_id, self._sampled)
        return b"%btracestate: %b\r\n" % (line, self._state) if self._state else line

    def ended(self, record: UsageRecord, attempt: Attempted | None) -> None:
        """Each usage record of the call comes here once, with its attempt where it reached a target."""
        if not self._sampled:
            return
        if attempt is not None:
            self._tracer.spans.add(self._client_span(record, attempt))
        if record.kind == RecordKind.request:
            self._tracer.spans.add(self._server_span(record))

    def _server_span(self, record: UsageRecord) -> Span:
        attributes: Attributes = {
            **self._common(record, record.model if record.model_id else ""),
            "gen_ai.provider.name": "plinth",
            "http.response.status_code": record.status,
            "plinth.request.id": self._tracer.name(record.request_id),
            "plinth.organization.id": record.organization_id,
            "plinth.project.id": record.project_id,
            "plinth.key.id": record.key_id,
            "plinth.priority": record.priority,
        }
        for key, value in (("plinth.route.id", record.route), ("gen_ai.response.model", record.target)):
            if value:
                attributes[key] = value
        return Span(
            name=_name(attributes),
            kind="server",
            trace_id=self._trace_id,
            span_id=self._span_id,
            parent_id=self._parent_id,
            started_at=record.created_at,
            ended_at=record.created_at + record.total_ms / 1000,
            attributes=attributes,
            failed=record.status >= 500,
        )

    def _client_span(self, record: UsageRecord, attempt: Attempted) -> Span:
        endpoint, started_at = attempt.endpoint, record.dispatched_at or record.created_at
        attributes: Attributes = {
            **self._common(record, endpoint.target or record.target),
            **_server_of(endpoint),
            "plinth.attempt.kind": record.kind,
            "plinth.engine.group": record.endpoint_group,
            "gen_ai.usage.input_tokens": record.prompt_tokens,
            "gen_ai.usage.output_tokens": record.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": record.cached_tokens,
        }
        if record.streamed and record.first_token_ms is not None:
            first = record.created_at + record.first_token_ms / 1000 - started_at
            attributes["gen_ai.response.time_to_first_chunk"] = round(max(0.0, first), 6)
        if record.cost_nanos is not None:
            attributes["plinth.cost.nanos"] = record.cost_nanos
            attributes["plinth.cost.currency"] = record.currency
        return Span(
            name=_name(attributes),
            kind="client",
            trace_id=self._trace_id,
            span_id=attempt.span_id,
            parent_id=self._span_id,
            started_at=started_at,
            ended_at=started_at + record.occupied_seconds,
            attributes=attributes,
            failed=record.status >= 400 and record.status != _CLIENT_GONE,
        )

    def _common(self, record: UsageRecord, model: str) -> Attributes:
        attributes: Attributes = {"gen_ai.operation.name": _OPERATIONS[record.operation], **self._asked}
        if model:
            attributes["gen_ai.request.model"] = model
        if record.streamed:
            attributes["gen_ai.request.stream"] = True
        if record.status >= 400:
            gone = "client_gone" if record.status == _CLIENT_GONE else str(record.status)
            attributes["error.type"] = record.error_code or gone
        return attributes


def _name(attributes: Mapping[str, Any]) -> str:
    return f"{attributes['gen_ai.operation.name']} {attributes.get('gen_ai.request.model', '')}".rstrip()


def _server_of(endpoint: Endpoint) -> Attributes:
    """Which server it is. Of a URL only host and port: the rest may hold names or secrets."""
    if endpoint.url is None:
        address = (endpoint.socket_path or "").rpartition("/")[2]
        return {"gen_ai.provider.name": endpoint.engine, "server.address": address}
    parts = urlsplit(endpoint.url)
    host = parts.hostname or ""
    known = next((name for end, name in _PROVIDERS.items() if host == end or host.endswith(f".{end}")), None)
    return {
        "gen_ai.provider.name": known or endpoint.engine,
        "server.address": host,
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
    }


def _parse(header: bytes) -> tuple[int, int, bool] | None:
    """Trace id, parent id and the sampled flag of a `traceparent`; None when it has to be ignored."""
    found = _PARENT(header)
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    ids = int(trace_id, 16), int(parent_id, 16)
    if version == b"ff" or not all(ids) or (version == b"00" and more is not None):
        return None
    return *ids, bool(int(flags, 16) & 1)
