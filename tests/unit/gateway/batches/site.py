"""Batches over the real data slice and in-memory blobs; models are the twin's script."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plinth.data import DataService
from plinth.data.model import NewFile
from plinth.data.settings import DataSettings
from plinth.gateway.batches import (
    ActiveInputs,
    Batch,
    BatchParts,
    BatchRunner,
    BatchService,
    InputChecker,
    ModelCall,
    NewOutput,
    Reply,
    ScriptedCaller,
)
from plinth.gateway.batches.jobs import CHECK, CHECK_QUEUE, RUN, RUN_QUEUE, workflows
from plinth.gateway.batches.model import BatchDraft
from plinth.gateway.batches.settings import BatchSettings
from plinth.identity import Actor
from plinth.kit.blobs import Blobs, InMemoryBlobs, get_bytes, put_bytes
from plinth.kit.clock import Clock, FixedClock
from plinth.kit.db import Database, Session
from plinth.kit.jobs import InMemoryJobs, JobStatus
from support import Caller

CHAT = "/v1/chat/completions"
QUICK = {"poll_seconds": 0.02, "max_pause_seconds": 0.01, "concurrency": 4}


def request_line(n: Any, url: str = CHAT, **changes: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": str(n)}]}
    return {"custom_id": f"c-{n}", "method": "POST", "url": url, "body": body, **changes}


def jsonl(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def echo(call: ModelCall) -> Reply:
    text = call.body["messages"][-1]["content"]
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": f"echo {text}"}}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    return Reply(200, {"choices": [choice], "usage": usage}, f"req-{text}")


class Site:
    def __init__(
        self, db: Database, folder: Path, clock: Clock | None = None, blobs: Blobs | None = None, **settings: Any
    ) -> None:
        (folder / "blobs").mkdir(exist_ok=True)
        self.db, self.clock, self.folder = db, clock or FixedClock(), folder / "batches"
        self.blobs = blobs or InMemoryBlobs(folder / "blobs")
        self.settings = BatchSettings(**{**QUICK, **settings})
        self.who = Caller()
        self.audits: list[tuple[str, str]] = []
        self.data = DataService(self.blobs, self.clock, DataSettings(), others=(ActiveInputs(),))
        self.service = BatchService(self.clock, self.data, self._audit, self.settings)
        self.checker = InputChecker(db, self.clock, self.blobs, self.settings)
        self.script: Callable[[ModelCall], Any] = echo
        self.caller = ScriptedCaller(lambda call: self.script(call))
        self.use(lambda: self.caller)

    def use(self, callers: Any) -> None:
        self.runner = BatchRunner(self.parts(callers))
        self.jobs = InMemoryJobs()
        self.jobs.start(workflows(self.checker, self.runner, self.clock), {CHECK_QUEUE: 1, RUN_QUEUE: 1})

    def parts(self, callers: Any) -> BatchParts:
        return BatchParts(self.db, self.clock, self.blobs, callers, self.keep, self.folder, self.settings)

    def _audit(self, session: Session, actor: Actor, action: str, target: str, detail: dict[str, Any]) -> None:
        self.audits.append((action, target))

    def keep(self, session: Session, new: NewOutput) -> str:
        file = NewFile(new.filename, "batch_output", new.lives_seconds)
        return self.data.files.add(session, new.project_id, new.blob, file).id

    def upload(self, content: bytes, purpose: str = "batch", project_id: str = "proj_a") -> str:
        with self.db.write() as session:
            blob = put_bytes(self.blobs, content)
            return self.data.files.add(session, project_id, blob, NewFile("in.jsonl", purpose)).id

    def create(self, content: bytes, **draft: Any) -> Batch:
        wanted = BatchDraft(
            **{"endpoint": CHAT, "completion_window": "24h", **draft}, input_file_id=self.upload(content)
        )
        with self.db.write() as session:
            return self.service.create(session, self.who.actor, wanted)

    def get(self, batch: Batch) -> Batch:
        with self.db.read() as session:
            return self.service.get(session, self.who.actor, batch.id)

    def cancel(self, batch: Batch) -> Batch:
        with self.db.write() as session:
            return self.service.cancel(session, self.who.actor, batch.id)

    def run(self, batch: Batch) -> Batch:
        """Check and run it, as the worker does."""
        for name in (CHECK, RUN):
            self.jobs.enqueue(name, f"{name}:{batch.id}", {"batch_id": batch.id})
            assert self.jobs.status(f"{name}:{batch.id}") is JobStatus.succeeded
        return self.get(batch)

    def lines(self, file_id: str | None) -> list[dict[str, Any]]:
        assert file_id is not None
        with self.db.read() as session:
            file = self.data.file(session, "proj_a", file_id)
        assert file.purpose == "batch_output"
        return [json.loads(line) for line in get_bytes(self.blobs, file.digest).splitlines()]

    def kinds(self) -> list[str]:
        from sqlalchemy import select

        from plinth.kit.events import events

        query = select(events.c.kind).where(events.c.kind.startswith("gateway.")).order_by(events.c.seq)
        with self.db.read() as session:
            return list(session.execute(query).scalars())
