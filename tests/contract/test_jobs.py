"""Every job runner: steps are remembered, enqueueing is idempotent, kill -9 repeats no finished step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plinth.adapters.jobs.dbos import DbosJobs
from plinth.kit.jobs import InMemoryJobs, JobContext, Jobs, JobStatus, Workflow


@pytest.fixture(params=["memory", "dbos"])
def jobs(request: pytest.FixtureRequest) -> Iterator[Jobs]:
    runner: Jobs = (
        InMemoryJobs() if request.param == "memory" else DbosJobs(request.getfixturevalue("database_url"), "test")
    )
    yield runner
    runner.stop()


def wait_for(check: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_runs_once_however_often_it_is_enqueued(jobs: Jobs) -> None:
    ran: list[object] = []

    def run(context: JobContext, payload: object) -> None:
        context.step("work", lambda: ran.append(payload))

    jobs.start([Workflow("count", "queue_one", run)], {"queue_one": 1})
    for _ in range(3):
        jobs.enqueue("count", "job-1", {"n": 1})
    wait_for(lambda: jobs.status("job-1") is JobStatus.succeeded)
    assert ran == [{"n": 1}]


def test_step_results_are_json_and_reach_the_workflow(jobs: Jobs) -> None:
    seen: list[object] = []

    def run(context: JobContext, payload: object) -> None:
        first = context.step("first", lambda: {"rows": [1, 2]})
        seen.append(first)

    jobs.start([Workflow("json", "queue_one", run)], {"queue_one": 1})
    jobs.enqueue("json", "job-2", None)
    wait_for(lambda: jobs.status("job-2") is JobStatus.succeeded)
    assert seen == [{"rows": [1, 2]}]


def test_a_failing_workflow_is_failed_and_others_go_on(jobs: Jobs) -> None:
    def bad(context: JobContext, payload: object) -> None:
        raise ValueError("broken")

    def good(context: JobContext, payload: object) -> None:
        context.step("ok", lambda: 1)

    jobs.start([Workflow("bad", "queue_one", bad), Workflow("good", "queue_one", good)], {"queue_one": 1})
    jobs.enqueue("bad", "job-3", None)
    jobs.enqueue("good", "job-4", None)
    wait_for(lambda: jobs.status("job-4") is JobStatus.succeeded)
    assert jobs.status("job-3") is JobStatus.failed
    assert jobs.status("unknown") is None


PROGRAM = """
import sys, time
from pathlib import Path
from plinth.adapters.jobs.dbos import DbosJobs
from plinth.kit.jobs import JobStatus, Workflow
url, folder = sys.argv[1], Path(sys.argv[2])
def mark(name):
    with (folder / name).open("a") as file:
        file.write("x")
def run(context, payload):
    context.step("first", lambda: mark("first"))
    def second():
        mark("second")
        if not (folder / "go").exists():
            time.sleep(600)
    context.step("second", second)
    context.step("third", lambda: mark("third"))
jobs = DbosJobs(url, "killed")
jobs.start([Workflow("kill", "queue_kill", run)], {"queue_kill": 1})
jobs.enqueue("kill", "job-kill", {})
while jobs.status("job-kill") is not JobStatus.succeeded:
    time.sleep(0.1)
jobs.stop()
"""


def test_kill_9_resumes_at_the_unfinished_step(database_url: str, tmp_path: Path) -> None:
    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", PROGRAM, database_url, str(tmp_path)])

    first = spawn()
    wait_for(lambda: (tmp_path / "second").exists(), 60)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    (tmp_path / "go").touch()
    again = spawn()
    assert again.wait(timeout=60) == 0
    assert (tmp_path / "first").read_text() == "x"
    assert (tmp_path / "second").read_text() == "xx"
    assert (tmp_path / "third").read_text() == "x"
