"""The tables of usage and the writing of them. Private to the gateway.

`usage_records` holds every record. Beside it, in the same transaction, two small tables grow, so
that nothing asks ten million records for a sum: `usage_hours` (sums per hour and payer, model and
operation) and `usage_hour_marks` (one row an hour: how often it changed, and the earliest dispatch
of a record that reaches into it).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, case, false, func, select
from sqlalchemy.dialects import postgresql, sqlite

from plinth.gateway.model import RecordKind, UsageLine, UsageRecord
from plinth.gateway.usage.model import REMOTE_ENGINE, hour_of, is_unpriced, touched_hours
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


# What a row of `usage_hours` is about; `id` is a digest of all of it. Own engines have no currency:
# their money is settled afterwards.
DIMENSIONS = (
    "hour",
    "organization_id",
    "project_id",
    "key_id",
    "principal",
    "operation",
    "model",
    "model_id",
    "priority",
    "remote",
    "currency",
)
# Requests and tokens count records of the kind `request`; money and `unpriced` count all kinds.
MEASURES = (
    "requests",
    "failed",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "cost_nanos",
    "unpriced",
)

usage_hours = Table(
    "usage_hours",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("hour", BigInteger, nullable=False),
    Column("organization_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("operation", String(32), nullable=False),
    Column("model", String(256), nullable=False),
    Column("model_id", String(256), nullable=False),
    Column("priority", String(16), nullable=False),
    Column("remote", Boolean, nullable=False),
    Column("currency", String(3), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in MEASURES),
    Index("ix_usage_hours_organization_id_hour", "organization_id", "hour"),
    Index("ix_usage_hours_project_id_hour", "project_id", "hour"),
    Index("ix_usage_hours_hour", "hour"),
)
usage_hour_marks = Table(
    "usage_hour_marks",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    Column("earliest_dispatch", Float, nullable=False),
)

_NAMES = [column.name for column in usage_records.columns]
_values = attrgetter(*_NAMES)
_dimensions = attrgetter(*DIMENSIONS[1:9])


def insert_records(session: Session, records: Sequence[UsageRecord]) -> None:
    """Add records and their sums; ids that are already there are left alone, so a replay changes
    nothing. Two processes that add one id at the same moment: the second one's transaction fails,
    and succeeds when it is tried again."""
    by_id = {record.id: record for record in records}
    known = session.execute(select(usage_records.c.id).where(usage_records.c.id.in_(by_id))).scalars()
    for id in known.all():
        del by_id[id]
    if not by_id:
        return
    added = list(by_id.values())
    # handed to the driver as tuples: twice as fast as through the compiler, and this runs beside the hot path
    mark = "?" if session.get_bind().dialect.paramstyle == "qmark" else "%s"
    statement = f"INSERT INTO usage_records ({', '.join(_NAMES)}) VALUES ({', '.join([mark] * len(_NAMES))})"  # noqa: S608 (our column names)
    session.connection().exec_driver_sql(statement, [_values(record) for record in added])
    add_sums(session, sums_of(added))
    add_marks(session, marks_of(added))


def sums_of(records: Iterable[UsageRecord]) -> list[dict[str, Any]]:
    """Rows of `usage_hours` for these records, ordered by id."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for record in records:
        remote = record.engine == REMOTE_ENGINE
        currency = record.currency if remote and record.cost_nanos is not None else ""
        key = (hour_of(record.created_at), *_dimensions(record), remote, currency)
        totals = sums.setdefault(key, [0] * len(MEASURES))
        if record.kind == RecordKind.request.value:
            totals[0] += 1
            totals[1] += record.status >= 400 and record.status != 499
            totals[2] += record.prompt_tokens
            totals[3] += record.cached_tokens
            totals[4] += record.completion_tokens
        if remote:
            totals[5] += record.cost_nanos or 0
            totals[6] += is_unpriced(record)
    return hour_rows(sums.items())


def hour_rows(sums: Iterable[tuple[tuple[Any, ...], Sequence[int]]]) -> list[dict[str, Any]]:
    """Rows from (values of `DIMENSIONS`, values of `MEASURES`), ordered by id."""
    rows = [
        {
            "id": hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest(),
            **dict(zip(DIMENSIONS, key, strict=True)),
            **dict(zip(MEASURES, totals, strict=True)),
        }
        for key, totals in sums
    ]
    # one order for all writers: on PostgreSQL two batches could otherwise wait for each other
    return sorted(rows, key=lambda row: str(row["id"]))


def add_sums(session: Session, rows: list[dict[str, Any]]) -> None:
    statement = dialect_insert(session)(usage_hours)
    grown = {name: usage_hours.c[name] + statement.excluded[name] for name in MEASURES}
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=grown), rows)


def marks_of(records: Iterable[UsageRecord]) -> dict[int, float]:
    """The earliest dispatch per touched hour; at the latest the hour's own start."""
    marks: dict[int, float] = {}
    for record in records:
        marks.setdefault(hour_of(record.created_at), float(hour_of(record.created_at)))
        for hour in touched_hours(record):
            assert record.dispatched_at is not None
            marks[hour] = min(marks.get(hour, float(hour)), record.dispatched_at)
    return marks


def add_marks(session: Session, marks: dict[int, float]) -> None:
    statement = dialect_insert(session)(usage_hour_marks)
    earlier, known = statement.excluded.earliest_dispatch, usage_hour_marks.c.earliest_dispatch
    changed = {
        "revision": usage_hour_marks.c.revision + 1,
        "earliest_dispatch": case((earlier < known, earlier), else_=known),
    }
    rows = [{"hour": hour, "revision": 1, "earliest_dispatch": marks[hour]} for hour in sorted(marks)]
    session.execute(statement.on_conflict_do_update(index_elements=["hour"], set_=changed), rows)


def dialect_insert(session: Session) -> Any:
    """The `insert` that knows `ON CONFLICT` for the session's database."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert if is_postgresql else sqlite.insert


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
