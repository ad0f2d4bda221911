"""Model versions, the names that point at them, and the rules for both. Knows no database.

A version is immutable: it is registered once with everything needed to trace and serve it. What
is learnt later (evaluation, parity, leakage) is appended as reports. Only names move.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from plinth.kit.ids import new_id
from plinth.registry.errors import BadModelName

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NOT_SLUG = re.compile(r"[^A-Za-z0-9._-]+")


class ArtefactKind(StrEnum):
    peft_adapter = "peft_adapter"
    gguf_adapter = "gguf_adapter"
    merged_gguf = "merged_gguf"
    parity_reference = "parity_reference"


class ModelKind(StrEnum):
    base = "base"
    version = "version"


@dataclass(frozen=True)
class ArtefactFile:
    """One file: `path` inside the artefact, `digest` (SHA-256, hex) names its blob, `size` in bytes."""

    path: str
    digest: str
    size: int


@dataclass(frozen=True)
class Artefact:
    kind: ArtefactKind
    files: tuple[ArtefactFile, ...]


@dataclass(frozen=True)
class VersionDraft:
    """What `RegistryService.register` needs.

    `organization` and `suffix` become part of the public id. `job_id` + `checkpoint_step` make
    registering idempotent: `None` is the job's final model. `recipe` is the full recipe (method,
    hyperparameters, seed); `code_version` is the version of the code that trained it; `parent_id`
    is the version it was trained from, when that was not the base itself.
    """

    project_id: str
    organization: str
    base_id: str
    suffix: str
    recipe: dict[str, Any]
    code_version: str
    artefacts: tuple[Artefact, ...]
    dataset_version_id: str | None = None
    job_id: str | None = None
    checkpoint_step: int | None = None
    parent_id: str | None = None


@dataclass(frozen=True)
class ModelVersion:
    """One immutable version. `id` is `ft:<base>:<organization>:<suffix>:<8 characters>`
    (`…:ckpt-step-<n>` for an intermediate checkpoint); `deleted_at` is set when it may only be
    looked at for lineage."""

    id: str
    project_id: str
    base_id: str
    dataset_version_id: str | None
    recipe: dict[str, Any]
    code_version: str
    job_id: str | None
    checkpoint_step: int | None
    parent_id: str | None
    artefacts: tuple[Artefact, ...]
    created_at: float
    deleted_at: float | None = None

    def artefact(self, kind: ArtefactKind) -> Artefact | None:
        return next((a for a in self.artefacts if a.kind == kind), None)


@dataclass(frozen=True)
class Report:
    """A finding about a version, appended and never changed. `kind` is e.g. `evaluation`, `parity`."""

    id: str
    version_id: str
    kind: str
    report: dict[str, Any]
    created_at: float


@dataclass(frozen=True)
class Share:
    """Permission for `project_id` to use another project's version."""

    id: str
    version_id: str
    project_id: str
    created_at: float


@dataclass(frozen=True)
class Alias:
    """A project's own name for a base model or a version."""

    project_id: str
    name: str
    target: str
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class AliasChange:
    """One move of a name; `target` is None when the name was deleted, `previous` when it was new."""

    id: str
    name: str
    previous: str | None
    target: str | None
    principal: str
    created_at: float


@dataclass(frozen=True)
class Resolved:
    """What a public name means to a project. `base_id` equals `id` for a base model."""

    kind: ModelKind
    id: str
    base_id: str


@dataclass(frozen=True)
class PublicModel:
    """One line of the gateway's snapshot: in `project_id`, `name` means the model `id`.
    `name == id` unless the name is an alias."""

    project_id: str
    name: str
    kind: ModelKind
    id: str
    base_id: str


@dataclass(frozen=True)
class ListedModel:
    """One entry of GET /v1/models: a base, a version of the project's own, a shared one, or a name."""

    name: str
    resolved: Resolved
    created_at: float
    owned_by: str
    shutdown_date: str | None = None
    capabilities: frozenset[str] = field(default_factory=frozenset)
    context_tokens: int | None = None
    licence: str | None = None


def version_id(draft: VersionDraft) -> str:
    """A fresh public id. Parts that are not URL-safe ASCII are reduced to it."""
    parts = (_slug(draft.base_id), _slug(draft.organization) or "org", _slug(draft.suffix))
    identifier = "ft:" + ":".join(parts) + ":" + new_id("")[-8:]
    return identifier if draft.checkpoint_step is None else f"{identifier}:ckpt-step-{draft.checkpoint_step}"


def check_alias_name(name: str) -> None:
    """Raises `BadModelName`."""
    if not _NAME.fullmatch(name):
        raise BadModelName(name=name[:80], param="name")


def _slug(text: str) -> str:
    return _NOT_SLUG.sub("-", text).strip("-")[:64]
