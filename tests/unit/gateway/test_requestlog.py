"""The request log: what a line holds and never holds, who gets one, and its bounds."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from plinth.gateway.dataplane.requestlog import LogFile, LogRules, LogWriter, Pseudonyms, RequestLog
from plinth.gateway.model import UsageRecord
from plinth.kit.clock import FixedClock

DOCS = Path(__file__).resolve().parents[3] / "docs"


def record(**fields: Any) -> UsageRecord:
    some: dict[str, Any] = {
        "id": "usage_1",
        "created_at": 1_800_000_000.0,
        "organization_id": "org_1",
        "project_id": "proj_1",
        "key_id": "key_1",
        "principal": "user:1",
        "operation": "chat/completions",
        "model": "assistant",
        "model_id": "base-1",
        "target": "assistant-v2",
        "endpoint_group": "group",
        "engine": "llamacpp",
        "prompt_tokens": 9,
        "cached_tokens": 5,
        "completion_tokens": 3,
        "first_token_ms": 12.3456,
        "total_ms": 250.0,
        "status": 200,
        "request_id": "req_1",
        "cost_nanos": 1200,
        "currency": "USD",
    }
    return UsageRecord(**{**some, **fields})


def make(clock: FixedClock | None = None, **rules: Any) -> RequestLog:
    return RequestLog(LogRules(**rules), clock or FixedClock(), Pseudonyms(b"key"), "3")


def lines(log: RequestLog) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.drain().splitlines()]


def test_a_line_says_what_an_operator_asks() -> None:
    log = make()
    log.add(record())
    (line,) = lines(log)
    assert line == {
        "time": "2027-01-15T08:00:00.250000Z",
        "level": "info",
        "process": "gateway",
        "worker": "3",
        "message": "model call",
        "kind": "request",
        "request_id": "req_1",
        "organization": "org_1",
        "project": "proj_1",
        "key": "key_1",
        "principal": "user:1",
        "operation": "chat/completions",
        "model": "assistant",
        "route": "",
        "target": "assistant-v2",
        "model_id": "base-1",
        "engine": "llamacpp",
        "engine_group": "group",
        "status": 200,
        "error": "",
        "stream": False,
        "priority": "interactive",
        "first_token_ms": 12.346,
        "total_ms": 250.0,
        "prompt_tokens": 9,
        "cached_tokens": 5,
        "completion_tokens": 3,
        "cost_nanos": 1200,
        "currency": "USD",
    }
    assert log.drain() == b""


@pytest.mark.parametrize(
    "request_id", ["alice@example.com", "sk-proj-abcdef123456", "eyJhbGciOi", "王小明", "my name is Bob", ""]
)
def test_what_a_client_wrote_is_not_readable(request_id: str) -> None:
    log = make()
    log.add(
        record(request_id=request_id, end_user="bob@example.com", model="my password is 1", model_id="", status=404)
    )
    text = log.drain().decode()
    (line,) = [json.loads(text)]
    for secret in filter(None, (request_id, "bob@example.com", "password")):
        assert secret not in text
    assert line["request_id"].startswith("hash:")
    assert line["model"] == ""
    again, elsewhere = make(), RequestLog(LogRules(), FixedClock(), Pseudonyms(b"another key"))
    again.add(record(end_user="bob@example.com"))
    elsewhere.add(record(end_user="bob@example.com"))
    assert lines(again)[0]["user_hash"] == line["user_hash"]
    assert lines(elsewhere)[0]["user_hash"] != line["user_hash"]


def test_failed_and_slow_calls_are_always_written() -> None:
    log = make(sample=0.0, slow_ms=1000)
    log.add(record(request_id="ordinary", first_token_ms=999.0, total_ms=60_000.0))
    log.add(record(request_id="failed", status=503, error_code="engine_lost"))
    log.add(record(request_id="slow", first_token_ms=1000.0))
    log.add(record(request_id="slow_without_text", first_token_ms=None, total_ms=1000.0))
    assert [line["request_id"] for line in lines(log)] == ["failed", "slow", "slow_without_text"]
    assert log.dropped == 0


def test_a_sample_is_a_share_and_keeps_a_calls_records_together() -> None:
    log = make(sample=0.25, bytes_per_second=100_000_000)
    for number in range(4000):
        log.add(record(request_id=f"req_{number}"))
        log.add(record(request_id=f"req_{number}", kind="attempt"))
    written = lines(log)
    kinds = {line["request_id"]: [] for line in written}
    for line in written:
        kinds[line["request_id"]].append(line["kind"])
    assert 900 < len(kinds) < 1100
    assert all(found == ["request", "attempt"] for found in kinds.values())


def test_a_flood_is_bounded_and_said_and_leaves_room_for_errors() -> None:
    clock = FixedClock()
    log = make(clock, bytes_per_second=20_000)
    for number in range(1000):
        log.add(record(request_id=f"req_{number}"))
    for number in range(5):
        log.add(record(request_id=f"bad_{number}", status=500))
    data = log.drain()
    *written, last = [json.loads(line) for line in data.splitlines()]
    assert len(data) < 21_500
    assert [line["request_id"] for line in written[-5:]] == [f"bad_{number}" for number in range(5)]
    assert last["kind"] == "dropped"
    assert last["dropped"] == 1005 - len(written) == log.dropped
    assert last["dropped_failed_or_slow"] == 0
    log.add(record())
    assert lines(log)[0]["dropped"] == 1
    clock.advance(1)
    log.add(record())
    assert [line["kind"] for line in lines(log)] == ["request"]


def test_a_flood_of_errors_is_bounded_too() -> None:
    clock = FixedClock()
    log = make(clock, bytes_per_second=20_000)
    written = 0
    for _ in range(100):
        for number in range(100):
            log.refused(f"req_{number}", "embeddings", 401, "invalid_api_key")
        written += len(log.drain())
        clock.advance(0.1)
    assert 150_000 < written < 20_000 * 11.5 + 100 * 300


def test_a_disk_that_does_not_answer_costs_no_memory_without_bound() -> None:
    clock = FixedClock()
    log = make(clock, bytes_per_second=20_000)
    for _ in range(100):
        for _ in range(100):
            log.add(record())
        clock.advance(1)
    assert len(log.drain()) < 20_000 * 9


def test_who_is_turned_away_is_written_without_a_name() -> None:
    log = make()
    log.refused("a@b.c", "embeddings", 401, "invalid_api_key")
    (line,) = lines(log)
    assert (line["kind"], line["level"], line["status"], line["error"]) == (
        "refused",
        "warning",
        401,
        "invalid_api_key",
    )
    assert line["request_id"].startswith("hash:")


def test_files_rotate_and_their_number_is_bounded(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log", file_bytes=100, files=3)
    for number in range(10):
        file.write(b"%039d\n" % number)
    file.close()
    kept = {path.name: [int(line) for line in path.read_text().split()] for path in tmp_path.iterdir()}
    assert kept == {"log": [8, 9], "log.1": [6, 7], "log.2": [4, 5]}
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    again = LogFile(tmp_path / "log", file_bytes=100, files=3)
    again.write(b"%039d\n" % 10)
    again.close()
    assert (tmp_path / "log").read_text().split() == [f"{10:039}"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_that_somebody_moved_is_opened_anew(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log", file_bytes=1000, files=1)
    file.write(b"one\n")
    (tmp_path / "log").rename(tmp_path / "moved")
    file.write(b"two\n")
    file.close()
    assert (tmp_path / "moved").read_text() == "one\n"
    assert (tmp_path / "log").read_text() == "two\n"


def test_the_writer_writes_soon_and_everything_at_the_end(tmp_path: Path) -> None:
    log, path = make(), tmp_path / "log"
    writer = LogWriter(log, LogFile(path, 10**6, 2), every_seconds=0.01)
    writer.start()
    log.add(record(request_id="first"))
    deadline = time.monotonic() + 5
    while not path.exists() or "first" not in path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    log.add(record(request_id="last"))
    writer.stop()
    assert [json.loads(line)["request_id"] for line in path.read_text().splitlines()] == ["first", "last"]


def test_a_disk_that_takes_nothing_costs_lines_and_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log, folder = make(), tmp_path / "missing"
    writer = LogWriter(log, LogFile(folder / "log", 10**6, 2), every_seconds=0.01)
    log.add(record())
    writer.start()
    deadline = time.monotonic() + 5
    while writer.lost_lines < 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.mkdir(folder)
    log.add(record())
    writer.stop()
    assert len((folder / "log").read_text().splitlines()) == 1
    assert [entry.message for entry in caplog.records] == [
        "the request log cannot be written; its lines are lost",
        "the request log is written again",
    ]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_field_is_documented(language: str) -> None:
    log = make()
    log.add(record(end_user="somebody"))
    text = (DOCS / f"telemetry.{language}.md").read_text("utf-8")
    assert [name for name in lines(log)[0] if f"`{name}`" not in text] == []
