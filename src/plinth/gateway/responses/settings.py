"""Settings of stored responses (`PLINTH_RESPONSES__…`)."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section


class ResponsesSettings(Section):
    retention_days: int = Field(30, ge=1, le=3650)
    """Days that a stored response is kept after it was made or last continued. Conversations stay until deleted."""
    max_body_bytes: int = Field(8 << 20, ge=1024)
    """Largest request body of responses and conversations."""
    background_concurrency: int = Field(8, ge=1, le=256)
    """Background responses that may be generated at once."""
    background_seconds: float = Field(3600.0, gt=0)
    """How long one background response may take, waiting for a busy model included."""
    background_attempts: int = Field(20, ge=1, le=100)
    """Tries of one background response while its model answers 429 or 503 or breaks off."""
    background_pause_seconds: float = Field(1.0, ge=0)
    """Pause before the second try; it doubles up to 30 seconds, unless the model says when to come back."""
    poll_seconds: float = Field(0.25, gt=0)
    """How often a background response saves its events and looks whether it was cancelled."""
    keepalive_comment_seconds: float = Field(15.0, gt=0)
    """A client that follows a stream gets an SSE comment after this much silence."""
    request_timeout_seconds: float = Field(600.0, gt=0)
    """How long a model may send nothing before the call is given up."""
