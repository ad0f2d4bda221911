"""What the data plane answers when it cannot answer.

    BadInput 400
    ├── MalformedJson, TooDeep                  the body as a whole
    ├── MissingField, WrongType, OutOfRange,
    │   NotOneOf, TooMany, Unsupported          one field of it; `param` names the field
    └── CannotDo, ContextLengthExceeded,
        EngineRefused                           the model or its engine said no
    ModelRetired 404                            (an unknown name: the registry's `UnknownModel`)
    BodyTooSlow 408, HeadersTooLarge 431
    RateLimited 429
    └── ProviderBusy, Busy
    Unavailable 503
    └── NotReady, ModelStarting, ModelFailed, EngineLost, ApiUnavailable

A client that goes away is no error object: `ClientGone` only unwinds the stack.
"""

from __future__ import annotations

from typing import Any

from plinth.kit.errors import BadInput, NotFound, PlinthError, RateLimited, Unavailable


class ClientGone(Exception):
    """The client closed its connection before the answer was complete."""


class MalformedJson(BadInput):
    """The request body is not valid JSON in UTF-8: {problem}. Send one JSON object."""

    code = "malformed_json"


class TooDeep(BadInput):
    """The request body nests deeper than {limit} levels. Send a flatter object."""

    code = "json_too_deep"


class MissingField(BadInput):
    """The field '{field}' is missing or empty. Add it."""

    code = "missing_required_parameter"


class WrongType(BadInput):
    """The field '{field}' must be of type {expected}. Send that."""

    code = "invalid_type"


class OutOfRange(BadInput):
    """The field '{field}' must be between {low} and {high}. Send a value in that range."""

    code = "value_out_of_range"


class NotOneOf(BadInput):
    """The field '{field}' must be one of: {choices}. Send one of those."""

    code = "invalid_value"


class TooMany(BadInput):
    """The field '{field}' holds more than {limit} items or characters. Send fewer."""

    code = "too_many_items"


class Unsupported(BadInput):
    """The field '{field}' is only supported with the value {supported} on this server. Leave it out or send that."""

    code = "unsupported_parameter"


class CannotDo(BadInput):
    """The model '{model}' cannot do {operation}. Choose a model that can from GET /v1/models."""

    code = "model_capability_missing"


class ContextLengthExceeded(BadInput):
    """The request has {prompt_tokens} tokens, but the model's context holds {context_tokens}.
    Shorten the messages."""

    code = "context_length_exceeded"


class EngineRefused(BadInput):
    """The model's engine refused the request: {reason}"""

    code = "engine_refused"


class ModelRetired(NotFound):
    """The model '{model}' was shut down on {shutdown_date}. Choose another one from GET /v1/models."""

    code = "model_retired"


class BodyTooSlow(PlinthError):
    """The request body did not arrive within {seconds} seconds. Send it faster, or send less."""

    status = 408
    code = "request_timeout"
    type = "invalid_request_error"


class HeadersTooLarge(PlinthError):
    """The request's path and headers are larger than {limit_bytes} bytes. Send fewer or shorter headers."""

    status = 431
    code = "headers_too_large"
    type = "invalid_request_error"


class _RetrySoon:
    """Adds `Retry-After`, one second unless the raise site says otherwise."""

    fields: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.fields.get("retry_after_seconds", 1))}


class NotReady(_RetrySoon, Unavailable):
    """The gateway has not read its keys and models yet, or not for too long.
    Try again in {retry_after_seconds} seconds."""

    code = "gateway_not_ready"


class ModelStarting(_RetrySoon, Unavailable):
    """The model '{model}' is not running yet; it has been asked to start.
    Try again in {retry_after_seconds} seconds."""

    code = "model_starting"


class ModelFailed(_RetrySoon, Unavailable):
    """The model '{model}' could not be started: {reason}"""

    code = "model_failed"


class EngineLost(_RetrySoon, Unavailable):
    """The engine that serves the model '{model}' stopped answering ({reason}).
    Try again in {retry_after_seconds} seconds."""

    code = "engine_lost"


class ProviderBusy(RateLimited):
    """The provider behind the model '{model}' takes no more requests at the moment.
    Try again in {retry_after_seconds} seconds."""

    code = "provider_busy"


class StaysHere(Unavailable):
    """No target of '{model}' on this machine can answer now, and the route does not allow others.
    Start one of its models, or change the route's `stay_on_machine`."""

    code = "no_target_on_this_machine"


class Busy(RateLimited):
    """'{name}' is working on as many requests as it may, and no place came free in time.
    Try again in {retry_after_seconds} seconds, or raise the route's `concurrency` or `queue`."""

    code = "gateway_busy"


class ApiUnavailable(_RetrySoon, Unavailable):
    """The control plane does not answer at the moment; running models are not affected.
    Try again in {retry_after_seconds} seconds."""

    code = "api_unavailable"
