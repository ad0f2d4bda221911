"""Wire types: the stored half of the Chat Completions API (openai 3.54)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from plinth.gateway.completions.model import (
    MAX_KEY_CHARACTERS,
    MAX_METADATA,
    MAX_VALUE_CHARACTERS,
    SHOWN_PARAMETERS,
    CompletionRecord,
    StoredMessage,
)
from plinth.kit.http import Wire

NO_NUL = r"^[^\x00]*$"  # PostgreSQL has no text with NUL characters
Key = Annotated[str, Field(max_length=MAX_KEY_CHARACTERS, pattern=NO_NUL)]
Value = Annotated[str, Field(max_length=MAX_VALUE_CHARACTERS, pattern=NO_NUL)]


class CompletionUpdate(Wire):
    """`null` removes all metadata."""

    metadata: Annotated[dict[Key, Value], Field(max_length=MAX_METADATA)] | None


class CompletionObject(Wire):
    """The `chat.completion` as it was answered, plus `metadata`, `request_id` and the request's parameters."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[dict[str, Any]]
    metadata: dict[str, str]
    request_id: str

    @classmethod
    def of(cls, record: CompletionRecord) -> CompletionObject:
        parameters = {name: record.request.get(name) for name in SHOWN_PARAMETERS}
        own = {
            "id": record.id,
            "object": "chat.completion",
            "created": int(record.created_at),
            "model": record.model,
            "metadata": record.metadata,
            "request_id": record.request_id,
        }
        choices = record.response.get("choices")
        return cls(**{**parameters, **record.response, **own, "choices": choices if isinstance(choices, list) else []})


class MessageObject(Wire):
    """A message of the request. Content that came in parts is in `content_parts`, and `content` is null."""

    model_config = ConfigDict(extra="allow")

    id: str
    role: str
    content: str | None
    content_parts: list[Any] | None = None
    name: str | None = None

    @classmethod
    def of(cls, message: StoredMessage) -> MessageObject:
        given = {**message.content, "id": message.id, "role": str(message.content.get("role", ""))}
        content = given.pop("content", None)
        parts = content if isinstance(content, list) else None
        return cls(**given, content=content if isinstance(content, str) else None, content_parts=parts)


class CompletionDeleted(Wire):
    id: str
    object: Literal["chat.completion.deleted"] = "chat.completion.deleted"
    deleted: bool = True
