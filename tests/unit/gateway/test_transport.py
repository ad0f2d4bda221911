"""The HTTP client against scripted bytes on a unix socket."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from plinth.gateway.dataplane.transport import Address, Connection, TransportError, request_bytes

Exchange = Callable[..., Any]


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """`await exchange(b"…pieces", …)` returns (status, headers, body) of what a server writes."""
    folder = Path(tempfile.mkdtemp(prefix="plinth-"))
    servers = []

    async def run(*pieces: bytes, bodiless: bool = False) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            writer.close()

        path = folder / f"{len(servers)}.sock"
        servers.append(await asyncio.start_unix_server(serve, str(path)))
        connection = await Connection.connect(Address.of(str(path), None), 5, bodiless)
        try:
            await connection.write(request_bytes("GET", b"/", [(b"host", b"x")]))
            head = await connection.head()
            body = b""
            while data := await connection.read():
                body += data
            return head.status, head.headers, body
        finally:
            connection.close()

    yield run
    for server in servers:
        server.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",),
        (b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 4\r\n\r\nbo", b"dy"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n", b"2\r\ndy\r\n0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\nbo", b"dy"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"),
    ],
)
async def test_bodies_in_every_framing(exchange: Exchange, pieces: tuple[bytes, ...]) -> None:
    status, _, body = await exchange(*pieces)
    assert (status, body) == (200, b"body")


async def test_answers_without_a_body(exchange: Exchange) -> None:
    assert (await exchange(b"HTTP/1.1 204 No Content\r\n\r\n"))[0] == 204
    assert (await exchange(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"))[0] == 304
    status, headers, body = await exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", bodiless=True)
    assert (status, headers, body) == (200, [(b"content-length", b"9")], b"")


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),
        (b"HTTP/1.1 200 OK\r\nContent-Le",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbo",),
        (b"SSH-2.0-x\r\n\r\n",),
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000,),
    ],
)
async def test_broken_answers(exchange: Exchange, pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(TransportError):
        await exchange(*pieces)


async def test_nobody_there() -> None:
    with pytest.raises(TransportError):
        await Connection.connect(Address.of("/nonexistent/engine.sock", None), 1)


def test_addresses() -> None:
    assert Address.of("/a.sock", None).prefix == "/v1"
    remote = Address.of(None, "https://models.example.com/api/v1/")
    assert (remote.host, remote.port, remote.tls, remote.prefix) == ("models.example.com", 443, True, "/api/v1")
    assert Address.of(None, "http://10.0.0.1:9000/v1").port == 9000
    for wrong in (None, "", "ftp://x/v1", "http:///v1", "x"):
        with pytest.raises(TransportError):
            Address.of(None, wrong)


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\0b"])
def test_header_injection_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="control characters"):
        request_bytes("GET", b"/", [(b"x", value)])
