"""All routers on one FastAPI app, with one OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI, Request
from starlette.routing import Match

from plinth import __version__, console
from plinth.api import live
from plinth.bootstrap.platform import Platform
from plinth.bootstrap.routers import guard, routers
from plinth.kit import http

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]


def create_app(platform: Platform) -> FastAPI:
    # the built-in documentation pages load scripts from elsewhere; nothing may leave this host
    app = FastAPI(title="Plinth", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    http.install(app)
    allow = guard(platform)
    app.add_middleware(http.RequestIdMiddleware)

    @app.get("/livez", include_in_schema=False)
    def livez() -> dict[str, str]:
        platform.db.ping()
        return {"status": "ok"}

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(allow.anybody())])
    def openapi() -> dict[str, Any]:
        return app.openapi()

    for router in routers(platform):
        app.include_router(router)
    app.include_router(live.router(platform.db, platform.clock, allow.anybody()))
    console.install(app)

    # last: without a key even an unknown path answers 401, so that a stranger learns nothing
    @app.api_route("/{path:path}", methods=METHODS, include_in_schema=False, dependencies=[Depends(allow.anybody())])
    def unknown(request: Request) -> None:
        fields = {"method": request.method, "path": request.url.path}
        known = any(route.matches(request.scope)[0] is Match.PARTIAL for route in app.routes)
        raise http.MethodNotAllowed(**fields) if known else http.NoSuchPath(**fields)

    return app
