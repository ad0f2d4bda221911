"""One HTTP/1.1 exchange over one fresh connection: unix socket, TCP or TLS.

Deliberately no pool: an engine frees its slot when the connection closes, and reusing kept-alive
connections to llama.cpp failed in trials. Back-pressure comes from asyncio's streams: nothing is
read from the socket faster than `read` is called. Parsing is llhttp's (httptools).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import httptools

READ_BYTES = 64 * 1024
_MAX_HEAD_BYTES = 256 * 1024

Headers = list[tuple[bytes, bytes]]


class TransportError(Exception):
    """The other side cannot be reached, broke the connection, or does not speak HTTP."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, and what to say in `Host`. `prefix` goes before every path."""

    host: str
    port: int | None = None
    tls: bool = False
    socket_path: str | None = None
    prefix: str = ""

    @classmethod
    def of(cls, socket_path: str | None, url: str | None) -> Address:
        """A unix socket speaks `/v1`; a URL brings its own path."""
        if socket_path:
            return cls("localhost", socket_path=socket_path, prefix="/v1")
        parts = urlsplit(url or "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise TransportError("the endpoint has no usable address")
        tls = parts.scheme == "https"
        return cls(parts.hostname, parts.port or (443 if tls else 80), tls, None, parts.path.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Head:
    status: int
    headers: Headers

    def header(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key == name), b"")


class Connection:
    """Use: `connect`, `write` (any number of times), `head`, `read` until empty, always `close`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bodiless: bool = False) -> None:
        self._reader, self._writer = reader, writer
        self._parser = httptools.HttpResponseParser(self)
        self._bodiless = bodiless
        self._received, self._head_bytes = deque[bytes](), 0
        self._headers: Headers = []
        self._head: Head | None = None
        self._complete = False

    @classmethod
    async def connect(cls, address: Address, timeout_seconds: float, bodiless: bool = False) -> Connection:
        """`bodiless` is for answers to HEAD. Raises `TransportError`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                if address.socket_path:
                    streams = await asyncio.open_unix_connection(address.socket_path)
                else:
                    tls = _tls() if address.tls else None
                    streams = await asyncio.open_connection(address.host, address.port, ssl=tls)
        except (OSError, TimeoutError) as error:
            raise TransportError(f"cannot connect: {type(error).__name__}") from error
        return cls(*streams, bodiless=bodiless)

    async def write(self, data: bytes) -> None:
        """Waits while the other side does not read. Raises `TransportError`."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise TransportError("the connection broke while sending") from error

    async def head(self) -> Head:
        """Status and headers (names in lower case). Raises `TransportError`."""
        while self._head is None:
            await self._feed()
        return self._head

    async def read(self) -> bytes:
        """The next piece of the body as it arrives, b"" at its end. May be cancelled and called
        again without losing bytes. Raises `TransportError`."""
        while not self._received:
            if self._complete:
                return b""
            await self._feed()
        pieces = self._received
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return data

    def close(self) -> None:
        """At once, also in the middle of an answer."""
        self._writer.transport.abort()

    async def _feed(self) -> None:
        try:
            data = await self._reader.read(READ_BYTES)
        except OSError as error:
            raise TransportError("the connection broke") from error
        if not data:
            self._end_of_stream()
            return
        if self._head is None:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                raise TransportError("the response headers are too large")
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise TransportError("the answer is not HTTP") from error

    def _end_of_stream(self) -> None:
        framed = self._head is None or self._head.header(b"content-length") or self._head.header(b"transfer-encoding")
        if framed:
            raise TransportError("the connection ended early")
        self._complete = True

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

    def on_message_complete(self) -> None:
        self._complete = self._head is not None


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
