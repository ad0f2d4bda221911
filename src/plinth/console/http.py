"""`/console/`: the web app. Its files answer without a key, since a person signs in with them; they hold no secret.

The page runs only scripts of this host and only style tags that carry its nonce (Ant Design writes them), talks to
no other host, and is never kept by a cache. Assets are kept for ever: another content has another name.
"""

from __future__ import annotations

import secrets

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from plinth.console.bundle import Bundle
from plinth.console.missing import missing_page
from plinth.kit.http import NoSuchPath

PREFIX = "/console"
# a year, as long as RFC 9111 caches look ahead
FOR_EVER = "public, max-age=31536000, immutable"

_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def install(app: FastAPI, bundle: Bundle) -> None:
    """Add the console's routes. Before any route that catches every path."""
    # not through include_router, which would make a plain route of it
    app.router.routes.append(_BrowserRoute("/", _to_console, methods=["GET"]))
    app.include_router(_files(bundle))


def _files(bundle: Bundle) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    @routes.get(PREFIX)
    def to_console() -> RedirectResponse:
        return _redirect()

    @routes.api_route(PREFIX + "/assets/{name}", methods=["GET", "HEAD"])
    def asset(name: str, request: Request) -> FileResponse:
        found = bundle.asset(name)
        if found is None:
            raise NoSuchPath(method=request.method, path=request.url.path)
        headers = {**_HEADERS, "cache-control": FOR_EVER, "vary": "accept-encoding"}
        if found.packed is not None and _accepts_gzip(request.headers.get("accept-encoding", "")):
            return FileResponse(
                found.packed, media_type=found.media_type, headers={**headers, "content-encoding": "gzip"}
            )
        return FileResponse(found.path, media_type=found.media_type, headers=headers)

    # every other address is the app's own: its router knows what is there
    @routes.api_route(PREFIX + "/{path:path}", methods=["GET", "HEAD"])
    def page(path: str) -> Response:
        nonce = secrets.token_urlsafe(18)
        html = bundle.html(nonce)
        headers = {**_HEADERS, "cache-control": "no-store", "content-security-policy": policy(nonce)}
        if html is None:
            return HTMLResponse(missing_page(nonce), status_code=503, headers=headers)
        return HTMLResponse(html, headers=headers)

    return routes


def policy(nonce: str) -> str:
    """Content Security Policy level 3 of the page."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


class _BrowserRoute(Route):
    """Only for who asks for a page; for everybody else the path stays what it was."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        accept = next((value for name, value in scope.get("headers", ()) if name == b"accept"), b"")
        return (match, child) if match is Match.FULL and b"text/html" in accept else (Match.NONE, {})


def _to_console(request: Request) -> RedirectResponse:
    return _redirect()


def _redirect() -> RedirectResponse:
    return RedirectResponse(PREFIX + "/", status_code=302, headers={"cache-control": "no-store"})


def _accepts_gzip(accept_encoding: str) -> bool:
    """RFC 9110, 12.5.3; `gzip;q=0` refuses it."""
    for part in accept_encoding.lower().split(","):
        coding, _, parameter = part.strip().partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameter.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
