"""Limits of the guard."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section


class PrivacySettings(Section):
    """`[privacy]` in plinth.toml, `PLINTH_PRIVACY__…` in the environment."""

    detector: str = Field(default="identifiers", pattern="^(identifiers|identifiers\\+presidio)$")
    """`identifiers`: our own detector. `identifiers+presidio`: also names and places by Presidio's model,
    where `presidio-analyzer` and a spaCy model are installed."""

    max_characters: int = Field(default=2_000_000, ge=1)
    """The most text of one request that the guard looks at; longer requests are refused."""

    base_seconds: float = Field(default=0.25, gt=0)
    """How long the guard may take for any request; after that the request is refused."""

    seconds_per_kilocharacter: float = Field(default=0.02, ge=0)
    """How much longer it may take for every 1,000 characters."""

    threads: int = Field(default=8, ge=1)
    """Threads for detectors that use a model."""
