"""Facts that happened, persisted in the transaction that made them true, delivered at least once.

`emit` writes a row beside the business change (a transactional outbox). `Dispatcher` hands each
event, in order, to every subscriber; a subscriber's cursor moves in the same transaction as the
subscriber's own database writes, so those happen exactly once. A handler that fails is retried;
after `MAX_ATTEMPTS` the event is recorded in `event_failures` and the subscriber goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    Integer,
    String,
    Table,
    Text,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session, metadata

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
BATCH = 100

# SQLite only auto-increments INTEGER keys
_Sequence = BigInteger().with_variant(Integer, "sqlite")

events = Table(
    "events",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("kind", String(120), nullable=False, index=True),
    Column("project_id", String(64), nullable=True),
    Column("payload", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    sqlite_autoincrement=True,
)
event_cursors = Table(
    "event_cursors",
    metadata,
    Column("subscriber", String(120), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
)
event_failures = Table(
    "event_failures",
    metadata,
    Column("id", _Sequence, primary_key=True, autoincrement=True),
    Column("subscriber", String(120), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)


@dataclass(frozen=True)
class Event:
    seq: int
    kind: str
    project_id: str | None
    payload: dict[str, Any]
    created_at: float


Handler = Callable[[Session, Event], None]
Effect = Callable[[Event], None]


@dataclass(frozen=True)
class Subscription:
    """`name` is stored: renaming it replays history. `kinds` are exact event kinds.

    `handler` works in the transaction that moves the cursor. `effect` acts on something else (a job
    queue, a remote service): it is called outside any transaction, before the cursor moves, so it
    must be idempotent. Give exactly one of them.
    """

    name: str
    kinds: frozenset[str]
    handler: Handler | None = None
    effect: Effect | None = None


def emit(session: Session, clock: Clock, kind: str, payload: dict[str, Any], project_id: str | None = None) -> None:
    """Record a fact in the caller's transaction. `kind` is `slice.noun.verb`, past tense."""
    if session.get_bind().dialect.name == "postgresql":
        # commit order must equal seq order, or a reader could step over a late, lower seq
        session.execute(text("SELECT pg_advisory_xact_lock(7061726)"))
    session.execute(insert(events).values(kind=kind, project_id=project_id, payload=payload, created_at=clock.unix()))


# built once: every process asks it several times a second
_LATEST = select(func.coalesce(func.max(events.c.seq), 0))


def latest_seq(session: Session) -> int:
    """The newest event's number, 0 when there is none."""
    return int(session.execute(_LATEST).scalar_one())


def position(db: Database) -> int:
    """`latest_seq` for whoever asks several times a second: half of what a session costs."""
    with db.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT coalesce(max(seq), 0) FROM events").scalar_one())


def kinds_between(session: Session, after: int, up_to: int) -> set[str]:
    """The kinds of events with `after < seq <= up_to`."""
    rows = session.execute(select(events.c.kind).where(events.c.seq > after, events.c.seq <= up_to).distinct())
    return set(rows.scalars())


def of_project(
    session: Session, project_id: str, prefixes: Sequence[str], after: int, up_to: int, limit: int
) -> list[Event]:
    """A project's events with `after < seq <= up_to` whose kind begins with one of these, oldest first."""
    rows = session.execute(
        select(events)
        .where(
            events.c.seq > after,
            events.c.seq <= up_to,
            events.c.project_id == project_id,
            or_(*(events.c.kind.startswith(prefix, autoescape=True) for prefix in prefixes)),
        )
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [Event(**row._mapping) for row in rows]


class Dispatcher:
    """Delivers events to subscriptions. One runs per platform (in the worker)."""

    def __init__(self, db: Database, clock: Clock, subscriptions: Sequence[Subscription]) -> None:
        names = [s.name for s in subscriptions]
        if len(set(names)) != len(names):
            raise ValueError(f"subscription names must be unique: {names}")
        self._db, self._clock, self._subscriptions = db, clock, subscriptions
        self._drained_to = 0

    def run_once(self) -> int:
        """Deliver everything that is waiting; returns how many deliveries were made."""
        # idle polls, ten a second, cost one small query; cursors are looked at when there is news
        newest = position(self._db)
        if newest == self._drained_to:
            return 0
        delivered, complete = 0, True
        for subscription in self._subscriptions:
            count, up_to_date = self._drain(subscription)
            delivered, complete = delivered + count, complete and up_to_date
        if complete:
            self._drained_to = newest
        return delivered

    def run(self, stop: threading.Event, poll_seconds: float = 0.1) -> None:
        while not stop.is_set():
            try:
                delivered = self.run_once()
            except Exception:  # the loop must outlive a database outage; it retries after a pause
                log.exception("event dispatch failed; retrying")
                delivered = 0
                stop.wait(1.0)
            if not delivered:
                stop.wait(poll_seconds)

    def _drain(self, subscription: Subscription) -> tuple[int, bool]:
        """How many were delivered, and whether none is left (a failed one is tried again later)."""
        delivered = 0
        while True:
            with self._db.read() as session:
                cursor = self._cursor(session, subscription.name)
                newest = latest_seq(session)
                if cursor[0] >= newest:
                    return delivered, True
                waiting = self._waiting(session, subscription, cursor[0])
            if not waiting:
                with self._db.write() as session:
                    self._advance(session, subscription.name, newest)
                return delivered, True
            for event in waiting:
                if not self._deliver(subscription, event):
                    return delivered, False
                delivered += 1

    def _waiting(self, session: Session, subscription: Subscription, after: int) -> list[Event]:
        rows = session.execute(
            select(events)
            .where(events.c.seq > after, events.c.kind.in_(subscription.kinds))
            .order_by(events.c.seq)
            .limit(BATCH)
        )
        return [Event(r.seq, r.kind, r.project_id, r.payload, r.created_at) for r in rows]

    def _deliver(self, subscription: Subscription, event: Event) -> bool:
        try:
            if subscription.effect:
                subscription.effect(event)
            with self._db.write() as session:
                if subscription.handler:
                    subscription.handler(session, event)
                self._advance(session, subscription.name, event.seq)
            return True
        except Exception as error:  # any handler error: count it, retry, and finally set it aside
            log.exception("subscriber failed", extra={"subscriber": subscription.name, "seq": event.seq})
            return self._count_failure(subscription, event, error)

    def _count_failure(self, subscription: Subscription, event: Event, error: Exception) -> bool:
        with self._db.write() as session:
            seq, attempts = self._cursor(session, subscription.name)
            if attempts + 1 < MAX_ATTEMPTS:
                self._advance(session, subscription.name, seq, attempts=attempts + 1)
                return False
            session.execute(
                insert(event_failures).values(
                    subscriber=subscription.name, seq=event.seq, error=repr(error), created_at=self._clock.unix()
                )
            )
            self._advance(session, subscription.name, event.seq)
            return True

    def _cursor(self, session: Session, name: str) -> tuple[int, int]:
        row = session.execute(
            select(event_cursors.c.seq, event_cursors.c.attempts).where(event_cursors.c.subscriber == name)
        ).one_or_none()
        return (row.seq, row.attempts) if row else (0, 0)

    def _advance(self, session: Session, name: str, seq: int, attempts: int = 0) -> None:
        changed = session.execute(
            update(event_cursors).where(event_cursors.c.subscriber == name).values(seq=seq, attempts=attempts)
        )
        if not changed.rowcount:  # type: ignore[attr-defined]
            session.execute(insert(event_cursors).values(subscriber=name, seq=seq, attempts=attempts))
