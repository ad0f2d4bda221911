"""The response of one streaming answer: server-sent events, with a sign of life during silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from plinth.gateway.dataplane import sse
from plinth.gateway.dataplane.call import Call

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class EventReply:
    """`committed` turns true with the first event: from then on nothing can be tried again."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._lock = asyncio.Lock()
        self._last = 0.0
        self.committed = False

    @asynccontextmanager
    async def kept_alive(self, seconds: float) -> AsyncIterator[None]:
        """Send a comment after every `seconds` of silence while the block runs. The first one also
        starts the response, so a later failure is told as an event and not as a status."""
        beat = asyncio.create_task(self._beat(seconds))
        try:
            yield
        finally:
            beat.cancel()

    async def event(self, payload: dict[str, Any]) -> None:
        self.committed = True
        await self._send(sse.event(payload))

    async def events(self, data: bytes) -> None:
        """Whole events, encoded already."""
        self.committed = True
        await self._send(data)

    def push(self, data: bytes) -> bool:
        """Whole events, sent without waiting; False, and nothing is sent, when that cannot be."""
        if self._lock.locked() or not self._call.push(data):
            return False
        self.committed = True
        self._last = asyncio.get_running_loop().time()
        return True

    async def finish(self) -> None:
        async with self._lock:
            await self._start()
            await self._call.finish(sse.done())

    async def _send(self, data: bytes) -> None:
        async with self._lock:
            await self._start()
            await self._call.send(data)
            self._last = asyncio.get_running_loop().time()

    async def _start(self) -> None:
        if not self._call.started:
            self._call.is_event_stream = True
            await self._call.start(200, _HEADERS)

    async def _beat(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        while True:
            await asyncio.sleep(max(0.0, self._last + seconds - loop.time()))
            if loop.time() - self._last >= seconds:
                await self._send(sse.KEEP_ALIVE)
