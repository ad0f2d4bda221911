"""uvicorn, with what it lacks: limits on the headers' size and time, one write for a head and its
body, news of a disconnect without a waiting task, and an end that is no failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from types import FrameType
from typing import Any
from urllib.parse import unquote

import httptools
import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from plinth.gateway.dataplane.call import BODY, FLUSH, PUSH, WATCHERS
from plinth.gateway.errors import HeadersTooLarge
from plinth.kit.errors import BadInput, PlinthError

_NEVER = float("inf")
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class Server(uvicorn.Server):
    """Ends normally after a drain; uvicorn itself would raise the signal again and die by it."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


class Cycle(RequestResponseCycle):
    """One request and its response. The head waits for the first piece of the body, so that a small
    answer is one write; `FLUSH` in the start message sends it at once."""

    _head = b""
    _left = 0

    def arrived(self, limit_bytes: int) -> bytes | None:
        """The whole body when it is here already (as it nearly always is); `receive` must follow otherwise."""
        if self.more_body or len(self.body) > limit_bytes:
            return None
        body, self.body = bytes(self.body), bytearray()
        self.message_event.clear()
        return body

    def push(self, body: bytes) -> bool:
        """Write a piece of a response that has begun, now; False when the client does not keep up."""
        if self.flow.write_paused and not self.disconnected:
            return False
        if not self.disconnected:
            self._body(body, True)
        return True

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            self._begin(message)
        elif self.response_complete:
            raise RuntimeError("the response was complete already")
        else:
            self._body(message.get("body", b""), message.get("more_body", False))

    def _begin(self, message: Any) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        status: int = message["status"]
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        for name, value in (*self.default_headers, *message["headers"]):
            if name == b"content-length":
                self.chunked_encoding, self._left = False, int(value)
            elif name == b"connection" and value.lower() == b"close":
                self.keep_alive = False
            lines.append(b"%b: %b\r\n" % (name, value))
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
            raise ValueError("a header of the response holds control characters")
        self._head = head
        if message.get(FLUSH):
            self.transport.write(self._head)
            self._head = b""

    def _body(self, body: bytes, more: bool) -> None:
        head, self._head = self._head, b""
        if self.scope["method"] == "HEAD":
            body, self._left = b"", 0
        if self.chunked_encoding:
            end = b"" if more else b"0\r\n\r\n"
            pieces = (head, b"%x\r\n" % len(body), body, b"\r\n", end) if body else (head, end)
            self.transport.write(b"".join(pieces))
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more and self.scope["method"] != "HEAD"):
                raise RuntimeError("the response's length differs from its content-length")
            if head or body:
                self.transport.write(head + body)
        if not more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()


class LimitedProtocol(HttpToolsProtocol):
    """One client connection. The limits are class attributes, set by `protocol`.

    One timer looks now and then whether the deadline (for a request's headers, or for the next request)
    has passed: two timers made and cancelled in each request would cost more than its headers do.
    """

    max_header_bytes = 0
    header_seconds = 0.0
    _header_bytes = 0
    _in_headers = True

    def connection_made(self, transport: Any) -> None:
        self.watchers: set[Callable[[], None]] = set()
        super().connection_made(transport)
        self._deadline = self.loop.time() + self.header_seconds
        self._timer: asyncio.TimerHandle = self.loop.call_later(self.header_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)
        for tell in list(self.watchers):
            tell()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0
        self._deadline = self.loop.time() + self.header_seconds

    def on_headers_complete(self) -> None:
        """uvicorn's own, without websockets, with our `Cycle`."""
        self._in_headers = False
        self._deadline = _NEVER
        version, target = self.parser.get_http_version(), httptools.parse_url(self.url)
        path = target.path.decode("ascii")
        scope: Any = self.scope
        scope["method"], scope["http_version"] = self.parser.get_method().decode("ascii"), version
        scope["raw_path"], scope["query_string"] = target.path, target.query or b""
        scope["path"] = unquote(path) if "%" in path else path
        scope[WATCHERS] = self.watchers
        before, self.cycle = self.cycle, self._cycle(version)
        scope[BODY], scope[PUSH] = self.cycle.arrived, self.cycle.push
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _cycle(self, version: str) -> Cycle:
        return Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers and self.parser is not None and not self.transport.is_closing():
            self._header_bytes += len(data)
            if self._header_bytes > self.max_header_bytes:
                self._refuse(HeadersTooLarge(limit_bytes=self.max_header_bytes))

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadInput(reason=msg))

    def _refuse(self, error: PlinthError) -> None:
        body = orjson.dumps(error.to_openai())
        head = (
            f"HTTP/1.1 {error.status} \r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def on_response_complete(self) -> None:
        """uvicorn's own, with our deadline."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif not self._in_headers:  # the next request may have begun already
            self._deadline = self.loop.time() + self.timeout_keep_alive

    def _look(self) -> None:
        left = self._deadline - self.loop.time()
        if left <= 0:
            self.transport.close()
            return
        self._timer = self.loop.call_later(min(left, self.header_seconds / 4), self._look)


def protocol(max_header_bytes: int, header_seconds: float) -> type[LimitedProtocol]:
    """A protocol class with these limits (uvicorn makes one instance per connection)."""
    limits = {"max_header_bytes": max_header_bytes, "header_seconds": header_seconds}
    return type("GatewayProtocol", (LimitedProtocol,), limits)
