"""What serving needs from outside: engines, the catalogue's files. And an engine's in-memory twin."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from plinth.catalog import BaseModel, RemoteTarget
from plinth.kit.db import Session
from plinth.serving.dialects import Target, translate
from plinth.serving.model import EngineHandle, EngineSpec, Health, HealthState

Record = Callable[[EngineHandle], None]
"""Makes a started process known for good, before it does anything."""


class Engine(Protocol):
    """One kind of engine. An engine process speaks OpenAI-compatible HTTP on a unix socket with a
    bearer key, and outlives the process that started it.

    `tests/contract/test_engines.py` holds every adapter and the twin to the same behaviour.
    """

    @property
    def kind(self) -> str: ...

    def capabilities(self, spec: EngineSpec) -> frozenset[str]:
        """Of `stream`, `json_schema`, `logprobs`, `seed`, `cancel`, `prefix_cache`, `adapters`, `embed`."""
        ...

    def socket_path(self, id: str) -> Path:
        """Where the process `id` will listen."""
        ...

    def start(self, id: str, spec: EngineSpec, key: str, record: Record) -> EngineHandle:
        """Spawn the process and return at once; `probe` tells how it goes.

        `record` is called when the process exists but still waits for its permission to work; when
        we die before or inside `record`, the process ends by itself. Raises `EngineFailed`.
        """
        ...

    def probe(self, handle: EngineHandle) -> Health: ...

    def running(self, handle: EngineHandle) -> int | None:
        """Requests at work or waiting inside the engine; None when it does not say."""
        ...

    def stop(self, handle: EngineHandle) -> None:
        """End the process now and remove what it left. Stopping a dead one is fine."""
        ...

    def translate(self, request: dict[str, Any], endpoint: Target) -> dict[str, Any]:
        """A client's request body in the engine's own terms. Raises `UnknownAdapter`."""
        ...


class Catalog(Protocol):
    """The catalogue, as far as serving is concerned."""

    def get(self, session: Session, project_id: str, base_id: str) -> BaseModel: ...
    def materialise(self, base: BaseModel, form: str, /) -> Path: ...
    def remote(self, session: Session, base_id: str) -> RemoteTarget: ...


@dataclass
class _MemoryProcess:
    spec: EngineSpec
    health: Health
    running: int = 0


@dataclass
class InMemoryEngine:
    """The twin. Processes are entries in `processes`; `fail_next` lists healths that coming starts
    end in; `slow` leaves processes loading until `finish(id)`."""

    folder: Path
    kind: str = "twin"
    slow: bool = False
    fail_next: list[Health] = field(default_factory=list)
    processes: dict[str, _MemoryProcess] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    _pids: itertools.count[int] = field(default_factory=lambda: itertools.count(1_000_000))

    def capabilities(self, spec: EngineSpec) -> frozenset[str]:
        return frozenset({"stream", "adapters"})

    def socket_path(self, id: str) -> Path:
        return self.folder / f"{id}.sock"

    def start(self, id: str, spec: EngineSpec, key: str, record: Record) -> EngineHandle:
        handle = EngineHandle(id, next(self._pids), 1, str(self.socket_path(id)), key)
        record(handle)
        health = Health(HealthState.loading if self.slow else HealthState.ready)
        self.processes[id] = _MemoryProcess(spec, self.fail_next.pop(0) if self.fail_next else health)
        self.started.append(id)
        return handle

    def probe(self, handle: EngineHandle) -> Health:
        process = self.processes.get(handle.id)
        return process.health if process else Health(HealthState.dead, "The engine process is gone.")

    def running(self, handle: EngineHandle) -> int | None:
        process = self.processes.get(handle.id)
        return process.running if process else 0

    def stop(self, handle: EngineHandle) -> None:
        self.processes.pop(handle.id, None)

    def translate(self, request: dict[str, Any], endpoint: Target) -> dict[str, Any]:
        return translate(request, endpoint)

    def finish(self, id: str) -> None:
        self.processes[id].health = Health(HealthState.ready)

    def kill(self, id: str) -> None:
        """As `kill -9` from outside."""
        self.processes.pop(id)
