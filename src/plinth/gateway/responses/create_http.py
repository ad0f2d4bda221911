"""POST /v1/responses and /v1/responses/input_tokens in the control plane, over the `ChatStream` port.

A client that goes away stops its model call at once; what had arrived is stored as `cancelled`. The
response is stored before the last event is sent, so that the next request can continue it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from plinth.gateway.responses.errors import ModelCallFailed
from plinth.gateway.responses.events import Composer, Event, wire
from plinth.gateway.responses.generate import compose, count_tokens, open_answer
from plinth.gateway.responses.http import EVENT_STREAM, PERMISSION, as_json, follow, limited
from plinth.gateway.responses.model import Prepared
from plinth.gateway.responses.ports import ChatCall, ChatStream, Chunks
from plinth.gateway.responses.schemas import CountTokens, CreateResponse, InputTokens, ResponseObject
from plinth.gateway.responses.service import ResponsesService
from plinth.identity import Actor
from plinth.kit.clock import Clock
from plinth.kit.db import Database
from plinth.kit.errors import PlinthError
from plinth.kit.http import Guard

log = logging.getLogger(__name__)

_CLIENT_CLOSED_REQUEST = 499
_NOT_COUNTED = ("personality", "store", "stream", "background", "include")


def create_router(db: Database, service: ResponsesService, guard: Guard, chat: ChatStream, clock: Clock) -> APIRouter:
    routes = APIRouter(tags=["responses"], route_class=limited(service.settings.max_body_bytes))
    use = Depends(guard(PERMISSION))
    server = _Server(db, service, clock)

    @routes.post("/v1/responses", response_model=None, responses={200: {"model": ResponseObject}})
    async def create(request: Request, body: CreateResponse, actor: Actor = use) -> Response:
        """Generate a response: at once (whole or as a stream of events) or in the background."""
        prepared = await run_in_threadpool(server.begin, actor, body.given())
        if prepared.request.background:
            return await server.queue(prepared)
        prepared = await run_in_threadpool(service.search, prepared)
        # up to here, and if the model refuses, an error has a status of its own
        chunks = await open_answer(chat, prepared, _secret(request))
        if prepared.request.stream:
            return StreamingResponse(server.stream(prepared, chunks), media_type=EVENT_STREAM)
        return await server.whole(request, prepared, chunks)

    @routes.post("/v1/responses/input_tokens")
    async def input_tokens(request: Request, body: CountTokens, actor: Actor = use) -> InputTokens:
        """How many tokens a request's input has, counted by the model's own engine."""
        given = {name: value for name, value in body.given().items() if name not in _NOT_COUNTED}
        prepared = await run_in_threadpool(server.begin, actor, given)
        call = ChatCall(prepared.project_id, prepared.chat_body, _secret(request))
        return InputTokens(input_tokens=await count_tokens(chat, call))

    return routes


class _Server:
    def __init__(self, db: Database, service: ResponsesService, clock: Clock) -> None:
        self._db, self._service, self._clock = db, service, clock

    def begin(self, actor: Actor, body: dict[str, Any]) -> Prepared:
        with self._db.read() as session:
            return self._service.begin(session, actor, body)

    async def queue(self, prepared: Prepared) -> Response:
        def store() -> dict[str, Any]:
            with self._db.write() as session:
                return self._service.queue(session, prepared)

        queued = await run_in_threadpool(store)
        if not prepared.request.stream:
            return as_json(queued)
        return StreamingResponse(follow(self._db, self._service, prepared.response_id), media_type=EVENT_STREAM)

    async def stream(self, prepared: Prepared, chunks: Chunks) -> AsyncIterator[bytes]:
        composer = Composer(prepared)
        try:
            async for events in self._events(composer, chunks):
                if composer.outcome.status.final:
                    await self._finish(prepared, composer)
                yield b"".join(map(wire, events))
        except (asyncio.CancelledError, GeneratorExit):
            await self._abandon(prepared, composer)
            raise
        except Exception:  # the answer has begun: the client can only be told by an event
            log.exception("a response could not be completed", extra={"response_id": prepared.response_id})
            yield wire(composer.error(PlinthError()))
        finally:
            await _uninterrupted(chunks.close)

    async def whole(self, request: Request, prepared: Prepared, chunks: Chunks) -> Response:
        composer = Composer(prepared)
        work = asyncio.create_task(self._collect(composer, chunks))
        gone = asyncio.create_task(_gone(request))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
                await self._abandon(prepared, composer)
                return Response(status_code=_CLIENT_CLOSED_REQUEST)
            work.result()
        finally:
            gone.cancel()
            work.cancel()
            await _uninterrupted(chunks.close)
        await self._finish(prepared, composer)
        return as_json(composer.response)

    async def _collect(self, composer: Composer, chunks: Chunks) -> None:
        async for _ in compose(chunks, composer, self._clock):
            pass

    async def _events(self, composer: Composer, chunks: Chunks) -> AsyncIterator[list[Event]]:
        try:
            async for events in compose(chunks, composer, self._clock):
                yield events
        except ModelCallFailed as error:
            log.warning("a model broke off", extra={"reason": error.message})
            yield composer.fail(error)

    async def _finish(self, prepared: Prepared, composer: Composer) -> None:
        def store() -> None:
            with self._db.write() as session:
                self._service.finish(session, prepared, composer)

        await run_in_threadpool(store)

    async def _abandon(self, prepared: Prepared, composer: Composer) -> None:
        """The client has gone."""
        if not composer.outcome.status.final:
            composer.cancel()
            await _uninterrupted(lambda: self._finish(prepared, composer))


async def _uninterrupted(work: Callable[[], Awaitable[None]]) -> None:
    """Run it to its end although the request is being cancelled."""
    with anyio.CancelScope(shield=True):
        await work()


async def _gone(request: Request) -> None:
    """Returns when the client has closed its connection; the body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _secret(request: Request) -> str | None:
    """The caller's own key: the model call is made with it, so that its limits and its usage apply."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None
