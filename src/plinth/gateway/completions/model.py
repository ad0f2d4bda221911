"""A stored completion: what was asked, what came back, and the client's own labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_METADATA = 16
MAX_ID_CHARACTERS, MAX_MODEL_CHARACTERS = 128, 256
MAX_KEY_CHARACTERS, MAX_VALUE_CHARACTERS = 64, 512

SHOWN_PARAMETERS = (
    "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "tools", "tool_choice", "response_format",
)  # fmt: skip
"""Parameters of the request that a stored completion shows beside the answer."""


@dataclass(frozen=True, slots=True)
class CompletionRecord:
    """One finished answer of a request with `store: true`, as the data plane hands it over.

    Args:
        id: the answer's `id`; created_at: unix seconds; model: the name the client used.
        request: the JSON body as the client sent it (messages and parameters).
        response: the `chat.completion` object as the client got it; for a stream, put together.
        metadata: the request's `metadata`; principal: who asked; request_id: of the HTTP request.
    """

    id: str
    project_id: str
    created_at: float
    model: str
    request: dict[str, Any]
    response: dict[str, Any]
    metadata: dict[str, str] = field(default_factory=dict)
    principal: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which completions to list. All of `metadata` must match exactly."""

    model: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Paging:
    """From behind the id `after`, oldest first unless `descending`. Queries return up to `limit + 1`."""

    after: str | None = None
    limit: int = 20
    descending: bool = False


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message of the request. `id` is `<completion id>-<position>`."""

    id: str
    content: dict[str, Any]


def label_digest(value: str) -> str:
    """What the search index holds in place of a metadata value: 32 hex digits of its SHA-256, so that
    an index entry has a fixed, small size."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def messages_of(record: CompletionRecord) -> list[StoredMessage]:
    """The request's messages, in order."""
    given = record.request.get("messages")
    messages = given if isinstance(given, list) else []
    return [
        StoredMessage(f"{record.id}-{position}", dict(message))
        for position, message in enumerate(messages)
        if isinstance(message, dict)
    ]
