"""Everything that is not a model call passes to the control plane, and health tells how all are."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from integration.gateway.conftest import World, wait_for
from integration.gateway.fakes import AppThread

MEBIBYTE = 1024 * 1024


class Api:
    """A control plane with odd routes; `received` counts upload bytes, `left` clients that went away."""

    def __init__(self) -> None:
        self.received, self.left = 0, 0
        self.gate = threading.Event()
        self.gate.set()
        self.app = app = FastAPI()

        @app.get("/livez")
        def livez() -> dict[str, str]:
            return {"status": "ok"}

        @app.api_route("/echo/{rest:path}", methods=["GET", "HEAD", "POST", "DELETE"])
        async def echo(request: Request) -> Response:
            body = await request.body()
            seen = {
                "method": request.method,
                "path": request.scope["raw_path"].decode(),
                "query": request.scope["query_string"].decode(),
                "headers": {name.decode(): value.decode("latin-1") for name, value in request.headers.raw},
                "body": body.decode(),
            }
            headers = {"x-request-id": "from-the-api", "connection": "x-hop", "x-hop": "1", "x-kept": "yes"}
            return Response(json.dumps(seen), 201, headers)

        @app.post("/upload")
        async def upload(request: Request) -> dict[str, Any]:
            digest = hashlib.sha256()
            async for piece in request.stream():
                self.received += len(piece)
                digest.update(piece)
                while not self.gate.is_set():
                    await asyncio.sleep(0.01)
            return {"sha256": digest.hexdigest(), "bytes": self.received}

        @app.post("/early")
        async def early() -> Response:
            return Response("too large for me", 413)

        @app.get("/events")
        async def events() -> StreamingResponse:
            async def endless() -> AsyncIterator[bytes]:
                try:
                    while True:
                        yield b"data: tick\n\n"
                        await asyncio.sleep(0.01)
                finally:
                    self.left += 1

            return StreamingResponse(endless(), media_type="text/event-stream")

        @app.get("/breaks")
        async def breaks() -> StreamingResponse:
            async def some() -> AsyncIterator[bytes]:
                yield b"half"
                raise RuntimeError("on purpose")

            return StreamingResponse(some(), headers={"content-length": "8"})


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    control = Api()
    thread = AppThread(lambda: control.app, uds=world.folder / "api.sock", lifespan="off")
    yield control
    control.gate.set()
    thread.stop()


def test_request_and_response_pass_unchanged(world: World, api: Api) -> None:
    response = httpx.post(
        world.url + "/echo/a%2Fb%20c?q=1&q=%E4%B8%AD",
        content=b"body",
        headers={"x-request-id": "mine", "x-forwarded-for": "6.6.6.6", "te": "trailers", "x-mine": b"\xe9"},
    )
    seen = response.json()
    assert response.status_code == 201
    assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/echo/a%2Fb%20c", "q=1&q=%E4%B8%AD")
    assert seen["body"] == "body"
    assert seen["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert seen["headers"]["x-request-id"] == "mine"
    assert seen["headers"]["x-mine"] == "\xe9"
    assert seen["headers"]["host"] == f"127.0.0.1:{world.thread.port}"
    assert "te" not in seen["headers"]
    assert response.headers.get_list("x-request-id") == ["mine"]
    assert response.headers["x-kept"] == "yes"
    assert "x-hop" not in response.headers


def test_head_and_empty_bodies(world: World, api: Api) -> None:
    response = httpx.head(world.url + "/echo/x")
    assert response.status_code == 201
    assert int(response.headers["content-length"]) > 0
    assert httpx.delete(world.url + "/echo/x").json()["method"] == "DELETE"


def test_get_on_a_model_path_is_the_control_planes(world: World, api: Api) -> None:
    assert httpx.get(world.url + "/v1/chat/completions").status_code == 404


@pytest.mark.parametrize("chunked", [True, False])
def test_large_upload_streams_through(world: World, api: Api, chunked: bool) -> None:
    piece = bytes(range(256)) * 4096

    def pieces() -> Iterator[bytes]:
        for _ in range(48):
            yield piece

    headers = {} if chunked else {"content-length": str(48 * MEBIBYTE)}
    response = httpx.post(world.url + "/upload", content=pieces(), headers=headers, timeout=60)
    digest = hashlib.sha256()
    for part in pieces():
        digest.update(part)
    assert response.json() == {"sha256": digest.hexdigest(), "bytes": 48 * MEBIBYTE}


def test_an_api_that_does_not_read_slows_the_client(world: World, api: Api) -> None:
    api.gate.clear()
    client = socket.create_connection(("127.0.0.1", world.thread.port))
    client.settimeout(0.5)
    client.sendall(b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n")
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 64 * MEBIBYTE:
            sent += client.send(b"x" * MEBIBYTE)
    assert sent < 64 * MEBIBYTE, "the client was never slowed down"
    client.close()


def test_early_answer_to_an_upload_arrives(world: World, api: Api) -> None:
    response = httpx.post(world.url + "/early", content=b"x" * (4 * MEBIBYTE))
    assert (response.status_code, response.text) == (413, "too large for me")


def test_events_stream_and_leaving_reaches_the_api(world: World, api: Api) -> None:
    with httpx.stream("GET", world.url + "/events") as response:
        assert next(response.iter_bytes()).startswith(b"data: tick")
    wait_for(lambda: api.left == 1)


def test_an_answer_that_breaks_off_is_seen_to_break_off(world: World, api: Api) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(world.url + "/breaks")


def test_api_down(world: World) -> None:
    response = httpx.get(world.url + "/v1/files", headers={"accept-language": "zh"})
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "api_unavailable"
    assert "控制面" in response.json()["error"]["message"]
    assert response.headers["retry-after"] == "1"
    assert world.ask().choices


def test_health_when_all_is_well(world: World, api: Api) -> None:
    response = httpx.get(world.url + "/health")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ok"
    assert body["version"]
    assert body["processes"] == {"gateway": "ok", "api": "ok", "database": "ok", "engines": "ok"}


def test_health_is_degraded_without_api_and_database(world: World) -> None:
    world.facts.away = True
    wait_for(lambda: world.app._keeper.database_away)
    response = httpx.get(world.url + "/health")
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert response.json()["processes"]["api"] == "down"
    assert response.json()["processes"]["database"] == "down"


def test_health_before_the_first_snapshot(world: World) -> None:
    world.app._keeper.current = None
    assert httpx.get(world.url + "/health").status_code == 503
    assert httpx.get(world.url + "/livez").status_code == 200
    response = httpx.post(world.url + "/v1/chat/completions", content=b"{}")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "gateway_not_ready"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /echo/x HTTP/1.1\r\nhost: x\r\nx-evil: a\rb: c\r\n\r\n",
        b"GET /echo/x HTTP/1.1\r\nhost: x\r\nx-evil: a\x00b\r\n\r\n",
        b"GET /echo/\x01x HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /echo/x HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo/x HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nbodyx",
        b"\x16\x03\x01 not http at all\r\n\r\n",
    ],
)
def test_requests_that_could_smuggle_are_refused(world: World, api: Api, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", world.thread.port)) as client:
        client.settimeout(5)
        client.sendall(request_bytes)
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"error"' in answer


def test_endless_headers_are_cut_off(world: World) -> None:
    with socket.create_connection(("127.0.0.1", world.thread.port)) as client:
        client.settimeout(5)
        client.sendall(b"GET / HTTP/1.1\r\nx: ")
        received = b""
        try:
            for _ in range(64):
                client.sendall(b"a" * 65536)
            received = client.recv(65536)
        except ConnectionError:
            pass  # cut off while sending
        assert received == b"" or received.startswith(b"HTTP/1.1 431")
    assert httpx.get(world.url + "/livez").status_code == 200


def test_slow_headers_are_cut_off(make_world: Any) -> None:
    world = make_world(body_timeout_seconds=0.2)
    with socket.create_connection(("127.0.0.1", world.thread.port)) as client:
        client.settimeout(5)
        client.sendall(b"GET / HTTP/1.1\r\nx:")
        assert client.recv(1) == b""
