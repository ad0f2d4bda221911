"""/v1/responses and /v1/conversations: everything but the generating POST, which is in `create_http.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from enum import Enum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive

from plinth.gateway.responses.events import Event, dump, wire
from plinth.gateway.responses.model import Slice
from plinth.gateway.responses.schemas import (
    ChangeConversation,
    ConversationObject,
    CreateConversation,
    CreateItems,
    ItemList,
    ResponseObject,
)
from plinth.gateway.responses.service import ResponsesService
from plinth.identity import Actor
from plinth.kit.db import Database
from plinth.kit.errors import TooLarge
from plinth.kit.http import Deleted, Guard

PERMISSION = "models:use"
"""Whoever may ask models may see, in their project, what was asked and answered; `models:read` is not enough."""

EVENT_STREAM = "text/event-stream"
KEEP_ALIVE = b": keep-alive\n\n"

Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(max_length=64)]
Order = Literal["asc", "desc"]


def router(db: Database, service: ResponsesService, guard: Guard) -> APIRouter:
    routes = APIRouter(route_class=limited(service.settings.max_body_bytes))
    _responses(routes, db, service, guard)
    _conversations(routes, db, service, guard)
    _conversation_items(routes, db, service, guard)
    return routes


def limited(limit_bytes: int) -> type[APIRoute]:
    """A route that stops reading a request's body at the limit. Raises `TooLarge`."""

    class LimitedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def limited_handle(request: Request) -> Response:
                body = bytearray()
                async for data in request.stream():
                    body += data
                    if len(body) > limit_bytes:
                        raise TooLarge(limit_bytes=limit_bytes, setting="responses.max_body_bytes")
                return await handle(Request(request.scope, _given_again(bytes(body), request.receive)))

            return limited_handle

    return LimitedRoute


def _given_again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body in one piece, then whatever else comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give


def as_json(content: Any) -> Response:
    return Response(dump(content), media_type="application/json")


def _slice(after: str | None, limit: int, order: str) -> Slice:
    return Slice(after, limit, order == "desc")


def _items(found: list[dict[str, Any]], limit: int) -> Response:
    return as_json(ItemList.of(found, limit).model_dump())


async def follow(db: Database, service: ResponsesService, response_id: str, after: int = -1) -> AsyncIterator[bytes]:
    """The stored events above `after` and those to come, until the response is final."""

    def read(after: int) -> tuple[list[Event], bool]:
        with db.read() as session:
            return service.events_after(session, response_id, after)

    pause, quiet = service.settings.poll_seconds, 0.0
    while True:
        events, final = await run_in_threadpool(read, after)
        if events:
            after, quiet = events[-1]["sequence_number"], 0.0
            yield b"".join(map(wire, events))
        if final:
            return
        await asyncio.sleep(pause)
        quiet += pause
        if quiet >= service.settings.keepalive_comment_seconds:
            quiet = 0.0
            yield KEEP_ALIVE


def _responses(routes: APIRouter, db: Database, service: ResponsesService, guard: Guard) -> None:
    tags: list[str | Enum] = ["responses"]
    use = Depends(guard(PERMISSION))
    shown: dict[int | str, dict[str, Any]] = {200: {"model": ResponseObject}}
    listed: dict[int | str, dict[str, Any]] = {200: {"model": ItemList}}

    @routes.get("/v1/responses/{response_id}", tags=tags, response_model=None, responses=shown)
    def retrieve(
        response_id: str,
        stream: bool = False,
        starting_after: Annotated[int | None, Query(ge=0, le=2**31)] = None,
        actor: Actor = use,
    ) -> Response:
        """The response; with `stream=true` the events of a background stream, from the first or after one."""
        with db.read() as session:
            if not stream:
                return as_json(service.response(session, actor.project_id, response_id))
            service.replayable(session, actor.project_id, response_id)
        after = -1 if starting_after is None else starting_after
        return StreamingResponse(follow(db, service, response_id, after), media_type=EVENT_STREAM)

    @routes.delete("/v1/responses/{response_id}", tags=tags)
    def delete(response_id: str, actor: Actor = use) -> Deleted:
        with db.write() as session:
            service.delete(session, actor, response_id)
        return Deleted(id=response_id, object="response")

    @routes.post("/v1/responses/{response_id}/cancel", tags=tags, response_model=None, responses=shown)
    def cancel(response_id: str, actor: Actor = use) -> Response:
        with db.write() as session:
            return as_json(service.cancel(session, actor, response_id))

    @routes.get("/v1/responses/{response_id}/input_items", tags=tags, response_model=None, responses=listed)
    def input_items(
        response_id: str, after: After = None, limit: Limit = 20, order: Order = "desc", actor: Actor = use
    ) -> Response:
        with db.read() as session:
            part = _slice(after, limit, order)
            return _items(service.input_items(session, actor.project_id, response_id, part), limit)


