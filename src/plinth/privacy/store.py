"""The table of policies. Private to the slice."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Float, Row, String, Table, delete, insert, select, update

from plinth.kit.db import Session, metadata
from plinth.privacy.model import Policy, StoredPolicy

policies = Table(
    "privacy_policies",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("definition", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)


def policy(session: Session, project_id: str, name: str) -> StoredPolicy | None:
    row = session.execute(
        select(policies).where(policies.c.project_id == project_id, policies.c.name == name)
    ).one_or_none()
    return _stored(row) if row else None


def policies_of(session: Session, project_id: str) -> list[StoredPolicy]:
    rows = session.execute(select(policies).where(policies.c.project_id == project_id).order_by(policies.c.name))
    return [_stored(row) for row in rows]


def all_policies(session: Session) -> list[StoredPolicy]:
    return [_stored(row) for row in session.execute(select(policies))]


def put_policy(session: Session, stored: StoredPolicy) -> None:
    key = (policies.c.project_id == stored.project_id, policies.c.name == stored.policy.name)
    definition = stored.policy.definition()
    changed = session.execute(update(policies).where(*key).values(definition=definition, updated_at=stored.updated_at))
    if not changed.rowcount:  # type: ignore[attr-defined]
        session.execute(
            insert(policies).values(
                project_id=stored.project_id,
                name=stored.policy.name,
                definition=definition,
                created_at=stored.created_at,
                updated_at=stored.updated_at,
            )
        )


def delete_policy(session: Session, project_id: str, name: str) -> None:
    session.execute(delete(policies).where(policies.c.project_id == project_id, policies.c.name == name))


def _stored(row: Row[Any]) -> StoredPolicy:
    return StoredPolicy(
        row.project_id, Policy.from_definition(row.name, row.definition), row.created_at, row.updated_at
    )
