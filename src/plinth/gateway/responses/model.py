"""Responses, their items and conversations. Knows no database and no wire.

An *item* is a JSON object as the Responses API defines it (message, function_call,
function_call_output, reasoning, file_search_call), always with our own `id`.
Shapes: OpenAI API reference, "Responses" and "Conversations".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

Item = dict[str, Any]
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

LOGPROBS = "message.output_text.logprobs"
SEARCH_RESULTS = "file_search_call.results"


class Status(StrEnum):
    queued = "queued"
    in_progress = "in_progress"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"
    incomplete = "incomplete"

    @property
    def final(self) -> bool:
        return self not in (Status.queued, Status.in_progress)


@dataclass(frozen=True)
class ResponseRequest:
    """One checked request.

    Args:
        items: the input, each with an id; empty only when there is earlier context.
        text: `{"format": {...}}` and, if given, `verbosity`.
        tools: as the client sent them, defaults filled in.
        include: values of the API's `include`.
        echo: accepted hints that change nothing here but belong into the answer (`user`, `service_tier`, …).
    """

    model: str
    items: tuple[Item, ...]
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation_id: str | None = None
    store: bool = True
    background: bool = False
    stream: bool = False
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    parallel_tool_calls: bool = True
    truncation: str = "disabled"
    text: dict[str, Any] = field(default_factory=lambda: {"format": {"type": "text"}})
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: Any = "auto"
    reasoning: dict[str, Any] = field(default_factory=dict)
    include: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    echo: dict[str, Any] = field(default_factory=dict)

    @property
    def file_search(self) -> dict[str, Any] | None:
        return next((tool for tool in self.tools if tool["type"] == "file_search"), None)

    def to_json(self) -> dict[str, Any]:
        """Everything but the items, which are stored as rows."""
        return {name: value for name, value in asdict(self).items() if name != "items"}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], items: list[Item]) -> ResponseRequest:
        return cls(
            **{**stored, "items": tuple(items), "tools": tuple(stored["tools"]), "include": (*stored["include"],)}
        )


@dataclass(frozen=True)
class Finding:
    """What file search found. `results` are the API's result objects; `context` is the text that the
    model gets to read, laid out by whoever searched."""

    queries: tuple[str, ...]
    results: tuple[dict[str, Any], ...]
    context: str


@dataclass(frozen=True)
class Prepared:
    """A response that is about to be generated: everything the model call and the answer need.

    Args:
        created_at: unix seconds.
        context: the items of earlier turns, oldest first.
        chat_body: the chat-completions request (always a stream that reports its usage).
        finding: what file search found, if the request asked for it.
        first_sequence, first_output: where numbering begins; above zero only after an interrupted attempt.
    """

    response_id: str
    project_id: str
    key_id: str
    created_at: float
    request: ResponseRequest
    context: tuple[Item, ...]
    chat_body: dict[str, Any]
    finding: Finding | None = None
    first_sequence: int = 0
    first_output: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a response stands. `error` is `{code, message}`; `usage` is the API's usage object."""

    status: Status
    output: tuple[Item, ...] = ()
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    incomplete_reason: str | None = None
    completed_at: float | None = None


@dataclass(frozen=True)
class StoredResponse:
    """A row. `body` is the Response object without its output; it never changes once `status` is final.
    `request` is kept while a background response is not final."""

    id: str
    project_id: str
    key_id: str
    created_at: float
    expires_at: float
    status: Status
    background: bool
    streamed: bool
    previous_response_id: str | None
    conversation_id: str | None
    body: dict[str, Any]
    request: dict[str, Any] | None = None
    attempts: int = 0


@dataclass(frozen=True)
class Conversation:
    id: str
    project_id: str
    created_at: float
    metadata: dict[str, str]


@dataclass(frozen=True)
class Slice:
    """Which part of a list: up to `limit` items after the item `after`."""

    after: str | None = None
    limit: int = 20
    descending: bool = True


def response_object(prepared: Prepared, outcome: Outcome) -> dict[str, Any]:
    """The API's Response object."""
    request = prepared.request
    return {
        "id": prepared.response_id,
        "object": "response",
        "created_at": int(prepared.created_at),
        "status": outcome.status.value,
        "background": request.background,
        "completed_at": None if outcome.completed_at is None else int(outcome.completed_at),
        "conversation": {"id": request.conversation_id} if request.conversation_id else None,
        "error": outcome.error,
        "incomplete_details": {"reason": outcome.incomplete_reason} if outcome.incomplete_reason else None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "metadata": request.metadata,
        "model": request.model,
        "output": list(outcome.output),
        "parallel_tool_calls": request.parallel_tool_calls,
        "previous_response_id": request.previous_response_id,
        "reasoning": {"effort": None, "summary": None, **request.reasoning},
        "store": request.store,
        "temperature": request.temperature,
        "text": request.text,
        "tool_choice": request.tool_choice,
        "tools": list(request.tools),
        "top_logprobs": request.top_logprobs or 0,
        "top_p": request.top_p,
        "truncation": request.truncation,
        "usage": outcome.usage,
        **request.echo,
    }


def plausible(identifier: str) -> bool:
    """Whether this could be an id at all; anything else must not reach the database."""
    return _ID.fullmatch(identifier) is not None
