"""Settles hours, settles them again when late records come, and proves that they close."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from plinth.gateway.costs import books, store
from plinth.gateway.costs.errors import BooksOpen, HourNotSettled
from plinth.gateway.costs.model import CostLine, Meters, PriceTable, SettledHour, rounded
from plinth.gateway.costs.service import meters
from plinth.gateway.model import RecordKind
from plinth.gateway.usage import HOUR_SECONDS, Occupation, hour_marks, hour_of, occupations, price_late
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session

log = logging.getLogger(__name__)

HOURS_PER_RUN = 500


@dataclass(frozen=True)
class Account:
    """One pool and hour, freshly computed from records. `settlement` is None while the price is unknown."""

    pool: str
    hour: int
    revision: int
    work: Sequence[Occupation]
    settlement: books.Settlement | None
    digest: str
    lines: Sequence[CostLine]


@dataclass(frozen=True)
class Proof:
    """What `verify` found. `difference` is meter - requests - idle, from what is stored."""

    pool: str
    hour: int
    currency: str
    meter_nanos: int | None
    requests: int
    requests_nanos: int
    idle_nanos: int | None
    difference: int


def hour_name(hour: int) -> str:
    """`2026-11-24T10` (UTC)."""
    return datetime.fromtimestamp(hour, UTC).strftime("%Y-%m-%dT%H")


class Bookkeeper:
    """Args: `grace_seconds` after an hour's end before it is settled.

    Emits `gateway.books.settled`, once a run that changed something.
    """

    def __init__(self, db: Database, clock: Clock, grace_seconds: float = 300.0) -> None:
        self._db, self._clock, self.grace_seconds = db, clock, grace_seconds

    def run_once(self) -> int:
        """The chore: book late prices, settle what is due. Returns the number of hours (re)written."""
        self._book_late_prices()
        with self._db.read() as session:
            due = self.due(session)
        written = [(pool, hour) for pool, hour in due[:HOURS_PER_RUN] if self.settle(pool, hour)]
        if written:
            hours = [hour for _, hour in written]
            payload = {"hours": len(set(hours)), "first": min(hours), "last": max(hours)}
            with self._db.write() as session:
                events.emit(session, self._clock, "gateway.books.settled", payload)
        return len(written)

    def due(self, session: Session) -> list[tuple[str, int]]:
        """(pool, hour) of every closed hour that has no books, or whose books may be old; oldest first."""
        closed = hour_of(self._clock.unix() - self.grace_seconds)
        return unsettled(session, meters(session), closed)

    def settle(self, pool: str, hour: int, again: bool = False) -> bool:
        """Write the books of one hour, all or nothing. False when nothing had changed, and when
        records came meanwhile: then it stays due. `again` writes them even when nothing had changed."""
        with self._db.read() as session:
            account = _read_account(session, pool, hour)
        with self._db.write() as session:
            if hour_marks(session, hour, hour + 1).get(hour, 0) != account.revision:
                log.info("records came while an hour was settled; it is settled later", extra={"hour": hour})
                return False
            known = store.settled(session, pool, hour, hour + 1)
            if known and known[0].digest == account.digest and not again:
                store.note_revision(session, pool, hour, account.revision)
                return False
            times = known[0].times_settled + 1 if known else 1
            entry = _entry(account, times, self._clock.unix())
            shares = account.settlement.shares if account.settlement else {}
            store.write_books(session, entry, shares.items(), account.lines)
        return True

    def settle_again(self, pool: str, hour: int) -> bool:
        """Write the books of an hour that is over, even when nothing seems to have changed.
        False when records came meanwhile. Raises `HourNotSettled` while the hour still runs."""
        if hour + HOUR_SECONDS > self._clock.unix():
            raise HourNotSettled(pool=pool, hour=hour_name(hour), grace_seconds=self.grace_seconds)
        return self.settle(pool, hour, again=True)

    def verify(self, session: Session, pool: str, hour: int) -> Proof:
        """Compute the hour again from its records and compare with everything that is stored.

        Raises `HourNotSettled`, `BooksOpen`.
        """
        stored = store.settled(session, pool, hour, hour + 1)
        if not stored:
            raise HourNotSettled(pool=pool, hour=hour_name(hour), grace_seconds=self.grace_seconds)
        entry, shares = stored[0], store.shares(session, pool, hour)
        paid = sum(shares.values())
        difference = (entry.meter_nanos or 0) - paid - (entry.idle_nanos or 0)
        proof = Proof(pool, hour, entry.currency, entry.meter_nanos, entry.requests, paid, entry.idle_nanos, difference)
        account = _read_account(session, pool, hour)
        if problem := _problem(session, entry, shares, account, difference):
            raise BooksOpen(pool=pool, hour=hour_name(hour), problem=problem)
        return proof

    def open_lines(self, session: Session, since: int, until: int | None = None) -> list[CostLine]:
        """Provisional lines of the hours in the period that have no books yet, the running one
        included up to now."""
        now, known = self._clock.unix(), meters(session)
        end = hour_of(now) + HOUR_SECONDS if until is None else min(until, hour_of(now) + HOUR_SECONDS)
        lines: list[CostLine] = []
        touched = hour_marks(session, hour_of(since), end)
        for pool, hour in unsettled(session, known, end, since, stale=False):
            # an hour without records, and there can be very many, asks the database nothing
            work = occupations(session, hour) if hour in touched else []
            lines += _account(known, (pool, hour), work, until=min(float(hour + HOUR_SECONDS), now)).lines
        return lines

    def _book_late_prices(self) -> None:
        with self._db.read() as session:
            pending = store.unbooked_prices(session)
            table = store.prices(session) if pending else []
        if not pending:
            return
        prices = PriceTable(table)
        booked = price_late(
            self._db,
            sorted({price.model_id for price in pending}),
            lambda record: prices.of(record.organization_id).price(
                record.model_id,
                record.prompt_tokens,
                record.cached_tokens,
                record.completion_tokens,
                record.priority == "batch",
                record.created_at,
            ),
        )
        with self._db.write() as session:
            store.mark_booked(session, [price.id for price in pending])
        if booked:
            log.info("requests were booked with prices that were entered later", extra={"requests": booked})


def unsettled(session: Session, known: Meters, until: int, since: int = 0, stale: bool = True) -> list[tuple[str, int]]:
    """(pool, hour) before `until` without books, oldest first: hours with records, and every hour of
    a pool whose price is known. With `stale` also those whose books may be old."""
    marks = hour_marks(session, since, until)
    found = []
    for pool in known.pools:
        states = store.settled_states(session, pool, since)
        first = known.priced_since(pool)
        if first is not None:
            found += [
                (pool, hour) for hour in range(max(first, hour_of(since)), until, HOUR_SECONDS) if hour not in states
            ]
        found += [(pool, hour) for hour in marks if hour not in states and (first is None or hour < first)]
        if stale:
            found += [
                (pool, hour)
                for hour, (revision, old) in states.items()
                if hour < until and (old or revision != marks.get(hour, 0))
            ]
    return sorted(found, key=lambda pair: (pair[1], pair[0]))


def _read_account(session: Session, pool: str, hour: int) -> Account:
    # the mark first: a record that comes in between makes the account look old, never complete
    revision = hour_marks(session, hour, hour + 1).get(hour, 0)
    return _account(meters(session), (pool, hour), occupations(session, hour), revision)


def _account(
    known: Meters, place: tuple[str, int], occupied: Sequence[Occupation], revision: int = 0, until: float | None = None
) -> Account:
    """Compute one (pool, hour), or its part before `until` (unix seconds), from everything that
    occupied engines in that hour."""
    pool, hour = place
    work = [item for item in occupied if known.pool_of(item.endpoint_group, hour) == pool]
    intervals = [books.Interval(item.id, item.dispatched_at, item.occupied_seconds) for item in work]
    rate, end = known.rate(pool, hour), hour + HOUR_SECONDS if until is None else max(int(until), hour)
    settlement = meter = None
    if rate is not None:
        nanos = rounded(rate.nanos_per_hour * (end - hour), HOUR_SECONDS)
        meter = books.Meter(pool, hour, end, nanos, rate.currency)
        settlement = books.settle(meter, intervals)
    lines = _lines(known, pool, hour, work, settlement)
    return Account(pool, hour, revision, work, settlement, books.digest(meter, intervals), lines)


def _lines(
    known: Meters, pool: str, hour: int, work: Iterable[Occupation], settlement: books.Settlement | None
) -> list[CostLine]:
    """The shares per payer and model, ordered; the idle line last."""
    sums: dict[tuple[str, str, str, str, str], list[int]] = {}
    for item in work:
        key = (item.organization_id, item.project_id, item.key_id, item.principal, item.model_id)
        total = sums.setdefault(key, [0, 0])
        total[0] += settlement.shares[item.id] if settlement else 0
        total[1] += item.kind == RecordKind.request.value and item.dispatched_at >= hour
    currency = settlement.meter.currency if settlement else ""
    lines = [
        CostLine(pool, hour, *key, f"{pool}: {key[4]}", False, currency, nanos if settlement else None, requests)
        for key, (nanos, requests) in sorted(sums.items())
    ]
    if settlement and settlement.idle:
        owner = known.pools[pool].organization_id
        lines.append(CostLine(pool, hour, owner, "", "", "", "", f"idle: {pool}", True, currency, settlement.idle, 0))
    return lines


def _entry(account: Account, times: int, now: float) -> SettledHour:
    settlement = account.settlement
    return SettledHour(
        pool=account.pool,
        hour=account.hour,
        meter_nanos=settlement.meter.nanos if settlement else None,
        idle_nanos=settlement.idle if settlement else None,
        currency=settlement.meter.currency if settlement else "",
        requests=len(account.work),
        digest=account.digest,
        revision=account.revision,
        stale=False,
        times_settled=times,
        settled_at=now,
    )


def _problem(session: Session, entry: SettledHour, shares: dict[str, int], account: Account, difference: int) -> str:
    """What does not fit, in words; empty when everything does."""
    if difference:
        return f"meter - requests - idle is {difference} nanos"
    if store.lines_total(session, entry.pool, entry.hour) != (entry.meter_nanos or 0):
        return "the cost lines do not add up to the meter"
    expected = account.settlement
    if entry.digest != account.digest:
        return "records or prices have changed since it was settled"
    if (expected.idle if expected else None) != entry.idle_nanos:
        return "the idle time computed again differs from what is stored"
    if (expected.shares if expected else {}) != shares:
        return "shares computed again differ from what is stored"
    return ""
