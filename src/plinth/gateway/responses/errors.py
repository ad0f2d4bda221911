"""What can go wrong with responses and conversations (field checks share `plinth.gateway.errors`).

NotFound
├── ResponseNotFound           404
├── PreviousResponseNotFound   404   it, or one that it continues, is gone
├── ConversationNotFound       404
└── ConversationItemNotFound   404   also for an `item_reference`
BadInput
├── UnknownParameter           400   no such field; the hosted API refuses these too
├── MovedParameter             400   a chat-completions field with another name here
├── NotTogether                400   two fields that exclude each other
├── BackgroundNeedsStore       400
├── FileSearchUnavailable      400   no knowledge base behind this server
├── NotContinuable             400   the previous response is not finished, or failed
├── PreviousInConversation     400
├── NoToolCall, NoToolOutput   400   calls and their outputs do not match
├── NotCancellable             400
└── NotReplayable              400
Unavailable
└── TokensUnknown              503   the model did not report its usage
ModelCallFailed                      what the public port answered, or 502 when it broke off
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plinth.kit.errors import BadInput, NotFound, PlinthError, Unavailable


class ResponseNotFound(NotFound):
    """No response with id '{id}' was found. It was not stored, has expired or was deleted; check the id and that
    the key belongs to its project."""

    code = "response_not_found"


class PreviousResponseNotFound(NotFound):
    """The previous response '{id}' was not found: it was not stored, has expired or was deleted.
    Send the earlier items in 'input' instead."""

    code = "previous_response_not_found"


class ConversationNotFound(NotFound):
    """No conversation with id '{id}' was found. Check the id and that the key belongs to its project."""

    code = "conversation_not_found"


class ConversationItemNotFound(NotFound):
    """No item with id '{id}' was found. Check the id and that the key belongs to its project."""

    code = "conversation_item_not_found"


class UnknownParameter(BadInput):
    """The parameter '{field}' does not exist here. Check its spelling or leave it out."""

    code = "unknown_parameter"


class MovedParameter(BadInput):
    """The parameter '{field}' belongs to chat completions. Here it is called '{instead}'."""

    code = "moved_parameter"


class NotTogether(BadInput):
    """'{field}' and '{other}' exclude each other. Send only one of them."""

    code = "mutually_exclusive_parameters"


class BackgroundNeedsStore(BadInput):
    """A background response can only be fetched when it is stored. Leave 'store' out or set it to true."""

    code = "background_needs_store"


class FileSearchUnavailable(BadInput):
    """This server has no knowledge base, so the tool 'file_search' cannot be used. Remove it from 'tools'."""

    code = "file_search_unavailable"


class NotContinuable(BadInput):
    """The response '{id}' is {status}; only one that is completed or incomplete can be continued."""

    code = "response_not_continuable"


class PreviousInConversation(BadInput):
    """The response '{id}' belongs to the conversation '{conversation_id}'. Send that as 'conversation' instead of
    'previous_response_id'."""

    code = "previous_response_in_conversation"


class NoToolCall(BadInput):
    """There is no function call with call_id '{call_id}' before its output. Send the call as well."""

    code = "tool_call_missing"


class NoToolOutput(BadInput):
    """The function call with call_id '{call_id}' has no output. Send a 'function_call_output' item for it."""

    code = "tool_output_missing"


class NotCancellable(BadInput):
    """The response '{id}' was not made with 'background', so it cannot be cancelled. Close its connection instead."""

    code = "response_not_cancellable"


class NotReplayable(BadInput):
    """The response '{id}' keeps no events. Only one that was made with 'background' and 'stream' can be streamed
    again; fetch it without 'stream'."""

    code = "response_not_replayable"


class TokensUnknown(Unavailable):
    """The model '{model}' did not say how many tokens the input has. Try again, or use another model."""

    code = "input_tokens_unknown"


class ModelCallFailed(PlinthError):
    """{reason}"""

    code = "model_call_failed"

    def __init__(
        self,
        *,
        reason: str,
        status: int = 502,
        answer: Mapping[str, Any] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        """Args: `answer` is the error object that the model call was answered with; clients get it as it is."""
        self.status = status  # type: ignore[misc]  # this error has the status of the call it tells about
        self.answer = dict(answer or {})
        self.retry_after_seconds = retry_after_seconds
        super().__init__(reason=reason, param=self.answer.get("param"))

    @property
    def upstream_code(self) -> str:
        return str(self.answer.get("code") or "")

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after_seconds is None else {"Retry-After": f"{self.retry_after_seconds:g}"}

    def to_openai(self, message: str | None = None) -> dict[str, Any]:
        shown = super().to_openai(message)["error"]
        return {"error": {**shown, **{key: self.answer[key] for key in ("type", "code") if self.answer.get(key)}}}
