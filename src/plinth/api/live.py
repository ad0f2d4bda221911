"""`GET /api/events`: what changed in a project, as server-sent events, so that nobody has to ask again and again.

A message says that something changed and names it; what it is now is asked from the endpoint that
owns it, with that endpoint's permission. Positions are the platform's own event numbers, so a client
that comes back (`Last-Event-ID`), to this process or to another one, misses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import SQLAlchemyError

from plinth.identity import Actor
from plinth.identity.guard import needs
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Database
from plinth.kit.events import Event

log = logging.getLogger(__name__)

SHOWN = (
    "catalog.",
    "data.",
    "evaluation.",
    "gateway.batch.",
    "gateway.calibration.",
    "gateway.response.",
    "gateway.route.",
    "registry.",
    "serving.",
    "tuning.",
)
_PAGE = 200
_LONGEST_ID = 512


@dataclass(frozen=True)
class LiveTimes:
    """Seconds. `lifetime`: a stream ends then, and its client comes back with its credentials."""

    poll: float = 1.0
    silence: float = 15.0
    lifetime: float = 300.0


class Hub:
    """One look at the database a second for all streams of a process. Belongs to one event loop."""

    def __init__(self, db: Database, poll_seconds: float) -> None:
        self._db, self._poll_seconds = db, poll_seconds
        self._position = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._watching: asyncio.Task[None] | None = None

    async def position(self) -> int:
        return await asyncio.to_thread(events.position, self._db)

    async def beyond(self, position: int, seconds: float) -> int:
        """The newest position, as soon as it is beyond the given one, or after so many seconds."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._position <= position and (left := deadline - asyncio.get_running_loop().time()) > 0:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            if self._watching is None:
                self._watching = asyncio.create_task(self._watch())
            try:
                await asyncio.wait({waiter}, timeout=left)
            finally:
                self._waiting.discard(waiter)
        return max(position, self._position)

    async def _watch(self) -> None:
        try:
            while self._waiting:
                try:
                    newest = await self.position()
                except SQLAlchemyError:  # it comes back; the streams say that they live meanwhile
                    log.warning("changes cannot be read now", exc_info=True)
                    newest = self._position
                if newest > self._position:
                    self._position = newest
                    for waiter in self._waiting:
                        if not waiter.done():
                            waiter.set_result(None)
                await asyncio.sleep(self._poll_seconds)
        finally:
            self._watching = None


def router(
    db: Database,
    clock: Clock,
    anybody: Callable[..., Any],
    times: LiveTimes = LiveTimes(),
) -> APIRouter:
    """Args: `anybody` is the dependency that lets any valid caller in."""
    routes, hub, caller = APIRouter(tags=["Live"]), Hub(db, times.poll), needs(anybody)

    @routes.get("/api/events", response_class=StreamingResponse)
    async def stream_changes(
        actor: Actor = caller, last_event_id: str = Header("", max_length=20)
    ) -> StreamingResponse:
        """Changes of the caller's project as server-sent events: `{"kind", "created_at", "ids"}`."""
        after = int(last_event_id) if last_event_id.isdecimal() else await hub.position()
        return StreamingResponse(
            _stream(db, hub, clock, actor.project_id, after, times),
            media_type="text/event-stream",
            headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
        )

    return routes


async def _stream(
    db: Database, hub: Hub, clock: Clock, project_id: str, after: int, times: LiveTimes
) -> AsyncIterator[bytes]:
    deadline = clock.monotonic() + times.lifetime
    yield b"retry: 1000\nid: %d\nevent: ready\ndata: {}\n\n" % after
    while (left := deadline - clock.monotonic()) > 0:
        newest = await hub.beyond(after, min(left, times.silence))
        if newest == after:
            yield b": still here\n\n"
            continue
        try:
            found = await asyncio.to_thread(_read, db, project_id, after, newest)
        except SQLAlchemyError:  # nothing is lost: the same position is asked for again
            log.warning("changes cannot be read now", exc_info=True)
            await asyncio.sleep(times.poll)
            continue
        for event in found:
            yield _message(event)
        after = found[-1].seq if len(found) == _PAGE else newest


def _read(db: Database, project_id: str, after: int, up_to: int) -> list[Event]:
    with db.read() as session:
        return events.of_project(session, project_id, SHOWN, after, up_to, _PAGE)


def _message(event: Event) -> bytes:
    ids = {
        name: value
        for name, value in event.payload.items()
        if (name == "id" or name.endswith("_id")) and isinstance(value, str) and len(value) <= _LONGEST_ID
    }
    data = orjson.dumps({"kind": event.kind, "created_at": event.created_at, "ids": ids})
    return b"id: %d\nevent: change\ndata: %b\n\n" % (event.seq, data)
