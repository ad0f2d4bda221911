"""kill -9 of a worker in the middle of a run, on the real job runner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.evaluation.conftest import Site
from integration.evaluation.test_runs import make_run, view

PROGRAM = """
import sys, time
from pathlib import Path
from plinth.adapters.jobs.dbos import DbosJobs
from plinth.evaluation import PythonSandbox, RunExecutor, ScriptedCompleter
from plinth.evaluation.jobs import workflows
from plinth.evaluation.settings import EvaluationSettings
from plinth.kit.clock import SystemClock
from plinth.kit.db import Database
from plinth.kit.jobs import JobStatus
url, folder, run_id = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
def answer(question):
    text = question.messages[-1]["content"]
    with (folder / "asked").open("a") as file:
        file.write(text + "\\n")
    while text == "9" and not (folder / "go").exists():
        time.sleep(0.05)
    return "echo " + text
db = Database(url)
settings = EvaluationSettings(chunk_items=4, concurrency=1)
executor = RunExecutor(db, SystemClock(), ScriptedCompleter(answer), PythonSandbox(), settings)
jobs = DbosJobs(url, "killed")
jobs.start(workflows(executor, None), {"evaluation": 1})
jobs.enqueue("evaluation.run", run_id, {"run_id": run_id})
while jobs.status(run_id) is not JobStatus.succeeded:
    time.sleep(0.1)
jobs.stop()
"""


def wait_for(check: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.slow
def test_kill_9_repeats_no_finished_chunk(site: Site, database_url: str, tmp_path: Path) -> None:
    run = make_run(site, 14)
    asked = tmp_path / "asked"

    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", PROGRAM, database_url, str(tmp_path), run.id])

    first = spawn()
    wait_for(lambda: asked.exists() and "9\n" in asked.read_text())
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert view(site, run).tally.passed == 8
    (tmp_path / "go").touch()
    assert spawn().wait(timeout=60) == 0
    done = view(site, run)
    assert (done.run.status, done.tally.passed, done.tally.answers) == ("completed", 14, 14)
    times = Counter(asked.read_text().split())
    assert {text for text, count in times.items() if count > 1} == {"8", "9"}
    assert set(times) == {str(n) for n in range(14)}
