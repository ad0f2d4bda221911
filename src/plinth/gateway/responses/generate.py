"""Calls the model for a prepared response (shortened until it fits, if asked) and turns its chunks into
events. Used by the control plane and by background work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from plinth.gateway.responses.errors import ModelCallFailed, TokensUnknown
from plinth.gateway.responses.events import Composer, Event
from plinth.gateway.responses.model import Prepared
from plinth.gateway.responses.ports import ChatCall, ChatStream, Chunks
from plinth.gateway.responses.translate import shortened
from plinth.kit.clock import Clock

_TOO_LONG = "context_length_exceeded"


async def open_answer(chat: ChatStream, prepared: Prepared, secret: str | None = None) -> Chunks:
    """The model's running answer. With `truncation: auto` the oldest turns are dropped until the rest fits.
    Raises `ModelCallFailed`."""
    body: Mapping[str, Any] = prepared.chat_body
    while True:
        try:
            return await chat.open(ChatCall(prepared.project_id, body, secret))
        except ModelCallFailed as error:
            shorter = shortened(dict(body)) if error.upstream_code == _TOO_LONG else None
            if shorter is None or prepared.request.truncation != "auto":
                raise
            body = shorter


async def compose(chunks: Chunks, composer: Composer, clock: Clock) -> AsyncIterator[list[Event]]:
    """Events as they come, to the last. Raises `ModelCallFailed` when the model breaks off; the caller closes
    `chunks`."""
    yield composer.start()
    async for chunk in chunks:
        if events := composer.feed(chunk):
            yield events
    yield composer.finish(clock.unix())


async def count_tokens(chat: ChatStream, call: ChatCall) -> int:
    """The input tokens of a chat call, exactly as its engine counts them: it is asked for one token and
    reports its usage. Raises `ModelCallFailed`, `TokensUnknown`."""
    body = {**call.body, "max_completion_tokens": 1}
    chunks = await chat.open(ChatCall(call.project_id, body, call.secret))
    try:
        async for chunk in chunks:
            usage = chunk.get("usage")
            if isinstance(usage, dict) and isinstance(usage.get("prompt_tokens"), int):
                return int(usage["prompt_tokens"])
    finally:
        await chunks.close()
    raise TokensUnknown(model=str(call.body["model"]))
