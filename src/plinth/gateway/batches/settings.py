"""Settings of batches (`PLINTH_BATCHES__…`)."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section


class BatchSettings(Section):
    endpoints: tuple[str, ...] = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/moderations")
    """What the lines of a batch may call."""
    max_lines: int = Field(100_000, ge=1)
    """The most requests one batch may hold."""
    max_line_bytes: int = Field(8 << 20, ge=1024)
    """The longest request, in bytes; more than `gateway.max_body_bytes` would be refused there."""
    max_open_per_project: int = Field(100, ge=1)
    """How many batches of one project may wait or run at once."""
    concurrency: int = Field(8, ge=1, le=256)
    """How many requests to models one batch keeps in flight."""
    request_timeout_seconds: float = Field(600.0, gt=0)
    """How long one answer may take."""
    request_attempts: int = Field(4, ge=1, le=100)
    """Tries of a request that breaks off or is answered with 500, 502 or 504."""
    patience_seconds: float = Field(900.0, ge=0)
    """How long a request is tried again while the answer is 503. For 429, and while the gateway is away, until the
    batch expires."""
    max_pause_seconds: float = Field(30.0, gt=0)
    """The longest pause before a request is tried again, whatever `Retry-After` asks for."""
    poll_seconds: float = Field(1.0, gt=0)
    """How often a running batch looks whether it was cancelled and shows its progress."""
