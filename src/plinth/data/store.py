"""Tables and queries of files, uploads, datasets and the blobs they refer to. Private to the slice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Integer,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from plinth.data.model import (
    Dataset,
    DatasetVersion,
    Edge,
    File,
    FileQuery,
    Kind,
    Layout,
    Part,
    SplitRule,
    Upload,
    UploadStatus,
)
from plinth.kit.db import Session, metadata

files = Table(
    "data_files",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("filename", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=True, index=True),
)
uploads = Table(
    "data_uploads",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("filename", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("mime_type", String(255), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
    Column("file_seconds", Integer, nullable=True),
    Column("part_ids", JSON, nullable=False),
    Column("file_id", String(64), nullable=True),
)
parts = Table(
    "data_upload_parts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("upload_id", String(64), ForeignKey(uploads.c.id), nullable=False, index=True),
    Column("bytes", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
)
datasets = Table(
    "data_datasets",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("project_id", "name"),
)
versions = Table(
    "data_dataset_versions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("dataset_id", String(64), ForeignKey(datasets.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("bytes", BigInteger, nullable=False),
    Column("layout", JSON, nullable=False),
    Column("splits", JSON, nullable=False),
    Column("statistics", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("dataset_id", "number"),
)
edges = Table(
    "data_lineage",
    metadata,
    Column("child_id", String(64), ForeignKey(versions.c.id), primary_key=True),
    Column("parent_kind", String(16), primary_key=True),
    Column("parent_id", String(64), primary_key=True, index=True),
    Column("project_id", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
)
candidates = Table(
    "data_blob_candidates",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("digest", String(64), nullable=False, index=True),
    Column("not_before", Float, nullable=False, index=True),
)


# --- files


def add_file(session: Session, file: File) -> None:
    session.execute(insert(files).values(**asdict(file)))


def file_by_id(session: Session, project_id: str, file_id: str, now: float) -> File | None:
    found = session.execute(
        select(files).where(files.c.project_id == project_id, files.c.id == file_id, _alive(now))
    ).one_or_none()
    return _file(found) if found else None


def list_files(session: Session, project_id: str, now: float, query: FileQuery) -> list[File]:
    """One more than `query.limit`, when there are more."""
    found = select(files).where(files.c.project_id == project_id, _alive(now)).limit(query.limit + 1)
    if query.purpose is not None:
        found = found.where(files.c.purpose == query.purpose)
    if query.after is not None:
        found = found.where(files.c.id > query.after if query.ascending else files.c.id < query.after)
    found = found.order_by(files.c.id.asc() if query.ascending else files.c.id.desc())
    return [_file(row) for row in session.execute(found)]


def expired_files(session: Session, now: float, limit: int) -> list[File]:
    rows = session.execute(select(files).where(files.c.expires_at <= now).order_by(files.c.expires_at).limit(limit))
    return [_file(row) for row in rows]


def remove_file(session: Session, file_id: str) -> None:
    session.execute(delete(files).where(files.c.id == file_id))


def _alive(now: float) -> Any:
    return or_(files.c.expires_at.is_(None), files.c.expires_at > now)


def _file(row: Row[Any]) -> File:
    return File(**row._mapping)


# --- uploads


def add_upload(session: Session, upload: Upload) -> None:
    session.execute(insert(uploads).values(**asdict(upload) | {"part_ids": list(upload.part_ids)}))


def upload_by_id(session: Session, project_id: str, upload_id: str, *, lock: bool = False) -> Upload | None:
    query = select(uploads).where(uploads.c.project_id == project_id, uploads.c.id == upload_id)
    found = session.execute(query.with_for_update() if lock else query).one_or_none()
    return _upload(found) if found else None


def overdue_uploads(session: Session, now: float, limit: int) -> list[Upload]:
    query = select(uploads).where(uploads.c.status == UploadStatus.pending, uploads.c.expires_at <= now)
    return [_upload(row) for row in session.execute(query.order_by(uploads.c.expires_at).limit(limit))]


def close_upload(
    session: Session, upload_id: str, status: UploadStatus, part_ids: Sequence[str] = (), file_id: str | None = None
) -> None:
    session.execute(
        update(uploads).where(uploads.c.id == upload_id).values(status=status, part_ids=list(part_ids), file_id=file_id)
    )


def add_part(session: Session, part: Part, project_id: str) -> None:
    session.execute(insert(parts).values(**asdict(part), project_id=project_id))


def parts_of(session: Session, upload_id: str, after: str | None = None, limit: int | None = None) -> list[Part]:
    query = select(parts).where(parts.c.upload_id == upload_id).order_by(parts.c.id).limit(limit)
    if after is not None:
        query = query.where(parts.c.id > after)
    return [Part(row.id, row.upload_id, row.bytes, row.digest, row.created_at) for row in session.execute(query)]


def part_totals(session: Session, upload_id: str) -> tuple[int, int]:
    """How many parts an upload has, and their bytes together."""
    row = session.execute(
        select(func.count(), func.coalesce(func.sum(parts.c.bytes), 0)).where(parts.c.upload_id == upload_id)
    ).one()
    return int(row[0]), int(row[1])


def remove_parts(session: Session, upload_id: str) -> None:
    session.execute(delete(parts).where(parts.c.upload_id == upload_id))


def _upload(row: Row[Any]) -> Upload:
    values = dict(row._mapping)
    return Upload(**values | {"status": UploadStatus(values["status"]), "part_ids": tuple(values["part_ids"])})


# --- datasets


def add_dataset(session: Session, dataset_id: str, project_id: str, name: str, now: float) -> None:
    session.execute(insert(datasets).values(id=dataset_id, project_id=project_id, name=name, created_at=now))


def dataset_by_name(session: Session, project_id: str, name: str) -> Dataset | None:
    found = session.execute(
        _datasets().where(datasets.c.project_id == project_id, datasets.c.name == name)
    ).one_or_none()
    return Dataset(**found._mapping) if found else None


def list_datasets(session: Session, project_id: str, after: str | None, limit: int) -> list[Dataset]:
    query = _datasets().where(datasets.c.project_id == project_id).order_by(datasets.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(datasets.c.id < after)
    return [Dataset(**row._mapping) for row in session.execute(query)]


def _datasets() -> Any:
    latest = (
        select(func.coalesce(func.max(versions.c.number), 0))
        .where(versions.c.dataset_id == datasets.c.id)
        .scalar_subquery()
    )
    return select(datasets, latest.label("latest"))


def add_version(session: Session, version: DatasetVersion, dataset_id: str) -> None:
    session.execute(
        insert(versions).values(
            id=version.id,
            project_id=version.project_id,
            dataset_id=dataset_id,
            number=version.number,
            content_hash=version.content_hash,
            digest=version.digest,
            bytes=version.bytes,
            layout=asdict(version.layout),
            splits={"shares": dict(version.splits.shares), "seed": version.splits.seed},
            statistics=version.statistics,
            created_at=version.created_at,
        )
    )


def version_by_id(session: Session, project_id: str, version_id: str) -> DatasetVersion | None:
    found = session.execute(
        _versions().where(versions.c.project_id == project_id, versions.c.id == version_id)
    ).one_or_none()
    return _version(found) if found else None


def version_by_content(session: Session, dataset_id: str, content_hash: str) -> DatasetVersion | None:
    query = _versions().where(versions.c.dataset_id == dataset_id, versions.c.content_hash == content_hash)
    found = session.execute(query.order_by(versions.c.number).limit(1)).one_or_none()
    return _version(found) if found else None


def list_versions(session: Session, dataset_id: str, after: str | None, limit: int) -> list[DatasetVersion]:
    query = _versions().where(versions.c.dataset_id == dataset_id).order_by(versions.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(versions.c.id < after)
    return [_version(row) for row in session.execute(query)]


def add_edge(session: Session, project_id: str, child_id: str, parent: Edge, now: float) -> None:
    """Remember where a version came from; saying it twice changes nothing."""
    if parent not in parents_of(session, child_id):
        session.execute(
            insert(edges).values(
                child_id=child_id, parent_kind=parent.kind, parent_id=parent.id, project_id=project_id, created_at=now
            )
        )


def parents_of(session: Session, version_id: str) -> list[Edge]:
    query = select(edges).where(edges.c.child_id == version_id).order_by(edges.c.created_at, edges.c.parent_id)
    return [Edge(row.parent_kind, row.parent_id) for row in session.execute(query)]


def children_of(session: Session, parent: Edge, project_id: str) -> list[str]:
    query = select(edges.c.child_id).where(
        edges.c.parent_id == parent.id, edges.c.parent_kind == parent.kind, edges.c.project_id == project_id
    )
    return list(session.execute(query.order_by(edges.c.child_id)).scalars())


def _versions() -> Any:
    return select(versions, datasets.c.name.label("dataset")).join(datasets, datasets.c.id == versions.c.dataset_id)


def _version(row: Row[Any]) -> DatasetVersion:
    layout = dict(row.layout)
    return DatasetVersion(
        id=row.id,
        project_id=row.project_id,
        dataset=row.dataset,
        number=row.number,
        content_hash=row.content_hash,
        digest=row.digest,
        bytes=row.bytes,
        layout=Layout(**layout | {"kind": Kind(layout["kind"]), "columns": tuple(layout["columns"])}),
        splits=SplitRule(row.splits["shares"], row.splits["seed"]),
        statistics=row.statistics,
        created_at=row.created_at,
    )


# --- blobs


def serialise(session: Session, key: str) -> None:
    """Wait until no other transaction holds `key`. SQLite's writers are alone anyway."""
    if session.get_bind().dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], signed=True)
        session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def is_referred_to(session: Session, digest: str) -> bool:
    return any(
        session.execute(select(exists().where(table.c.digest == digest))).scalar_one()
        for table in (files, parts, versions)
    )


def nominate(session: Session, candidate_id: str, digest: str, not_before: float) -> None:
    """From `not_before` on a sweep looks whether the blob is still referred to."""
    session.execute(insert(candidates).values(id=candidate_id, digest=digest, not_before=not_before))


def due_digests(session: Session, now: float, limit: int) -> list[str]:
    """In the order of their digests, so that two sweeps lock them in the same order."""
    query = select(candidates.c.digest).where(candidates.c.not_before <= now).distinct()
    return list(session.execute(query.order_by(candidates.c.digest).limit(limit)).scalars())


def is_reserved(session: Session, digest: str, now: float) -> bool:
    query = select(exists().where(candidates.c.digest == digest, candidates.c.not_before > now))
    return bool(session.execute(query).scalar_one())


def drop_due_candidates(session: Session, digest: str, now: float) -> None:
    session.execute(delete(candidates).where(candidates.c.digest == digest, candidates.c.not_before <= now))


def drop_candidate(session: Session, candidate_id: str) -> None:
    session.execute(delete(candidates).where(candidates.c.id == candidate_id))
