"""What decisions need from others: a way to ask models in somebody's name, files, and what a name means.

The twins of `Completer` and `Files` are evaluation's; `InMemoryTargets` is the twin of `Target`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from plinth.evaluation import Completer
from plinth.identity import Actor
from plinth.kit.db import Session

Asker = Callable[[str, str], Completer]
"""`asker(key_id, principal)`: the public port as that key's owner uses it, so that permissions, limits and
metering are the caller's."""

Target = Callable[[Session, str, str], str | None]
"""`target(session, project_id, name)`: a text that changes when the name comes to mean another model (an alias
or a route that was pointed elsewhere); None for an unknown name. A calibration is worth nothing after that."""


class Audit(Protocol):
    def __call__(self, session: Session, actor: Actor, action: str, target: str, detail: dict[str, Any]) -> object: ...


class Files(Protocol):
    """The data slice's service, as far as a labelled set is read from it."""

    def file(self, session: Session, project_id: str, file_id: str) -> Any: ...
    def open_file(self, file: Any) -> BinaryIO: ...


class InMemoryTargets:
    """The twin: what the test wrote."""

    def __init__(self, **targets: str) -> None:
        self.targets = targets

    def __call__(self, session: Session, project_id: str, name: str) -> str | None:
        return self.targets.get(name)
