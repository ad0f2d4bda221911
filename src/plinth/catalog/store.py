"""Base models that users added. Built-in ones are files, not rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Float,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from plinth.catalog.model import BaseModel, Scope, source_from_dict
from plinth.kit.db import Session, metadata

base_models = Table(
    "catalog_base_models",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("organization_id", String(64), nullable=False),
    # empty: the whole organization's
    Column("project_id", String(64), nullable=False, index=True),
    Column("created_by", String(80), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("sealed_key", Text, nullable=True),
)


def add(session: Session, base: BaseModel, owner: tuple[str, str, str], sealed_key: str | None) -> None:
    """Args: `owner` is (organization id, project id or "", principal)."""
    organization_id, project_id, principal = owner
    session.execute(
        insert(base_models).values(
            id=base.id,
            organization_id=organization_id,
            project_id=project_id,
            created_by=principal,
            created_at=float(base.created),
            facts=_facts(base),
            sealed_key=sealed_key,
        )
    )


def replace(session: Session, base: BaseModel) -> None:
    session.execute(update(base_models).where(base_models.c.id == base.id).values(facts=_facts(base)))


def set_key(session: Session, base_id: str, sealed_key: str) -> None:
    session.execute(update(base_models).where(base_models.c.id == base_id).values(sealed_key=sealed_key))


def remove(session: Session, base_id: str) -> None:
    session.execute(delete(base_models).where(base_models.c.id == base_id))


def one(session: Session, base_id: str) -> BaseModel | None:
    """Whoever it belongs to."""
    row = session.execute(select(base_models).where(base_models.c.id == base_id)).one_or_none()
    return _base(row) if row else None


def visible(session: Session, organization_id: str, project_id: str) -> list[BaseModel]:
    """The project's own and the organization's, oldest first."""
    rows = session.execute(
        select(base_models)
        .where(_seen_by(organization_id, project_id))
        .order_by(base_models.c.created_at, base_models.c.id)
    )
    return [_base(row) for row in rows]


def one_visible(session: Session, organization_id: str, project_id: str, base_id: str) -> BaseModel | None:
    row = session.execute(
        select(base_models).where(base_models.c.id == base_id, _seen_by(organization_id, project_id))
    ).one_or_none()
    return _base(row) if row else None


def owned(session: Session, organization_id: str, project_id: str, base_id: str) -> BaseModel | None:
    """Only if it belongs to exactly this project, or (project_id empty) to the organization."""
    row = session.execute(
        select(base_models).where(
            base_models.c.id == base_id,
            base_models.c.organization_id == organization_id,
            base_models.c.project_id == project_id,
        )
    ).one_or_none()
    return _base(row) if row else None


def count(session: Session, organization_id: str, project_id: str) -> int:
    statement = (
        select(func.count())
        .select_from(base_models)
        .where(base_models.c.organization_id == organization_id, base_models.c.project_id == project_id)
    )
    return int(session.execute(statement).scalar_one())


def sealed_key(session: Session, base_id: str) -> str | None:
    found = session.execute(select(base_models.c.sealed_key).where(base_models.c.id == base_id)).scalar_one_or_none()
    return str(found) if found is not None else None


def _seen_by(organization_id: str, project_id: str) -> ColumnElement[bool]:
    whole = and_(base_models.c.organization_id == organization_id, base_models.c.project_id == "")
    return or_(whole, base_models.c.project_id == project_id) if project_id else whole


def _facts(base: BaseModel) -> dict[str, Any]:
    facts = asdict(base)
    facts["capabilities"] = sorted(base.capabilities)
    facts["languages"] = list(base.languages)
    for derived in ("id", "scope"):
        del facts[derived]
    return facts


def _base(row: Any) -> BaseModel:
    facts = dict(row.facts)
    facts["capabilities"] = frozenset(facts["capabilities"])
    facts["languages"] = tuple(facts["languages"])
    facts["source"] = source_from_dict(facts["source"])
    scope = Scope.project if row.project_id else Scope.organization
    return BaseModel(id=row.id, scope=scope, **facts)
