"""What things cost: settled lines, providers' prices, and what is provisional, in one answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from plinth.gateway.costs import store
from plinth.gateway.costs.bookkeeper import Bookkeeper
from plinth.gateway.costs.model import (
    GROUP_COLUMNS,
    CostFilter,
    CostLine,
    CostQuestion,
    CostReport,
    CostSum,
    decimal_of,
)
from plinth.gateway.usage import Scope, UsageFilter, Width, Window, csv_lines, hour_of, remote_costs, user_of
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session

REMOTE_ITEM = "remote: "
"""A provider's line item is this and the model's id; an own engine's is its pool, a colon and the model."""

_DAY_SECONDS = 86_400
_PROVISIONAL_SECONDS = 2.0
_PAUSE_FACTOR = 10.0
_PERIODS_KEPT = 64


class CostReports:
    """For a finished day the sums over all line items equal its meters plus providers' prices."""

    def __init__(self, db: Database, clock: Clock, bookkeeper: Bookkeeper) -> None:
        self._db, self._clock, self._bookkeeper = db, clock, bookkeeper
        self._open: dict[tuple[int, int], tuple[float, tuple[int, int], list[CostLine]]] = {}

    def report(self, session: Session, question: CostQuestion) -> CostReport:
        """Costs per bucket, group and currency."""
        width = question.window.width.seconds
        found = store.line_sums(session, question)
        found += _remote_sums(session, question)
        for line in self._open_lines(session, question.window):
            if _asked_for(line, question):
                bucket, group = line.hour // width * width, _group(line, question.groups)
                found.append(CostSum(bucket, group, line.currency, line.nanos, line.requests))
        return CostReport(question.window, tuple(_merged(found)), frozenset(self._open_buckets(question.window)))

    def export_csv(self, scope: Scope, since: float, until: float) -> Iterator[str]:
        """One CSV line an hour, payer, line item and currency, oldest first, a day a piece.
        An empty amount is unknown. `provisional`: the hour has no books yet."""
        groups = tuple(GROUP_COLUMNS)
        yield csv_lines([["hour", *groups, "currency", "amount", "requests", "provisional"]])
        for start in range(hour_of(since), int(until), _DAY_SECONDS):
            end = min(start + _DAY_SECONDS, hour_of(until - 1) + 3600)
            question = CostQuestion(scope, Window(start, end, Width.hour, None), groups, CostFilter())
            with self._db.read() as session:
                report = self.report(session, question)
            if report.sums:
                yield csv_lines([_csv_row(item, report.provisional) for item in report.sums])

    def _open_lines(self, session: Session, window: Window) -> list[CostLine]:
        """A busy running hour takes a second to sweep: the answer is kept for a while, unless an
        hour was settled, which must not count twice."""
        period, began = (window.start, window.end), self._clock.monotonic()
        books = store.settled_signature(session, window.start)
        known = self._open.get(period)
        if known is not None and began < known[0] and books == known[1]:
            return known[2]
        lines = self._bookkeeper.open_lines(session, *period)
        pause = max(_PROVISIONAL_SECONDS, _PAUSE_FACTOR * (self._clock.monotonic() - began))
        if len(self._open) >= _PERIODS_KEPT:
            self._open.clear()
        self._open[period] = (began + pause, books, lines)
        return lines

    def _open_buckets(self, window: Window) -> Iterator[int]:
        """Buckets with hours that may still change: not over yet, or inside the grace time."""
        closed = self._clock.unix() - self._bookkeeper.grace_seconds
        return (start for start in window.buckets if start + window.width.seconds > hour_of(closed))


def _remote_sums(session: Session, question: CostQuestion) -> list[CostSum]:
    chosen, by_item = question.filter, "line_item" in question.groups
    models = tuple(item.removeprefix(REMOTE_ITEM) for item in chosen.line_items if item.startswith(REMOTE_ITEM))
    if chosen.line_items and not models:
        return []
    columns = {"project_id": "project_id", "user_id": "principal", "api_key_id": "key_id", "line_item": "model_id"}
    filters = UsageFilter(project_ids=chosen.project_ids, key_ids=chosen.key_ids, models=models)
    payer = [columns[name] for name in question.groups]
    sums = []
    for cost in remote_costs(session, question.scope, question.window, filters, payer):
        values = {
            "project_id": cost.project_id,
            "user_id": cost.principal,
            "api_key_id": cost.key_id,
            "line_item": REMOTE_ITEM + cost.model_id if by_item else "",
        }
        group = tuple(values[name] for name in question.groups)
        sums.append(CostSum(cost.bucket, group, cost.currency, cost.nanos, cost.requests))
    return sums


def _asked_for(line: CostLine, question: CostQuestion) -> bool:
    scope, chosen = question.scope, question.filter
    mine = line.project_id == scope.project_id if scope.project_id else line.organization_id == scope.organization_id
    return (
        mine
        and (not chosen.project_ids or line.project_id in chosen.project_ids)
        and (not chosen.key_ids or line.key_id in chosen.key_ids)
        and (not chosen.line_items or line.line_item in chosen.line_items)
    )


def _group(line: CostLine, groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(getattr(line, GROUP_COLUMNS[name])) for name in groups)


def _merged(sums: Iterable[CostSum]) -> list[CostSum]:
    """One entry per bucket, group and currency, ordered."""
    totals: dict[tuple[int, tuple[str, ...], str, bool], tuple[int, int]] = {}
    for item in sums:
        key = (item.bucket, item.group, item.currency, item.nanos is None)
        nanos, requests = totals.get(key, (0, 0))
        totals[key] = (nanos + (item.nanos or 0), requests + item.requests)
    return [
        CostSum(bucket, group, currency, None if unknown else nanos, requests)
        for (bucket, group, currency, unknown), (nanos, requests) in sorted(totals.items())
    ]


def _csv_row(item: CostSum, provisional: frozenset[int]) -> list[object]:
    project, principal, key, line_item = item.group
    hour = datetime.fromtimestamp(item.bucket, UTC).strftime("%Y-%m-%dT%H:00:00Z")
    amount = "" if item.nanos is None else f"{decimal_of(item.nanos):f}"
    open_mark = "true" if item.bucket in provisional else "false"
    return [hour, project, user_of(principal), key, line_item, item.currency, amount, item.requests, open_mark]
