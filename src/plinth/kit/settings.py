"""Settings: flag > environment > file > default.

Each slice declares its own section as a pydantic `Section` with a description on every field;
`bootstrap.settings.Settings` composes them. Environment: `PLINTH_<SECTION>__<FIELD>`; file:
`<home>/plinth.toml`; flag: `--set section.field=value`.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One slice's settings. Frozen, no unknown names: a typing mistake is an error at start."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
