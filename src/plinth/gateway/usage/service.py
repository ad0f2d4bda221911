"""Questions about usage. The records themselves are written by the data plane's journal."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any

from plinth.gateway.model import UsageRecord, UsageSummary
from plinth.gateway.usage import report_store, store
from plinth.gateway.usage.model import (
    HOUR_SECONDS,
    Occupation,
    RemoteCost,
    Scope,
    UsageFilter,
    UsageQuestion,
    UsageSums,
    Window,
    hour_of,
)
from plinth.kit.db import Database, Session
from plinth.kit.errors import BadInput

Shares = Callable[[Session, Sequence[str]], Mapping[str, Sequence[tuple[int, str]]]]
"""`shares(session, record_ids)`: what each record pays for own machines, (nanos, currency) per hour."""

_EXPORT_ROWS = 1000


class UsageTable:
    """The `UsageStore` on the platform's database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, records: list[UsageRecord]) -> None:
        with self._db.write() as session:
            store.insert_records(session, records)


def usage_summary(session: Session, project_id: str, since: float, until: float) -> UsageSummary:
    """What a project used per model in `since <= time < until` (unix seconds)."""
    if until <= since:
        raise BadInput(reason="'until' must be later than 'since'.", param="until")
    return UsageSummary(project_id, since, until, tuple(store.totals(session, project_id, since, until)))


def usage_sums(session: Session, question: UsageQuestion) -> list[UsageSums]:
    """Requests and tokens per bucket and group, ordered by both; what has no requests is left out."""
    return report_store.sums(session, question)


def remote_costs(
    session: Session, scope: Scope, window: Window, chosen: UsageFilter, payer: Sequence[str]
) -> list[RemoteCost]:
    """What providers cost, per bucket of `window` (hours or days) and the given fields of `PAYER`."""
    return report_store.remote_costs(session, scope, window, chosen, payer)


def price_late(db: Database, model_ids: Sequence[str], price: Callable[[UsageRecord], tuple[int, str] | None]) -> int:
    """Book requests to providers that had no price when they were made, an hour a transaction.
    Returns how many got one."""
    with db.read() as session:
        hours = report_store.unpriced_hours(session, model_ids)
    count = 0
    for hour in hours:
        with db.write() as session:
            found = [(record.id, price(record)) for record in report_store.unpriced_records(session, hour, model_ids)]
            costs = [(id, *cost) for id, cost in found if cost is not None]
            if costs:
                report_store.set_costs(session, costs)
                report_store.rebuild_hour(session, hour)
            count += len(costs)
    return count


def remote_by_payer(session: Session, since: int, until: int) -> list[tuple[str, str, str, str, int]]:
    """(organization, project, key, currency, nanos) of priced requests to providers; whole hours."""
    return report_store.remote_by_payer(session, since, until)


def occupations(session: Session, hour: int) -> list[Occupation]:
    """Every record that occupied an engine of ours in some part of the hour that starts at `hour`."""
    return report_store.occupations(session, hour)


def occupied_seconds(session: Session, hour: int, until: float) -> list[tuple[str, str, str, str, float]]:
    """(organization, project, key, endpoint group, seconds) that engines of ours worked in the part
    of the hour before `until`, summed by the database."""
    return report_store.occupied_seconds(session, hour, until)


def hour_marks(session: Session, since: int, until: int) -> dict[int, int]:
    """Hour -> a number that grows with every batch of records that touches it."""
    return report_store.marks(session, since, until)


def change_signature(session: Session, since: int, until: int) -> tuple[int, int]:
    """Differs from an earlier one when records that touch these hours have come since."""
    return report_store.signature(session, since, until)


def rebuild_hours(db: Database, since: float | None = None, until: float | None = None) -> int:
    """Make the hourly sums from the records again, an hour a transaction; returns the number of
    records. Needed after records came by another way than `UsageTable` (an upgrade, a restore)."""
    with db.read() as session:
        first = report_store.first_record(session) if since is None else since
        last = report_store.last_record(session) if until is None else until
    if first is None or last is None:
        return 0
    count = 0
    for hour in range(hour_of(first), hour_of(last) + HOUR_SECONDS, HOUR_SECONDS):
        with db.write() as session:
            count += report_store.rebuild_hour(session, hour)
    return count


def export_csv(db: Database, scope: Scope, since: float, until: float, shares: Shares) -> Iterator[str]:
    """One CSV line a record, oldest first, in pieces of up to a thousand; a short read each, so that
    a slow reader holds no transaction open. `cost` is a provider's price or the settled share of an
    own machine in units of `cost_currency`, empty while unknown."""
    names = [column.name for column in fields(UsageRecord)]
    yield csv_lines([[*names, "cost", "cost_currency"]])
    after: tuple[float, str] | None = None
    while True:
        with db.read() as session:
            rows = report_store.records_page(session, scope, since, until, after, _EXPORT_ROWS)
            settled = shares(session, [row.id for row in rows if row.cost_nanos is None])
        if rows:
            yield csv_lines([[*(getattr(row, name) for name in names), *_cost(row, settled)] for row in rows])
        if len(rows) < _EXPORT_ROWS:
            return
        after = (rows[-1].created_at, rows[-1].id)


def _cost(row: Any, settled: Mapping[str, Sequence[tuple[int, str]]]) -> tuple[str, str]:
    """(amount, currency); several of each, with a semicolon, if the machine's currency changed meanwhile."""
    totals: dict[str, int] = {} if row.cost_nanos is None else {row.currency: row.cost_nanos}
    for nanos, currency in settled.get(row.id, ()):
        totals[currency] = totals.get(currency, 0) + nanos
    return ";".join(f"{Decimal(nanos).scaleb(-9):f}" for nanos in totals.values()), ";".join(totals)


def csv_lines(rows: list[list[Any]]) -> str:
    """RFC 4180 lines. Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    out = io.StringIO()
    csv.writer(out).writerows([[_harmless(value) for value in row] for row in rows])
    return out.getvalue()


def _harmless(value: Any) -> Any:
    # a client chooses its model name and its user field: both end up in somebody's spreadsheet
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
