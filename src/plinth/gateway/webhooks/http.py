"""/v1/webhook_endpoints and /v1/webhook_event_types (the SDK's `client.webhooks`), /api/webhook_deliveries."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool

from plinth.gateway.webhooks.errors import SampleNotDelivered
from plinth.gateway.webhooks.model import EVENT_TYPES, DeliveryQuery, DeliveryStatus, Outgoing
from plinth.gateway.webhooks.schemas import (
    DeliveryObject,
    EndpointCreate,
    EndpointObject,
    EndpointUpdate,
    EndpointWithSecretObject,
    EventTypeList,
    RotateSecret,
    SampleRequest,
    SampleResult,
)
from plinth.gateway.webhooks.service import WebhookService
from plinth.identity import Actor
from plinth.kit.db import Database
from plinth.kit.http import Deleted, Guard, ListPage, page

Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(max_length=64)]
Tags = list[str | Enum]


def router(db: Database, service: WebhookService, guard: Guard) -> APIRouter:
    routes = APIRouter()
    _reading(routes, db, service, guard)
    _changing(routes, db, service, guard)
    _trying(routes, db, service, guard)
    _deliveries(routes, db, service, guard)
    return routes


def _reading(routes: APIRouter, db: Database, service: WebhookService, guard: Guard) -> None:
    tags: Tags = ["webhooks"]
    read = Depends(guard("serving:read"))

    @routes.get("/v1/webhook_event_types", tags=tags, dependencies=[read])
    def list_webhook_event_types() -> EventTypeList:
        return EventTypeList(data=list(EVENT_TYPES))

    @routes.get("/v1/webhook_endpoints", tags=tags)
    def list_webhook_endpoints(after: After = None, limit: Limit = 20, actor: Actor = read) -> ListPage[EndpointObject]:
        """Newest first."""
        with db.read() as session:
            found = service.endpoints(session, actor.project_id, after, limit)
        return page([EndpointObject.of(endpoint) for endpoint in found], limit)

    @routes.get("/v1/webhook_endpoints/{endpoint_id}", tags=tags)
    def retrieve_webhook_endpoint(endpoint_id: str, actor: Actor = read) -> EndpointObject:
        with db.read() as session:
            return EndpointObject.of(service.endpoint(session, actor.project_id, endpoint_id))


def _changing(routes: APIRouter, db: Database, service: WebhookService, guard: Guard) -> None:
    # an endpoint sends data to an address of the caller's choice: that takes an administrator of the project
    tags: Tags = ["webhooks"]
    manage = Depends(guard("project:write"))

    @routes.post("/v1/webhook_endpoints", tags=tags)
    def create_webhook_endpoint(body: EndpointCreate, actor: Actor = manage) -> EndpointWithSecretObject:
        with db.write() as session:
            return EndpointWithSecretObject.issued(service.create(session, actor, body.draft()))

    @routes.post("/v1/webhook_endpoints/{endpoint_id}", tags=tags)
    def update_webhook_endpoint(endpoint_id: str, body: EndpointUpdate, actor: Actor = manage) -> EndpointObject:
        with db.write() as session:
            return EndpointObject.of(service.update(session, actor, endpoint_id, body.change()))

    @routes.delete("/v1/webhook_endpoints/{endpoint_id}", tags=tags)
    def delete_webhook_endpoint(endpoint_id: str, actor: Actor = manage) -> Deleted:
        with db.write() as session:
            service.delete(session, actor, endpoint_id)
        return Deleted(id=endpoint_id, object="webhook_endpoint.deleted")

    @routes.post("/v1/webhook_endpoints/{endpoint_id}/rotate_secret", tags=tags)
    def rotate_webhook_secret(
        endpoint_id: str, body: RotateSecret | None = None, actor: Actor = manage
    ) -> EndpointWithSecretObject:
        keep_old = body.keep_old_secret_active_for_24_hours if body else False
        with db.write() as session:
            return EndpointWithSecretObject.issued(service.rotate(session, actor, endpoint_id, keep_old=keep_old))


def _trying(routes: APIRouter, db: Database, service: WebhookService, guard: Guard) -> None:
    write = Depends(guard("serving:write"))

    def sample(project_id: str, endpoint_id: str, event_type: str) -> Outgoing:
        with db.read() as session:
            return service.sample(session, project_id, endpoint_id, event_type)

    @routes.post("/v1/webhook_endpoints/{endpoint_id}/test", tags=["webhooks"])
    async def test_webhook_endpoint(endpoint_id: str, body: SampleRequest, actor: Actor = write) -> SampleResult:
        """Send a sample event now, once, and tell the status of the answer."""
        outgoing = await run_in_threadpool(sample, actor.project_id, endpoint_id, body.event_type)
        answer = await service.sender.post(outgoing)
        if answer.status_code is None:
            raise SampleNotDelivered(reason=answer.problem)
        return SampleResult(webhook_endpoint_id=endpoint_id, event_type=body.event_type, status_code=answer.status_code)


def _deliveries(routes: APIRouter, db: Database, service: WebhookService, guard: Guard) -> None:
    tags: Tags = ["webhooks"]
    read, write = Depends(guard("serving:read")), Depends(guard("serving:write"))

    @routes.get("/api/webhook_deliveries", tags=tags)
    def list_webhook_deliveries(
        endpoint_id: After = None,
        status: DeliveryStatus | None = None,
        after: After = None,
        limit: Limit = 20,
        actor: Actor = read,
    ) -> ListPage[DeliveryObject]:
        """Newest first."""
        with db.read() as session:
            query = DeliveryQuery(endpoint_id, status, after, limit)
            found = service.deliveries.page(session, actor.project_id, query)
        return page([DeliveryObject.of(delivery) for delivery in found], limit)

    @routes.get("/api/webhook_deliveries/{delivery_id}", tags=tags)
    def retrieve_webhook_delivery(delivery_id: str, actor: Actor = read) -> DeliveryObject:
        with db.read() as session:
            return DeliveryObject.of(service.deliveries.get(session, actor.project_id, delivery_id))

    @routes.post("/api/webhook_deliveries/{delivery_id}/redeliver", tags=tags)
    def redeliver_webhook(delivery_id: str, actor: Actor = write) -> DeliveryObject:
        """Send it again under the same `webhook-id`, also when it was delivered."""
        with db.write() as session:
            return DeliveryObject.of(service.deliveries.redeliver(session, actor, delivery_id))