def _conversations(routes: APIRouter, db: Database, service: ResponsesService, guard: Guard) -> None:
    tags: list[str | Enum] = ["conversations"]
    use = Depends(guard(PERMISSION))
    shown: dict[int | str, dict[str, Any]] = {200: {"model": ConversationObject}}

    @routes.post("/v1/conversations", tags=tags, response_model=None, responses=shown)
    def create(body: CreateConversation | None = None, actor: Actor = use) -> Response:
        with db.write() as session:
            given = body.given() if body else {}
            return _shown(service.conversations.create(session, actor, given))

    @routes.get("/v1/conversations/{conversation_id}", tags=tags, response_model=None, responses=shown)
    def retrieve(conversation_id: str, actor: Actor = use) -> Response:
        with db.read() as session:
            return _shown(service.conversations.conversation(session, actor.project_id, conversation_id))

    @routes.post("/v1/conversations/{conversation_id}", tags=tags, response_model=None, responses=shown)
    def change(conversation_id: str, body: ChangeConversation, actor: Actor = use) -> Response:
        with db.write() as session:
            return _shown(service.conversations.set_metadata(session, actor, conversation_id, body.given()))

    @routes.delete("/v1/conversations/{conversation_id}", tags=tags)
    def delete(conversation_id: str, actor: Actor = use) -> Deleted:
        with db.write() as session:
            service.conversations.delete(session, actor, conversation_id)
        return Deleted(id=conversation_id, object="conversation.deleted")


def _conversation_items(routes: APIRouter, db: Database, service: ResponsesService, guard: Guard) -> None:
    tags: list[str | Enum] = ["conversations"]
    use = Depends(guard(PERMISSION))
    listed: dict[int | str, dict[str, Any]] = {200: {"model": ItemList}}
    path = "/v1/conversations/{conversation_id}/items"

    @routes.post(path, tags=tags, response_model=None, responses=listed)
    def add(conversation_id: str, body: CreateItems, actor: Actor = use) -> Response:
        with db.write() as session:
            added = service.conversations.add_items(session, actor, conversation_id, body.given())
        return _items(added, len(added))

    @routes.get(path, tags=tags, response_model=None, responses=listed)
    def list_items(
        conversation_id: str, after: After = None, limit: Limit = 20, order: Order = "desc", actor: Actor = use
    ) -> Response:
        with db.read() as session:
            part = _slice(after, limit, order)
            return _items(service.conversations.items(session, actor.project_id, conversation_id, part), limit)

    @routes.get(f"{path}/{{item_id}}", tags=tags, response_model=None)
    def retrieve(conversation_id: str, item_id: str, actor: Actor = use) -> Response:
        with db.read() as session:
            return as_json(service.conversations.item(session, actor.project_id, conversation_id, item_id))

    @routes.delete(f"{path}/{{item_id}}", tags=tags, response_model=None)
    def delete(conversation_id: str, item_id: str, actor: Actor = use) -> Response:
        with db.write() as session:
            return _shown(service.conversations.delete_item(session, actor, conversation_id, item_id))


def _shown(entry: Any) -> Response:
    return as_json(ConversationObject.of(entry).model_dump())
