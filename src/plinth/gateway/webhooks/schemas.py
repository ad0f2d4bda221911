"""Wire types of webhook endpoints (as in `openai.types.webhooks`, plus `status`, `disabled_reason` and
`failing_since`) and of deliveries (our own)."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field

from plinth.gateway.webhooks.model import (
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointChange,
    EndpointDraft,
    EndpointStatus,
    IssuedEndpoint,
)
from plinth.kit.http import Wire

Text = Annotated[str, Field(max_length=4096)]
EventTypes = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=64)]


class EndpointCreate(Wire):
    name: Text
    url: Text
    event_types: EventTypes

    def draft(self) -> EndpointDraft:
        return EndpointDraft(self.name, self.url, tuple(self.event_types))


class EndpointUpdate(Wire):
    """What is left out stays. `status`: "active" enables a disabled endpoint."""

    name: Text | None = None
    url: Text | None = None
    event_types: EventTypes | None = None
    status: EndpointStatus | None = None

    def change(self) -> EndpointChange:
        types = None if self.event_types is None else tuple(self.event_types)
        return EndpointChange(self.name, self.url, types, self.status)


class RotateSecret(Wire):
    keep_old_secret_active_for_24_hours: bool = False


class SampleRequest(Wire):
    event_type: Annotated[str, Field(max_length=64)]


class EndpointObject(Wire):
    id: str
    object: str = "webhook_endpoint"
    name: str
    url: str
    event_types: list[str]
    signing_secret_hint: str
    created_at: int
    updated_at: int
    status: EndpointStatus
    disabled_reason: str | None
    failing_since: int | None

    @classmethod
    def of(cls, endpoint: Endpoint) -> EndpointObject:
        return cls(**_endpoint_fields(endpoint))


class EndpointWithSecretObject(EndpointObject):
    """`signing_secret` is shown only when the endpoint is created and when its secret is rotated."""

    signing_secret: str

    @classmethod
    def issued(cls, issued: IssuedEndpoint) -> EndpointWithSecretObject:
        return cls(**_endpoint_fields(issued.endpoint), signing_secret=issued.signing_secret)


class SampleResult(Wire):
    """`status_code` is the receiver's; `success` says that it answered at all."""

    object: str = "webhook_endpoint.test"
    webhook_endpoint_id: str
    event_type: str
    status_code: int
    success: bool = True


class EventTypeList(Wire):
    object: str = "list"
    data: list[str]


class DeliveryObject(Wire):
    """`id` is the message's `webhook-id`; `event` what was or will be sent. `next_attempt_at` only while pending."""

    id: str
    object: str = "webhook_delivery"
    webhook_endpoint_id: str
    event_type: str
    event: dict[str, Any]
    status: DeliveryStatus
    attempts: int
    created_at: int
    next_attempt_at: int | None
    last_attempt_at: int | None
    last_status_code: int | None
    last_error: str | None
    delivered_at: int | None

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryObject:
        pending = delivery.status is DeliveryStatus.pending
        return cls(
            id=delivery.id,
            webhook_endpoint_id=delivery.endpoint_id,
            event_type=delivery.event_type,
            event=json.loads(delivery.body),
            status=delivery.status,
            attempts=delivery.attempts,
            created_at=int(delivery.created_at),
            next_attempt_at=int(delivery.next_attempt_at) if pending else None,
            last_attempt_at=_seconds(delivery.last_attempt_at),
            last_status_code=delivery.last_status_code,
            last_error=delivery.last_error or None,
            delivered_at=_seconds(delivery.delivered_at),
        )


def _endpoint_fields(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "name": endpoint.name,
        "url": endpoint.url,
        "event_types": list(endpoint.event_types),
        "signing_secret_hint": endpoint.secret_hint,
        "created_at": int(endpoint.created_at),
        "updated_at": int(endpoint.updated_at),
        "status": endpoint.status,
        "disabled_reason": endpoint.disabled_reason or None,
        "failing_since": _seconds(endpoint.failing_since),
    }


def _seconds(unix: float | None) -> int | None:
    return None if unix is None else int(unix)
