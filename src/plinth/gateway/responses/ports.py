"""What responses need from others: a way to call a model, file search, an audit trail; with twins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from plinth.gateway.responses.errors import ModelCallFailed
from plinth.gateway.responses.model import Finding
from plinth.identity import Actor
from plinth.kit.db import Session

Chunk = dict[str, Any]

Audit = Callable[[Session, Actor, str, str, dict[str, Any]], object]
"""`audit(session, actor, action, target, detail)`: identity's audit trail."""


@dataclass(frozen=True)
class ChatCall:
    """One streaming chat-completions call for a project.

    `secret` is the caller's own key, so that its limits and its usage apply; without one the call is
    made in the project's name.
    """

    project_id: str
    body: Mapping[str, Any]
    secret: str | None = field(default=None, repr=False)


class Chunks(Protocol):
    """A running answer: `chat.completion.chunk` objects. Iterating raises `ModelCallFailed` when it breaks off."""

    def __aiter__(self) -> AsyncIterator[Chunk]: ...

    async def close(self) -> None:
        """Give the answer up at once, which frees the engine. Safe to call twice."""
        ...


class ChatStream(Protocol):
    async def open(self, call: ChatCall) -> Chunks:
        """Returns when the model's answer has begun. Raises `ModelCallFailed` with the status it was refused with."""
        ...


class FileSearch(Protocol):
    """The knowledge base, as far as the tool `file_search` needs it."""

    def search(self, project_id: str, key_id: str, tool: Mapping[str, Any], question: str) -> Finding:
        """Passages for the question.

        Args: `tool` is the API's file_search tool (`vector_store_ids`, `filters`, `max_num_results`,
        `ranking_options`); `key_id` says whose permissions count. Raises `PlinthError`, for example
        `NotFound` for a vector store of another project.
        """
        ...


Script = Callable[[ChatCall], Iterable[Chunk | ModelCallFailed | float]]


class ScriptedChat:
    """The twin: a function gives each call's chunks. A `ModelCallFailed` among them is raised there
    (as the first one: instead of an answer), a number is a pause in seconds. `calls` keeps every call,
    `closed` counts the answers that were given up before their end."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.calls: list[ChatCall] = []
        self.closed = 0

    async def open(self, call: ChatCall) -> Chunks:
        self.calls.append(call)
        pieces = list(self._script(call))
        if pieces and isinstance(pieces[0], ModelCallFailed):
            raise pieces[0]
        return _ScriptedChunks(self, pieces)


class _ScriptedChunks:
    def __init__(self, chat: ScriptedChat, pieces: list[Chunk | ModelCallFailed | float]) -> None:
        self._chat, self._pieces, self._open = chat, pieces, True

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        for piece in self._pieces:
            if isinstance(piece, ModelCallFailed):
                raise piece
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                yield piece
        self._open = False

    async def close(self) -> None:
        self._chat.closed += self._open
        self._open = False


class InMemoryFileSearch:
    """The twin: passages by word; finds those whose word occurs in the question."""

    def __init__(self, passages: Mapping[str, str]) -> None:
        self._passages = passages

    def search(self, project_id: str, key_id: str, tool: Mapping[str, Any], question: str) -> Finding:
        found = [(word, text) for word, text in self._passages.items() if word in question]
        found = found[: tool.get("max_num_results") or 10]
        results = tuple(
            {"file_id": f"file-{word}", "filename": f"{word}.txt", "score": 1.0, "text": text, "attributes": {}}
            for word, text in found
        )
        return Finding((question,), results, "\n".join(text for _, text in found))
