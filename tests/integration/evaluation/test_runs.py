"""How runs survive crashes, stop when told, and end when the model is gone."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from integration.evaluation.conftest import Site
from plinth.evaluation import store
from plinth.evaluation.errors import CompletionFailed, SandboxUnavailable
from plinth.evaluation.jobs import RUN
from plinth.evaluation.model import ItemStatus, Run, RunStatus
from plinth.evaluation.ports import Question
from plinth.kit.errors import NotFound

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}, "answer": {"type": "string"}}, "required": ["n"]}
EXACT = {
    "type": "string_check",
    "name": "exact",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.answer }}",
    "operation": "eq",
}


def make_run(site: Site, rows: int, *criteria: dict[str, Any], model: str = "m") -> Run:
    config = {"type": "custom", "item_schema": SCHEMA, "include_sample_schema": True}
    content = [{"item": {"n": n, "answer": f"echo {n}"}} for n in range(rows)]
    source = {
        "type": "completions",
        "model": model,
        "input_messages": {"type": "template", "template": [{"role": "user", "content": "{{ item.n }}"}]},
        "source": {"type": "file_content", "content": content},
    }
    given = {"data_source_config": config, "testing_criteria": list(criteria) or [EXACT]}
    draft = site.service.draft_eval("proj_a", "e", given)
    with site.db.write() as session:
        made = site.service.create_eval(session, draft)
    with site.db.read() as session:
        plan = site.service.plan_run(session, "proj_a", made.id, {"data_source": source})
    with site.db.write() as session:
        return site.service.create_run(session, plan).run


def view(site: Site, run: Run) -> Any:
    with site.db.read() as session:
        return site.service.run(session, "proj_a", run.eval_id, run.id)


def echo(question: Question) -> str:
    return f"echo {question.messages[-1]['content']}"


def asked(site: Site) -> list[str]:
    return [question.messages[-1]["content"] for _, question in site.completer.asked]


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


def test_a_killed_run_repeats_no_finished_chunk(site: Site) -> None:
    run = make_run(site, 10)

    def dies_in_the_second_chunk(question: Question) -> str:
        if question.messages[-1]["content"] == "6":
            raise Killed
        return echo(question)

    site.completer._script = dies_in_the_second_chunk
    with pytest.raises(Killed):
        site.work()
    half = view(site, run)
    assert (half.run.status, half.tally.passed) == (RunStatus.in_progress, 4)
    site.completer.asked.clear()
    site.completer._script = echo
    site.jobs.rerun(run.id)
    done = view(site, run)
    assert (done.run.status, done.tally.passed, done.tally.answers) == (RunStatus.completed, 10, 10)
    assert sorted(map(int, asked(site))) == [4, 5, 6, 7, 8, 9]


def test_a_crash_between_the_rows_and_the_record_of_the_step_asks_nothing_twice(site: Site) -> None:
    site.completer._script = echo
    run = make_run(site, 4)
    plan = site.executor.begin(run.id)
    for _ in range(2):
        assert site.executor.chunk(run.id, 0, plan["size"]) == {"stop": False, "error": None}
    site.executor.finish(run.id, None)
    site.executor.finish(run.id, {"code": "x", "message": "too late"})
    done = view(site, run)
    assert (done.run.status, done.tally.passed, done.tally.answers) == (RunStatus.completed, 4, 4)
    assert len(asked(site)) == 4
    assert site.kinds().count("evaluation.run.completed") == 1


def test_cancelling_stops_a_run_and_keeps_what_is_graded(site: Site) -> None:
    run = make_run(site, 12)

    def cancels_itself(question: Question) -> str:
        if question.messages[-1]["content"] == "5":
            with site.db.write() as session:
                assert site.service.cancel_run(session, "proj_a", run.eval_id, run.id).run.cancel_requested
        return echo(question)

    site.completer._script = cancels_itself
    site.work()
    done = view(site, run)
    assert (done.run.status, done.tally.passed) == (RunStatus.canceled, 8)
    assert site.kinds()[-1] == "evaluation.run.canceled"
    with site.db.write() as session:
        assert site.service.cancel_run(session, "proj_a", run.eval_id, run.id).run.status is RunStatus.canceled


def test_a_chunk_stops_between_rows_when_cancelled(site: Site) -> None:
    """With a poll on every row, rows after the cancellation are left open."""
    from plinth.evaluation import runner

    run = make_run(site, 4)
    seen = threading.Event()

    def cancels_itself(question: Question) -> str:
        if not seen.is_set():
            seen.set()
            with site.db.write() as session:
                site.service.cancel_run(session, "proj_a", run.eval_id, run.id)
        return echo(question)

    site.completer._script = cancels_itself
    slow_poll, runner.CANCEL_POLL_SECONDS = runner.CANCEL_POLL_SECONDS, 0.0
    try:
        site.executor._settings = site.settings.model_copy(update={"concurrency": 1})
        site.work()
    finally:
        runner.CANCEL_POLL_SECONDS = slow_poll
    done = view(site, run)
    assert (done.run.status, done.tally.finished) == (RunStatus.canceled, 1)


def test_a_deleted_run_stops_quietly(site: Site) -> None:
    run = make_run(site, 8)

    def deletes_the_eval(question: Question) -> str:
        if question.messages[-1]["content"] == "1":
            with site.db.write() as session:
                site.service.delete_eval(session, "proj_a", run.eval_id)
        return echo(question)

    site.completer._script = deletes_the_eval
    site.work()
    with site.db.read() as session, pytest.raises(NotFound):
        site.service.run(session, "proj_a", run.eval_id, run.id)
    assert len(asked(site)) == 4
    assert str(site.jobs.status(run.id)) == "succeeded"


def test_an_unknown_model_fails_the_run_with_a_sentence(site: Site) -> None:
    run = make_run(site, 6, model="nobody")
    site.work()
    done = view(site, run)
    assert done.run.status is RunStatus.failed
    assert done.run.error.code == "model_unreachable"
    assert "nobody" in done.run.error.message
    assert site.kinds()[-1] == "evaluation.run.failed"


def test_an_outage_fails_the_run_and_leaves_its_rows_open(site: Site) -> None:
    def out(question: Question) -> str:
        raise CompletionFailed(model="m", reason="the engine is down.")

    site.completer._script = out
    site.executor._settings = site.settings.model_copy(update={"chunk_items": 6})
    run = make_run(site, 12)
    site.work()
    done = view(site, run)
    assert (done.run.status, done.tally.finished) == (RunStatus.failed, 0)
    assert len(asked(site)) == 6


def test_single_rows_without_an_answer_are_errored(site: Site) -> None:
    def stumbles(question: Question) -> str:
        if question.messages[-1]["content"] == "1":
            raise CompletionFailed(model="m", reason="the prompt is too long.")
        return echo(question)

    site.completer._script = stumbles
    run = make_run(site, 4)
    site.work()
    done = view(site, run)
    assert (done.run.status, done.tally.passed, done.tally.errored) == (RunStatus.completed, 3, 1)
    with site.db.read() as session:
        page = {"after": None, "limit": 10, "descending": False}
        (item,) = site.service.output_items(session, ("proj_a", run.eval_id, run.id), page, ItemStatus.errored)
    assert item.sample is not None
    assert item.sample["error"]["code"] == "completion_failed"
    assert item.results[0]["error"]["code"] == "completion_failed"


def test_a_python_criterion_in_a_run(site: Site) -> None:
    source = "def grade(sample, item):\n    return float(sample['output_text'] == item['answer']) / min(item['n'], 1)"
    site.completer._script = echo
    run = make_run(site, 5, {"type": "python", "name": "code", "source": source})
    site.work()
    done = view(site, run)
    assert (done.tally.passed, done.tally.errored) == (4, 1)
    assert done.tally.criteria["code"].errored == 1


def test_without_a_sandbox_the_run_fails(site: Site) -> None:
    source = "def grade(sample, item):\n    return 1"
    run = make_run(site, 5, {"type": "python", "name": "code", "source": source})

    class Refusing:
        def grade(self, source: str, cases: Any) -> Any:
            raise SandboxUnavailable(reason="no seccomp")

    site.executor._sandbox = Refusing()
    site.work()
    done = view(site, run)
    assert (done.run.status, done.run.error.code) == (RunStatus.failed, "python_grader_unavailable")


def test_a_bug_does_not_leave_the_run_in_progress(site: Site) -> None:
    def bug(question: Question) -> str:
        raise RuntimeError("boom")

    site.completer._script = bug
    run = make_run(site, 4)
    site.work()
    done = view(site, run)
    assert (done.run.status, done.run.error.code) == (RunStatus.failed, "internal_error")
    assert str(site.jobs.status(run.id)) == "failed"


def test_the_workflow_name_is_stored_and_must_not_change() -> None:
    assert RUN == "evaluation.run"


def test_rows_are_written_with_their_tally(site: Site) -> None:
    site.completer._script = echo
    run = make_run(site, 6)
    site.work()
    with site.db.read() as session:
        assert store.finished_items(session, run.id) == store.tally(session, run.id).finished == 6
