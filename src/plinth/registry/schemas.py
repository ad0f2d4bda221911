"""Wire types of models, versions and names."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from plinth.kit.http import Wire
from plinth.registry.model import Alias, AliasChange, ListedModel, ModelVersion, Report


class ModelObject(Wire):
    """OpenAI's model object; the fields after `shutdown_date` are Plinth's own."""

    id: str
    object: str = "model"
    created: int
    owned_by: str
    shutdown_date: str | None = None
    kind: str = Field(description="`base` or `version`")
    target: str = Field(description="the model that the name means; equals `id` unless the name is an alias")
    base: str
    capabilities: list[str]
    context_tokens: int | None = None
    licence: str | None = None
    reports: list[ReportObject] | None = Field(default=None, description="only when one version is retrieved")

    @classmethod
    def of(cls, model: ListedModel, reports: list[Report] | None = None) -> ModelObject:
        return cls(
            id=model.name,
            created=int(model.created_at),
            owned_by=model.owned_by,
            shutdown_date=model.shutdown_date,
            kind=model.resolved.kind,
            target=model.resolved.id,
            base=model.resolved.base_id,
            capabilities=sorted(model.capabilities),
            context_tokens=model.context_tokens,
            licence=model.licence,
            reports=None if reports is None else [ReportObject.of(report) for report in reports],
        )


class ReportObject(Wire):
    id: str
    object: str = "model.report"
    kind: str
    created_at: int
    report: dict[str, Any]

    @classmethod
    def of(cls, report: Report) -> ReportObject:
        return cls(id=report.id, kind=report.kind, created_at=int(report.created_at), report=report.report)


class FileObject(Wire):
    path: str
    sha256: str
    bytes: int


class ArtefactObject(Wire):
    kind: str
    files: list[FileObject]


class VersionObject(Wire):
    """A version with its lineage: what it was made from, by which job, recipe and code."""

    id: str
    object: str = "model.version"
    project_id: str
    base: str
    parent: str | None
    dataset_version_id: str | None
    job_id: str | None
    checkpoint_step: int | None
    recipe: dict[str, Any]
    code_version: str
    created_at: int
    deleted_at: int | None
    artefacts: list[ArtefactObject]
    reports: list[ReportObject] | None = None

    @classmethod
    def of(cls, version: ModelVersion, reports: list[Report] | None = None) -> VersionObject:
        return cls(
            id=version.id,
            project_id=version.project_id,
            base=version.base_id,
            parent=version.parent_id,
            dataset_version_id=version.dataset_version_id,
            job_id=version.job_id,
            checkpoint_step=version.checkpoint_step,
            recipe=version.recipe,
            code_version=version.code_version,
            created_at=int(version.created_at),
            deleted_at=None if version.deleted_at is None else int(version.deleted_at),
            artefacts=[
                ArtefactObject(
                    kind=a.kind, files=[FileObject(path=f.path, sha256=f.digest, bytes=f.size) for f in a.files]
                )
                for a in version.artefacts
            ],
            reports=None if reports is None else [ReportObject.of(report) for report in reports],
        )


class AliasTarget(Wire):
    target: str = Field(min_length=1, max_length=255, description="a base model, a version, or another name")


class AliasRollback(Wire):
    to: str | None = Field(default=None, max_length=64, description="a change's id; default: undo the last one")


class AliasObject(Wire):
    id: str
    object: str = "model.alias"
    name: str
    target: str
    created_at: int
    updated_at: int

    @classmethod
    def of(cls, alias: Alias) -> AliasObject:
        return cls(
            id=alias.name,
            name=alias.name,
            target=alias.target,
            created_at=int(alias.created_at),
            updated_at=int(alias.updated_at),
        )


class AliasChangeObject(Wire):
    id: str
    object: str = "model.alias.change"
    name: str
    previous: str | None
    target: str | None
    changed_by: str
    created_at: int

    @classmethod
    def of(cls, change: AliasChange) -> AliasChangeObject:
        return cls(
            id=change.id,
            name=change.name,
            previous=change.previous,
            target=change.target,
            changed_by=change.principal,
            created_at=int(change.created_at),
        )
