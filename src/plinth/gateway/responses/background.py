"""Generates one background response, however often the work is interrupted.

Every `poll_seconds` the new events are stored (when the response was asked for as a stream) and the
row is looked at: a cancelled or deleted response stops its model call at once. A worker that is
killed leaves the row open; the next run of the step starts the answer anew, numbers its events
after the stored ones and closes what the first attempt had left open.
"""

from __future__ import annotations

import asyncio
import logging

from plinth.gateway.responses.errors import ModelCallFailed
from plinth.gateway.responses.events import Composer, Event
from plinth.gateway.responses.generate import compose, open_answer
from plinth.gateway.responses.model import Prepared
from plinth.gateway.responses.ports import ChatStream
from plinth.gateway.responses.service import ResponsesService
from plinth.gateway.responses.settings import ResponsesSettings
from plinth.kit.clock import Clock
from plinth.kit.db import Database
from plinth.kit.errors import PlinthError

log = logging.getLogger(__name__)

_RETRIED = (408, 429, 502, 503, 504)
_LONGEST_PAUSE_SECONDS = 30.0
_BROKEN_OFF = 3  # answers that broke off in the middle: unlike a refusal, each has cost its tokens


class _Stopped(Exception):
    """The response is final: somebody cancelled or deleted it."""


class BackgroundRunner:
    """Thread-safe; every run has its own event loop."""

    def __init__(
        self, db: Database, clock: Clock, service: ResponsesService, chat: ChatStream, settings: ResponsesSettings
    ) -> None:
        self._db, self._clock, self._service = db, clock, service
        self._chat, self._settings = chat, settings

    def run(self, response_id: str) -> None:
        """Generate it and store the outcome. Does nothing when it is final already."""
        try:
            asyncio.run(self._run(response_id))
        except _Stopped:
            log.info("a background response was stopped", extra={"response_id": response_id})

    def give_up(self, response_id: str) -> None:
        """Close a response that Plinth itself cannot finish, so that nobody waits for ever."""
        self._give_up(response_id, PlinthError())

    async def _run(self, response_id: str) -> None:
        deadline = asyncio.get_running_loop().time() + self._settings.background_seconds
        attempt, broken = 0, 0
        while True:
            attempt += 1
            composer: Composer | None = None
            try:
                prepared = self._prepare(response_id)
                composer = Composer(prepared)
                async with asyncio.timeout_at(deadline):
                    await self._attempt(prepared, composer)
                return
            except TimeoutError:
                self._give_up(response_id, ModelCallFailed(reason="The response took longer than this server allows."))
                return
            except PlinthError as error:
                broken += composer is not None and composer.begun
                if not _temporary(error) or attempt >= self._settings.background_attempts or broken >= _BROKEN_OFF:
                    self._give_up(response_id, error)
                    return
                pause = self._pause(error, attempt)
            await self._wait(response_id, pause)

    async def _wait(self, response_id: str, seconds: float) -> None:
        """Pause before the next attempt, but not for a response that was cancelled."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, self._settings.poll_seconds))
            self._save(response_id, [])

    def _prepare(self, response_id: str) -> Prepared:
        with self._db.write() as session:
            prepared = self._service.resume(session, response_id)
        if prepared is None:
            raise _Stopped
        return self._service.search(prepared)

    async def _attempt(self, prepared: Prepared, composer: Composer) -> None:
        """One answer from its first to its last event. Raises `ModelCallFailed` when it broke off."""
        unsaved = list[Event]()
        work = asyncio.create_task(self._collect(prepared, composer, unsaved))
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=self._settings.poll_seconds)
                if not work.done():
                    self._save(prepared.response_id, unsaved)
        finally:
            work.cancel()
            await asyncio.wait({work})
        work.result()
        with self._db.write() as session:
            self._service.append_events(session, prepared.response_id, unsaved)
            self._service.finish(session, prepared, composer)

    async def _collect(self, prepared: Prepared, composer: Composer, unsaved: list[Event]) -> None:
        chunks = await open_answer(self._chat, prepared)
        try:
            async for events in compose(chunks, composer, self._clock):
                unsaved += events
        finally:
            await chunks.close()

    def _save(self, response_id: str, unsaved: list[Event]) -> None:
        with self._db.write() as session:
            if not self._service.append_events(session, response_id, unsaved):
                raise _Stopped
        unsaved.clear()

    def _give_up(self, response_id: str, error: PlinthError) -> None:
        with self._db.write() as session:
            self._service.give_up(session, response_id, error)

    def _pause(self, error: PlinthError, attempt: int) -> float:
        asked = error.retry_after_seconds if isinstance(error, ModelCallFailed) else None
        growing = self._settings.background_pause_seconds * 2.0 ** min(attempt - 1, 10)
        return min(_LONGEST_PAUSE_SECONDS, growing if asked is None else asked)


def _temporary(error: PlinthError) -> bool:
    return isinstance(error, ModelCallFailed) and error.status in _RETRIED
