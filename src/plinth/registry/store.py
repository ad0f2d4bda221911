"""Tables and queries of the registry. Private to the slice."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Integer,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    cast,
    delete,
    insert,
    select,
    update,
)

from plinth.kit.db import Session, metadata
from plinth.registry.model import (
    Alias,
    AliasChange,
    Artefact,
    ArtefactFile,
    ArtefactKind,
    ModelVersion,
    Report,
    Share,
)

versions = Table(
    "model_versions",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("sequence_id", String(64), nullable=False, unique=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("base_id", String(255), nullable=False, index=True),
    Column("dataset_version_id", String(64), nullable=True),
    Column("recipe", JSON, nullable=False),
    Column("code_version", String(120), nullable=False),
    Column("job_id", String(64), nullable=True),
    Column("checkpoint_step", Integer, nullable=True),
    # makes registering idempotent; NULL for versions that no job made
    Column("origin", String(120), nullable=True, unique=True),
    Column("parent_id", String(255), nullable=True),
    Column("artefacts", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("deleted_at", Float, nullable=True),
)
reports = Table(
    "model_reports",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version_id", String(255), ForeignKey("model_versions.id"), nullable=False, index=True),
    Column("kind", String(64), nullable=False),
    Column("report", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
)
shares = Table(
    "model_shares",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version_id", String(255), ForeignKey("model_versions.id"), nullable=False),
    Column("project_id", String(64), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("version_id", "project_id"),
)
aliases = Table(
    "model_aliases",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("target", String(255), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)
alias_changes = Table(
    "model_alias_changes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("previous", String(255), nullable=True),
    Column("target", String(255), nullable=True),
    Column("principal", String(120), nullable=False),
    Column("created_at", Float, nullable=False),
)


def origin(job_id: str | None, checkpoint_step: int | None) -> str | None:
    return None if job_id is None else f"{job_id}:{'final' if checkpoint_step is None else checkpoint_step}"


def insert_version(session: Session, version: ModelVersion, sequence_id: str) -> None:
    values = {name: getattr(version, name) for name in _COLUMNS}
    session.execute(
        insert(versions).values(
            **values,
            sequence_id=sequence_id,
            origin=origin(version.job_id, version.checkpoint_step),
            artefacts=[asdict(a) for a in version.artefacts],
        )
    )


def version_by_origin(session: Session, key: str) -> ModelVersion | None:
    row = session.execute(select(versions).where(versions.c.origin == key)).one_or_none()
    return _version(row) if row else None


def version_by_id(session: Session, version_id: str) -> ModelVersion | None:
    row = session.execute(select(versions).where(versions.c.id == version_id)).one_or_none()
    return _version(row) if row else None


def versions_of(
    session: Session, project_id: str, after: str | None = None, limit: int | None = None
) -> list[ModelVersion]:
    """Live versions owned by the project, oldest first; `after` is a version id."""
    query = select(versions).where(versions.c.project_id == project_id, versions.c.deleted_at.is_(None))
    if after is not None:
        cursor = select(versions.c.sequence_id).where(versions.c.id == after).scalar_subquery()
        query = query.where(versions.c.sequence_id > cursor)
    query = query.order_by(versions.c.sequence_id)
    return [_version(row) for row in session.execute(query.limit(limit) if limit else query)]


def versions_shared_with(session: Session, project_id: str) -> list[ModelVersion]:
    query = (
        select(versions)
        .join(shares, shares.c.version_id == versions.c.id)
        .where(shares.c.project_id == project_id, versions.c.deleted_at.is_(None))
        .order_by(versions.c.sequence_id)
    )
    return [_version(row) for row in session.execute(query)]


def visible_versions(session: Session) -> list[tuple[str, str, str]]:
    """`(project_id, version id, base id)` for every live version and every project that may use it."""
    own = select(versions.c.project_id, versions.c.id, versions.c.base_id).where(versions.c.deleted_at.is_(None))
    shared = (
        select(shares.c.project_id, versions.c.id, versions.c.base_id)
        .join(versions, shares.c.version_id == versions.c.id)
        .where(versions.c.deleted_at.is_(None))
    )
    return [(r[0], r[1], r[2]) for query in (own, shared) for r in session.execute(query)]


def mark_deleted(session: Session, version_id: str, unix: float) -> None:
    session.execute(update(versions).where(versions.c.id == version_id).values(deleted_at=unix))


def insert_report(session: Session, report: Report) -> None:
    session.execute(insert(reports).values(**asdict(report)))


def reports_of(session: Session, version_id: str) -> list[Report]:
    rows = session.execute(select(reports).where(reports.c.version_id == version_id).order_by(reports.c.id))
    return [Report(**row._mapping) for row in rows]


def insert_share(session: Session, share: Share) -> None:
    session.execute(insert(shares).values(**asdict(share)))


def share_between(session: Session, version_id: str, project_id: str) -> Share | None:
    row = session.execute(
        select(shares).where(shares.c.version_id == version_id, shares.c.project_id == project_id)
    ).one_or_none()
    return Share(**row._mapping) if row else None


def shares_of(session: Session, version_id: str) -> list[Share]:
    rows = session.execute(select(shares).where(shares.c.version_id == version_id).order_by(shares.c.id))
    return [Share(**row._mapping) for row in rows]


def delete_share(session: Session, version_id: str, share_id: str) -> bool:
    result = session.execute(delete(shares).where(shares.c.id == share_id, shares.c.version_id == version_id))
    return bool(result.rowcount)  # type: ignore[attr-defined]


def alias(session: Session, project_id: str, name: str) -> Alias | None:
    row = session.execute(
        select(aliases).where(aliases.c.project_id == project_id, aliases.c.name == name)
    ).one_or_none()
    return Alias(**row._mapping) if row else None


def aliases_of(session: Session, project_id: str) -> list[Alias]:
    rows = session.execute(select(aliases).where(aliases.c.project_id == project_id).order_by(aliases.c.name))
    return [Alias(**row._mapping) for row in rows]


def all_aliases(session: Session) -> list[Alias]:
    return [Alias(**row._mapping) for row in session.execute(select(aliases))]


def alias_to(session: Session, target: str) -> Alias | None:
    """Some name, of any project, that points at `target`."""
    row = session.execute(select(aliases).where(aliases.c.target == target).limit(1)).one_or_none()
    return Alias(**row._mapping) if row else None


def put_alias(session: Session, entry: Alias) -> None:
    key = (aliases.c.project_id == entry.project_id, aliases.c.name == entry.name)
    changed = session.execute(update(aliases).where(*key).values(target=entry.target, updated_at=entry.updated_at))
    if not changed.rowcount:  # type: ignore[attr-defined]
        session.execute(insert(aliases).values(**asdict(entry)))


def delete_alias(session: Session, project_id: str, name: str) -> None:
    session.execute(delete(aliases).where(aliases.c.project_id == project_id, aliases.c.name == name))


def insert_change(session: Session, project_id: str, change: AliasChange) -> None:
    session.execute(insert(alias_changes).values(project_id=project_id, **asdict(change)))


def changes_of(session: Session, project_id: str, name: str) -> list[AliasChange]:
    """Newest first."""
    columns = [c for c in alias_changes.c if c.name != "project_id"]
    rows = session.execute(
        select(*columns)
        .where(alias_changes.c.project_id == project_id, alias_changes.c.name == name)
        .order_by(alias_changes.c.id.desc())
    )
    return [AliasChange(**row._mapping) for row in rows]


_COLUMNS = (
    "id",
    "project_id",
    "base_id",
    "dataset_version_id",
    "recipe",
    "code_version",
    "job_id",
    "checkpoint_step",
    "parent_id",
    "created_at",
    "deleted_at",
)


def _version(row: Row[Any]) -> ModelVersion:
    artefacts = tuple(
        Artefact(ArtefactKind(a["kind"]), tuple(ArtefactFile(**f) for f in a["files"])) for a in row.artefacts
    )
    return ModelVersion(**{name: getattr(row, name) for name in _COLUMNS}, artefacts=artefacts)


def refers_to(session: Session, digest: str) -> bool:
    """Whether a live version has a file with this digest."""
    found = select(versions.c.id).where(
        versions.c.deleted_at.is_(None), cast(versions.c.artefacts, Text).contains(digest, autoescape=True)
    )
    return session.execute(found.limit(1)).first() is not None
