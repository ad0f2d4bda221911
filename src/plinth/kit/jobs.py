"""Durable background work: a port, and its in-memory twin.

A `Workflow` is a named function of `(context, payload)`. It does its work inside `context.step`:
a step's JSON result is stored, so after `kill -9` the workflow goes on at the first unfinished
step. Everything outside steps must be deterministic. Steps must be safe to run twice (the crash
can come between the work and the record of it).

`tests/contract/test_jobs.py` holds every adapter and the twin to the same behaviour.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Json = Any


class JobStatus(StrEnum):
    queued = "queued"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"


class JobContext(Protocol):
    @property
    def job_id(self) -> str: ...

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Run `work` once and remember its JSON-compatible result across restarts."""
        ...


@dataclass(frozen=True)
class Workflow:
    """Args: `name` is stored, never reuse it for other work; `queue` limits how many run at once."""

    name: str
    queue: str
    run: Callable[[JobContext, Json], None]


class Jobs(Protocol):
    def start(self, workflows: Sequence[Workflow], queues: dict[str, int]) -> None:
        """Begin working: recover what was interrupted, then take from the queues.

        Args: `queues` maps a queue's name to how many of its workflows may run at once.
        """
        ...

    def enqueue(self, workflow: str, job_id: str, payload: Json) -> None:
        """Ask for one run. Idempotent: a second call with the same `job_id` does nothing."""
        ...

    def status(self, job_id: str) -> JobStatus | None: ...

    def stop(self) -> None:
        """Stop taking work; what runs is recovered by the next `start`."""
        ...


class InMemoryJobs:
    """The twin: runs a workflow at once on the caller's thread; keeps step results per job,
    so a test can make a step raise, call `rerun`, and see finished steps skipped."""

    def __init__(self) -> None:
        self._workflows: dict[str, Workflow] = {}
        self._payloads: dict[str, tuple[str, Json]] = {}
        self._steps: dict[str, dict[int, Any]] = {}
        self._status: dict[str, JobStatus] = {}
        self._lock = threading.RLock()

    def start(self, workflows: Sequence[Workflow], queues: dict[str, int]) -> None:
        self._workflows = {w.name: w for w in workflows}
        for job_id, status in list(self._status.items()):
            if status is JobStatus.queued:
                self.rerun(job_id)

    def enqueue(self, workflow: str, job_id: str, payload: Json) -> None:
        with self._lock:
            if job_id in self._status:
                return
            self._payloads[job_id] = (workflow, payload)
            self._status[job_id] = JobStatus.queued
        if self._workflows:
            self.rerun(job_id)

    def rerun(self, job_id: str) -> None:
        name, payload = self._payloads[job_id]
        self._status[job_id] = JobStatus.running
        try:
            self._workflows[name].run(_MemoryContext(job_id, self._steps.setdefault(job_id, {})), payload)
            self._status[job_id] = JobStatus.succeeded
        except Exception:  # whatever the workflow raised is its failure; the twin only records it
            self._status[job_id] = JobStatus.failed

    def status(self, job_id: str) -> JobStatus | None:
        return self._status.get(job_id)

    def stop(self) -> None:
        self._workflows = {}


class _MemoryContext:
    def __init__(self, job_id: str, done: dict[int, Any]) -> None:
        self._job_id, self._done, self._next = job_id, done, 0

    @property
    def job_id(self) -> str:
        return self._job_id

    def step(self, name: str, work: Callable[[], T]) -> T:
        position, self._next = self._next, self._next + 1
        if position not in self._done:
            self._done[position] = work()
        result: T = self._done[position]
        return result
