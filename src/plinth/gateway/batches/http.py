"""`/v1/batches`. Reading needs `data:read`; creating and cancelling `data:write` and `models:use`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from plinth.gateway.batches.schemas import NO_NUL, BatchCreate, BatchObject
from plinth.gateway.batches.service import BatchService
from plinth.identity import Actor
from plinth.kit.db import Database
from plinth.kit.http import Guard, ListPage, page

Id = Annotated[str, Path(max_length=64, pattern=NO_NUL)]


def router(db: Database, service: BatchService, guard: Guard) -> APIRouter:
    routes = APIRouter(prefix="/v1/batches", tags=["batches"])
    read, write = Depends(guard("data:read")), Depends(guard("data:write"))

    @routes.post("")
    def create_batch(body: BatchCreate, actor: Actor = write) -> BatchObject:
        with db.write() as session:
            return BatchObject.of(service.create(session, actor, body.to_draft()))

    @routes.get("")
    def list_batches(
        after: Annotated[str | None, Query(max_length=64, pattern=NO_NUL)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        actor: Actor = read,
    ) -> ListPage[BatchObject]:
        with db.read() as session:
            found = service.page(session, actor, after, limit)
        return page([BatchObject.of(batch) for batch in found], limit)

    @routes.get("/{batch_id}")
    def retrieve_batch(batch_id: Id, actor: Actor = read) -> BatchObject:
        with db.read() as session:
            return BatchObject.of(service.get(session, actor, batch_id))

    @routes.post("/{batch_id}/cancel")
    def cancel_batch(batch_id: Id, actor: Actor = write) -> BatchObject:
        with db.write() as session:
            return BatchObject.of(service.cancel(session, actor, batch_id))

    return routes
