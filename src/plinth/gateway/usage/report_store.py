"""What is asked of the usage tables. Private to the gateway.

Hours and days are answered from `usage_hours`, minutes (a day of them at most) from the records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, cast, delete, func, literal, select, tuple_, update

from plinth.gateway.model import RecordKind, UsageRecord
from plinth.gateway.usage.model import (
    HOUR_SECONDS,
    MAX_OCCUPIED_SECONDS,
    PAYER,
    REMOTE_ENGINE,
    Occupation,
    RemoteCost,
    Scope,
    UsageFilter,
    UsageQuestion,
    UsageSums,
    Width,
    Window,
    user_of,
)
from plinth.gateway.usage.store import (
    add_marks,
    add_sums,
    marks_of,
    sums_of,
    usage_hour_marks,
    usage_hours,
    usage_records,
)
from plinth.kit.db import Session

_BATCH = "batch"
# the column that a grouping splits by; the other groupings have one value here
_COLUMNS = {
    "project_id": "project_id",
    "user_id": "principal",
    "api_key_id": "key_id",
    "model": "model",
    "batch": "priority",
}
_CONSTANT = {"service_tier": "default", "api_source": "unlabeled"}


def sums(session: Session, question: UsageQuestion) -> list[UsageSums]:
    """Totals per bucket and group, ordered by both. Buckets and groups without requests are left out."""
    window = question.window
    minutes = window.width is Width.minute
    columns: Any = usage_records.c if minutes else usage_hours.c
    time = columns.created_at if minutes else columns.hour
    bucket = _whole(session, time, window.width.seconds) if minutes else _floor(time, window.width.seconds)
    groups = [name for name in question.groups if name in _COLUMNS]
    dimensions = [columns[_COLUMNS[name]] for name in groups]
    requests = func.count() if minutes else func.sum(columns.requests)
    tokens = [func.sum(columns[name]) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")]
    statement = (
        select(bucket.label("bucket"), requests, *tokens, *dimensions)
        .where(
            time >= window.start,
            time < window.end,
            columns.operation.in_(question.operations),
            *_scoped(columns, question.scope),
            *_filtered(columns, question.filter),
        )
        .group_by("bucket", *dimensions)
        .having(requests > 0)
        .order_by("bucket", *dimensions)
    )
    if minutes:
        statement = statement.where(columns.kind == RecordKind.request.value)
    constants = {name: value for name, value in _CONSTANT.items() if name in question.groups}
    return [
        UsageSums(
            int(start),
            {**{name: _shown(name, value) for name, value in zip(groups, values, strict=True)}, **constants},
            *(int(number) for number in (count, prompt, cached, completion)),
        )
        for start, count, prompt, cached, completion, *values in session.execute(statement)
    ]


def remote_costs(
    session: Session, scope: Scope, window: Window, chosen: UsageFilter, payer: Sequence[str]
) -> list[RemoteCost]:
    """What providers cost per bucket (of whole hours) and the fields of `PAYER` that are asked for;
    unknown prices have lines of their own."""
    columns, lines = usage_hours.c, []
    bucket = _floor(columns.hour, window.width.seconds)
    fields = [columns[name] if name in payer else literal("").label(name) for name in PAYER]
    asked = [columns[name] for name in PAYER if name in payer]
    amounts = (func.sum(columns.cost_nanos), func.sum(columns.requests), func.sum(columns.unpriced))
    rows: Any = session.execute(
        select(bucket.label("bucket"), *fields, columns.currency, *amounts)
        .where(
            columns.remote,
            columns.hour >= window.start,
            columns.hour < window.end,
            *_scoped(columns, scope),
            *_filtered(columns, chosen, "model_id"),
        )
        .group_by("bucket", *asked, columns.currency)
        .order_by("bucket", *asked, columns.currency)
    )
    for start, project, key, principal, model, currency, nanos, requests, unpriced in rows:
        who = (int(start), project, key, principal, model)
        if currency:
            lines.append(RemoteCost(*who, currency, int(nanos), int(requests)))
        elif unpriced:
            lines.append(RemoteCost(*who, "", None, int(unpriced)))
    return lines


def remote_by_payer(session: Session, since: int, until: int) -> list[tuple[str, str, str, str, int]]:
    """(organization, project, key, currency, nanos) of priced requests to providers."""
    columns = usage_hours.c
    payer = (columns.organization_id, columns.project_id, columns.key_id, columns.currency)
    rows = session.execute(
        select(*payer, func.sum(columns.cost_nanos))
        .where(columns.hour >= since, columns.hour < until, columns.remote, columns.currency != "")
        .group_by(*payer)
    )
    return [(organization, project, key, currency, int(nanos)) for organization, project, key, currency, nanos in rows]


def marks(session: Session, since: int, until: int) -> dict[int, int]:
    """Hour -> how often it changed, for the hours that any record touches."""
    columns = usage_hour_marks.c
    rows = session.execute(select(columns.hour, columns.revision).where(columns.hour >= since, columns.hour < until))
    return {int(hour): int(revision) for hour, revision in rows}


def signature(session: Session, since: int, until: int) -> tuple[int, int]:
    """Changes whenever a record is added that touches one of these hours."""
    columns = usage_hour_marks.c
    row = session.execute(
        select(func.count(), func.coalesce(func.sum(columns.revision), 0)).where(
            columns.hour >= since, columns.hour < until
        )
    ).one()
    return int(row[0]), int(row[1])


def occupations(session: Session, hour: int) -> list[Occupation]:
    """The records that occupied an engine of ours during some part of the hour that starts at `hour`."""
    earliest = session.execute(
        select(usage_hour_marks.c.earliest_dispatch).where(usage_hour_marks.c.hour == hour)
    ).scalar_one_or_none()
    if earliest is None:
        return []
    columns = usage_records.c
    started = columns.dispatched_at
    rows: Any = session.execute(
        select(
            columns.id,
            started,
            columns.occupied_seconds,
            columns.endpoint_group,
            columns.organization_id,
            columns.project_id,
            columns.key_id,
            columns.principal,
            columns.model_id,
            columns.kind,
        ).where(
            started >= max(earliest, hour - MAX_OCCUPIED_SECONDS),
            started < hour + HOUR_SECONDS,
            columns.engine != REMOTE_ENGINE,
            (started >= hour) | (started + columns.occupied_seconds > hour),
        )
    )
    return [Occupation(*row) for row in rows]


def occupied_seconds(session: Session, hour: int, until: float) -> list[tuple[str, str, str, str, float]]:
    """(organization, project, key, endpoint group, seconds) that engines of ours worked between
    `hour` and `until`, at most the end of that hour; overlapping work counts each time."""
    earliest = session.execute(
        select(usage_hour_marks.c.earliest_dispatch).where(usage_hour_marks.c.hour == hour)
    ).scalar_one_or_none()
    if earliest is None:
        return []
    columns = usage_records.c
    started, ended = columns.dispatched_at, columns.dispatched_at + columns.occupied_seconds
    end = min(until, float(hour + HOUR_SECONDS))
    inside = case((ended < end, ended), else_=end) - case((started > hour, started), else_=float(hour))
    payer = (columns.organization_id, columns.project_id, columns.key_id, columns.endpoint_group)
    rows = session.execute(
        select(*payer, func.sum(inside))
        .where(
            started >= max(earliest, hour - MAX_OCCUPIED_SECONDS),
            started < end,
            columns.engine != REMOTE_ENGINE,
            ended > hour,
        )
        .group_by(*payer)
    )
    return [(organization, project, key, group, float(seconds)) for organization, project, key, group, seconds in rows]


def records_page(
    session: Session, scope: Scope, since: float, until: float, after: tuple[float, str] | None, limit: int
) -> Sequence[Any]:
    """Records ordered by (created_at, id), at most `limit`, behind the last one of the previous page."""
    columns = usage_records.c
    statement = (
        select(usage_records)
        .where(columns.created_at >= since, columns.created_at < until, *_scoped(columns, scope))
        .order_by(columns.created_at, columns.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(columns.created_at >= after[0], tuple_(columns.created_at, columns.id) > after)
    return session.execute(statement).all()


def unpriced_hours(session: Session, model_ids: Sequence[str]) -> list[int]:
    """The hours with requests to providers whose price was not known."""
    columns = usage_hours.c
    rows = session.execute(
        select(columns.hour).where(columns.unpriced > 0, columns.model_id.in_(model_ids)).distinct().order_by("hour")
    )
    return [int(hour) for hour in rows.scalars()]


def unpriced_records(session: Session, hour: int, model_ids: Sequence[str]) -> list[UsageRecord]:
    columns = usage_records.c
    rows = session.execute(
        select(usage_records).where(
            columns.created_at >= hour,
            columns.created_at < hour + HOUR_SECONDS,
            columns.engine == REMOTE_ENGINE,
            columns.dispatched_at.is_not(None),
            columns.cost_nanos.is_(None),
            columns.model_id.in_(model_ids),
        )
    )
    return [UsageRecord(**row._mapping) for row in rows]


def set_costs(session: Session, costs: Sequence[tuple[str, int, str]]) -> None:
    """Write (record id, nanos, currency)."""
    statement = (
        update(usage_records)
        .where(usage_records.c.id == bindparam("record"), usage_records.c.cost_nanos.is_(None))
        .values(cost_nanos=bindparam("nanos"), currency=bindparam("code"))
    )
    rows = [{"record": record, "nanos": nanos, "code": currency} for record, nanos, currency in costs]
    session.connection().execute(statement, rows)


def rebuild_hour(session: Session, hour: int) -> int:
    """Make the sums of one hour from its records again, and mark every hour they reach as changed.
    Returns the number of records."""
    columns = usage_records.c
    rows = session.execute(
        select(usage_records).where(columns.created_at >= hour, columns.created_at < hour + HOUR_SECONDS)
    )
    records = [UsageRecord(**row._mapping) for row in rows]
    session.execute(delete(usage_hours).where(usage_hours.c.hour == hour))
    if records:
        add_sums(session, sums_of(records))
        add_marks(session, marks_of(records))
    return len(records)


def first_record(session: Session) -> float | None:
    """When the oldest record was created, unix seconds."""
    first: float | None = session.execute(select(func.min(usage_records.c.created_at))).scalar_one()
    return first


def last_record(session: Session) -> float | None:
    last: float | None = session.execute(select(func.max(usage_records.c.created_at))).scalar_one()
    return last


def _scoped(columns: Any, scope: Scope) -> list[ColumnElement[bool]]:
    """A project's own rows by its index; the whole organization's by the other."""
    if scope.project_id:
        return [columns.project_id == scope.project_id]
    return [columns.organization_id == scope.organization_id]


def _filtered(columns: Any, chosen: UsageFilter, model: str = "model") -> list[ColumnElement[bool]]:
    lists = {
        "project_id": chosen.project_ids,
        "principal": chosen.principals,
        "key_id": chosen.key_ids,
        model: chosen.models,
    }
    found: list[ColumnElement[bool]] = [columns[name].in_(values) for name, values in lists.items() if values]
    if chosen.batch is not None:
        found.append(columns.priority == _BATCH if chosen.batch else columns.priority != _BATCH)
    return found


def _floor(column: ColumnElement[Any], seconds: int) -> ColumnElement[Any]:
    """The start of the bucket of a whole number of seconds."""
    return column - column % seconds


def _whole(session: Session, column: ColumnElement[Any], seconds: int) -> ColumnElement[Any]:
    """The start of the bucket of a time with fractions. SQLite's CAST cuts off, PostgreSQL's rounds."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    return _floor(cast(func.floor(column) if is_postgresql else column, BigInteger), seconds)


def _shown(group: str, value: str) -> str | bool:
    if group == "batch":
        return value == _BATCH
    return user_of(value) if group == "user_id" else value
