"""Settings of moderations (`PLINTH_MODERATIONS__…`)."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section


class ModerationSettings(Section):
    model: str = ""
    """The chat model or route that moderates when a request names none (or a hosted name such as
    omni-moderation-latest). Empty: the word lists."""
    threshold: float = Field(0.5, ge=0, le=1)
    """From which score on a category counts as found when a model was asked."""
    concurrency: int = Field(4, ge=1, le=64)
    """How many questions to the model one request keeps in flight; a text needs 13."""
    max_texts: int = Field(64, ge=1, le=1024)
    """The most texts of one request."""
    max_characters: int = Field(100_000, ge=1)
    """The longest text."""
