"""Categories of harm, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""As the Moderations API names them."""

MAX_TEXTS = 1024


@dataclass(frozen=True)
class Verdict:
    """One text's result. `scores` has a number from 0 to 1 for every category; what it means is the
    moderator's to say (`Moderator.method`). `found` are the categories that count as present."""

    scores: Mapping[str, float]
    found: frozenset[str]

    @property
    def flagged(self) -> bool:
        return bool(self.found)


@dataclass(frozen=True)
class Moderated:
    """`model` and `method` say how the results came about."""

    id: str
    model: str
    method: str
    verdicts: list[Verdict]
