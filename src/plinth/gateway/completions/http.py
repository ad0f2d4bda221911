"""`GET|POST|DELETE /v1/chat/completions…` for stored ones. `POST /v1/chat/completions` is the data plane's.

Reading needs `data:read`, changing `data:write`: what users wrote is data.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request

from plinth.gateway.completions.errors import BadMetadataFilter
from plinth.gateway.completions.model import (
    MAX_KEY_CHARACTERS,
    MAX_METADATA,
    MAX_VALUE_CHARACTERS,
    Filter,
    Paging,
)
from plinth.gateway.completions.schemas import (
    NO_NUL,
    CompletionDeleted,
    CompletionObject,
    CompletionUpdate,
    MessageObject,
)
from plinth.gateway.completions.service import StoredCompletions
from plinth.identity import Actor
from plinth.kit.db import Database
from plinth.kit.http import Guard, ListPage, page

Id = Annotated[str, Path(max_length=128, pattern=NO_NUL)]
Text = Annotated[str | None, Query(max_length=256, pattern=NO_NUL)]
Limit = Annotated[int, Query(ge=1, le=100)]
Order = Literal["asc", "desc"]


def paging_query(after: Text = None, limit: Limit = 20, order: Order = "asc") -> Paging:
    return Paging(after, limit, order == "desc")


Page = Annotated[Paging, Depends(paging_query)]


def metadata_query(request: Request) -> dict[str, str]:
    """The pairs of `metadata[key]=value`. Raises `BadMetadataFilter`."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if not name.startswith("metadata"):
            continue
        key = name.removeprefix("metadata[").removesuffix("]")
        fits = name == f"metadata[{key}]" and 0 < len(key) <= MAX_KEY_CHARACTERS and len(value) <= MAX_VALUE_CHARACTERS
        if not fits or "\0" in key or key in found or len(found) == MAX_METADATA:
            raise BadMetadataFilter(filter=name[:100], limit=MAX_METADATA, param="metadata")
        found[key] = value
    return found


def router(db: Database, service: StoredCompletions, guard: Guard) -> APIRouter:
    routes = APIRouter(prefix="/v1/chat/completions", tags=["stored completions"])
    read, write = Depends(guard("data:read")), Depends(guard("data:write"))

    @routes.get("", openapi_extra={"parameters": [_METADATA]})
    def list_completions(
        paging: Page,
        metadata: Annotated[dict[str, str], Depends(metadata_query)],
        model: Text = None,
        actor: Actor = read,
    ) -> ListPage[CompletionObject]:
        with db.read() as session:
            found = service.page(session, actor, Filter(model, metadata), paging)
        return page([CompletionObject.of(record) for record in found], paging.limit)

    @routes.get("/{completion_id}")
    def retrieve_completion(completion_id: Id, actor: Actor = read) -> CompletionObject:
        with db.read() as session:
            return CompletionObject.of(service.get(session, actor, completion_id))

    @routes.get("/{completion_id}/messages")
    def list_messages(completion_id: Id, paging: Page, actor: Actor = read) -> ListPage[MessageObject]:
        with db.read() as session:
            found = service.messages(session, actor, completion_id, paging)
        return page([MessageObject.of(message) for message in found], paging.limit)

    @routes.post("/{completion_id}")
    def update_completion(completion_id: Id, body: CompletionUpdate, actor: Actor = write) -> CompletionObject:
        with db.write() as session:
            return CompletionObject.of(service.set_metadata(session, actor, completion_id, body.metadata or {}))

    @routes.delete("/{completion_id}")
    def delete_completion(completion_id: Id, actor: Actor = write) -> CompletionDeleted:
        with db.write() as session:
            service.delete(session, actor, completion_id)
        return CompletionDeleted(id=completion_id)

    return routes


_METADATA = {
    "name": "metadata",
    "in": "query",
    "style": "deepObject",
    "explode": True,
    "description": "Only completions with all of these labels: `metadata[key]=value`.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}
