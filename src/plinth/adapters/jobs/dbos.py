"""Durable jobs on DBOS, over the platform's own database (SQLite or PostgreSQL).

A workflow interrupted by `kill -9` is recovered at the next start and goes on at its first
unfinished step. Values are stored as JSON, never pickled. DBOS is one per process by design, so
only one `DbosJobs` may be started at a time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos._serialization import Serializer

from plinth.kit.jobs import JobContext, JobStatus, Json, Workflow

T = TypeVar("T")
log = logging.getLogger(__name__)

APPLICATION = "plinth"
# recovery only touches workflows of the same application version: ours never changes, because
# step positions are stable within a workflow name and a new shape of work gets a new name
APPLICATION_VERSION = "1"
# a look at a queue costs about 3 ms of CPU, and there are half a dozen of them
POLL_SECONDS = 1.0

_STATUS = {
    "ENQUEUED": JobStatus.queued,
    "DELAYED": JobStatus.queued,
    "PENDING": JobStatus.running,
    "SUCCESS": JobStatus.succeeded,
    "ERROR": JobStatus.failed,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": JobStatus.failed,
    "CANCELLED": JobStatus.cancelled,
}


class WorkflowFailed(Exception):
    """What a stored failure becomes when it is read again: its text."""


class DbosJobs:
    """Args:
    database_url: the platform's SQLAlchemy URL; DBOS keeps its own tables there.
    executor: a stable name of this worker; a restarted worker recovers what its name had begun.
    """

    def __init__(self, database_url: str, executor: str = "local") -> None:
        self._url, self._executor = database_url, executor
        self._functions: dict[str, Callable[[str], None]] = {}
        self._queues: dict[str, str] = {}

    def start(self, workflows: Sequence[Workflow], queues: dict[str, int]) -> None:
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._url,
            "application_version": APPLICATION_VERSION,
            "executor_id": self._executor,
            "log_level": "ERROR",
            "serializer": _JsonSerializer(),
            "notification_listener_polling_interval_sec": POLL_SECONDS,
            "sys_db_pool_size": 5,
        }
        DBOS(config=config)
        for workflow in workflows:
            self._functions[workflow.name] = DBOS.workflow(name=workflow.name)(_runner(workflow))
            self._queues[workflow.name] = workflow.queue
        DBOS.launch()
        for queue, concurrency in queues.items():
            DBOS.register_queue(
                queue, worker_concurrency=concurrency, polling_interval_sec=POLL_SECONDS, on_conflict="always_update"
            )

    def enqueue(self, workflow: str, job_id: str, payload: Json) -> None:
        if self.status(job_id) is not None:
            return
        with SetWorkflowID(job_id):
            DBOS.enqueue_workflow(self._queues[workflow], self._functions[workflow], json.dumps(payload))

    def status(self, job_id: str) -> JobStatus | None:
        found = DBOS.get_workflow_status(job_id)
        return _STATUS[found.status] if found else None

    def stop(self) -> None:
        DBOS.destroy(destroy_registry=True)


def _runner(workflow: Workflow) -> Callable[[str], None]:
    def run(payload: str) -> None:
        context: JobContext = _Context(DBOS.workflow_id or "")
        try:
            workflow.run(context, json.loads(payload))
        except Exception:
            log.exception("workflow failed", extra={"workflow": workflow.name, "job_id": context.job_id})
            raise

    return run


class _Context:
    def __init__(self, job_id: str) -> None:
        self._job_id = job_id

    @property
    def job_id(self) -> str:
        return self._job_id

    def step(self, name: str, work: Callable[[], T]) -> T:
        return DBOS.run_step({"name": name}, work)


class _JsonSerializer(Serializer):
    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=_encode)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data, object_hook=_decode)

    def name(self) -> str:
        return "plinth_json"


def _encode(value: Any) -> Any:
    if isinstance(value, BaseException):
        return {"__error__": f"{type(value).__name__}: {value}"}
    raise TypeError(f"a step must return JSON values, not {type(value).__name__}")


def _decode(value: dict[str, Any]) -> Any:
    return WorkflowFailed(value["__error__"]) if set(value) == {"__error__"} else value
