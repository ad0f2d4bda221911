"""Responses behind a real HTTP server, driven by the official SDK; the public port is a fake on a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from openai import OpenAI

from plinth.adapters.chat_streams.http import HttpChatStream
from plinth.gateway.responses import (
    QUEUED,
    BackgroundRunner,
    ConversationService,
    InMemoryFileSearch,
    ResponsesService,
    ResponsesSettings,
)
from plinth.gateway.responses.create_http import create_router
from plinth.gateway.responses.http import router
from plinth.gateway.responses.jobs import GENERATE, QUEUE, workflows
from plinth.kit import http
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database, Session
from plinth.kit.events import Dispatcher, Event, Subscription
from plinth.kit.jobs import InMemoryJobs
from support import Caller

KINDS = ("queued", "completed", "failed", "cancelled", "incomplete", "deleted")


def chunk(delta: dict[str, Any] | None = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": reason, "logprobs": None}]
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices, **more}


def usage(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**chunk(), "choices": [], "usage": {**counts, "prompt_tokens_details": {"cached_tokens": cached}}}


def says(*pieces: str, reason: str = "stop") -> list[Any]:
    texts = [chunk({"content": piece}) for piece in pieces]
    return [chunk({"role": "assistant", "content": ""}), *texts, chunk(reason=reason), usage(7, len(pieces), 3)]


class FakePort:
    """`POST /v1/chat/completions`. `script` gives each request's chunks: dicts, floats (pauses in seconds), the
    text "break" (the connection is cut), or one `(status, error object)` instead. `left` counts clients that
    went away before the end."""

    def __init__(self) -> None:
        self.script: Callable[[dict[str, Any]], list[Any]] = lambda body: says("Hello", " world")
        self.bodies: list[dict[str, Any]] = []
        self.secrets: list[str] = []
        self.left = 0
        self.url = ""
        self.app = FastAPI()
        self.app.post("/v1/chat/completions")(self._answer)

    async def _answer(self, request: Request) -> Any:
        body = await request.json()
        self.bodies.append(body)
        self.secrets.append(request.headers["authorization"])
        pieces = self.script(body)
        if isinstance(pieces, tuple):
            return JSONResponse({"error": pieces[1]}, pieces[0], headers={"Retry-After": "0"})
        return StreamingResponse(self._stream(pieces), media_type="text/event-stream")

    async def _stream(self, pieces: list[Any]) -> AsyncIterator[bytes]:
        done = False
        try:
            for piece in pieces:
                if piece == "break":
                    raise ConnectionResetError
                if isinstance(piece, float):
                    await asyncio.sleep(piece)
                else:
                    yield b"data: " + json.dumps(piece).encode() + b"\n\n"
            yield b"data: [DONE]\n\n"
            done = True
        finally:
            self.left += not done


@contextmanager
def served(app: Any) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="critical", ws="none", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=10)


class Site:
    def __init__(self, db: Database, clock: FixedClock, port_url: str) -> None:
        self.db, self.clock, self.caller = db, clock, Caller()
        self.settings = ResponsesSettings(
            poll_seconds=0.03, background_pause_seconds=0.01, keepalive_comment_seconds=0.2
        )
        self.audits: list[tuple[str, str]] = []
        self.facts: list[tuple[str, dict[str, Any]]] = []
        self.search = InMemoryFileSearch({"refund": "Refunds take 14 days."})
        self.service = self.new_service()
        self.chat = HttpChatStream(port_url, lambda project: f"internal-{project}", timeout_seconds=10)
        self.runner = BackgroundRunner(db, clock, self.service, self.chat, self.settings)
        self.jobs = InMemoryJobs()
        self.jobs.start(workflows(self.runner), {QUEUE: 1})
        names = [f"gateway.response.{kind}" for kind in KINDS]
        self.dispatcher = Dispatcher(
            db,
            clock,
            [
                Subscription("facts", frozenset(names), handler=self._note),
                Subscription("start", frozenset({QUEUED}), effect=self._start),
            ],
        )
        self.url = ""

    def new_service(self, with_search: bool = True) -> ResponsesService:
        conversations = ConversationService(self.clock, self._audit)
        search = self.search if with_search else None
        return ResponsesService(self.clock, self.settings, self._audit, conversations, search)

    def app(self) -> FastAPI:
        app = FastAPI()
        http.install(app)
        app.add_middleware(http.RequestIdMiddleware)
        app.include_router(create_router(self.db, self.service, self.caller.guard, self.chat, self.clock))
        app.include_router(router(self.db, self.service, self.caller.guard))
        return app

    def sdk(self, **options: Any) -> OpenAI:
        """Strict: every answer is validated against the SDK's own types."""
        return OpenAI(
            base_url=f"{self.url}/v1",
            api_key="sk-proj-mine",
            max_retries=0,
            timeout=20,
            _strict_response_validation=True,
            **options,
        )

    def work(self) -> None:
        """What the worker does: deliver facts, run what they start."""
        self.dispatcher.run_once()

    def work_aside(self) -> threading.Thread:
        thread = threading.Thread(target=self.work, daemon=True)
        thread.start()
        return thread

    def _audit(self, session: Session, actor: Any, action: str, target: str, detail: dict[str, Any]) -> None:
        self.audits.append((action, target))

    def _note(self, session: Session, event: Event) -> None:
        self.facts.append((event.kind, event.payload))

    def _start(self, event: Event) -> None:
        self.jobs.enqueue(GENERATE, event.payload["response_id"], event.payload)


def eventually(check: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return found
