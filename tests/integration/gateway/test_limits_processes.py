"""Real processes on one limit: they share it, and one that is killed stops counting as running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plinth.gateway.limits import Limit, Limiter, LimitTable, MappedCounters, Scope, Subject
from plinth.gateway.limits.errors import ConcurrencyReached
from plinth.identity import Actor
from plinth.kit.clock import SystemClock

pytestmark = pytest.mark.once

ME = Actor("org_1", "proj_1", "key_1", "user:u")
PROJECT = Subject(Scope.project, "proj_1", "org_1", "proj_1")
CONCURRENT = Limit("l", PROJECT, concurrent_requests=3)

WORKER = """
import json, sys, time
from pathlib import Path
from plinth.gateway.limits import Limit, Limiter, LimitTable, MappedCounters, Scope, Subject
from plinth.gateway.limits.errors import LimitReached
from plinth.identity import Actor

path, workers, origin, kind, limit, tokens, seconds = json.loads(sys.argv[1])

class Clock:
    # real time, but the test begins with a minute
    def monotonic(self): return time.monotonic() - origin + 60.0
    unix = monotonic
    def sleep(self, seconds): time.sleep(seconds)

me = Actor("org_1", "proj_1", "key_1", "user:u")
project = Subject(Scope.project, "proj_1", "org_1", "proj_1")
limiter = Limiter(MappedCounters(Path(path), workers), Clock())
limiter.update(LimitTable.of([Limit("l", project, **{kind: limit})]))
print("ready", flush=True)
sys.stdin.readline()
admitted = refused = 0
running = []
end = time.monotonic() + seconds
while time.monotonic() < end:
    try:
        permit = limiter.admit(me, "m", tokens)
        admitted += 1
        if kind == "concurrent_requests":
            running.append(permit)
        else:
            permit.settle(tokens, 0)
    except LimitReached:
        refused += 1
print(json.dumps([admitted, refused]), flush=True)
sys.stdin.readline()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []
    origin = time.monotonic()

    def run(workers: int, kind: str, limit: int, tokens: int = 0, seconds: float = 1.0) -> subprocess.Popen[str]:
        order = json.dumps([str(tmp_path / "counters"), workers, origin, kind, limit, tokens, seconds])
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, order], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def hammer(processes: list[subprocess.Popen[str]]) -> tuple[int, int]:
    """Start all at once; how many calls were admitted and refused in all."""
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    found = [json.loads(process.stdout.readline()) for process in processes]
    return sum(admitted for admitted, _ in found), sum(refused for _, refused in found)


@pytest.mark.parametrize("workers", [2, 4])
def test_a_limit_of_requests_is_shared(start: Start, workers: int) -> None:
    limit = 2000
    admitted, refused = hammer([start(workers, "requests_per_minute", limit) for _ in range(workers)])
    assert limit <= admitted <= limit + workers - 1
    assert refused > 0


def test_a_limit_of_tokens_is_shared(start: Start) -> None:
    admitted, refused = hammer([start(3, "tokens_per_minute", 10_000, tokens=10) for _ in range(3)])
    assert 1000 <= admitted <= 1000 + 3 - 1
    assert refused > 0


def test_a_limit_of_running_requests_is_shared(start: Start) -> None:
    admitted, _ = hammer([start(3, "concurrent_requests", 500) for _ in range(3)])
    assert 500 <= admitted <= 500 + 3 - 1


def test_a_killed_worker_frees_what_it_was_running(start: Start, tmp_path: Path) -> None:
    survivor = Limiter(MappedCounters(tmp_path / "counters", 2), SystemClock())
    survivor.update(LimitTable.of([CONCURRENT]))
    victim = start(2, "concurrent_requests", 3, seconds=0.1)
    assert hammer([victim])[0] == 3
    with pytest.raises(ConcurrencyReached):
        survivor.admit(ME, "m", 1)
    os.kill(victim.pid, signal.SIGKILL)
    killed = time.monotonic()
    # the dead process is not even waited for: a zombie runs nothing
    while True:
        try:
            survivor.admit(ME, "m", 1)
            break
        except ConcurrencyReached:
            assert time.monotonic() < killed + 5
            time.sleep(0.01)
    assert time.monotonic() - killed < 3


def test_a_new_worker_takes_a_dead_ones_place(start: Start, tmp_path: Path) -> None:
    victims = [start(1, "concurrent_requests", 3, seconds=0.05)]
    assert hammer(victims)[0] == 3
    os.kill(victims[0].pid, signal.SIGKILL)
    victims[0].wait()
    heir = Limiter(MappedCounters(tmp_path / "counters"), SystemClock())
    heir.update(LimitTable.of([CONCURRENT]))
    for _ in range(3):
        heir.admit(ME, "m", 1)
    with pytest.raises(ConcurrencyReached):
        heir.admit(ME, "m", 1)
