"""Units of work, and events that are delivered in order, at least once, with exactly-once effects."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select

from plinth.kit import events
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database, Session
from plinth.kit.events import Dispatcher, Event, Subscription, emit

notes = Table("test_notes", MetaData(), Column("id", Integer, primary_key=True), Column("text", String(50)))


@pytest.fixture(autouse=True)
def table(db: Database) -> None:
    notes.metadata.create_all(db.engine)


def texts(db: Database) -> list[str]:
    with db.read() as session:
        return list(session.execute(select(notes.c.text).order_by(notes.c.id)).scalars())


def add(session: Session, text: str) -> None:
    session.execute(insert(notes).values(text=text))


def test_write_commits_once_and_rolls_back_on_error(db: Database) -> None:
    with db.write() as session:
        add(session, "kept")
    with suppress(ValueError), db.write() as session:
        add(session, "lost")
        raise ValueError
    assert texts(db) == ["kept"]


def test_concurrent_read_then_write_never_fails(db: Database) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                with db.write() as session:
                    count = session.execute(select(func.count()).select_from(notes)).scalar_one()
                    add(session, str(count))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(texts(db)) == 80


def test_events_arrive_in_order_and_only_when_committed(db: Database, clock: FixedClock) -> None:
    seen: list[int] = []
    dispatcher = Dispatcher(
        db, clock, [Subscription("s", frozenset({"a.b.done"}), lambda _, event: seen.append(event.payload["n"]))]
    )
    with db.write() as session:
        for number in range(150):
            emit(session, clock, "a.b.done", {"n": number})
            emit(session, clock, "a.other.done", {"n": -1})
    with suppress(ValueError), db.write() as session:
        emit(session, clock, "a.b.done", {"n": 999})
        raise ValueError
    assert dispatcher.run_once() == 150
    assert seen == list(range(150))
    assert dispatcher.run_once() == 0


def test_effects_and_cursor_move_together(db: Database, clock: FixedClock) -> None:
    attempts = 0

    def handler(session: Session, event: Event) -> None:
        nonlocal attempts
        attempts += 1
        add(session, f"effect {event.payload['n']}")
        if attempts == 1:
            raise RuntimeError("crash after the write")

    dispatcher = Dispatcher(db, clock, [Subscription("s", frozenset({"k"}), handler)])
    with db.write() as session:
        emit(session, clock, "k", {"n": 1})
    assert dispatcher.run_once() == 0
    assert dispatcher.run_once() == 1
    assert texts(db) == ["effect 1"]


def test_a_poisoned_event_is_set_aside_and_the_rest_flows(db: Database, clock: FixedClock) -> None:
    def handler(session: Session, event: Event) -> None:
        if event.payload["n"] == 1:
            raise RuntimeError("always")
        add(session, "second")

    dispatcher = Dispatcher(db, clock, [Subscription("s", frozenset({"k"}), handler)])
    with db.write() as session:
        emit(session, clock, "k", {"n": 1})
        emit(session, clock, "k", {"n": 2})
    for _ in range(events.MAX_ATTEMPTS):
        dispatcher.run_once()
    assert texts(db) == ["second"]
    with db.read() as session:
        assert "always" in session.execute(select(events.event_failures.c.error)).scalar_one()


def test_kinds_between_tells_what_changed(db: Database, clock: FixedClock) -> None:
    with db.write() as session:
        emit(session, clock, "x", {})
        first = events.latest_seq(session)
        emit(session, clock, "y", {})
        assert events.kinds_between(session, first, events.latest_seq(session)) == {"y"}


def test_an_effect_acts_outside_the_transaction_and_is_repeated_until_it_worked(
    db: Database, clock: FixedClock
) -> None:
    tries: list[int] = []

    def effect(event: Event) -> None:
        tries.append(event.payload["n"])
        with db.write() as session:  # would wait for ever inside the dispatcher's own transaction
            add(session, "from outside")
        if len(tries) == 1:
            raise RuntimeError("the queue is away")

    dispatcher = Dispatcher(db, clock, [Subscription("s", frozenset({"k"}), effect=effect)])
    with db.write() as session:
        emit(session, clock, "k", {"n": 1})
    dispatcher.run_once()
    dispatcher.run_once()
    assert tries == [1, 1]
    assert dispatcher.run_once() == 0
