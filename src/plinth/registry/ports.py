"""What the registry needs from others: base models, the list of projects, an audit trail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from plinth.identity import Actor
from plinth.kit.db import Session
from plinth.kit.errors import NotFound

Projects = Callable[[Session], Iterable[str]]
"""Every project's id (the gateway's snapshot is a list per project)."""

Routed = Callable[[Session, str], Mapping[str, str]]
"""`routed(session, project_id)`: names that are put over models elsewhere (routes), each with the name
of the model it stands for first. They come before models of the same name."""

Audit = Callable[[Session, Actor, str, str, dict[str, Any]], object]
"""`audit(session, actor, action, target, detail)`: identity's audit trail."""


def not_routed(session: Session, project_id: str) -> Mapping[str, str]:
    return {}


class Base(Protocol):
    """The part of the catalogue's base model that the registry shows."""

    @property
    def id(self) -> str: ...
    @property
    def owned_by(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def context_tokens(self) -> int: ...
    @property
    def capabilities(self) -> frozenset[str]: ...
    @property
    def shutdown_date(self) -> str | None: ...
    @property
    def created(self) -> int: ...


class Bases(Protocol):
    """The catalogue, as far as the registry is concerned."""

    def get(self, session: Session, project_id: str, base_id: str) -> Base:
        """Raises `NotFound`, also for a base this project may not see."""
        ...

    def list(self, session: Session, project_id: str) -> Sequence[Base]: ...


@dataclass(frozen=True)
class MemoryBase:
    id: str
    owned_by: str = "test"
    licence: str = "apache-2.0"
    context_tokens: int = 2048
    capabilities: frozenset[str] = frozenset({"generate", "tune"})
    shutdown_date: str | None = None
    created: int = 1_700_000_000


class InMemoryBases:
    """The twin: bases everyone may see."""

    def __init__(self, *bases: MemoryBase) -> None:
        self.bases = {base.id: base for base in bases}

    def get(self, session: Session, project_id: str, base_id: str) -> MemoryBase:
        if base_id not in self.bases:
            raise NotFound(what="base model", id=base_id)
        return self.bases[base_id]

    def list(self, session: Session, project_id: str) -> Sequence[MemoryBase]:
        return list(self.bases.values())
