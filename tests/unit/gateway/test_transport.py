"""The HTTP client against scripted bytes on a unix socket."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from plinth.gateway.dataplane.transport import Address, Connection, TransportError, TransportTimeout, request_bytes

Exchange = Callable[..., Any]


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """`await exchange(b"…pieces", …)` returns (status, headers, body) of what a server writes."""
    folder = Path(tempfile.mkdtemp(prefix="plinth-"))
    servers = []

    async def run(
        *pieces: bytes, bodiless: bool = False, pumped: bool = False
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
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
            if pumped:
                taken: list[bytes] = []
                await connection.pump(lambda data: taken.append(data) is None)
                body = b"".join(taken)
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
@pytest.mark.parametrize("pumped", [False, True])
async def test_bodies_in_every_framing(exchange: Exchange, pieces: tuple[bytes, ...], pumped: bool) -> None:
    status, _, body = await exchange(*pieces, pumped=pumped)
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
@pytest.mark.parametrize("pumped", [False, True])
async def test_broken_answers(exchange: Exchange, pieces: tuple[bytes, ...], pumped: bool) -> None:
    with pytest.raises(TransportError):
        await exchange(*pieces, pumped=pumped)


@asynccontextmanager
async def talking(path: Path) -> AsyncIterator[tuple[Connection, asyncio.StreamWriter]]:
    """A connection whose head has arrived, and the other side's pen."""
    arrived: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_unix_server(lambda _, writer: arrived.set_result(writer), str(path))
    connection = await Connection.connect(Address.of(str(path), None), 5)
    writer = await arrived
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
    await connection.head()
    yield connection, writer
    connection.close()
    writer.transport.abort()
    server.close()


async def test_a_pump_stops_when_told_and_the_rest_is_read(tmp_path: Path) -> None:
    async with talking(tmp_path / "x") as (connection, writer):
        taken: list[bytes] = []

        def sink(data: bytes) -> bool:
            taken.append(data)
            return len(taken) < 2

        pumping = asyncio.create_task(connection.pump(sink))
        for piece in (b"one", b"two", b"more", b"!!"):
            writer.write(piece)
            await asyncio.sleep(0.02)
        await pumping
        assert taken == [b"one", b"two"]
        assert await connection.read() == b"more!!"
        assert await connection.read() == b""
        assert connection.reusable is True


async def test_what_a_sink_raises_and_its_context_belong_to_whoever_pumps(tmp_path: Path) -> None:
    name = ContextVar("name", default="nobody")
    async with talking(tmp_path / "x") as (connection, writer):
        seen = []

        def sink(data: bytes) -> bool:
            seen.append(name.get())
            raise PermissionError(data)

        async def pump() -> None:
            name.set("me")
            await connection.pump(sink)

        pumping = asyncio.create_task(pump())
        await asyncio.sleep(0)
        writer.write(b"one")
        with pytest.raises(PermissionError):
            await pumping
        assert seen == ["me"]
        writer.write(b"two")
        assert await connection.read() == b"two"


async def test_silence_ends_a_pump_but_talk_does_not(tmp_path: Path) -> None:
    async with talking(tmp_path / "x") as (connection, writer):
        connection.limit(0.15)
        taken: list[bytes] = []
        pumping = asyncio.create_task(connection.pump(lambda data: taken.append(data) is None))
        for _ in range(5):
            await asyncio.sleep(0.08)
            writer.write(b"x")
        assert not pumping.done()
        with pytest.raises(TransportTimeout):
            await pumping
        assert taken == [b"x"] * 5


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
