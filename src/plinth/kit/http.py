"""The HTTP manners every router shares: errors, lists, bodies, request ids.

Routers are built by functions `router(db, service, guard) -> APIRouter` in each slice's `http.py`.
`guard("data:write")` is a FastAPI dependency (from identity, handed in by bootstrap) that
authenticates the caller, checks the permission and returns the `Actor`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from plinth.kit import i18n, telemetry
from plinth.kit.errors import BadInput, PlinthError
from plinth.kit.ids import new_id

log = logging.getLogger(__name__)

Guard = Callable[[str], Any]
Item = TypeVar("Item")


class Wire(BaseModel):
    """Base of every wire type. Unknown request fields are ignored, as the hosted API does for
    most calls; response models may grow fields."""

    model_config = ConfigDict(extra="ignore")


class ListPage(Wire, Generic[Item]):
    """OpenAI's list object. `after` + `has_more` drive the SDK's auto-pagination."""

    object: str = "list"
    data: Sequence[Item]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


class Deleted(Wire):
    id: str
    object: str
    deleted: bool = True


class NoSuchPath(PlinthError):
    """There is no {method} {path} here. See /openapi.json for what there is."""

    status = 404
    code = "unknown_url"
    type = "invalid_request_error"


class MethodNotAllowed(PlinthError):
    """{path} does not take {method}. See /openapi.json for what it takes."""

    status = 405
    code = "method_not_allowed"
    type = "invalid_request_error"


def page(items: Sequence[Item], limit: int) -> ListPage[Item]:
    """A page from up to `limit + 1` fetched items: the surplus one only says that there is more."""
    data = items[:limit]
    ids = [str(getattr(item, "id", "")) for item in data]
    return ListPage(
        data=data, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None, has_more=len(items) > limit
    )


def error_response(request: Request, error: PlinthError) -> JSONResponse:
    language = i18n.negotiate(request.headers.get("accept-language"))
    return JSONResponse(
        error.to_openai(i18n.error_message(error, language)), status_code=error.status, headers=error.headers
    )


def install(app: FastAPI) -> None:
    """Make every failure an OpenAI error object and give every request an id."""

    @app.exception_handler(PlinthError)
    async def plinth_error(request: Request, error: PlinthError) -> JSONResponse:
        extra = {"path": request.url.path, "code": error.code}
        if error.status == 500:
            log.error("request failed", exc_info=error, extra=extra)
        elif error.status > 500:  # something we depend on is away; the sentence says what
            log.warning("request failed: %s", error.message, extra=extra)
        return error_response(request, error)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        where = f"'{path}': " if path else ""
        return error_response(request, BadInput(param=path or None, reason=f"{where}{first['msg']}."))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        fields = {"method": request.method, "path": request.url.path}
        if error.status_code == 404:
            return error_response(request, NoSuchPath(**fields))
        if error.status_code == 405:
            return error_response(request, MethodNotAllowed(**fields))
        return error_response(request, BadInput(reason=str(error.detail)))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.exception("unexpected error", exc_info=error, extra={"path": request.url.path})
        return error_response(request, PlinthError())


class RequestIdMiddleware:
    """Plain ASGI: sets `x-request-id` on the response and in every log line of the request."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        identifier = given if 0 < len(given) <= 64 and given.isascii() and given.isprintable() else new_id("req_")
        token = telemetry.request_id.set(identifier)

        async def send_with_id(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-request-id", identifier.encode())]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            telemetry.request_id.reset(token)
