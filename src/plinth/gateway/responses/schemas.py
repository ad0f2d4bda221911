"""Wire types of responses and conversations, for the OpenAPI document.

Requests are checked by `parse.py` and `fields.py`, which both planes share and whose errors name the
exact field; here validation is skipped so that there is one set of rules. Answers are passed on as stored.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, SkipValidation

from plinth.gateway.responses.model import Conversation
from plinth.kit.http import Wire

Text = Annotated[SkipValidation[str | None], Field(default=None)]
Flag = Annotated[SkipValidation[bool | None], Field(default=None)]
Number = Annotated[SkipValidation[float | None], Field(default=None)]
Whole = Annotated[SkipValidation[int | None], Field(default=None)]
Object = Annotated[SkipValidation[dict[str, Any] | None], Field(default=None)]
Objects = Annotated[SkipValidation[list[dict[str, Any]] | None], Field(default=None)]
Texts = Annotated[SkipValidation[list[str] | None], Field(default=None)]
Metadata = Annotated[
    SkipValidation[dict[str, str] | None],
    Field(default=None, description="up to 16 pairs; keys up to 64 characters, values up to 512"),
]
Input = Annotated[
    SkipValidation[str | list[dict[str, Any]] | None],
    Field(default=None, description="a text, or items of type message, function_call, function_call_output, …"),
]


class _Request(Wire):
    model_config = ConfigDict(extra="allow")

    def given(self) -> dict[str, Any]:
        """The fields that the client sent, as it sent them."""
        return self.model_dump(exclude_unset=True)


class CountTokens(_Request):
    model: Text
    input: Input
    instructions: Text
    previous_response_id: Text
    conversation: Annotated[SkipValidation[str | dict[str, Any] | None], Field(default=None)]
    tools: Objects
    tool_choice: Annotated[SkipValidation[str | dict[str, Any] | None], Field(default=None)]
    text: Object
    reasoning: Object
    parallel_tool_calls: Flag
    truncation: Text


class CreateResponse(CountTokens):
    """A model response. See the OpenAI API reference, "Create a model response"."""

    store: Flag
    stream: Flag
    background: Flag
    include: Texts
    max_output_tokens: Whole
    temperature: Number
    top_p: Number
    top_logprobs: Whole
    metadata: Metadata


class ResponseObject(Wire):
    """OpenAI's Response object."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str = "response"
    created_at: int
    status: str
    model: str
    output: list[dict[str, Any]]
    error: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None


class InputTokens(Wire):
    object: str = "response.input_tokens"
    input_tokens: int


class CreateConversation(_Request):
    metadata: Metadata
    items: Objects


class ChangeConversation(_Request):
    metadata: Metadata


class CreateItems(_Request):
    items: Objects


class ConversationObject(Wire):
    id: str
    object: str = "conversation"
    created_at: int
    metadata: dict[str, str]

    @classmethod
    def of(cls, entry: Conversation) -> ConversationObject:
        return cls(id=entry.id, created_at=int(entry.created_at), metadata=entry.metadata)


class ItemList(Wire):
    """Items as they were stored; `after` + `has_more` drive the SDK's auto-pagination."""

    object: str = "list"
    data: list[dict[str, Any]]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False

    @classmethod
    def of(cls, items: list[dict[str, Any]], limit: int) -> ItemList:
        """A page from up to `limit + 1` items."""
        data = items[:limit]
        ids = [item["id"] for item in data]
        first, last = (ids[0], ids[-1]) if ids else (None, None)
        return cls(data=data, first_id=first, last_id=last, has_more=len(items) > limit)
