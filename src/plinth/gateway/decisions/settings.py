"""Settings of decisions (`PLINTH_DECISIONS__…`)."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section


class DecisionSettings(Section):
    most_other_mass: float = Field(0.5, gt=0, lt=1)
    """Refuse a question when the model put more than this share of its next token on something else than the labels."""
    concurrency: int = Field(4, ge=1, le=64)
    """How many calls to the model one request keeps in flight; the first one goes alone, to fill the prompt cache."""
    timeout_seconds: float = Field(60.0, gt=0)
    """How long one call to the model may take."""
    max_calls: int = Field(1000, ge=1)
    """The most model calls one request may need; a question needs one, and more with over 20 choices."""
    max_input_characters: int = Field(200_000, ge=1)
    """The longest input."""
    max_calibration_rows: int = Field(5000, ge=100, le=20_000)
    """The most labelled rows of one calibration."""
    max_calibration_bytes: int = Field(32 << 20, ge=1024)
    """The largest file of labelled rows."""
    max_open_calibrations: int = Field(20, ge=1)
    """Calibrations of one project that may wait or run at once."""
    calibration_concurrency: int = Field(1, ge=1)
    """Calibrations that may run at once in one worker."""
    chunk_rows: int = Field(32, ge=1, le=1000)
    """Rows that are asked between two saves; a crash repeats at most so many."""
