"""Stored completions: found by label and model, page by page, by nobody else, and really deleted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from plinth.gateway.completions import CompletionRecord, StoredCompletions, store
from plinth.gateway.completions.errors import BadCursor
from plinth.gateway.completions.model import Filter, Paging
from plinth.gateway.completions.settings import CompletionSettings
from plinth.identity import Actor
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database, Session, metadata
from plinth.kit.errors import BadInput, NotFound
from support import actor

DAY = 86_400.0


def record(n: int, labels: dict[str, str] | None = None, **changes: Any) -> CompletionRecord:
    message = {"role": "assistant", "content": f"answer {n}"}
    values: dict[str, Any] = {
        "id": f"chatcmpl-{n:04}",
        "project_id": "proj_a",
        "created_at": 1_800_000_000.0 + n,
        "model": "m",
        "request": {"model": "m", "messages": [{"role": "user", "content": f"question {n}"}], "temperature": 0.5},
        "response": {"object": "chat.completion", "choices": [{"index": 0, "message": message}]},
        "metadata": labels or {},
        "principal": "user:1",
        "request_id": f"req_{n}",
    }
    return CompletionRecord(**{**values, **changes})


class Shelf:
    def __init__(self, db: Database, clock: FixedClock, retention_days: int = 30) -> None:
        self.db, self.who, self.audits = db, actor(), []
        self.service = StoredCompletions(db, clock, self._audit, CompletionSettings(retention_days=retention_days))

    def _audit(self, session: Session, who: Actor, action: str, target: str, detail: dict[str, Any]) -> None:
        self.audits.append((action, target, detail))

    def ids(self, wanted: Filter | None = None, **paging: Any) -> list[int]:
        with self.db.read() as session:
            found = self.service.page(session, self.who, wanted or Filter(), Paging(**paging))
        return [int(entry.id.removeprefix("chatcmpl-")) for entry in found]

    def get(self, n: int) -> CompletionRecord:
        with self.db.read() as session:
            return self.service.get(session, self.who, f"chatcmpl-{n:04}")


@pytest.fixture
def shelf(db: Database, clock: FixedClock) -> Shelf:
    return Shelf(db, clock)


def test_what_was_added_comes_back_as_it_was(shelf: Shelf) -> None:
    given = record(1, {"topic": "退款", "empty": ""}, response={"choices": [], "x": "😀 \0 é"})
    assert shelf.service.add([given]) == 1
    assert shelf.get(1) == given


def test_adding_again_changes_nothing(shelf: Shelf) -> None:
    shelf.service.add([record(1, {"a": "1"})])
    with shelf.db.write() as session:
        shelf.service.set_metadata(session, shelf.who, "chatcmpl-0001", {"a": "edited"})
    assert shelf.service.add([record(1, {"a": "1"}), record(2), record(2)]) == 1
    assert shelf.get(1).metadata == {"a": "edited"}
    assert shelf.ids() == [1, 2]
    assert shelf.service.add([]) == 0


def test_the_same_id_in_two_projects_is_two_completions(shelf: Shelf) -> None:
    other = record(1, {"a": "b"}, project_id="proj_b", model="theirs")
    assert shelf.service.add([record(1, {"a": "b"}), other]) == 2
    assert shelf.get(1).model == "m"
    assert shelf.ids(Filter(metadata={"a": "b"})) == [1]
    with shelf.db.write() as session:
        shelf.service.delete(session, shelf.who, "chatcmpl-0001")
    shelf.who = actor("proj_b")
    assert shelf.get(1) == other
    assert shelf.ids(Filter(metadata={"a": "b"})) == [1]


def test_one_unusable_answer_does_not_lose_the_others(shelf: Shelf) -> None:
    odd = [record(1, id="x" * 129), record(2, id="nul\0"), record(3, id=""), record(4, {"k\0" * 40: "v" * 600})]
    assert shelf.service.add([*odd, record(5)]) == 2
    assert shelf.ids() == [4, 5]
    ((key, value),) = shelf.get(4).metadata.items()
    assert (len(key), len(value)) == (40, 512)


def test_filters(shelf: Shelf) -> None:
    shelf.service.add(
        [
            record(1, {"topic": "refund", "lang": "zh"}),
            record(2, {"topic": "refund", "lang": "en"}),
            record(3, {"topic": "balance", "lang": "zh"}, model="n"),
            record(4, {"lang": "refund"}),
            record(5),
        ]
    )
    assert shelf.ids(Filter(metadata={"topic": "refund"})) == [1, 2]
    assert shelf.ids(Filter(metadata={"topic": "refund", "lang": "zh"})) == [1]
    assert shelf.ids(Filter(metadata={"lang": "zh"}), descending=True) == [3, 1]
    assert shelf.ids(Filter("n")) == [3]
    assert shelf.ids(Filter("n", {"lang": "zh"})) == [3]
    assert shelf.ids(Filter("n", {"lang": "en"})) == []
    assert shelf.ids(Filter(metadata={"topic": "ref"})) == []
    assert shelf.ids() == [1, 2, 3, 4, 5]


def test_pages_follow_the_time_not_the_id(shelf: Shelf) -> None:
    shelf.service.add([record(n, created_at=1000.0 + (n * 7) % 10 // 2) for n in range(10)])
    everything = shelf.ids(limit=100)
    assert everything == sorted(range(10), key=lambda n: ((n * 7) % 10 // 2, n))
    first = shelf.ids(limit=3)
    assert len(first) == 4
    rest = shelf.ids(limit=100, after=f"chatcmpl-{first[2]:04}")
    assert first[:3] + rest == everything
    assert shelf.ids(limit=100, descending=True) == everything[::-1]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["m", "n"]), st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)
        ),
        max_size=12,
    ),
    st.sampled_from([None, "m", "n"]),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=2),
    st.booleans(),
)
def test_every_page_walk_finds_exactly_what_matches(
    made: list[tuple[str, dict[str, str]]], model: str | None, labels: dict[str, str], descending: bool
) -> None:
    db = Database("sqlite://")
    from sqlalchemy.pool import StaticPool

    db.engine.pool = StaticPool(db.engine.pool._creator)  # one connection, so that memory is shared
    metadata.create_all(db.engine, tables=[store.completions, store.labels])
    shelf = Shelf(db, FixedClock())
    shelf.service.add([record(n, given, model=name) for n, (name, given) in enumerate(made)])
    wanted = [
        n
        for n, (name, given) in enumerate(made)
        if model in (None, name) and all(given.get(key) == value for key, value in labels.items())
    ]
    walked: list[int] = []
    after = None
    while page := shelf.ids(Filter(model, labels), limit=2, after=after, descending=descending):
        walked += page[:2]
        after = f"chatcmpl-{page[:2][-1]:04}"
        if len(page) < 3:
            break
    assert walked == (wanted[::-1] if descending else wanted)
    db.close()


def test_an_unknown_cursor_is_said(shelf: Shelf) -> None:
    with pytest.raises(BadCursor):
        shelf.ids(after="chatcmpl-nobody")


def test_another_projects_completion_does_not_exist(shelf: Shelf) -> None:
    shelf.service.add([record(1, {"a": "b"})])
    shelf.who = actor("proj_b")
    assert shelf.ids(Filter(metadata={"a": "b"})) == []
    with shelf.db.write() as session:
        for attempt in (
            lambda: shelf.service.get(session, shelf.who, "chatcmpl-0001"),
            lambda: shelf.service.delete(session, shelf.who, "chatcmpl-0001"),
            lambda: shelf.service.set_metadata(session, shelf.who, "chatcmpl-0001", {}),
            lambda: shelf.service.messages(session, shelf.who, "chatcmpl-0001", Paging()),
        ):
            with pytest.raises(NotFound):
                attempt()
    shelf.who = actor("")
    with pytest.raises(BadInput):
        shelf.ids()


def test_new_labels_replace_the_old_ones_in_the_search_too(shelf: Shelf) -> None:
    shelf.service.add([record(1, {"a": "1", "b": "2"})])
    with shelf.db.write() as session:
        shelf.service.set_metadata(session, shelf.who, "chatcmpl-0001", {"b": "3"})
    assert shelf.ids(Filter(metadata={"a": "1"})) == []
    assert shelf.ids(Filter(metadata={"b": "2"})) == []
    assert shelf.ids(Filter(metadata={"b": "3"})) == [1]
    assert shelf.audits == [("completion.updated", "chatcmpl-0001", {"keys": ["b"]})]


def left(db: Database) -> tuple[int, int]:
    with db.read() as session:
        return tuple(  # type: ignore[return-value]
            session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (store.completions, store.labels)
        )


def test_deleting_leaves_nothing(shelf: Shelf) -> None:
    shelf.service.add([record(1, {"a": "1"})])
    with shelf.db.write() as session:
        shelf.service.delete(session, shelf.who, "chatcmpl-0001")
    assert left(shelf.db) == (0, 0)
    assert [action for action, *_ in shelf.audits] == ["completion.deleted"]


def test_retention(db: Database, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plinth.gateway.completions.service.EXPIRED_AT_ONCE", 3)
    shelf = Shelf(db, clock, retention_days=2)
    shelf.service.add([record(n, {"a": "1"}, created_at=clock.unix() - n * DAY) for n in range(10)])
    assert shelf.service.expire() == 7
    assert shelf.ids(descending=True) == [0, 1, 2]
    assert left(db) == (3, 3)
    assert Shelf(db, FixedClock(9e9), retention_days=0).service.expire() == 0


@pytest.mark.once
def test_a_search_sorts_nothing_and_scans_no_table(shelf: Shelf) -> None:
    """SQLite's own plan for the queries that `page` sends."""
    from sqlalchemy import event

    sent: list[tuple[str, Any]] = []
    shelf.service.add([record(n, {"a": "1", "b": "2"}) for n in range(50)])
    event.listen(shelf.db.engine, "before_cursor_execute", lambda *a: sent.append((a[2], a[3])))
    for wanted in (Filter(), Filter("m"), Filter(metadata={"a": "1"}), Filter("m", {"a": "1", "b": "2"})):
        for descending in (False, True):
            shelf.ids(wanted, limit=5, after="chatcmpl-0010", descending=descending)
    looked = [statement for statement in sent if "ORDER BY" in statement[0]]
    assert len(looked) == 8
    for statement, values in looked:
        with shelf.db.engine.connect() as connection:
            found = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).fetchall())
        assert "SCAN" not in found, found
        assert "TEMP B-TREE" not in found, found
