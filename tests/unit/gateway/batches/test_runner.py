"""A batch from file to file, with everything that can happen on the way."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from plinth.gateway.batches import BROKEN, UNREACHED, CallFailed, ModelCall, Reply
from plinth.gateway.batches.model import Ending
from plinth.gateway.batches.spool import Record, Spool
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.errors import NotFound
from plinth.kit.jobs import JobStatus
from support import actor
from unit.gateway.batches.site import Site, echo, jsonl, request_line


@pytest.fixture
def site(db: Database, tmp_path: Path) -> Site:
    return Site(db, tmp_path)


def content_of(line: dict[str, Any]) -> str:
    return str(line["response"]["body"]["choices"][0]["message"]["content"])


def test_every_line_is_answered_once_in_the_order_of_the_input(site: Site) -> None:
    async def out_of_order(call: ModelCall) -> Reply:
        await asyncio.sleep(0.02 if int(call.body["messages"][0]["content"]) % 2 else 0)
        return echo(call)

    site.script = out_of_order
    done = site.run(site.create(jsonl(*(request_line(n) for n in range(10))), metadata={"job": "nightly"}))
    assert (done.status, done.counts.total, done.counts.completed, done.counts.failed) == ("completed", 10, 10, 0)
    assert (done.counts.input_tokens, done.counts.cached_tokens, done.counts.output_tokens) == (30, 10, 20)
    assert (done.model, done.metadata, done.error_file_id) == ("m", {"job": "nightly"}, None)
    lines = site.lines(done.output_file_id)
    assert [line["custom_id"] for line in lines] == [f"c-{n}" for n in range(10)]
    assert [content_of(line) for line in lines] == [f"echo {n}" for n in range(10)]
    assert lines[3]["response"]["status_code"] == 200
    assert lines[3]["response"]["request_id"] == "req-3"
    assert len({line["id"] for line in lines}) == 10
    assert site.kinds() == ["gateway.batch.created", "gateway.batch.validated", "gateway.batch.completed"]
    assert not (site.folder / done.id).exists()


def test_the_call_says_whose_it_is_and_stays_within_the_concurrency(site: Site) -> None:
    site.run(site.create(jsonl(*(request_line(n) for n in range(12)))))
    assert site.caller.most_in_flight == 4
    call = site.caller.asked[0]
    assert (call.project_id, call.key_id, call.principal) == ("proj_a", "key_test", "user:user_test")
    assert call.path == "/v1/chat/completions"


def test_a_refused_line_is_in_the_error_file_and_the_rest_goes_on(site: Site) -> None:
    refusal = {"error": {"message": "too long", "code": "context_length_exceeded"}}
    site.script = lambda call: Reply(400, refusal, "r") if "bad" in str(call.body) else echo(call)
    done = site.run(site.create(jsonl(request_line("a"), request_line("bad"), request_line("c"))))
    assert (done.status, done.counts.completed, done.counts.failed) == ("completed", 2, 1)
    assert [line["custom_id"] for line in site.lines(done.output_file_id)] == ["c-a", "c-c"]
    (wrong,) = site.lines(done.error_file_id)
    assert (wrong["custom_id"], wrong["response"]["status_code"], wrong["response"]["body"]) == ("c-bad", 400, refusal)
    assert len(site.caller.asked) == 3


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(429, {}, "r"),
        Reply(503, {}, "r"),
        Reply(502, {}, "r"),
        CallFailed(BROKEN, "x"),
        CallFailed(UNREACHED, "x"),
    ],
    ids=["429", "503", "502", "broken", "unreached"],
)
def test_passing_trouble_is_tried_again_under_the_same_request_id(site: Site, trouble: Any) -> None:
    def script(call: ModelCall) -> Reply:
        if len(site.caller.asked) > 2:
            return echo(call)
        if isinstance(trouble, CallFailed):
            raise trouble
        return trouble

    site.script = script
    done = site.run(site.create(jsonl(request_line("a"))))
    assert (done.status, done.counts.completed) == ("completed", 1)
    assert len(site.caller.asked) == 3
    assert len({call.request_id for call in site.caller.asked}) == 1


@pytest.mark.parametrize(
    ("trouble", "asked", "code"),
    [
        (Reply(500, {"error": {"code": "x"}}, "r"), 4, None),
        (CallFailed(BROKEN, "cut off"), 4, "request_broken"),
        (Reply(429, {"error": {"code": "insufficient_quota"}}, "r"), 1, None),
        (Reply(404, {"error": {"code": "model_not_found"}}, "r"), 1, None),
        (Reply(503, {"error": {"code": "model_failed"}}, "r"), 1, None),
    ],
)
def test_lasting_trouble_fails_the_line_only(db: Database, tmp_path: Path, trouble: Any, asked: int, code: Any) -> None:
    site = Site(db, tmp_path, patience_seconds=0)

    def script(call: ModelCall) -> Reply:
        if "poison" not in str(call.body):
            return echo(call)
        if isinstance(trouble, CallFailed):
            raise trouble
        return trouble

    site.script = script
    done = site.run(site.create(jsonl(request_line("poison"), request_line("fine"))))
    assert (done.status, done.counts.completed, done.counts.failed) == ("completed", 1, 1)
    assert len([call for call in site.caller.asked if "poison" in str(call.body)]) == asked
    (wrong,) = site.lines(done.error_file_id)
    assert (wrong["error"] or {}).get("code") == code


def test_a_pause_that_the_server_asks_for_holds_every_line_back(db: Database, tmp_path: Path) -> None:
    site, times = Site(db, tmp_path, max_pause_seconds=5.0), []

    def script(call: ModelCall) -> Reply:
        times.append(asyncio.get_running_loop().time())
        return Reply(429, {}, "r", retry_after_seconds=0.2) if len(times) <= 4 else echo(call)

    site.script = script
    site.run(site.create(jsonl(*(request_line(n) for n in range(8)))))
    assert len(times) == 12
    assert times[4] - times[0] >= 0.2


# what is known before any model is asked


def test_a_file_with_mistakes_fails_with_the_number_of_each_bad_line(site: Site) -> None:
    content = jsonl(request_line(1)) + b"{not json\n\n" + jsonl(request_line(1), request_line(2, url="/v1/embeddings"))
    failed = site.run(site.create(content))
    assert (failed.status, failed.output_file_id, failed.counts.completed) == ("failed", None, 0)
    assert [(p.line, p.code) for p in failed.problems] == [
        (2, "invalid_json_line"),
        (4, "duplicate_custom_id"),
        (5, "mismatched_endpoint"),
    ]
    assert site.caller.asked == []
    assert site.kinds() == ["gateway.batch.created", "gateway.batch.failed"]


def test_deleting_the_input_file_does_not_stop_a_batch(site: Site) -> None:
    batch = site.create(jsonl(request_line(1)))
    with site.db.write() as session:
        site.data.files.delete(session, "proj_a", batch.input_file_id)
    site.data.content.sweep_now(site.db)
    assert site.run(batch).status == "completed"
    with site.db.write() as session:
        site.data.content.release(session, [batch.input_digest])
    site.data.content.sweep_now(site.db)
    assert not site.blobs.exists(batch.input_digest)


# stopping


def test_cancelling_before_the_start_ends_at_once(site: Site) -> None:
    batch = site.create(jsonl(request_line(1)))
    site.checker.check(batch.id)
    assert site.cancel(batch).status == "cancelled"
    assert site.runner.work(batch.id) is None
    assert site.caller.asked == []
    assert site.kinds()[-1] == "gateway.batch.cancelled"
    assert [action for action, _ in site.audits] == ["batch.created", "batch.cancelled"]


def test_cancelling_a_running_batch_keeps_what_is_done_and_frees_the_rest(site: Site) -> None:
    batch = site.create(jsonl(*(request_line(n) for n in range(20))))

    async def script(call: ModelCall) -> Reply:
        number = int(call.body["messages"][0]["content"])
        if number == 6:
            await asyncio.to_thread(site.cancel, batch)
        if number >= 6:
            await asyncio.sleep(60)
        return echo(call)

    site.script = script
    done = site.run(batch)
    assert (done.status, done.counts.total, done.counts.completed, done.counts.failed) == ("cancelled", 20, 6, 0)
    assert site.caller.cancelled == 4
    assert [line["custom_id"] for line in site.lines(done.output_file_id)] == [f"c-{n}" for n in range(6)]
    left = site.lines(done.error_file_id)
    assert [line["custom_id"] for line in left] == [f"c-{n}" for n in range(6, 20)]
    assert {line["error"]["code"] for line in left} == {"batch_cancelled"}
    assert site.kinds()[-1] == "gateway.batch.cancelled"


def test_a_window_that_closes_ends_the_batch_with_what_is_done(site: Site) -> None:
    clock = site.clock
    assert isinstance(clock, FixedClock)

    async def script(call: ModelCall) -> Reply:
        if "3" in str(call.body["messages"]):
            clock.advance(3601)
            await asyncio.sleep(60)
        return echo(call)

    site.script = script
    done = site.run(site.create(jsonl(*(request_line(n) for n in range(4))), completion_window="1h"))
    assert (done.status, done.counts.completed) == ("expired", 3)
    (left,) = site.lines(done.error_file_id)
    assert (left["custom_id"], left["error"]["code"]) == ("c-3", "batch_expired")
    assert site.kinds()[-1] == "gateway.batch.expired"


def test_an_overdue_batch_asks_nobody(site: Site) -> None:
    batch = site.create(jsonl(request_line(1)))
    assert isinstance(site.clock, FixedClock)
    site.clock.advance(86_400)
    assert site.run(batch).status == "expired"
    assert site.caller.asked == []


# crashes


def test_what_the_spool_holds_is_never_asked_again(site: Site) -> None:
    batch = site.create(jsonl(*(request_line(n) for n in range(6))))
    site.checker.check(batch.id)
    with Spool(site.folder / batch.id) as spool:
        for number in (1, 4):
            wire = (
                b'{"id":"x","custom_id":"c-%d","response":{"status_code":200,"request_id":"q","body":{}},"error":null}'
            )
            spool.append(Record(number, True, (1, 0, 1, 0), wire % (number - 1)))
    ending = site.runner.work(batch.id)
    assert sorted(call.body["messages"][0]["content"] for call in site.caller.asked) == ["1", "2", "4", "5"]
    assert ending is Ending.done
    site.runner.finish(batch.id, ending)
    done = site.get(batch)
    assert done.counts.completed == 6
    assert [line["custom_id"] for line in site.lines(done.output_file_id)] == [f"c-{n}" for n in range(6)]


def test_finishing_twice_makes_one_output(site: Site) -> None:
    done = site.run(site.create(jsonl(request_line(1))))
    site.runner.finish(done.id, Ending.done)
    assert site.get(done) == done
    assert site.kinds().count("gateway.batch.completed") == 1


def test_a_crash_between_asking_and_finishing_asks_nothing_again(site: Site) -> None:
    batch = site.create(jsonl(request_line(1)))
    site.checker.check(batch.id)
    site.runner.work(batch.id)
    assert site.runner.work(batch.id) is Ending.done
    site.runner.finish(batch.id, Ending.done)
    assert len(site.caller.asked) == 1
    assert site.get(batch).status == "completed"


def test_a_mistake_of_ours_fails_the_batch_instead_of_leaving_it_running(site: Site) -> None:
    def broken(call: ModelCall) -> Reply:
        raise ZeroDivisionError

    site.script = broken
    batch = site.create(jsonl(request_line(1)))
    site.checker.check(batch.id)
    site.jobs.enqueue("gateway.batch.run", batch.id, {"batch_id": batch.id})
    assert site.jobs.status(batch.id) is JobStatus.failed
    failed = site.get(batch)
    assert (failed.status, failed.problems[0].code) == ("failed", "internal_error")
    assert (site.folder / batch.id).exists()
    assert isinstance(site.clock, FixedClock)
    site.clock.advance(10 * 86_400)  # the fixed clock is in the future of the folder's time stamp
    assert site.runner.tidy() == 1
    assert not (site.folder / batch.id).exists()


def test_a_full_disk_delays_an_answer_and_does_not_lose_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    original, refusals = Spool.append, [OSError(28, "No space left on device")] * 2

    def append(self: Spool, record: Record) -> None:
        if refusals:
            raise refusals.pop()
        original(self, record)

    monkeypatch.setattr(Spool, "append", append)
    monkeypatch.setattr("plinth.gateway.batches.runner.FULL_DISK_SECONDS", 0.01)
    done = site.run(site.create(jsonl(request_line(1))))
    assert (done.status, done.counts.completed, len(site.caller.asked)) == ("completed", 1, 1)


def test_losing_the_disk_costs_answers_never_the_result(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    original, lost = site.runner.finish, []

    def finish(batch_id: str, ending: Ending) -> bool:
        if not lost:
            lost.append(shutil.rmtree(site.folder / batch_id))
        return original(batch_id, ending)

    monkeypatch.setattr(site.runner, "finish", finish)
    done = site.run(site.create(jsonl(request_line(1), request_line(2))))
    assert (done.status, done.counts.completed) == ("completed", 2)
    assert [line["custom_id"] for line in site.lines(done.output_file_id)] == ["c-1", "c-2"]
    assert len(site.caller.asked) == 4


def test_a_database_that_is_away_for_a_moment_costs_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    original, failures = site.runner.finish, [OperationalError("UPDATE", {}, Exception("gone"))] * 3

    def finish(batch_id: str, ending: Ending) -> bool:
        if failures:
            raise failures.pop()
        return original(batch_id, ending)

    monkeypatch.setattr(site.runner, "finish", finish)
    assert site.run(site.create(jsonl(request_line(1)))).status == "completed"
    assert len(site.caller.asked) == 1


def test_another_projects_batch_does_not_exist(site: Site) -> None:
    batch = site.create(jsonl(request_line(1)))
    site.who.actor = actor("proj_b")
    with pytest.raises(NotFound):
        site.get(batch)
    with pytest.raises(NotFound):
        site.cancel(batch)
