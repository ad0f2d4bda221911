"""Signing in through a provider: two addresses that a browser visits. They answer with redirects to
our own pages only, also when something failed: nobody reads JSON there."""

from __future__ import annotations

import logging
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse

from plinth.identity.guard import SESSION_COOKIE
from plinth.identity.signin.browser import Browsers, Cookie
from plinth.identity.signin.errors import SignInExpired
from plinth.identity.signin.oidc import JOURNEY_SECONDS, Arrival
from plinth.identity.signin.service import SignInService
from plinth.kit.db import Database
from plinth.kit.errors import PlinthError

log = logging.getLogger(__name__)

HOME, SIGN_IN = "/console/", "/console/signin"
JOURNEY_COOKIE, JOURNEY_PATH = "plinth_oidc", "/api/session/oidc"

ProviderId = Annotated[str, Path(max_length=40)]
Answer = Annotated[str, Query(max_length=4096)]


def router(db: Database, service: SignInService, browsers: Browsers) -> APIRouter:
    routes = APIRouter(prefix=JOURNEY_PATH)

    @routes.get("/{provider_id}", status_code=303, response_class=RedirectResponse)
    def depart(provider_id: ProviderId, request: Request) -> RedirectResponse:
        """Off to the provider's sign-in page."""
        provider = service.openid.provider(provider_id)
        try:
            departure = service.openid.depart(provider, _callback(browsers, request, provider_id))
        except PlinthError as error:
            return _failed(error, provider_id)
        answer = _redirect(departure.url)
        browsers.set(request, answer, Cookie(JOURNEY_COOKIE, departure.journey, JOURNEY_SECONDS, JOURNEY_PATH))
        return answer

    @routes.get("/{provider_id}/callback", status_code=303, response_class=RedirectResponse)
    def arrive(
        provider_id: ProviderId,
        request: Request,
        state: Answer = "",
        code: Answer = "",
        error: Answer = "",
        iss: Answer = "",
    ) -> RedirectResponse:
        """Back from the provider: into the console, or to the sign-in page with `error=<code>`."""
        provider = service.openid.provider(provider_id)
        journey = request.cookies.get(JOURNEY_COOKIE, "")
        try:
            person = service.openid.arrive(provider, Arrival(state, code, error, iss, journey))
            with db.write() as session:
                visitor = browsers.visitor(request)
                opened = service.enter_by_provider(session, provider, person, visitor)
                if older := request.cookies.get(SESSION_COOKIE):
                    service.replace(session, older)
        except PlinthError as refusal:
            # without a journey of ours it may be anybody; the log is for attempts to sign in
            if not isinstance(refusal, SignInExpired):
                with db.write() as session:
                    service.provider_refused(session, provider, refusal.code)
            answer = _failed(refusal, provider_id)
        else:
            answer = _redirect(HOME)
            browsers.remember(request, answer, opened)
        browsers.set(request, answer, Cookie(JOURNEY_COOKIE, path=JOURNEY_PATH))
        return answer

    return routes


def _callback(browsers: Browsers, request: Request, provider_id: str) -> str:
    return f"{browsers.origin(request)}{JOURNEY_PATH}/{provider_id}/callback"


def _failed(error: PlinthError, provider_id: str) -> RedirectResponse:
    extra = {"provider": provider_id, "code": error.code}
    log.warning("a sign-in through a provider failed: %s", error.message, extra=extra)
    return _redirect(f"{SIGN_IN}?error={quote(error.code)}")


def _redirect(address: str) -> RedirectResponse:
    return RedirectResponse(address, status_code=303, headers={"cache-control": "no-store"})
