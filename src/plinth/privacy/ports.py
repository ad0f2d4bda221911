"""What the guard needs from others: detectors, an audit trail, and who uses a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from plinth.kit.db import Session
from plinth.privacy.model import Finding

Audit = Callable[[Session, Any, str, str, dict[str, Any]], object]
"""`audit(session, actor, action, target, detail)`: identity's audit trail."""

PolicyUser = Callable[[Session, str, str], str | None]
"""`user(session, project_id, policy_name)`: what still names the policy ("the route 'chat'"), or None."""


class Actor(Protocol):
    """The part of identity's authenticated caller that matters here (identity is a neighbour)."""

    @property
    def project_id(self) -> str: ...


class Detector(Protocol):
    """Finds personal data in a text. Must be safe to call from several threads at once."""

    @property
    def kinds(self) -> frozenset[str]:
        """Every kind it may report."""
        ...

    @property
    def linear_time(self) -> bool:
        """True only where `detect` provably takes time proportional to the text, a few microseconds
        per kilobyte. The guard calls such a detector on the event loop; all others in a thread that
        it gives up on when time is over."""
        ...

    def detect(self, text: str) -> Sequence[Finding]:
        """All findings, in any order, without overlaps among themselves."""
        ...


class InMemoryDetector:
    """The twin: finds given words. `words` maps each word to its kind."""

    linear_time = True

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = {word: kind for word, kind in words.items() if word}
        self.kinds = frozenset(self._words.values())

    def detect(self, text: str) -> list[Finding]:
        findings: list[Finding] = []
        taken = bytearray(len(text))
        # longer words first, so that none hides inside another
        for word in sorted(self._words, key=lambda w: (-len(w), w)):
            at = text.find(word)
            while at >= 0:
                end = at + len(word)
                if not any(taken[at:end]):
                    taken[at:end] = b"\x01" * len(word)
                    findings.append(Finding(self._words[word], at, end, 1.0))
                at = text.find(word, at + 1)
        return findings
