"""What the web tells about a browser, and the cookies it is given."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fastapi import Request, Response

from plinth.identity.guard import SAFE_METHODS, SESSION_COOKIE
from plinth.identity.signin.errors import CsrfFailed
from plinth.identity.signin.model import OpenedSession, SessionRules, Visitor, device_of, network_of
from plinth.kit.errors import BadInput

_HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@dataclass(frozen=True)
class Cookie:
    """One that no script can read; a lifetime of 0 seconds removes it."""

    name: str
    value: str = field(default="", repr=False)
    lifetime: int = 0
    path: str = "/"


class Browsers:
    """Args: `public_url` is where browsers reach the console; empty for what they asked for."""

    def __init__(self, rules: SessionRules, public_url: str = "") -> None:
        self._rules, self._public_url = rules, public_url.rstrip("/")

    def visitor(self, request: Request) -> Visitor:
        # the gateway drops what clients claim and sets the address that it saw
        address = request.headers.get("x-forwarded-for") or (request.client.host if request.client else "")
        return Visitor(network_of(address), device_of(request.headers.get("user-agent", "")))

    def origin(self, request: Request) -> str:
        """`https://host[:port]` under which the browser sees us. Raises `BadInput`."""
        if self._public_url:
            return self._public_url
        host = request.headers.get("host", "")
        if not _HOST.fullmatch(host):
            raise BadInput(reason="The Host header is not valid.")
        return f"{self._scheme(request)}://{host}"

    def remember(self, request: Request, response: Response, opened: OpenedSession) -> None:
        """Give the browser its session."""
        lifetime = int(self._rules.absolute_seconds)
        self.set(request, response, Cookie(SESSION_COOKIE, opened.secret, lifetime))

    def forget(self, request: Request, response: Response) -> None:
        self.set(request, response, Cookie(SESSION_COOKIE))

    def set(self, request: Request, response: Response, cookie: Cookie) -> None:
        secure = self._scheme(request) == "https"
        response.set_cookie(
            cookie.name,
            cookie.value,
            max_age=cookie.lifetime,
            path=cookie.path,
            secure=secure,
            httponly=True,
            samesite="lax",
        )

    def _scheme(self, request: Request) -> str:
        if self._public_url:
            return self._public_url.partition(":")[0]
        return "https" if request.headers.get("x-forwarded-proto", request.url.scheme) == "https" else "http"


def fresh(request: Request, response: Response) -> None:
    """For every route here: answers are kept by nobody, and a page of another site can start nothing
    (browsers say where a request comes from; scripts say nothing). Raises `CsrfFailed`."""
    response.headers["cache-control"] = "no-store"
    if request.method not in SAFE_METHODS and request.headers.get("sec-fetch-site") == "cross-site":
        raise CsrfFailed
