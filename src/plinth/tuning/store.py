"""Tables and queries of tuning. Private to the slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    exists,
    insert,
    select,
    update,
)

from plinth.kit.db import Session, metadata
from plinth.tuning.model import ENDED, Checkpoint, Cost, Job, JobEvent, JobStatus, Recipe

_ID = 64

jobs = Table(
    "tuning_jobs",
    metadata,
    Column("id", String(_ID), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("organization_id", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("status", String(32), nullable=False, index=True),
    Column("model", String(255), nullable=False),
    Column("base_id", String(255), nullable=False),
    Column("training_file", String(_ID), nullable=False),
    Column("validation_file", String(_ID), nullable=True),
    Column("dataset_version_id", String(_ID), nullable=False),
    Column("validation_version_id", String(_ID), nullable=True),
    Column("rows", Integer, nullable=False),
    Column("suffix", String(64), nullable=True),
    Column("seed", BigInteger, nullable=False),
    Column("recipe", JSON, nullable=False),
    Column("metadata", JSON, nullable=True),
    Column("attempt", Integer, nullable=False),
    # machine time per start of the trainer: {"1": [wall seconds, CPU seconds], …}
    Column("usage", JSON, nullable=False),
    Column("cost", JSON, nullable=False),
    Column("progress", JSON, nullable=True),
    Column("eta_low", Float, nullable=True),
    Column("eta_high", Float, nullable=True),
    Column("estimated_finish", Float, nullable=True),
    Column("started_at", Float, nullable=True),
    Column("finished_at", Float, nullable=True),
    Column("error", JSON, nullable=True),
    Column("fine_tuned_model", String(255), nullable=True),
    Column("trained_tokens", BigInteger, nullable=True),
    Column("result_files", JSON, nullable=False),
    # how far `progress.jsonl` of the run folder has been read, in bytes
    Column("read_offset", BigInteger, nullable=False, default=0),
)
job_metadata = Table(
    "tuning_job_metadata",
    metadata,
    Column("job_id", String(_ID), ForeignKey("tuning_jobs.id"), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("value", String(512), nullable=False),
    Index("ix_tuning_job_metadata_pair", "key", "value"),
)
job_events = Table(
    "tuning_job_events",
    metadata,
    Column("id", String(_ID), primary_key=True),
    Column("job_id", String(_ID), ForeignKey("tuning_jobs.id"), nullable=False),
    Column("key", String(120), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("level", String(8), nullable=False),
    Column("type", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("data", JSON, nullable=True),
    UniqueConstraint("job_id", "key"),
)
checkpoints = Table(
    "tuning_checkpoints",
    metadata,
    Column("id", String(_ID), primary_key=True),
    Column("job_id", String(_ID), ForeignKey("tuning_jobs.id"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("version_id", String(255), nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("job_id", "step"),
)

_JOB_COLUMNS = tuple(name for name in Job.__dataclass_fields__)


def insert_job(session: Session, job: Job) -> None:
    values = {name: getattr(job, name) for name in _JOB_COLUMNS}
    session.execute(
        insert(jobs).values(
            **values | {"recipe": asdict(job.recipe), "cost": asdict(job.cost), "result_files": list(job.result_files)}
        )
    )
    if job.metadata:
        pairs = [{"job_id": job.id, "key": key, "value": value} for key, value in job.metadata.items()]
        session.execute(insert(job_metadata), pairs)


def job_by_id(session: Session, job_id: str, project_id: str | None = None) -> Job | None:
    query = select(jobs).where(jobs.c.id == job_id)
    if project_id is not None:
        query = query.where(jobs.c.project_id == project_id)
    row = session.execute(query).one_or_none()
    return _job(row) if row else None


def list_jobs(
    session: Session, project_id: str, after: str | None, limit: int, pairs: Mapping[str, str] | None
) -> list[Job]:
    """Newest first. `pairs` must all be in the job's metadata; None selects jobs without metadata."""
    query = select(jobs).where(jobs.c.project_id == project_id)
    if after is not None:
        query = query.where(jobs.c.id < after)
    belongs = job_metadata.c.job_id == jobs.c.id
    if pairs is None:
        query = query.where(~exists().where(belongs))
    else:
        for key, value in pairs.items():
            query = query.where(exists().where(belongs, job_metadata.c.key == key, job_metadata.c.value == value))
    return [_job(row) for row in session.execute(query.order_by(jobs.c.id.desc()).limit(limit))]


