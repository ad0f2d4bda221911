"""Settings of the catalogue."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from plinth.kit.settings import Section


class CatalogSettings(Section):
    local_roots: tuple[Path, ...] = ()
    """Folders on this server that local base models may be added from. Empty: only `imports` in the home."""
    offline: bool = False
    """Never ask a model hub; adding a hub model then fails with a clear error."""
    hub_endpoint: str = ""
    """Address of a Hugging Face mirror. Empty: HF_ENDPOINT of the environment, else the hub itself."""
    max_download_bytes: int = Field(20 << 30, gt=0)
    """The most bytes that one model may take to download."""
    materialise_timeout_seconds: float = Field(3600.0, gt=0)
    """How long downloading or converting one model may take."""
    max_entries_per_project: int = Field(100, gt=0)
    """Base models of its own that a project, or the organization as a whole, may have."""
