"""uvicorn, with what it lacks: limits on the headers' size and time, and an end that is no failure."""

from __future__ import annotations

import asyncio
from types import FrameType
from typing import Any

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from plinth.gateway.errors import HeadersTooLarge
from plinth.kit.errors import BadInput, PlinthError


class Server(uvicorn.Server):
    """Ends normally after a drain; uvicorn itself would raise the signal again and die by it."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


class LimitedProtocol(HttpToolsProtocol):
    """One client connection. The limits are class attributes, set by `protocol`."""

    max_header_bytes = 0
    header_seconds = 0.0
    _header_bytes = 0
    _timer: asyncio.TimerHandle | None = None
    _in_headers = True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0
        self._arm()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._disarm()
        super().on_headers_complete()

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

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.header_seconds, self.transport.close)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def protocol(max_header_bytes: int, header_seconds: float) -> type[LimitedProtocol]:
    """A protocol class with these limits (uvicorn makes one instance per connection)."""
    limits = {"max_header_bytes": max_header_bytes, "header_seconds": header_seconds}
    return type("GatewayProtocol", (LimitedProtocol,), limits)