def change_job(session: Session, job_id: str, statuses: Iterable[JobStatus] | None = None, **values: Any) -> bool:
    """Write columns if the job is (still) in one of `statuses`; says whether it was."""
    query = update(jobs).where(jobs.c.id == job_id)
    if statuses is not None:
        query = query.where(jobs.c.status.in_(list(statuses)))
    return bool(session.execute(query.values(**values)).rowcount)  # type: ignore[attr-defined]


def read_offset(session: Session, job_id: str) -> int:
    """Locks the job's row, so that two readers of one progress file take turns."""
    return int(session.execute(select(jobs.c.read_offset).where(jobs.c.id == job_id).with_for_update()).scalar_one())


def ended_jobs(session: Session, job_ids: Iterable[str]) -> dict[str, JobStatus]:
    """Those of the ids that have ended, or that do not exist at all (as cancelled)."""
    wanted = list(job_ids)
    found = session.execute(select(jobs.c.id, jobs.c.status).where(jobs.c.id.in_(wanted)))
    known = {row.id: row.status for row in found}
    statuses = {job_id: JobStatus(known.get(job_id, JobStatus.cancelled)) for job_id in wanted}
    return {job_id: status for job_id, status in statuses.items() if status in ENDED}


def add_events(session: Session, events: Iterable[JobEvent]) -> int:
    """Record those whose (job, key) is new; returns how many were."""
    fresh: dict[str, JobEvent] = {}
    for event in events:
        fresh.setdefault(event.key, event)
    if not fresh:
        return 0
    job_id = next(iter(fresh.values())).job_id
    known = set(
        session.execute(
            select(job_events.c.key).where(job_events.c.job_id == job_id, job_events.c.key.in_(list(fresh)))
        ).scalars()
    )
    rows = [asdict(event) for key, event in fresh.items() if key not in known]
    if rows:
        session.execute(insert(job_events), rows)
    return len(rows)


def list_events(session: Session, job_id: str, after: str | None, limit: int) -> list[JobEvent]:
    """Newest first."""
    query = select(job_events).where(job_events.c.job_id == job_id)
    if after is not None:
        query = query.where(job_events.c.id < after)
    return [JobEvent(**row._mapping) for row in session.execute(query.order_by(job_events.c.id.desc()).limit(limit))]


def add_checkpoint(session: Session, checkpoint: Checkpoint) -> None:
    session.execute(
        delete(checkpoints).where(checkpoints.c.job_id == checkpoint.job_id, checkpoints.c.step == checkpoint.step)
    )
    session.execute(insert(checkpoints).values(**asdict(checkpoint)))


def list_checkpoints(session: Session, job_id: str, after: str | None, limit: int) -> list[Checkpoint]:
    """Newest first."""
    query = select(checkpoints).where(checkpoints.c.job_id == job_id)
    if after is not None:
        query = query.where(checkpoints.c.id < after)
    rows = session.execute(query.order_by(checkpoints.c.id.desc()).limit(limit))
    return [Checkpoint(**row._mapping) for row in rows]


def _job(row: Row[Any]) -> Job:
    values = {name: row._mapping[name] for name in _JOB_COLUMNS}
    return Job(
        **values
        | {
            "status": JobStatus(values["status"]),
            "recipe": Recipe.from_dict(values["recipe"]),
            "cost": Cost(**values["cost"]),
            "result_files": tuple(values["result_files"]),
        }
    )
