"""The table of batches. Private to the sub-slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, Row, String, Table, func, insert, select, update

from plinth.gateway.batches.model import OPEN, Batch, BatchStatus, Counts, LineProblem
from plinth.kit.db import Session, metadata

batches = Table(
    "batches",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("endpoint", String(64), nullable=False),
    Column("input_file_id", String(64), nullable=False),
    Column("input_digest", String(64), nullable=False, index=True),
    Column("completion_window", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("metadata", JSON, nullable=True),
    Column("output_seconds", Integer, nullable=True),
    Column("model", String(256), nullable=True),
    Column("problems", JSON, nullable=False),
    Column("output_file_id", String(64), nullable=True),
    Column("error_file_id", String(64), nullable=True),
    Column("started_at", Float, nullable=True),
    *(Column(f"{status}_at", Float, nullable=True) for status in BatchStatus if status != "validating"),
    Column("total", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    *(Column(f"{kind}_tokens", BigInteger, nullable=False) for kind in ("input", "cached", "output", "reasoning")),
    Index("ix_batches_project_id_id", "project_id", "id"),
)

_COUNTS = tuple(Counts.__dataclass_fields__)
_PLAIN = tuple(name for name in Batch.__dataclass_fields__ if name not in ("counts", "problems", "status"))


def insert_batch(session: Session, batch: Batch) -> None:
    values = {name: getattr(batch, name) for name in _PLAIN}
    problems = [asdict(problem) for problem in batch.problems]
    session.execute(insert(batches).values(**values, status=batch.status, problems=problems, **asdict(batch.counts)))


def batch_by_id(session: Session, batch_id: str, project_id: str | None = None) -> Batch | None:
    query = select(batches).where(batches.c.id == batch_id)
    if project_id is not None:
        query = query.where(batches.c.project_id == project_id)
    row = session.execute(query).one_or_none()
    return _batch(row) if row else None


def batches_of(session: Session, project_id: str, after: str | None, limit: int) -> list[Batch]:
    """Newest first."""
    query = select(batches).where(batches.c.project_id == project_id)
    if after is not None:
        query = query.where(batches.c.id < after)
    return [_batch(row) for row in session.execute(query.order_by(batches.c.id.desc()).limit(limit))]


def count_open(session: Session, project_id: str) -> int:
    query = select(func.count()).where(batches.c.project_id == project_id, batches.c.status.in_(OPEN))
    return int(session.execute(query).scalar_one())


def move(session: Session, batch_id: str, origins: Sequence[BatchStatus], status: BatchStatus, **values: Any) -> bool:
    """Change the status if it is one of `origins`; says whether it was."""
    query = update(batches).where(batches.c.id == batch_id, batches.c.status.in_(origins))
    return bool(session.execute(query.values(status=status, **values)).rowcount)  # type: ignore[attr-defined]


def cancel_unstarted(session: Session, batch_id: str, unix: float) -> bool:
    """Cancel at once what no worker has begun to ask."""
    query = update(batches).where(
        batches.c.id == batch_id,
        batches.c.status.in_((BatchStatus.validating, BatchStatus.in_progress)),
        batches.c.started_at.is_(None),
    )
    values = {"status": BatchStatus.cancelled, "cancelling_at": unix, "cancelled_at": unix}
    return bool(session.execute(query.values(values)).rowcount)  # type: ignore[attr-defined]


def start(session: Session, batch_id: str, unix: float) -> None:
    session.execute(
        update(batches)
        .where(batches.c.id == batch_id, batches.c.status == BatchStatus.in_progress, batches.c.started_at.is_(None))
        .values(started_at=unix)
    )


def set_counts(session: Session, batch_id: str, counts: Counts) -> None:
    session.execute(update(batches).where(batches.c.id == batch_id).values(**asdict(counts)))


def is_input_of_open(session: Session, digest: str) -> bool:
    query = select(batches.c.id).where(batches.c.input_digest == digest, batches.c.status.in_(OPEN))
    return session.execute(query.limit(1)).first() is not None


def open_ids(session: Session, batch_ids: Sequence[str]) -> set[str]:
    query = select(batches.c.id).where(batches.c.id.in_(batch_ids), batches.c.status.in_(OPEN))
    return set(session.execute(query).scalars())


def problems_as_rows(problems: Sequence[LineProblem]) -> list[dict[str, Any]]:
    return [asdict(problem) for problem in problems]


def _batch(row: Row[Any]) -> Batch:
    found = row._mapping
    return Batch(
        **{name: found[name] for name in _PLAIN},
        status=BatchStatus(found["status"]),
        problems=tuple(LineProblem(**problem) for problem in found["problems"]),
        counts=Counts(**{name: found[name] for name in _COUNTS}),
    )
