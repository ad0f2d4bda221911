"""The table of usage records, and what is asked of it. Private to the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, case, false, func, select
from sqlalchemy.dialects import postgresql, sqlite

from plinth.gateway.model import UsageLine, UsageRecord
from plinth.kit.db import Session, metadata

usage_records = Table(
    "usage_records",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("operation", String(32), nullable=False),
    Column("model", String(256), nullable=False),
    Column("model_id", String(256), nullable=False),
    Column("endpoint_group", String(256), nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("first_token_ms", Float, nullable=True),
    Column("total_ms", Float, nullable=False),
    Column("status", Integer, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("organization_id", String(64), nullable=False, server_default=""),
    Column("kind", String(16), nullable=False, server_default="request"),
    Column("end_user", String(512), nullable=False, server_default=""),
    Column("route", String(64), nullable=False, server_default=""),
    Column("target", String(256), nullable=False, server_default=""),
    Column("engine", String(32), nullable=False, server_default=""),
    Column("dispatched_at", Float, nullable=True),
    Column("occupied_seconds", Float, nullable=False, server_default="0"),
    Column("error_code", String(64), nullable=False, server_default=""),
    Column("streamed", Boolean, nullable=False, server_default=false()),
    Column("priority", String(16), nullable=False, server_default="interactive"),
    Column("cost_nanos", BigInteger, nullable=True),
    Column("currency", String(3), nullable=False, server_default=""),
    Index("ix_usage_records_project_id_created_at", "project_id", "created_at"),
    Index("ix_usage_records_organization_id_created_at", "organization_id", "created_at"),
    Index("ix_usage_records_dispatched_at", "dispatched_at"),
)


def insert_records(session: Session, records: Sequence[UsageRecord]) -> None:
    """Add records; ids that are already there are left alone, so a replay changes nothing."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    insert: Any = postgresql.insert if is_postgresql else sqlite.insert
    rows = [{column.name: getattr(record, column.name) for column in usage_records.columns} for record in records]
    session.execute(insert(usage_records).on_conflict_do_nothing(index_elements=["id"]), rows)


def totals(session: Session, project_id: str, since: float, until: float) -> list[UsageLine]:
    """One line per public model name, for `since <= created_at < until`."""
    columns = usage_records.c
    failed = case(((columns.status >= 400) & (columns.status != 499), 1), else_=0)
    rows = session.execute(
        select(
            columns.model,
            func.count(),
            func.sum(failed),
            func.sum(columns.prompt_tokens),
            func.sum(columns.cached_tokens),
            func.sum(columns.completion_tokens),
        )
        .where(
            columns.project_id == project_id,
            columns.kind == "request",
            columns.created_at >= since,
            columns.created_at < until,
        )
        .group_by(columns.model)
        .order_by(columns.model)
    )
    return [UsageLine(model, *(int(value or 0) for value in rest)) for model, *rest in rows]
