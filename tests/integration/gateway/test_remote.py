"""Providers: kept-alive connections, streams passed on as bytes, refusals, silence."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest

from integration.gateway.conftest import World, wait_for
from plinth.gateway.dataplane.ports import MemoryEndpoint, MemoryModel

USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


class Provider:
    """A provider on a real TCP port. `mode` decides how requests are answered; `connections` counts them."""

    def __init__(self) -> None:
        self.mode, self.pause = "ok", 0.0
        self.logprob: float | None = None
        self.connections = self.left = 0
        self.bodies: list[dict[str, Any]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                provider.connections += 1

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                provider.bodies.append(body)
                try:
                    provider.answer(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    provider.left += 1
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: Any, body: dict[str, Any]) -> None:
        if self.mode in REFUSALS:
            status, error, headers = REFUSALS[self.mode]
            self._whole(handler, error, status, headers)
            return
        if self.mode == "hang":
            time.sleep(self.pause)
        if self.mode in GARBAGE:
            self._whole(handler, GARBAGE[self.mode])
        elif "input" in body:
            data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
            self._whole(handler, {"object": "list", "data": data, "model": "theirs", "usage": USAGE})
        elif body.get("stream"):
            self._stream(handler, self._texts(body))
        else:
            self._complete(handler, "".join(self._texts(body)))

    def _texts(self, body: dict[str, Any]) -> list[str]:
        """`echo` answers with what it was asked, in pieces of three characters."""
        if self.mode != "echo":
            return ["Hello", " you"]
        asked = body["messages"][-1]["content"]
        return [asked[start : start + 3] for start in range(0, len(asked), 3)]

    def _complete(self, handler: Any, text: str) -> None:
        message = {"role": "assistant", "content": text}
        choices: list[dict[str, Any]] = [{"index": 0, "message": message, "finish_reason": "stop"}]
        if self.logprob is not None:
            choices[0]["logprobs"] = {"content": [{"token": "x", "logprob": self.logprob}]}
        whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "theirs-2026", "choices": choices}
        self._whole(handler, {**whole, "usage": USAGE, "provider_field": 1})
        if self.mode == "close_idle":
            handler.close_connection = True

    def _stream(self, handler: Any, texts: list[str]) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream; charset=utf-8")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        texts = texts * (100_000 if self.mode == "flood" else 1)
        for position, text in enumerate(texts):
            if self.mode == "die_mid" and position == 1:
                handler.close_connection = True
                return
            if self.mode == "silent_mid" and position == 1:
                time.sleep(self.pause)
            self._event(handler, {"choices": [{"index": 0, "delta": {"content": text}}], "usage": None})
        self._event(handler, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None})
        self._event(handler, {"choices": [], "usage": USAGE})
        self._bytes(handler, b"data: [DONE]\n\n")
        handler.wfile.write(b"0\r\n\r\n")

    def _event(self, handler: Any, chunk: dict[str, Any]) -> None:
        head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "theirs-2026"}
        self._bytes(handler, b"data: " + json.dumps({**head, **chunk}).encode() + b"\n\n")

    def _bytes(self, handler: Any, data: bytes) -> None:
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        handler.wfile.flush()

    def _whole(self, handler: Any, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": len(data), **(headers or {})}.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(data)


GARBAGE: dict[str, Any] = {
    "garbage": ["?"],
    "no_choices": {"choices": []},
    "no_message": {"choices": [{"index": 0}]},
    "odd_choice": {"choices": [7]},
}
REFUSALS: dict[str, tuple[int, Any, dict[str, str]]] = {
    "limited": (429, {"error": {"message": "slow down", "type": "rate_limit"}}, {"retry-after": "17"}),
    "broken": (500, {"error": {"message": "boom"}}, {}),
    "denied": (401, {"error": {"message": "bad key sk-secret"}}, {}),
    "wrong": (400, {"error": {"message": "temperature is odd", "type": "invalid_request_error"}}, {}),
}


@pytest.fixture
def provider(world: World) -> Iterator[Provider]:
    found = Provider()
    endpoint = MemoryEndpoint("base-1", url=found.url, key="k", target="theirs", engine="remote", egress=True)
    world.facts.change(
        "serving.endpoints.changed", endpoints=[endpoint], models=[MemoryModel("proj_a", "assistant", "base-1")]
    )
    wait_for(lambda: world.app._keeper.current.endpoints["base-1"][0].url == found.url)
    yield found
    found.stop()


def test_a_whole_answer_keeps_the_providers_fields_and_our_name(world: World, provider: Provider) -> None:
    answer = world.ask()
    assert (answer.model, answer.choices[0].message.content, answer.provider_field) == ("assistant", "Hello you", 1)
    assert "stream" not in provider.bodies[0]
    (record,) = world.records(1)
    assert (record.prompt_tokens, record.completion_tokens, record.engine) == (7, 2, "remote")
    assert record.dispatched_at >= record.created_at
    assert 0 < record.occupied_seconds <= record.total_ms / 1000


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_is_passed_on(world: World, provider: Provider, include_usage: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    chunks = list(world.ask(stream=True, **options))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello you"
    assert {c.model for c in chunks} == {"assistant"}
    assert (chunks[-1].usage is not None) == include_usage
    (record,) = world.records(1)
    assert (record.prompt_tokens, record.completion_tokens, record.streamed) == (7, 2, True)
    assert record.first_token_ms is not None


def test_connections_are_kept(world: World, provider: Provider) -> None:
    for _ in range(5):
        world.ask()
        list(world.ask(stream=True))
    assert provider.connections == 1


def test_a_connection_closed_while_idle_costs_no_request(world: World, provider: Provider) -> None:
    provider.mode = "close_idle"
    for _ in range(20):
        world.ask()
    assert provider.connections > 1


def test_many_at_once(world: World, provider: Provider) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: world.ask(), range(200)))
    assert len(answers) == 200
    assert provider.connections <= 17


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [
        ("limited", 429, "provider_busy"),
        ("broken", 503, "engine_lost"),
        ("denied", 503, "engine_lost"),
        ("wrong", 400, "engine_refused"),
        *((mode, 503, "engine_lost") for mode in GARBAGE),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals(world: World, provider: Provider, mode: str, status: int, code: str, stream: bool) -> None:
    provider.mode = mode
    with pytest.raises(openai.APIStatusError) as caught:
        list(world.ask(stream=stream))
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert "sk-secret" not in str(caught.value)
    if mode == "limited":
        assert caught.value.response.headers["retry-after"] == "17"


def test_a_stream_that_dies_in_the_middle_ends_with_an_error_event(world: World, provider: Provider) -> None:
    provider.mode = "die_mid"
    with pytest.raises(openai.APIError, match=r"broke off|ended early"):
        list(world.ask(stream=True))
    (record,) = world.records(1)
    assert (record.status, record.error_code, record.completion_tokens) == (503, "engine_lost", 1)


def test_a_provider_that_hangs_is_given_up(make_world: Any) -> None:
    world = make_world(engine_silence_seconds=0.3)
    provider = Provider()
    endpoint = MemoryEndpoint("base-1", url=provider.url, engine="remote")
    world.facts.change("serving.endpoints.changed", endpoints=[endpoint])
    wait_for(lambda: world.app._keeper.current.endpoints["base-1"][0].url == provider.url)
    provider.pause = 3
    for mode, stream in (("hang", False), ("hang", True), ("silent_mid", True)):
        provider.mode = mode
        with pytest.raises(openai.APIError, match="silent"):
            list(world.ask(stream=stream))
    provider.stop()


def test_a_client_that_leaves_closes_the_providers_stream(world: World, provider: Provider) -> None:
    provider.mode = "flood"
    stream = world.ask(stream=True)
    next(iter(stream))
    stream.close()
    wait_for(lambda: provider.left == 1)
