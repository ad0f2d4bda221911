"""What routes need from others: which names are models, and an audit trail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plinth.identity import Actor
from plinth.kit.db import Session
from plinth.registry import UnknownModel

Resolvable = Callable[[Session, str, str], bool]
"""`resolvable(session, project_id, name)`: whether the name is a model that the project can use."""

Audit = Callable[[Session, Actor, str, str, dict[str, Any]], object]
"""`audit(session, actor, action, target, detail)`: identity's audit trail."""


def known_by(resolve: Callable[[Session, str, str], object]) -> Resolvable:
    """The registry's `resolve`, which raises for an unknown name, as a yes or no."""

    def resolvable(session: Session, project_id: str, name: str) -> bool:
        try:
            resolve(session, project_id, name)
        except UnknownModel:
            return False
        return True

    return resolvable


class InMemoryNames:
    """The twin: the same models in every project."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)

    def __call__(self, session: Session, project_id: str, name: str) -> bool:
        return name in self.names
