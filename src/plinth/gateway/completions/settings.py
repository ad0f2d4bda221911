"""Settings of stored completions (`PLINTH_COMPLETIONS__…`)."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section


class CompletionSettings(Section):
    retention_days: int = Field(30, ge=0)
    """Days after which a stored completion is deleted; 0 keeps them for ever."""
