"""Somebody who looks at texts. Ours are `LexiconModerator` and `ModelModerator`; a classifier would be a third."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from plinth.gateway.moderations.model import CATEGORIES, Verdict


class Moderator(Protocol):
    """Thread-safe. `model` names the method and its version in every answer; `method` says in one
    sentence what a score means and what the method cannot do."""

    @property
    def model(self) -> str: ...

    @property
    def method(self) -> str: ...

    def moderate(self, project_id: str, texts: Sequence[str]) -> list[Verdict]:
        """One verdict per text, in order. Raises `PlinthError`: a text that could not be looked at
        is never reported as harmless."""
        ...


class ScriptedModerator:
    """The twin: scores come from a function; what reaches 0.5 is found. `asked` keeps every call."""

    model, method = "scripted", "Scores as the test wrote them."

    def __init__(self, script: Callable[[str], Mapping[str, float]]) -> None:
        self._script = script
        self.asked: list[tuple[str, list[str]]] = []

    def moderate(self, project_id: str, texts: Sequence[str]) -> list[Verdict]:
        self.asked.append((project_id, list(texts)))
        return [self._verdict(text) for text in texts]

    def _verdict(self, text: str) -> Verdict:
        scores = {**dict.fromkeys(CATEGORIES, 0.0), **self._script(text)}
        return Verdict(scores, frozenset(name for name, score in scores.items() if score >= 0.5))
