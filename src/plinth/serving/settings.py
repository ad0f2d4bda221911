"""Settings of the `serving` section."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section


class ServingSettings(Section):
    context_tokens: int = Field(2048, ge=128, le=1_000_000)
    """Longest prompt plus answer, in tokens, unless a deployment asks for its own; never more than the base knows."""
    slots: int = Field(4, ge=1, le=256)
    """Requests an engine works on at once; more wait. Memory grows with slots times context."""
    threads: int = Field(0, ge=0, le=1024)
    """CPU threads of an engine. 0: all cores but one."""
    prompt_cache_mebibytes: int = Field(64, ge=0)
    """Memory for prompts that an engine without adapters keeps beside its slots."""
    poll_seconds: float = Field(0.25, gt=0)
    """How often desired and actual state are compared."""
    health_seconds: float = Field(0.5, ge=0)
    """How often a serving engine is asked for its health."""
    ready_timeout_seconds: float = Field(180.0, gt=0)
    """An engine that is not ready after this long has failed."""
    degraded_timeout_seconds: float = Field(60.0, gt=0)
    """An engine that lives but does not answer for this long is restarted."""
    switch_seconds: float = Field(2.0, ge=0)
    """How long a replaced engine stays untouched, for gateways to notice its successor."""
    drain_seconds: float = Field(60.0, ge=0)
    """How long a replaced engine may finish the requests it has."""
    restart_limit: int = Field(5, ge=1)
    """Failed starts within `restart_window_seconds` after which an engine is given up until something changes."""
    restart_window_seconds: float = Field(300.0, gt=0)
    """See `restart_limit`."""
