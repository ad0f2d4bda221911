"""HTTP/1.1 to engines and providers: unix socket, TCP or TLS, over asyncio's protocols.

asyncio's streams and general clients cost more than everything else a request needs (measured:
httpx +2,030 us, aiohttp +75 us over this), so the exchange is written on the protocol itself.
Parsing is llhttp's (httptools).

A connection that ended an exchange cleanly can be used again (`Pool`). Engines get a fresh one for
each request: closing it is what frees an engine's slot. Back-pressure: the socket is not read while
more than `HIGH_WATER_BYTES` wait for a reader.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache, lru_cache
from urllib.parse import urlsplit

import httptools

HIGH_WATER_BYTES = 256 * 1024
_MAX_HEAD_BYTES = 256 * 1024
_IDLE_SECONDS = 15.0
_MAX_IDLE = 256
_SALVAGE_BYTES = 64 * 1024

Headers = list[tuple[bytes, bytes]]


class TransportError(Exception):
    """The other side cannot be reached, broke the connection, or does not speak HTTP.

    `stale` says that a connection from the pool broke before a byte of the answer came: the other
    side most likely closed it while it was idle.
    """

    stale = False


class CannotConnect(TransportError):
    """Nobody answered at the address: the other side has not seen the request."""


class TransportTimeout(TransportError):
    """The other side was silent for too long."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, and what to say in `Host`. `prefix` goes before every path."""

    host: str
    port: int | None = None
    tls: bool = False
    socket_path: str | None = None
    prefix: str = ""

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(socket_path: str | None, url: str | None) -> Address:
        """A unix socket speaks `/v1`; a URL brings its own path."""
        if socket_path:
            return Address("localhost", socket_path=socket_path, prefix="/v1")
        parts = urlsplit(url or "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise TransportError("the endpoint has no usable address")
        tls = parts.scheme == "https"
        return Address(parts.hostname, parts.port or (443 if tls else 80), tls, None, parts.path.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Head:
    status: int
    headers: Headers

    def header(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key == name), b"")


class Connection(asyncio.Protocol):
    """Use: `connect`, `write` (any number of times), `head`, `read` until empty, always `close` (or
    give it back to its pool)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self._parser = httptools.HttpResponseParser(self)
        self._error: TransportError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable: asyncio.Future[None] | None = None
        self._write_paused = self._paused = False
        self._timeout_seconds = self._deadline = 0.0
        self._spare: int | None = None
        self._sink: Callable[[bytes], bool] | None = None
        self.idle_since = 0.0
        self._begin(bodiless=False, reused=False)

    def _begin(self, bodiless: bool, reused: bool) -> None:
        """Forget the last exchange."""
        self._bodiless, self._reused = bodiless, reused
        self._received: list[bytes] = []
        self._received_bytes = self._head_bytes = 0
        self._headers: Headers = []
        self._head: Head | None = None
        self._complete = self._reusable = False
        self._waiter: asyncio.Future[None] | None = None

    @classmethod
    async def connect(
        cls, address: Address, timeout_seconds: float, bodiless: bool = False, salvage: bool = False
    ) -> Connection:
        """`bodiless` is for answers to HEAD. `salvage` is for long uploads: an answer that was given
        early, by a side that then closed, is read although writing to it failed. Raises `TransportError`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_seconds):
                if address.socket_path:
                    _, connection = await loop.create_unix_connection(lambda: cls(loop), address.socket_path)
                else:
                    tls = _tls() if address.tls else None
                    host, port = address.host, address.port or 0
                    _, connection = await loop.create_connection(lambda: cls(loop), host, port, ssl=tls)
        except (OSError, TimeoutError) as error:
            raise CannotConnect(f"cannot connect: {type(error).__name__}") from error
        connection._bodiless = bodiless
        if salvage:
            connection._spare = os.dup(connection._transport.get_extra_info("socket").fileno())
        return connection

    def limit(self, seconds: float) -> None:
        """From now on `head` and `read` raise `TransportTimeout` after this much silence."""
        self._timeout_seconds = seconds

    async def write(self, data: bytes) -> None:
        """Waits while the other side does not read. Raises `TransportError`."""
        if self._error is not None:
            raise self._error
        self._transport.write(data)
        if self._write_paused:
            self._writable = self._loop.create_future()
            await self._writable
            if self._error is not None:
                raise self._error

    async def head(self) -> Head:
        """Status and headers (names in lower case). Raises `TransportError`."""
        while self._head is None:
            await self._more()
        return self._head

    async def read(self) -> bytes:
        """The next piece of the body as it arrives, b"" at its end. May be cancelled and called
        again without losing bytes. Raises `TransportError`."""
        while not self._received:
            if self._complete:
                return b""
            await self._more()
        data = self._taken()
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def pump(self, sink: Callable[[bytes], bool]) -> None:
        """Give `sink` each piece of the body in the moment it arrives, without waking a task for it; it
        runs in the caller's context. Returns when it returned False, or at the body's end. Raises
        `TransportError`, and what `sink` raises."""
        if self._received and not sink(await self.read()):
            return
        if self._complete:
            return
        context = copy_context()
        self._sink = lambda data: context.run(sink, data)
        try:
            await self._more()
        finally:
            self._sink = None

    def _taken(self) -> bytes:
        received = self._received
        data = received[0] if len(received) == 1 else b"".join(received)
        self._received, self._received_bytes = [], 0
        return data

    @property
    def reusable(self) -> bool:
        """Whether the exchange ended cleanly and the other side keeps the connection open."""
        return self._complete and self._reusable and self._error is None and not self._received

    def close(self) -> None:
        """At once, also in the middle of an answer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.abort()
        self._drop_spare()

    async def _more(self) -> None:
        """Wait until something has arrived. Raises `TransportError`."""
        if self._error is not None:
            raise self._error
        if self._timeout_seconds:
            self._deadline = self._loop.time() + self._timeout_seconds
            # one timer a connection that is moved when it fires costs less than one a wait
            if self._timer is None or self._timer.when() > self._deadline:
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = self._loop.call_at(self._deadline, self._expire)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._deadline = 0.0

    def expire(self) -> None:
        """Fail whoever waits, now: the whole exchange took too long."""
        self._error = self._error or TransportTimeout("it took too long")
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._error)
        self._transport.abort()

    def _expire(self) -> None:
        self._timer = None
        if not self._deadline:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._expire)
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(TransportTimeout("it was silent for too long"))

    def _fail(self, reason: str) -> None:
        if self._error is None:
            self._error = TransportError(reason)
            self._error.stale = self._reused and self._head is None and not self._head_bytes
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._error)
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # asyncio's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass of asyncio's

    def data_received(self, data: bytes) -> None:
        if self._head is None:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._fail("the response headers are too large")
                self._transport.abort()
                return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("the answer is not HTTP")
            self._transport.abort()
            return
        if self._sink is not None and self._waiter is not None and not self._waiter.done():
            self._pour(self._sink, self._waiter)
            return
        if self._received_bytes > HIGH_WATER_BYTES and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def _pour(self, sink: Callable[[bytes], bool], waiter: asyncio.Future[None]) -> None:
        try:
            goes_on = not self._received or sink(self._taken())
        except Exception as error:  # belongs to whoever waits in `pump`
            waiter.set_exception(error)
            return
        if self._complete or not goes_on:
            waiter.set_result(None)
        elif self._timeout_seconds:
            self._deadline = self._loop.time() + self._timeout_seconds

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and self._spare is not None and not self._complete:
            self._salvage(self._spare)
        self._drop_spare()
        framed = self._head is None or self._head.header(b"content-length") or self._head.header(b"transfer-encoding")
        if error is None and not framed:
            self._complete = True
            self._wake()
        elif self._complete:
            self._reusable = False
            self._wake()
        else:
            self._fail("the connection ended early" if error is None else "the connection broke")

    def _salvage(self, descriptor: int) -> None:
        """The loop gives a connection up when a write fails, with what still waits to be read in it."""
        while self._error is None and not self._complete:
            try:
                data = os.read(descriptor, _SALVAGE_BYTES)
            except OSError:
                return
            if not data:
                return
            self.data_received(data)

    def _drop_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            os.close(spare)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # callbacks of the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self._head = Head(status, self._headers)
            self._complete = self._bodiless or status in (204, 304)
        self._headers = []

    def on_body(self, body: bytes) -> None:
        if not self._complete:
            self._received.append(body)
            self._received_bytes += len(body)

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._reusable = not self._bodiless and self._parser.should_keep_alive()
            self._complete = True


class Pool:
    """Kept-alive connections by address. Belongs to one event loop."""

    def __init__(self, connect_timeout_seconds: float) -> None:
        self._connect_timeout_seconds = connect_timeout_seconds
        self._idle: dict[Address, deque[Connection]] = {}

    async def take(self, address: Address, fresh: bool = False, timeout_seconds: float = 0.0) -> Connection:
        """A connection ready for a request. Raises `TransportError`.

        Args:
            fresh: not one that has been used before.
            timeout_seconds: for connecting, 0 for the usual.
        """
        idle = self._idle.get(address)
        if idle and not fresh:
            now = asyncio.get_running_loop().time()
            while idle:
                connection = idle.pop()  # the one used last: the others may time out and go
                if connection.reusable and now - connection.idle_since < _IDLE_SECONDS:
                    connection._begin(bodiless=False, reused=True)
                    return connection
                connection.close()
        return await Connection.connect(address, timeout_seconds or self._connect_timeout_seconds)

    def give(self, address: Address, connection: Connection) -> None:
        """The exchange is over, however it ended."""
        if not connection.reusable:
            connection.close()
            return
        idle = self._idle.setdefault(address, deque())
        now = connection.idle_since = asyncio.get_running_loop().time()
        idle.append(connection)
        while len(idle) > _MAX_IDLE or now - idle[0].idle_since > _IDLE_SECONDS:
            idle.popleft().close()

    def close(self) -> None:
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def request_bytes(method: str, target: bytes, headers: Headers, body: bytes = b"") -> bytes:
    """A request's head and body. Values with control characters are refused, never escaped."""
    lines = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\n"]
    for name, value in headers:
        if any(byte in value or byte in name for byte in (b"\r", b"\n", b"\0")):
            raise ValueError(f"the header {name!r} holds control characters")
        lines += (name, b": ", value, b"\r\n")
    lines += (b"\r\n", body)
    return b"".join(lines)
