from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from plinth.gateway import UsageRecord, UsageTable, usage_summary
from plinth.gateway.dataplane.journal import UsageJournal, usage_mover
from plinth.gateway.dataplane.ports import InMemoryUsage
from plinth.gateway.usage.http import router
from plinth.identity import Role
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.errors import BadInput
from support import Caller, actor, client_for


def record(number: int, **more: Any) -> UsageRecord:
    fields: dict[str, Any] = {
        "id": f"usage_{number:06}",
        "created_at": 1000.0 + number,
        "project_id": "proj_a",
        "key_id": "key_1",
        "principal": "user:1",
        "operation": "chat/completions",
        "model": "m",
        "model_id": "model-1",
        "endpoint_group": "g",
        "prompt_tokens": 10,
        "cached_tokens": 4,
        "completion_tokens": 2,
        "first_token_ms": None,
        "total_ms": 5.5,
        "status": 200,
        "request_id": "req_1",
    }
    return UsageRecord(**{**fields, **more})


async def test_records_survive_the_way_through_the_journal(tmp_path: Path) -> None:
    journal, store = UsageJournal(tmp_path, 60, 100), InMemoryUsage()
    for number in range(2500):
        await journal.add(record(number, end_user="王小明"))
    journal.stop()
    usage_mover(tmp_path, store).run_once()
    assert store.records == {record(n).id: record(n, end_user="王小明") for n in range(2500)}
    assert list(tmp_path.iterdir()) == []


async def test_a_record_can_be_moved_soon_after_it_was_made(tmp_path: Path) -> None:
    journal, store = UsageJournal(tmp_path, 0.01, 100), InMemoryUsage()
    await journal.add(record(1))
    while not store.records:
        await asyncio.sleep(0.005)
        usage_mover(tmp_path, store).run_once()
    journal.stop()


async def test_a_damaged_line_costs_only_itself(tmp_path: Path) -> None:
    journal, store = UsageJournal(tmp_path, 60, 100), InMemoryUsage()
    await journal.add(record(1))
    journal.stop()
    with next(tmp_path.glob("usage-*")).open("ab") as file:
        file.write(b'{"id":"usage_2","created')
    usage_mover(tmp_path, store).run_once()
    assert set(store.records) == {"usage_000001"}


async def test_without_room_records_are_held_and_at_the_bound_requests_wait(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    journal, store = UsageJournal(folder, 0.01, 2), InMemoryUsage()
    await journal.add(record(1))
    await journal.add(record(2))
    third = asyncio.create_task(journal.add(record(3)))
    await asyncio.sleep(0.15)
    assert not third.done()
    folder.mkdir()
    await third
    journal.stop()
    usage_mover(folder, store).run_once()
    assert sorted(store.records) == ["usage_000001", "usage_000002", "usage_000003"]


def test_a_replay_changes_nothing(db: Database) -> None:
    table = UsageTable(db)
    table.add([record(1), record(2)])
    table.add([record(2, completion_tokens=99), record(3)])
    with db.read() as session:
        (line,) = usage_summary(session, "proj_a", 0, 2000).models
    assert (line.requests, line.completion_tokens) == (3, 6)


def test_summary_counts_per_model_inside_the_period_and_project(db: Database) -> None:
    UsageTable(db).add(
        [
            record(1),
            record(2, status=503),
            record(3, status=499),
            record(4, model="other"),
            record(5, project_id="proj_b"),
            record(6),
        ]
    )
    with db.read() as session:
        lines = usage_summary(session, "proj_a", 1001, 1006).models
        empty = usage_summary(session, "proj_c", 0, 5000).models
        with pytest.raises(BadInput):
            usage_summary(session, "proj_a", 5, 5)
    assert [(line.model, line.requests, line.failed) for line in lines] == [("m", 3, 1), ("other", 1, 0)]
    assert (lines[0].prompt_tokens, lines[0].cached_tokens, lines[0].completion_tokens) == (30, 12, 6)
    assert empty == ()


def test_summary_route(db: Database, clock: FixedClock) -> None:
    UsageTable(db).add([record(1), record(2, created_at=clock.unix() - 60), record(3, project_id="proj_b")])
    caller = Caller()
    with client_for(router(db, clock, caller.guard)) as client:
        day = client.get("/api/usage/summary").json()
        assert [line["requests"] for line in day["models"]] == [1]
        assert (day["object"], day["until"] - day["since"]) == ("usage.summary", 86_400)
        early = client.get("/api/usage/summary", params={"since": 0, "until": 5000}).json()
        assert early["models"][0]["prompt_tokens"] == 10
        assert client.get("/api/usage/summary", params={"since": 5, "until": 5}).status_code == 400
        assert client.get("/api/usage/summary", params={"since": "x"}).status_code == 400
        caller.actor = actor(role=Role.agent)
        assert client.get("/api/usage/summary").status_code == 403
