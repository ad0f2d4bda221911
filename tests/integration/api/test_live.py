"""The stream of changes, over a real database that somebody else writes to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from plinth.api import live
from plinth.kit import events
from plinth.kit.clock import SystemClock
from plinth.kit.db import Database, metadata
from support import Caller, actor, client_for

CLOCK = SystemClock()
TIMES = live.LiveTimes(poll=0.02, silence=0.15, lifetime=0.8)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    metadata.create_all(database.engine)
    yield database
    database.close()


def emit(db: Database, kind: str, project_id: str | None = "proj_a", **payload: Any) -> None:
    with db.write() as session:
        events.emit(session, CLOCK, kind, payload, project_id)


def later(work: Callable[[], None]) -> None:
    threading.Timer(0.2, work).start()


def changes(client: TestClient, after: str = "") -> list[tuple[int, dict[str, Any]]]:
    """Every change that a stream tells in its lifetime, with its position."""
    answer = client.get("/api/events", headers={"last-event-id": after} if after else {})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines.get("event") == "change":
            found.append((int(lines["id"]), json.loads(lines["data"])))
    return found


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
def client(db: Database, caller: Caller) -> Iterator[TestClient]:
    with client_for(live.router(db, CLOCK, lambda: caller.actor, TIMES)) as found:
        yield found


def test_a_change_is_told_while_one_listens_and_old_ones_are_not(db: Database, client: TestClient) -> None:
    emit(db, "tuning.job.queued", job_id="ftjob-0")
    later(lambda: emit(db, "tuning.job.succeeded", job_id="ftjob-1", fine_tuned_model="secret name", attempt=1))
    ((_, change),) = changes(client)
    assert change["kind"] == "tuning.job.succeeded"
    assert change["ids"] == {"job_id": "ftjob-1"}
    assert abs(change["created_at"] - time.time()) < 5


def test_whoever_comes_back_misses_nothing(db: Database, client: TestClient) -> None:
    for number in range(450):  # more than one page
        emit(db, "evaluation.run.completed", run_id=f"run-{number}")
    everything = changes(client, after="0")
    assert [change["ids"]["run_id"] for _, change in everything] == [f"run-{number}" for number in range(450)]
    position = everything[99][0]
    assert [place for place, _ in changes(client, after=str(position))] == [place for place, _ in everything[100:]]


def test_other_projects_and_inner_matters_stay_untold(db: Database, client: TestClient, caller: Caller) -> None:
    emit(db, "tuning.job.queued", "proj_b", job_id="theirs")
    emit(db, "serving.endpoints.changed", None, id="everybody's")
    emit(db, "identity.key.changed", key_id="key_1")
    emit(db, "tuningXjob", job_id="no such slice")
    emit(db, "gateway.webhook.changed", endpoint_id="we_1")
    assert changes(client, after="0") == []
    caller.actor = actor("proj_b")
    assert [change["ids"] for _, change in changes(client, after="0")] == [{"job_id": "theirs"}]


def test_silence_has_a_sign_of_life_and_an_end(client: TestClient) -> None:
    began = time.monotonic()
    text = client.get("/api/events").text
    assert text.startswith("retry: 1000\nid: 0\nevent: ready\n")
    assert text.count(": still here\n\n") >= 3
    assert 0.7 < time.monotonic() - began < 5


def test_a_database_that_is_away_for_a_while_costs_nothing(
    db: Database, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    original, failures = events.of_project, iter(range(2))

    def fails_twice(*args: Any) -> Any:
        if next(failures, None) is not None:
            raise OperationalError("select", {}, Exception("away"))
        return original(*args)

    monkeypatch.setattr(events, "of_project", fails_twice)
    emit(db, "tuning.job.queued", job_id="ftjob-0")
    assert [change["ids"]["job_id"] for _, change in changes(client, after="0")] == ["ftjob-0"]
