"""Tables and queries of evaluation. Private to the slice.

A row of `eval_items` is made with its run, `pending`, and becomes an output item when it is graded.
A run's counts are the sum of its chunks' tallies, each written in one transaction with its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from plinth.evaluation.model import Eval, ItemStatus, Json, OutputItem, Problem, Run, RunStatus, Tally
from plinth.kit.db import Session, metadata

evals = Table(
    "evals",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("name", String(256), nullable=False),
    Column("item_schema", JSON, nullable=False),
    Column("include_sample_schema", Boolean, nullable=False),
    Column("testing_criteria", JSON, nullable=False),
    Column("metadata", JSON, nullable=True),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)
runs = Table(
    "eval_runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("eval_id", String(64), ForeignKey("evals.id"), nullable=False, index=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(256), nullable=False),
    Column("status", String(16), nullable=False),
    Column("model", String(256), nullable=False),
    Column("data_source", JSON, nullable=False),
    Column("metadata", JSON, nullable=True),
    Column("error_code", String(64), nullable=True),
    Column("error_message", Text, nullable=True),
    Column("total", Integer, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("report", JSON, nullable=True),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float, nullable=True),
    Column("finished_at", Float, nullable=True),
)
items = Table(
    "eval_items",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("run_id", String(64), ForeignKey("eval_runs.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("item", JSON, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("given_sample", JSON, nullable=True),
    Column("sample", JSON, nullable=True),
    Column("results", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("run_id", "position"),
)
chunks = Table(
    "eval_chunks",
    metadata,
    Column("run_id", String(64), ForeignKey("eval_runs.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("tally", JSON, nullable=False),
)

INSERT_BATCH = 500


# evals


def insert_eval(session: Session, entry: Eval) -> None:
    session.execute(insert(evals).values(**vars(entry)))


def eval_by_id(session: Session, project_id: str, id: str) -> Eval | None:
    row = session.execute(select(evals).where(evals.c.id == id, evals.c.project_id == project_id)).one_or_none()
    return Eval(**row._mapping) if row else None


def update_eval(session: Session, entry: Eval) -> None:
    changes = {"name": entry.name, "metadata": entry.metadata, "updated_at": entry.updated_at}
    session.execute(update(evals).where(evals.c.id == entry.id).values(**changes))


def list_evals(
    session: Session, project_id: str, after: Eval | None, limit: int, order: tuple[str, bool]
) -> list[Eval]:
    """Args: `order` is ("created_at" or "updated_at", descending)."""
    by, descending = order
    query = select(evals).where(evals.c.project_id == project_id)
    if by == "updated_at":
        column = evals.c.updated_at
        if after is not None:
            mark = after.updated_at
            beyond = column < mark if descending else column > mark
            further = evals.c.id < after.id if descending else evals.c.id > after.id
            query = query.where(or_(beyond, and_(column == mark, further)))
        query = query.order_by(column.desc() if descending else column)
    elif after is not None:
        query = query.where(evals.c.id < after.id if descending else evals.c.id > after.id)
    query = query.order_by(evals.c.id.desc() if descending else evals.c.id).limit(limit)
    return [Eval(**row._mapping) for row in session.execute(query)]


def delete_eval(session: Session, id: str) -> None:
    for run_id in session.execute(select(runs.c.id).where(runs.c.eval_id == id)).scalars().all():
        delete_run(session, run_id)
    session.execute(delete(evals).where(evals.c.id == id))


# runs


def insert_run(session: Session, run: Run, rows: Sequence[OutputItem]) -> None:
    session.execute(insert(runs).values(**_run_values(run)))
    for start in range(0, len(rows), INSERT_BATCH):
        session.execute(insert(items), [_item_values(row) for row in rows[start : start + INSERT_BATCH]])


def run_by_id(session: Session, run_id: str) -> Run | None:
    row = session.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
    return _run(row) if row else None


def list_runs(
    session: Session, eval_id: str, after: str | None, limit: int, descending: bool, status: str | None
) -> list[Run]:
    query = select(runs).where(runs.c.eval_id == eval_id)
    if status:
        query = query.where(runs.c.status == status)
    return [_run(row) for row in session.execute(_page(query, runs.c.id, after, limit, descending))]


def request_cancel(session: Session, run_id: str) -> None:
    session.execute(update(runs).where(runs.c.id == run_id).values(cancel_requested=True))


def cancel_requested(session: Session, run_id: str) -> bool:
    """True too when the run is gone."""
    found = session.execute(select(runs.c.cancel_requested).where(runs.c.id == run_id)).scalar_one_or_none()
    return found is None or found


def start_run(session: Session, run_id: str, at: float) -> None:
    queued = and_(runs.c.id == run_id, runs.c.status == RunStatus.queued)
    session.execute(update(runs).where(queued).values(status=RunStatus.in_progress, started_at=at))


def finish_run(
    session: Session, run_id: str, status: RunStatus, error: Problem | None, report: Json, at: float
) -> bool:
    """False if the run is gone or already had an end."""
    open_run = and_(runs.c.id == run_id, runs.c.status.in_([RunStatus.queued, RunStatus.in_progress]))
    values = {
        "status": status,
        "error_code": error.code if error else None,
        "error_message": error.message if error else None,
        "report": report,
        "finished_at": at,
    }
    return bool(session.execute(update(runs).where(open_run).values(**values)).rowcount)  # type: ignore[attr-defined]


def delete_run(session: Session, run_id: str) -> None:
    session.execute(delete(items).where(items.c.run_id == run_id))
    session.execute(delete(chunks).where(chunks.c.run_id == run_id))
    session.execute(delete(runs).where(runs.c.id == run_id))


# rows and output items


def rows_between(session: Session, run_id: str, start: int, stop: int) -> list[OutputItem]:
    """All rows with `start <= index < stop`, pending ones too."""
    query = select(items).where(items.c.run_id == run_id, items.c.position >= start, items.c.position < stop)
    return [_item(row) for row in session.execute(query.order_by(items.c.position))]


def output_items(
    session: Session, run_id: str, after: str | None, limit: int, descending: bool, status: ItemStatus | None
) -> list[OutputItem]:
    query = select(items).where(items.c.run_id == run_id)
    query = query.where(items.c.status == status) if status else query.where(items.c.status != ItemStatus.pending)
    return [_item(row) for row in session.execute(_page(query, items.c.id, after, limit, descending))]


def output_item(session: Session, run_id: str, id: str) -> OutputItem | None:
    query = select(items).where(items.c.run_id == run_id, items.c.id == id, items.c.status != ItemStatus.pending)
    row = session.execute(query).one_or_none()
    return _item(row) if row else None


def store_results(session: Session, rows: Sequence[OutputItem], run_id: str, chunk: int, tally: Tally) -> None:
    """Write graded rows and the tally of their whole chunk, replacing what was there."""
    for row in rows:
        values = {"status": row.status, "sample": row.sample, "results": row.results, "created_at": row.created_at}
        session.execute(update(items).where(items.c.id == row.id).values(**values))
    session.execute(delete(chunks).where(chunks.c.run_id == run_id, chunks.c.position == chunk))
    session.execute(insert(chunks).values(run_id=run_id, position=chunk, tally=tally.to_json()))


def results_of(session: Session, run_id: str) -> list[tuple[str, str, ItemStatus, list[Json]]]:
    """Output item id, item digest, status and results of every graded row, in order."""
    query = select(items.c.id, items.c.digest, items.c.status, items.c.results)
    query = query.where(items.c.run_id == run_id, items.c.status != ItemStatus.pending).order_by(items.c.position)
    return [(row.id, row.digest, ItemStatus(row.status), row.results) for row in session.execute(query)]


def inline_content(session: Session, run_id: str) -> list[Json]:
    query = select(items.c.item, items.c.given_sample).where(items.c.run_id == run_id).order_by(items.c.position)
    return [
        {"item": row.item, **({"sample": row.given_sample} if row.given_sample is not None else {})}
        for row in session.execute(query)
    ]


def tally(session: Session, run_id: str) -> Tally:
    rows = session.execute(select(chunks.c.tally).where(chunks.c.run_id == run_id).order_by(chunks.c.position))
    return Tally.sum(Tally.from_json(stored) for stored in rows.scalars())


def tallies(session: Session, run_ids: Sequence[str]) -> dict[str, Tally]:
    """One tally per run, empty ones for runs without a finished chunk."""
    found: dict[str, list[Tally]] = {run_id: [] for run_id in run_ids}
    query = select(chunks).where(chunks.c.run_id.in_(run_ids)).order_by(chunks.c.run_id, chunks.c.position)
    for row in session.execute(query):
        found[row.run_id].append(Tally.from_json(row.tally))
    return {run_id: Tally.sum(parts) for run_id, parts in found.items()}


def chunk_tally(session: Session, run_id: str, position: int) -> Tally | None:
    query = select(chunks.c.tally).where(chunks.c.run_id == run_id, chunks.c.position == position)
    stored = session.execute(query).scalar_one_or_none()
    return Tally.from_json(stored) if stored else None


def finished_items(session: Session, run_id: str) -> int:
    query = select(func.count()).where(items.c.run_id == run_id, items.c.status != ItemStatus.pending)
    return int(session.execute(query).scalar_one())


def _page(query: Select[Any], key: Column[str], after: str | None, limit: int, descending: bool) -> Select[Any]:
    if after:
        query = query.where(key < after if descending else key > after)
    return query.order_by(key.desc() if descending else key).limit(limit)


def _run_values(run: Run) -> Json:
    values = dict(vars(run))
    error = values.pop("error")
    return {**values, "error_code": error.code if error else None, "error_message": error.message if error else None}


def _run(row: Any) -> Run:
    values = dict(row._mapping)
    code, message = values.pop("error_code"), values.pop("error_message")
    values["status"] = RunStatus(values["status"])
    return Run(**values, error=Problem(code, message) if code else None)


def _item_values(entry: OutputItem) -> Json:
    values = dict(vars(entry))
    values["position"] = values.pop("index")
    return values


def _item(row: Any) -> OutputItem:
    values = dict(row._mapping)
    values["index"] = values.pop("position")
    values["status"] = ItemStatus(values["status"])
    return OutputItem(**values)
