"""What evaluation needs from others: a way to ask models, and files.

`Completer` speaks to models through the platform's own public API, so that an eval measures what
clients get. `ScriptedCompleter` and `InMemoryFiles` are the twins;
`tests/contract/test_completers.py` holds the adapter and the twin to the same behaviour.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from plinth.evaluation.errors import CompletionFailed, ModelUnreachable
from plinth.evaluation.model import ModelUsage, Usage
from plinth.evaluation.tokens import tokens
from plinth.kit.db import Session
from plinth.kit.errors import NotFound

Message = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """One chat request. `sampling` holds Chat Completions parameters (temperature, max_completion_tokens,
    seed, top_p, response_format, tools, …) and is sent as it is."""

    model: str
    messages: Sequence[Message]
    sampling: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """`text` is "" when the model answered with tool calls only; `choices` is the API's own array."""

    text: str
    finish_reason: str
    choices: list[dict[str, Any]]
    usage: Usage
    latency_seconds: float


@dataclass(frozen=True)
class Embeddings:
    vectors: list[list[float]]
    usage: Usage


class Completer(Protocol):
    """Thread-safe. Raises `ModelUnreachable` when no request to that model can succeed (unknown, not
    permitted) and `CompletionFailed` when this one did not."""

    def complete(self, project_id: str, question: Question) -> Answer: ...

    def embed(self, project_id: str, model: str, texts: Sequence[str]) -> Embeddings:
        """One vector per text, in order."""
        ...


class File(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def filename(self) -> str: ...


class Files(Protocol):
    """The data slice's service, as far as evaluation reads it."""

    def file(self, session: Session, project_id: str, file_id: str) -> Any: ...
    def open_file(self, file: Any) -> BinaryIO: ...


Script = Callable[[Question], str]


class ScriptedCompleter:
    """The twin: answers come from a function, token counts from the tokeniser, embeddings from
    hashed tokens (texts that share words are similar). `asked` keeps every question.

    Args: `models` are the names that exist; None means any.
    """

    def __init__(self, script: Script, models: frozenset[str] | None = None, latency_seconds: float = 0.25) -> None:
        self._script, self._models, self._latency = script, models, latency_seconds
        self.asked: list[tuple[str, Question]] = []

    def complete(self, project_id: str, question: Question) -> Answer:
        self._known(question.model)
        self.asked.append((project_id, question))
        text = self._script(question)
        prompt = sum(len(tokens(str(message["content"]))) for message in question.messages)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        return Answer(text, "stop", [choice], Usage(prompt, len(tokens(text))), self._latency)

    def embed(self, project_id: str, model: str, texts: Sequence[str]) -> Embeddings:
        self._known(model)
        if not texts:
            raise CompletionFailed(model=model, reason="there is nothing to embed.")
        return Embeddings([_hashed(text) for text in texts], Usage(sum(len(tokens(text)) for text in texts)))

    def _known(self, model: str) -> None:
        if self._models is not None and model not in self._models:
            raise ModelUnreachable(model=model, reason="there is no such model.")


@dataclass(frozen=True)
class MemoryFile:
    id: str
    project_id: str
    filename: str
    content: bytes


class InMemoryFiles:
    """The twin of the data slice's files."""

    def __init__(self) -> None:
        self._files: dict[str, MemoryFile] = {}

    def add(self, project_id: str, file_id: str, content: bytes, filename: str = "items.jsonl") -> MemoryFile:
        self._files[file_id] = MemoryFile(file_id, project_id, filename, content)
        return self._files[file_id]

    def file(self, session: Session, project_id: str, file_id: str) -> MemoryFile:
        found = self._files.get(file_id)
        if found is None or found.project_id != project_id:
            raise NotFound(what="file", id=file_id)
        return found

    def open_file(self, file: MemoryFile) -> BinaryIO:
        return io.BytesIO(file.content)


def usage_of(model: str, answer: Answer | Embeddings) -> ModelUsage:
    return ModelUsage(model, answer.usage)


def _hashed(text: str, dimensions: int = 64) -> list[float]:
    vector = [0.0] * dimensions
    for token in tokens(text):
        vector[zlib.crc32(token.encode()) % dimensions] += 1.0
    scale = math.hypot(*vector) or 1.0
    return [value / scale for value in vector]
