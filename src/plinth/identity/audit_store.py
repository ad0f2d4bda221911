"""The audit log's table and queries.

The log is append-only: no function here changes or deletes its rows, and triggers in the database
refuse to (SQLite and PostgreSQL). The triggers are made whenever a table of that name is created,
by `metadata.create_all` or by Alembic's `op.create_table`; a migration that rebuilds the table
(SQLite batch mode) must call `protect_audit_log` afterwards.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Float,
    Index,
    Row,
    String,
    Table,
    case,
    event,
    func,
    insert,
    or_,
    select,
)

from plinth.identity.model import AuditEntry, AuditQuery
from plinth.identity.store import api_keys, projects, users
from plinth.kit.db import Session, metadata

_ID = String(64)
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("organization_id", _ID, nullable=False),
    Column("project_id", _ID, nullable=False),
    Column("type", String(120), nullable=False),
    Column("effective_at", Float, nullable=False),
    Column("principal", String(120), nullable=False),
    Column("key_id", _ID, nullable=False),
    Column("target", String(200), nullable=False),
    Column("detail", JSON, nullable=False),
    Index("ix_audit_log_organization_id_id", "organization_id", "id"),
)

_REFUSE = "the audit log is append-only"
_TRIGGERS = {
    "sqlite": (
        f"CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, '{_REFUSE}'); END",
        f"CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, '{_REFUSE}'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSE}'; END $$",
        "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()",
    ),
}


def protect_audit_log(connection: Connection) -> None:
    """Make the database refuse to change or delete lines of the audit log."""
    for statement in _TRIGGERS[connection.dialect.name]:
        connection.exec_driver_sql(statement)


@event.listens_for(Table, "after_create")
def _protect(target: Table, connection: Connection, **_: Any) -> None:
    # listens on every Table, because Alembic creates from a copy of ours
    if target.name == audit_log.name:
        protect_audit_log(connection)


# sessions are no keys: there the principal says who it was
_person = case(
    (audit_log.c.principal.like("user:%"), func.substr(audit_log.c.principal, len("user:") + 1)),
    else_=api_keys.c.user_id,
)


def append(session: Session, **values: Any) -> None:
    session.execute(insert(audit_log).values(**values))


def reads_backwards(query: AuditQuery) -> bool:
    """Whether the page is the one just before a cursor, so that it must be read upwards."""
    return query.before is not None and query.after is None


def list_audit(session: Session, organization_id: str, query: AuditQuery) -> list[AuditEntry]:
    """Up to `limit + 1` entries, newest first; oldest first when the query reads backwards."""
    statement = (
        select(
            audit_log,
            _person.label("user_id"),
            api_keys.c.service_account_id,
            users.c.email,
            projects.c.name.label("project_name"),
        )
        .outerjoin(api_keys, api_keys.c.id == audit_log.c.key_id)
        .outerjoin(users, users.c.id == _person)
        .outerjoin(projects, projects.c.id == audit_log.c.project_id)
        .where(audit_log.c.organization_id == organization_id, *_audit_conditions(query))
        .order_by(audit_log.c.id if reads_backwards(query) else audit_log.c.id.desc())
        .limit(query.limit + 1)
    )
    return [_audit_entry(row) for row in session.execute(statement)]


def _audit_conditions(query: AuditQuery) -> list[ColumnElement[bool]]:
    log = audit_log.c
    conditions: list[ColumnElement[bool]] = []
    for column, values in (
        (log.type, query.types),
        (log.project_id, query.project_ids),
        (log.target, query.resource_ids),
    ):
        if values:
            conditions.append(column.in_(values))
    if query.actor_ids:
        ids = query.actor_ids
        conditions.append(or_(log.key_id.in_(ids), _person.in_(ids), api_keys.c.service_account_id.in_(ids)))
    if query.actor_emails:
        conditions.append(users.c.email.in_(query.actor_emails))
    bounds = (
        (query.gt, log.effective_at.__gt__),
        (query.gte, log.effective_at.__ge__),
        (query.lt, log.effective_at.__lt__),
        (query.lte, log.effective_at.__le__),
        (query.after, log.id.__lt__),
        (query.before, log.id.__gt__),
    )
    conditions.extend(compare(value) for value, compare in bounds if value is not None)
    return conditions


def _audit_entry(row: Row[Any]) -> AuditEntry:
    kind = "user" if row.user_id else "service_account" if row.service_account_id else None
    return AuditEntry(
        id=row.id,
        type=row.type,
        effective_at=row.effective_at,
        project_id=row.project_id,
        project_name=row.project_name,
        principal=row.principal,
        key_id=row.key_id,
        actor_kind=kind,
        actor_id=row.user_id or row.service_account_id,
        actor_email=row.email,
        target=row.target,
        detail=row.detail,
    )
