"""Detectors of personal data: our own for identifiers, others behind the same port."""

from __future__ import annotations

from plinth.privacy import Detector


def detectors(chosen: str) -> list[Detector]:
    """The detectors of a setting such as `identifiers+presidio`. Raises `PresidioMissing`, so that a
    process that should use a model and cannot does not start without it."""
    from plinth.adapters.detectors.identifiers import IdentifierDetector

    found: list[Detector] = [IdentifierDetector()]
    if "presidio" in chosen.split("+"):
        from plinth.adapters.detectors.presidio import PresidioDetector

        found.append(PresidioDetector())
    return found
