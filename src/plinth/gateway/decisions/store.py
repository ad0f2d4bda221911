"""The tables of calibrations. Private to the sub-slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import (
    Row as SqlRow,
)

from plinth.gateway.decisions.model import Calibration, Kind, Method, Reading, Row, Status, Tokens
from plinth.kit.db import Session, metadata

calibrations = Table(
    "decision_calibrations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("model", String(256), nullable=False),
    Column("version", Integer, nullable=False),
    Column("target", String(512), nullable=False),
    Column("name", String(256), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("method", String(16), nullable=False),
    Column("questions", JSON, nullable=False),
    Column("fingerprints", JSON, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("held_out_share", Float, nullable=False),
    Column("source", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("finished_at", Float, nullable=True),
    Column("fitted", Integer, nullable=False),
    Column("held_out", Integer, nullable=False),
    Column("mapping", JSON, nullable=True),
    Column("report", JSON, nullable=True),
    Column("problem", JSON, nullable=True),
    UniqueConstraint("project_id", "model", "version"),
    Index("ix_decision_calibrations_project_id_id", "project_id", "id"),
)
rows = Table(
    "decision_calibration_rows",
    metadata,
    Column("calibration_id", ForeignKey("decision_calibrations.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("question", Integer, nullable=False),
    Column("answer", Integer, nullable=False),
    Column("held_out", Boolean, nullable=False),
    # removed when the calibration is final: the numbers are evidence, the texts are somebody's
    Column("input", Text, nullable=True),
    Column("probabilities", JSON, nullable=True),
    Column("mass", Float, nullable=True),
)
defaults = Table(
    "decision_calibration_defaults",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("model", String(256), primary_key=True),
    Column("calibration_id", ForeignKey("decision_calibrations.id"), nullable=False),
)
_FIELDS = tuple(Calibration.__dataclass_fields__)
INSERTED_AT_ONCE = 500


def add(session: Session, calibration: Calibration, given: Sequence[Row]) -> None:
    session.execute(insert(calibrations).values(**{name: getattr(calibration, name) for name in _FIELDS}))
    for start in range(0, len(given), INSERTED_AT_ONCE):
        values = [
            {
                "calibration_id": calibration.id,
                "position": row.position,
                "question": row.question,
                "answer": row.answer,
                "held_out": row.held_out,
                "input": row.input,
            }
            for row in given[start : start + INSERTED_AT_ONCE]
        ]
        session.execute(insert(rows), values)


def next_version(session: Session, project_id: str, model: str) -> int:
    query = select(func.max(calibrations.c.version)).where(*_of(project_id, model))
    return (session.execute(query).scalar_one() or 0) + 1


def count_open(session: Session, project_id: str) -> int:
    query = select(func.count()).select_from(calibrations)
    open_states = [status for status in Status if not status.is_final]
    query = query.where(calibrations.c.project_id == project_id, calibrations.c.status.in_(open_states))
    return session.execute(query).scalar_one()


def by_id(session: Session, id: str, project_id: str | None = None) -> Calibration | None:
    query = select(calibrations).where(calibrations.c.id == id)
    if project_id is not None:
        query = query.where(calibrations.c.project_id == project_id)
    found = session.execute(query).one_or_none()
    return _calibration(found) if found else None


def page(session: Session, project_id: str, model: str | None, after: str | None, limit: int) -> list[Calibration]:
    """Newest first, from behind the id `after`."""
    query = select(calibrations).where(calibrations.c.project_id == project_id)
    if model is not None:
        query = query.where(calibrations.c.model == model)
    if after is not None:
        query = query.where(calibrations.c.id < after)
    return [_calibration(row) for row in session.execute(query.order_by(calibrations.c.id.desc()).limit(limit))]


def start(session: Session, id: str) -> None:
    waiting = calibrations.c.status == Status.queued
    session.execute(update(calibrations).where(calibrations.c.id == id, waiting).values(status=Status.running))


def finish(session: Session, id: str, values: dict[str, Any]) -> bool:
    """Give it its end once, and remove the texts; False when it had one already."""
    unfinished = calibrations.c.status.in_([status for status in Status if not status.is_final])
    done = session.execute(update(calibrations).where(calibrations.c.id == id, unfinished).values(**values))
    if not done.rowcount:  # type: ignore[attr-defined]
        return False
    session.execute(update(rows).where(rows.c.calibration_id == id).values(input=None))
    return True


def rows_between(session: Session, id: str, first: int, end: int) -> list[Row]:
    query = select(rows).where(rows.c.calibration_id == id, rows.c.position >= first, rows.c.position < end)
    return [_row(found) for found in session.execute(query.order_by(rows.c.position))]


def keep(session: Session, id: str, readings: dict[int, Reading]) -> None:
    for position, reading in readings.items():
        query = update(rows).where(rows.c.calibration_id == id, rows.c.position == position)
        session.execute(query.values(probabilities=list(reading.probabilities), mass=reading.mass))


def default_id(session: Session, project_id: str, model: str) -> str | None:
    query = select(defaults.c.calibration_id).where(defaults.c.project_id == project_id, defaults.c.model == model)
    return session.execute(query).scalar_one_or_none()


def default_ids(session: Session, project_id: str) -> set[str]:
    query = select(defaults.c.calibration_id).where(defaults.c.project_id == project_id)
    return set(session.execute(query).scalars())


def set_default(session: Session, calibration: Calibration) -> None:
    remove_default(session, calibration.project_id, calibration.model)
    values = {"project_id": calibration.project_id, "model": calibration.model, "calibration_id": calibration.id}
    session.execute(insert(defaults).values(**values))


def remove_default(session: Session, project_id: str, model: str) -> None:
    session.execute(delete(defaults).where(defaults.c.project_id == project_id, defaults.c.model == model))


def _of(project_id: str, model: str) -> tuple[Any, Any]:
    return calibrations.c.project_id == project_id, calibrations.c.model == model


def _calibration(row: SqlRow[Any]) -> Calibration:
    values = {name: row._mapping[name] for name in _FIELDS}
    kinds = {"kind": Kind(row.kind), "method": Method(row.method), "status": Status(row.status)}
    return Calibration(**{**values, **kinds})


def _row(row: SqlRow[Any]) -> Row:
    reading = None if row.probabilities is None else Reading(tuple(row.probabilities), row.mass, Tokens())
    return Row(row.position, row.question, row.answer, row.held_out, row.input, reading)
