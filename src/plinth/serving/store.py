"""Tables and queries of serving. Private to the slice."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    Integer,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    select,
    update,
)

from plinth.kit.db import Session, metadata
from plinth.serving.model import Deployment, DeploymentStatus, EngineProcess, Failures, ProcessState

deployments = Table(
    "deployments",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("model_id", String(255), nullable=False, index=True),
    Column("base_id", String(255), nullable=False),
    Column("group", String(255), nullable=False, index=True),
    Column("engine", String(64), nullable=False),
    Column("context_tokens", Integer, nullable=True),
    Column("slots", Integer, nullable=True),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=True),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("project_id", "model_id"),
)
processes = Table(
    "engine_processes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("group", String(255), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("wish_hash", String(64), nullable=False),
    Column("engine", String(64), nullable=False),
    Column("pid", Integer, nullable=True),
    Column("started", BigInteger, nullable=True),
    Column("socket_path", String(255), nullable=False),
    Column("key", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("adapters", JSON, nullable=False),
    Column("capabilities", JSON, nullable=False),
    Column("context_tokens", Integer, nullable=False),
    Column("state_since", Float, nullable=False),
    Column("reason", Text, nullable=True),
    UniqueConstraint("group", "generation"),
)
groups = Table(
    "engine_groups",
    metadata,
    Column("group", String(255), primary_key=True),
    Column("wish_hash", String(64), nullable=False),
    Column("times", JSON, nullable=False),
    Column("reason", Text, nullable=True),
    Column("proven", JSON, nullable=False),
)


def insert_deployment(session: Session, deployment: Deployment) -> None:
    session.execute(insert(deployments).values(**vars(deployment)))


def update_deployment(session: Session, id: str, **values: Any) -> None:
    session.execute(update(deployments).where(deployments.c.id == id).values(**values))


def deployment(session: Session, project_id: str, id: str) -> Deployment | None:
    query = select(deployments).where(deployments.c.id == id, deployments.c.project_id == project_id)
    row = session.execute(query).one_or_none()
    return _deployment(row) if row else None


def deployment_of(session: Session, project_id: str, model_id: str) -> Deployment | None:
    query = select(deployments).where(deployments.c.project_id == project_id, deployments.c.model_id == model_id)
    row = session.execute(query).one_or_none()
    return _deployment(row) if row else None


def deployments_in(session: Session, project_id: str, after: str | None, limit: int) -> list[Deployment]:
    query = select(deployments).where(deployments.c.project_id == project_id)
    if after is not None:
        query = query.where(deployments.c.id > after)
    return [_deployment(row) for row in session.execute(query.order_by(deployments.c.id).limit(limit))]


def deployments_of_model(session: Session, model_id: str) -> list[Deployment]:
    query = select(deployments).where(deployments.c.model_id == model_id).order_by(deployments.c.id)
    return [_deployment(row) for row in session.execute(query)]


def all_deployments(session: Session) -> list[Deployment]:
    return [_deployment(row) for row in session.execute(select(deployments).order_by(deployments.c.id))]


def open_processes(session: Session) -> list[EngineProcess]:
    """Every process that is not known to have stopped, oldest first."""
    query = select(processes).where(processes.c.state != ProcessState.stopped).order_by(processes.c.generation)
    return [_process(row) for row in session.execute(query)]


def next_generation(session: Session, group: str) -> int:
    query = select(func.coalesce(func.max(processes.c.generation), 0)).where(processes.c.group == group)
    return int(session.execute(query).scalar_one()) + 1


def insert_process(session: Session, process: EngineProcess) -> None:
    lists = {"adapters": list(process.adapters), "capabilities": sorted(process.capabilities)}
    session.execute(insert(processes).values(**{**vars(process), **lists}))


def update_process(session: Session, id: str, **values: Any) -> None:
    session.execute(update(processes).where(processes.c.id == id).values(**values))


def failures(session: Session, group: str) -> Failures | None:
    row = session.execute(select(groups).where(groups.c.group == group)).one_or_none()
    return Failures(row.wish_hash, tuple(row.times), row.reason, tuple(row.proven)) if row else None


def put_failures(session: Session, group: str, entry: Failures) -> None:
    values = {**vars(entry), "times": list(entry.times), "proven": list(entry.proven)}
    changed = session.execute(update(groups).where(groups.c.group == group).values(**values))
    if not changed.rowcount:  # type: ignore[attr-defined]
        session.execute(insert(groups).values(group=group, **values))


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment(**{**row._mapping, "status": DeploymentStatus(row.status)})


def _process(row: Row[Any]) -> EngineProcess:
    converted = {
        "state": ProcessState(row.state),
        "adapters": tuple(row.adapters),
        "capabilities": frozenset(row.capabilities),
    }
    return EngineProcess(**{**row._mapping, **converted})
