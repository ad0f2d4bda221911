"""Server-sent events in both directions (WHATWG HTML, section 9.2): only `data` lines carry meaning."""

from __future__ import annotations

from typing import Any

import orjson

DONE = b"[DONE]"
KEEP_ALIVE = b": keep-alive\n\n"


class EventTooLong(Exception):
    """One event is larger than the limit."""


class EventParser:
    """Feed it bytes as they arrive; it returns the payloads of the events that are complete."""

    def __init__(self, limit_bytes: int = 8 * 1024 * 1024) -> None:
        self._rest, self._data, self._limit_bytes = b"", list[bytes](), limit_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Raises `EventTooLong`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        if len(self._rest) + sum(map(len, self._data)) > self._limit_bytes:
            raise EventTooLong
        return events


def event(payload: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def done() -> bytes:
    return b"data: " + DONE + b"\n\n"
