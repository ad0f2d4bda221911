"""Batches for real: the official SDK over HTTP, the HTTP caller, DBOS, and `kill -9`."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest
import uvicorn
from fastapi import FastAPI

from plinth.adapters.blobs.folder import FolderBlobs
from plinth.adapters.callers.http import HttpCaller, Wait
from plinth.data.http import router as files_router
from plinth.gateway.batches import BROKEN, UNREACHED, CallFailed, ModelCall, Reply, ScriptedCaller
from plinth.gateway.batches.http import router
from plinth.kit import http
from plinth.kit.clock import SystemClock
from plinth.kit.db import Database
from unit.gateway.batches.site import CHAT, Site, jsonl, request_line

TEXTS = [str(n) for n in range(40)]


class FakeGateway:
    """A public port: counts who asked what. `hold` keeps the texts from `from_text` on waiting."""

    def __init__(self, held: frozenset[str] = frozenset()) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.trouble: list[tuple[int, dict[str, str], bytes] | str] = []
        self.held, self.go = held, threading.Event()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = body["messages"][-1]["content"]
                gateway.asked.append(text)
                gateway.headers.append({name.lower(): value for name, value in self.headers.items()})
                trouble = gateway.trouble.pop(0) if gateway.trouble else None
                if text in gateway.held:
                    gateway.go.wait(60)
                if isinstance(trouble, str):
                    self.close_connection = True
                    return
                status, headers, answer = trouble or (200, {"x-request-id": f"req-{text}"}, gateway.answer(text))
                try:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer)
                except ConnectionError:
                    pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, text: str) -> bytes:
        message = {"role": "assistant", "content": f"echo {text}"}
        usage = {"prompt_tokens": 2, "completion_tokens": 1}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        return json.dumps({"object": "chat.completion", "choices": choices, "usage": usage}).encode()

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    fake = FakeGateway(frozenset(TEXTS[30:]))
    yield fake
    fake.close()


def wait_for(check: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


# the HTTP caller


def call(text: str = "hi") -> ModelCall:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return ModelCall("proj_a", "key_1", "user:1", CHAT, body, "batch_req_1")


async def ask(url: str, wait: Wait | None = None) -> Reply:
    async with HttpCaller(url, lambda request: f"token-of-{request.project_id}", wait) as caller:
        return await caller.call(call())


async def test_a_call_carries_token_priority_and_request_id(gateway: FakeGateway) -> None:
    reply = await ask(gateway.url)
    assert (reply.status, reply.request_id) == (200, "req-hi")
    assert reply.body["choices"][0]["message"]["content"] == "echo hi"
    sent = gateway.headers[0]
    assert sent["authorization"] == "Bearer token-of-proj_a"
    assert (sent["x-plinth-priority"], sent["x-request-id"]) == ("batch", "batch_req_1")


async def test_a_refusal_is_a_reply_with_its_pause(gateway: FakeGateway) -> None:
    gateway.trouble = [(429, {"Retry-After": "7"}, b'{"error": {"code": "rate_limit_exceeded"}}'), (502, {}, b"<html>")]
    assert await ask(gateway.url) == Reply(429, {"error": {"code": "rate_limit_exceeded"}}, "batch_req_1", 7.0)
    assert await ask(gateway.url) == Reply(502, None, "batch_req_1", None)


@pytest.mark.parametrize("kind", ["http", "twin"])
async def test_the_caller_and_its_twin_answer_refuse_and_let_go_alike(kind: str, gateway: FakeGateway) -> None:
    async def script(request: ModelCall) -> Reply:
        text = request.body["messages"][-1]["content"]
        if text == "39":
            await asyncio.sleep(60)
        if text == "refused":
            return Reply(400, {"error": {"code": "x"}}, "batch_req_1")
        return Reply(200, json.loads(gateway.answer(text)), f"req-{text}")

    made = ScriptedCaller(script) if kind == "twin" else HttpCaller(gateway.url, lambda request: "t")
    async with made as caller:
        good = await caller.call(call("hi"))
        assert (good.status, good.request_id, good.body) == (200, "req-hi", json.loads(gateway.answer("hi")))
        gateway.trouble = [(400, {}, b'{"error": {"code": "x"}}')]
        assert await caller.call(call("refused")) == Reply(400, {"error": {"code": "x"}}, "batch_req_1")
        task = asyncio.create_task(caller.call(call("39")))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_failures_say_whether_a_model_may_have_seen_the_request(gateway: FakeGateway) -> None:
    with pytest.raises(CallFailed) as away:
        await ask("http://127.0.0.1:9")
    assert away.value.kind == UNREACHED
    gateway.trouble = ["drop", (200, {}, b"not JSON")]
    for _ in range(2):
        with pytest.raises(CallFailed) as broken:
            await ask(gateway.url)
        assert broken.value.kind == BROKEN
    gateway.held = frozenset({"hi"})
    with pytest.raises(CallFailed, match=r"0\.1 seconds") as slow:
        await ask(gateway.url, Wait(0.1))
    assert slow.value.kind == BROKEN


async def test_an_endless_answer_is_cut_off(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plinth.adapters.callers.http.MAX_REPLY_BYTES", 1000)
    gateway.trouble = [(200, {}, b" " * 100_000)]
    with pytest.raises(CallFailed, match="longer"):
        await ask(gateway.url)


# the official SDK


@pytest.fixture
def site(db: Database, tmp_path: Path, gateway: FakeGateway) -> Site:
    made = Site(db, tmp_path, SystemClock(), FolderBlobs(tmp_path / "store"), concurrency=4)
    made.use(lambda: HttpCaller(gateway.url, lambda request: "t"))
    return made


@pytest.fixture
def client(site: Site) -> Iterator[openai.OpenAI]:
    app = FastAPI()
    http.install(app)
    for routes in (files_router(site.db, site.data, site.who.guard), router(site.db, site.service, site.who.guard)):
        app.include_router(routes)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with openai.OpenAI(base_url=base, api_key="sk-proj-unused", max_retries=0) as sdk:
            yield sdk
        server.should_exit = True
        thread.join(timeout=10)


def submit(client: openai.OpenAI, content: bytes, **more: Any) -> Any:
    file = client.files.create(file=("requests.jsonl", io.BytesIO(content)), purpose="batch")
    return client.batches.create(**{"endpoint": CHAT, "completion_window": "24h", "input_file_id": file.id, **more})


def test_a_batch_with_the_official_sdk(site: Site, client: openai.OpenAI) -> None:
    lives = {"anchor": "created_at", "seconds": 3600}
    batch = submit(client, jsonl(*map(request_line, TEXTS[:5])), metadata={"team": "risk"}, output_expires_after=lives)
    assert (batch.object, batch.status, batch.metadata) == ("batch", "validating", {"team": "risk"})
    assert batch.expires_at - batch.created_at == 86_400
    site.run(batch)
    done = client.batches.retrieve(batch.id)
    assert (done.status, done.model, done.errors) == ("completed", "m", None)
    assert done.request_counts is not None
    assert done.usage is not None
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (5, 5, 0)
    assert (done.usage.input_tokens, done.usage.output_tokens, done.usage.total_tokens) == (10, 5, 15)
    assert done.output_file_id is not None
    output = client.files.retrieve(done.output_file_id)
    assert output.purpose == "batch_output"
    assert output.expires_at is not None
    lines = [json.loads(line) for line in client.files.content(done.output_file_id).text.splitlines()]
    assert [line["custom_id"] for line in lines] == [f"c-{n}" for n in range(5)]


def test_listing_goes_from_new_to_old_page_by_page(client: openai.OpenAI) -> None:
    made = [submit(client, jsonl(request_line(n))).id for n in range(5)]
    assert [batch.id for batch in client.batches.list(limit=2)] == made[::-1]


def test_mistakes_are_told_with_their_lines(site: Site, client: openai.OpenAI) -> None:
    batch = submit(client, jsonl(request_line(1), request_line(1)))
    site.run(batch)
    failed = client.batches.retrieve(batch.id)
    assert failed.status == "failed"
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [(e.code, e.line) for e in failed.errors.data] == [("duplicate_custom_id", 2)]


def test_refusals(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_nobody")
    for wrong, code in (
        ({"endpoint": "/v1/files"}, "invalid_batch_endpoint"),
        ({"completion_window": "1 hour"}, "invalid_completion_window"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            submit(client, jsonl(request_line(1)), **wrong)
        assert refused.value.code == code
    file = client.files.create(file=("x.jsonl", io.BytesIO(b"{}\n")), purpose="fine-tune")
    with pytest.raises(openai.BadRequestError, match="purpose"):
        submit(client, b"{}\n", input_file_id=file.id)


def test_cancelling_stops_within_seconds_and_keeps_what_is_done(
    site: Site, client: openai.OpenAI, gateway: FakeGateway
) -> None:
    batch = submit(client, jsonl(*map(request_line, TEXTS)))
    worker = threading.Thread(target=site.run, args=[batch])
    worker.start()
    wait_for(lambda: len(set(gateway.asked)) == 34)
    wait_for(lambda: client.batches.retrieve(batch.id).request_counts.completed == 30)  # type: ignore[union-attr]
    began = time.monotonic()
    assert client.batches.cancel(batch.id).status == "cancelling"
    worker.join(timeout=10)
    assert time.monotonic() - began < 3.0
    ended = client.batches.retrieve(batch.id)
    assert ended.status == "cancelled"
    assert ended.output_file_id is not None
    assert ended.error_file_id is not None
    assert len(client.files.content(ended.output_file_id).text.splitlines()) == 30
    assert len(client.files.content(ended.error_file_id).text.splitlines()) == 10
    done = submit(client, jsonl(request_line(1)))
    site.run(done)
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(done.id)


# kill -9

PROGRAM = """
import sys
from pathlib import Path
from plinth.adapters.blobs.folder import FolderBlobs
from plinth.adapters.callers.http import HttpCaller
from plinth.adapters.jobs.dbos import DbosJobs
from plinth.gateway.batches import BatchRunner
from plinth.gateway.batches.jobs import CHECK_QUEUE, RUN_QUEUE, workflows
from plinth.kit.clock import SystemClock
from plinth.kit.db import Database
from plinth.kit.jobs import JobStatus
from unit.gateway.batches.site import Site
url, folder, gateway, batch_id = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
db = Database(url)
site = Site(db, folder, SystemClock(), FolderBlobs(folder / "store"), concurrency=4)
runner = BatchRunner(site.parts(lambda: HttpCaller(gateway, lambda request: "t")))
jobs = DbosJobs(url, "killed")
jobs.start(workflows(site.checker, runner, site.clock), {CHECK_QUEUE: 1, RUN_QUEUE: 1})
for name, job_id in (("gateway.batch.check", "check-" + batch_id), ("gateway.batch.run", batch_id)):
    jobs.enqueue(name, job_id, {"batch_id": batch_id})
    while jobs.status(job_id) not in (JobStatus.succeeded, JobStatus.failed):
        site.clock.sleep(0.05)
print(site.get(type("B", (), {"id": batch_id})).status)
jobs.stop()
"""


@pytest.mark.slow
def test_kill_9_asks_no_finished_line_again_and_loses_none(
    site: Site, gateway: FakeGateway, database_url: str, tmp_path: Path
) -> None:
    batch = site.create(jsonl(*map(request_line, TEXTS)))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def spawn() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", PROGRAM, database_url, str(tmp_path), gateway.url, batch.id]
        return subprocess.Popen(command, env=environment)

    first = spawn()
    wait_for(lambda: len(gateway.asked) == 34)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    gateway.held = frozenset()
    gateway.go.set()
    assert spawn().wait(timeout=60) == 0
    done = site.get(batch)
    assert (done.status, done.counts.completed, done.counts.failed) == ("completed", 40, 0)
    lines = site.lines(done.output_file_id)
    assert [line["custom_id"] for line in lines] == [f"c-{text}" for text in TEXTS]
    times = Counter(gateway.asked)
    assert set(times) == set(TEXTS)
    assert {text for text, count in times.items() if count > 1} == set(TEXTS[30:34])
    assert max(times.values()) == 2
