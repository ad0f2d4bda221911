"""What batches need from others: somebody who asks models, and the input file.

`Caller` speaks to models through the platform's own public port, so that keys, limits, guard,
routes and metering apply to every line. `ScriptedCaller` is its twin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from plinth.identity import Actor
from plinth.kit.blobs import BlobRef
from plinth.kit.db import Session

UNREACHED, BROKEN = "unreached", "broken"


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One request on behalf of who created the batch. `path` begins with `/v1/`; `request_id` is
    sent along and found again in the usage record."""

    project_id: str
    key_id: str
    principal: str
    path: str
    body: dict[str, Any]
    request_id: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whatever its status. `retry_after_seconds` is what the server asked for."""

    status: int
    body: Any
    request_id: str
    retry_after_seconds: float | None = None


class CallFailed(Exception):
    """There is no answer. `kind` is `UNREACHED` (no model can have seen the request) or `BROKEN` (one may have)."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(f"{kind}: {reason}")


class Caller(Protocol):
    async def call(self, request: ModelCall) -> Reply:
        """Raises `CallFailed`. Cancelling the task closes the connection, which frees the model."""
        ...


Callers = Callable[[], AbstractAsyncContextManager[Caller]]
"""A caller for one run, closed at its end."""


@dataclass(frozen=True)
class NewOutput:
    """A file to be made of a stored blob. `lives_seconds` is None for ever."""

    project_id: str
    filename: str
    blob: BlobRef
    lives_seconds: int | None


KeepOutput = Callable[[Session, NewOutput], str]
"""Makes a file with the purpose `batch_output` and returns its id."""


class InputFile(Protocol):
    """A file, as far as a batch looks at it."""

    @property
    def id(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def digest(self) -> str: ...


class Files(Protocol):
    """The data slice's service, as far as batches use it."""

    def file(self, session: Session, project_id: str, file_id: str) -> InputFile:
        """Raises `NotFound`."""
        ...


class Audit(Protocol):
    def __call__(self, session: Session, actor: Actor, action: str, target: str, detail: dict[str, Any]) -> None: ...


class ScriptedCaller:
    """The twin: answers come from a function, which may raise `CallFailed` or be asynchronous.
    `asked` keeps every request, `most_in_flight` how many were answered side by side."""

    def __init__(self, script: Callable[[ModelCall], Reply | Awaitable[Reply]]) -> None:
        self._script = script
        self.asked: list[ModelCall] = []
        self.in_flight = self.most_in_flight = self.cancelled = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def call(self, request: ModelCall) -> Reply:
        self.asked.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            answer = self._script(request)
            return answer if isinstance(answer, Reply) else await answer
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
