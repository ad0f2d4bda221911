"""What can go wrong with webhook endpoints and deliveries.

BadInput
├── BadEndpointName        400
├── BadEndpointUrl         400
├── UnknownEventTypes      400
├── TooManyEndpoints       400
└── SampleNotDelivered     422   the receiver gave no answer at all; a refusal is an answer
Conflict
└── EndpointDisabled       409

An endpoint or delivery that is not the project's: `NotFound`.
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Conflict, Unprocessable


class BadEndpointName(BadInput):
    """The endpoint's name must have 1 to {limit} characters and no control characters. Send such a name."""

    code = "bad_webhook_name"


class BadEndpointUrl(BadInput):
    """This URL cannot receive webhooks: {reason} Send one like https://host.example/path."""

    code = "bad_webhook_url"


class UnknownEventTypes(BadInput):
    """This server sends no events of type {types}. GET /v1/webhook_event_types lists those it sends;
    choose at least one of them."""

    code = "unknown_webhook_event_type"


class TooManyEndpoints(BadInput):
    """The project has {limit} webhook endpoints, which is the limit. Delete one that is no longer needed."""

    code = "too_many_webhook_endpoints"


class SampleNotDelivered(Unprocessable):
    """The sample event could not be delivered: {reason} Check that the URL is reachable from this server."""

    code = "webhook_sample_not_delivered"


class EndpointDisabled(Conflict):
    """The webhook endpoint '{id}' is disabled: {reason} Enable it first: POST /v1/webhook_endpoints/{id}
    with "status": "active"."""

    code = "webhook_endpoint_disabled"
