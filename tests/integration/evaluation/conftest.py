"""Evaluation behind a real HTTP server, driven by the official SDK; models are the twin's script."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from openai import OpenAI

from plinth.evaluation import EvaluationService, GraderRunner, ParityChecker, PythonSandbox, RunExecutor
from plinth.evaluation.http import router
from plinth.evaluation.jobs import PARITY, QUEUE, RUN, workflows
from plinth.evaluation.ports import InMemoryFiles, Question, ScriptedCompleter
from plinth.evaluation.settings import EvaluationSettings
from plinth.kit import http
from plinth.kit.blobs import InMemoryBlobs
from plinth.kit.clock import SystemClock
from plinth.kit.db import Database, Session
from plinth.kit.events import Dispatcher, Event, Subscription
from plinth.kit.jobs import InMemoryJobs
from support import Caller

ANSWERS = {"怎么退款": "退款", "余额多少": "查询", "where is my card": "card_arrival"}


def answer(question: Question) -> str:
    text = question.messages[-1]["content"]
    return ANSWERS.get(text, f"unknown: {text}")


@dataclass
class MemoryRegistry:
    """The registry as parity sees it: versions by id, and their reports."""

    versions: dict[str, Any] = field(default_factory=dict)
    stored: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def version(self, session: Session, project_id: str, id: str) -> Any:
        from plinth.kit.errors import NotFound

        if id not in self.versions:
            raise NotFound(what="model", id=id)
        return self.versions[id]

    def reports(self, session: Session, version_id: str) -> list[Any]:
        return [type("Report", (), {"kind": kind}) for version, kind, _ in self.stored if version == version_id]

    def add_report(self, session: Session, version_id: str, kind: str, report: dict[str, Any]) -> None:
        self.stored.append((version_id, kind, report))


class Site:
    def __init__(self, db: Database) -> None:
        self.db, self.caller, self.files = db, Caller(), InMemoryFiles()
        self.settings = EvaluationSettings(chunk_items=4, concurrency=2, embedding_model="embedder")
        self.completer = ScriptedCompleter(answer, frozenset({"m", "n", "judge", "embedder", "ft:v1"}))
        self.registry, self.blobs = MemoryRegistry(), InMemoryBlobs()
        clock, sandbox = SystemClock(), PythonSandbox()
        self.service = EvaluationService(clock, self.files, sandbox, self.settings)
        self.executor = RunExecutor(db, clock, self.completer, sandbox, self.settings)
        self.parity = ParityChecker(db, clock, self.registry, self.blobs, self.completer)
        grader_runner = GraderRunner(clock, self.completer, sandbox, self.settings)
        self.app = FastAPI()
        http.install(self.app)
        self.app.include_router(router(db, self.service, grader_runner, self.caller.guard))
        self.jobs = InMemoryJobs()
        self.jobs.start(workflows(self.executor, self.parity), {QUEUE: 1})
        self.dispatcher = Dispatcher(
            db,
            clock,
            [
                Subscription("runs", frozenset({"evaluation.run.queued"}), self._enqueue_run),
                Subscription("parity", frozenset({"evaluation.parity.queued"}), self._enqueue_parity),
                Subscription("ready", frozenset({"serving.deployment.ready"}), self.parity.on_deployment_ready),
            ],
        )
        self.waiting: list[tuple[str, str, dict[str, Any]]] = []

    def _enqueue_run(self, session: Session, event: Event) -> None:
        self.waiting.append((RUN, event.payload["run_id"], event.payload))

    def _enqueue_parity(self, session: Session, event: Event) -> None:
        self.waiting.append((PARITY, event.payload["job_id"], event.payload))

    def work(self) -> None:
        """Deliver events and run what they ask for until nothing is left."""
        while self.dispatcher.run_once():
            while self.waiting:
                self.jobs.enqueue(*self.waiting.pop(0))

    def kinds(self) -> list[str]:
        from sqlalchemy import select

        from plinth.kit.events import events

        with self.db.read() as session:
            return list(session.execute(select(events.c.kind).order_by(events.c.seq)).scalars())


@pytest.fixture
def site(db: Database) -> Site:
    return Site(db)


@pytest.fixture
def client(site: Site) -> Iterator[OpenAI]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(site.app, log_level="warning", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with OpenAI(base_url=base, api_key="sk-proj-unused", max_retries=0) as sdk:
            yield sdk
        server.should_exit = True
        thread.join(timeout=10)
