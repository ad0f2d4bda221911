"""The tables of stored completions. Private to the sub-slice.

A search by metadata reads one range of `stored_completion_labels`' primary key, which is already in
the order of the list; further pairs and the model are looked up row by row. Nothing is sorted and
nothing scanned, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Float,
    ForeignKeyConstraint,
    Index,
    Row,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from plinth.gateway.completions.model import CompletionRecord, Filter, Paging, label_digest
from plinth.kit.db import Session, metadata

completions = Table(
    "stored_completions",
    metadata,
    # an upstream chooses the id, so it is only unique within a project
    Column("project_id", String(64), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("created_at", Float, nullable=False, index=True),
    Column("model", String(256), nullable=False),
    Column("request", JSON, nullable=False),
    Column("response", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("principal", String(128), nullable=False),
    Column("request_id", String(64), nullable=False),
    Index("ix_stored_completions_project_id_created_at_id", "project_id", "created_at", "id"),
    Index("ix_stored_completions_project_id_model", "project_id", "model", "created_at", "id"),
)
labels = Table(
    "stored_completion_labels",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("value_digest", String(32), primary_key=True),
    Column("created_at", Float, primary_key=True),
    Column("completion_id", String(128), primary_key=True),
    ForeignKeyConstraint(
        ["project_id", "completion_id"],
        ["stored_completions.project_id", "stored_completions.id"],
        ondelete="CASCADE",
        name="fk_stored_completion_labels_completion",
    ),
    Index("ix_stored_completion_labels_project_id_completion_id", "project_id", "completion_id"),
)
COUNTED = 1000
_FIELDS = tuple(CompletionRecord.__dataclass_fields__)


def add(session: Session, records: Sequence[CompletionRecord]) -> int:
    """Add what is new; returns how many were. What is there already stays as it is. `records` is not empty."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    dialect_insert: Any = postgresql.insert if is_postgresql else sqlite.insert
    query = dialect_insert(completions).on_conflict_do_nothing().returning(completions.c.project_id, completions.c.id)
    first: dict[tuple[str, str], CompletionRecord] = {}
    for record in records:
        first.setdefault((record.project_id, record.id), record)
    rows = [{name: getattr(record, name) for name in _FIELDS} for record in first.values()]
    added = [first[row.project_id, row.id] for row in session.execute(query, rows)]
    _label(session, [(record, record.metadata) for record in added])
    return len(added)


def completion(session: Session, project_id: str, id: str) -> CompletionRecord | None:
    row = session.execute(select(completions).where(*_is(project_id, id))).one_or_none()
    return _record(row) if row else None


def page(session: Session, project_id: str, wanted: Filter, paging: Paging) -> list[CompletionRecord]:
    """Up to `paging.limit + 1`, by time. `paging.after` must exist."""
    columns: Any = completions.c
    query = select(completions).where(columns.project_id == project_id)
    pairs = _rarest_first(session, project_id, [(key, label_digest(value)) for key, value in wanted.metadata.items()])
    order: tuple[Any, Any] = (columns.created_at, columns.id)
    if pairs:
        # the first pair leads: its rows are in the order of the list
        query = query.join(labels, (labels.c.project_id == columns.project_id) & (labels.c.completion_id == columns.id))
        key, digest = pairs[0]
        query = query.where(labels.c.project_id == project_id, labels.c.key == key, labels.c.value_digest == digest)
        order = (labels.c.created_at, labels.c.completion_id)
    for key, digest in pairs[1:]:
        query = query.where(_labelled(project_id, key, digest))
    if wanted.model is not None:
        query = query.where(columns.model == wanted.model)
    if paging.after is not None:
        mark = completion(session, project_id, paging.after)
        if mark is None:
            return []
        place = tuple_(mark.created_at, mark.id)
        query = query.where(tuple_(*order) < place if paging.descending else tuple_(*order) > place)
    directed = [column.desc() if paging.descending else column for column in order]
    return [_record(row) for row in session.execute(query.order_by(*directed).limit(paging.limit + 1))]


def set_metadata(session: Session, record: CompletionRecord, given: Mapping[str, str]) -> None:
    session.execute(update(completions).where(*_is(record.project_id, record.id)).values(metadata=dict(given)))
    _unlabel(session, record.project_id, [record.id])
    _label(session, [(record, given)])


def remove(session: Session, project_id: str, id: str) -> None:
    _unlabel(session, project_id, [id])
    session.execute(delete(completions).where(*_is(project_id, id)))


def remove_before(session: Session, unix: float, most: int) -> int:
    """Remove up to `most` completions that are older; returns how many."""
    query = select(completions.c.project_id, completions.c.id).where(completions.c.created_at < unix)
    due = [(row.project_id, row.id) for row in session.execute(query.order_by(completions.c.created_at).limit(most))]
    if due:
        session.execute(delete(labels).where(tuple_(labels.c.project_id, labels.c.completion_id).in_(due)))
        session.execute(delete(completions).where(tuple_(completions.c.project_id, completions.c.id).in_(due)))
    return len(due)


def _labelled(project_id: str, key: str, digest: str) -> ColumnElement[bool]:
    other = labels.alias()
    same = select(other.c.key).where(
        other.c.project_id == project_id,
        other.c.key == key,
        other.c.value_digest == digest,
        other.c.created_at == completions.c.created_at,
        other.c.completion_id == completions.c.id,
    )
    # the offset keeps PostgreSQL from joining all rows of both labels before it takes the page
    return same.offset(0).correlate(completions).exists()


def _rarest_first(session: Session, project_id: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pair that leads decides how many rows are looked at. Counting stops at `COUNTED`."""
    if len(pairs) < 2:
        return pairs

    def frequency(pair: tuple[str, str]) -> int:
        same = (labels.c.project_id == project_id, labels.c.key == pair[0], labels.c.value_digest == pair[1])
        few = select(labels.c.completion_id).where(*same).limit(COUNTED).subquery()
        return int(session.execute(select(func.count()).select_from(few)).scalar_one())

    return sorted(pairs, key=frequency)


def _label(session: Session, given: Sequence[tuple[CompletionRecord, Mapping[str, str]]]) -> None:
    rows = [
        {
            "project_id": record.project_id,
            "completion_id": record.id,
            "created_at": record.created_at,
            "key": key,
            "value_digest": label_digest(value),
        }
        for record, pairs in given
        for key, value in pairs.items()
    ]
    if rows:
        session.execute(insert(labels), rows)


def _unlabel(session: Session, project_id: str, ids: Iterable[str]) -> None:
    session.execute(delete(labels).where(labels.c.project_id == project_id, labels.c.completion_id.in_(list(ids))))


def _is(project_id: str, id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return completions.c.project_id == project_id, completions.c.id == id


def _record(row: Row[Any]) -> CompletionRecord:
    return CompletionRecord(**{name: row._mapping[name] for name in _FIELDS})
