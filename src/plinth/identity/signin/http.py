"""Routes of signing in: the session, one's own account, invitations, resets, the first owner.

Signing in through a provider is in `oidc_http.py`. Handlers that hash a password are asynchronous:
they wait for one of the few hashing threads without holding a worker thread or a transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from plinth.identity.guard import SESSION_COOKIE, AuthGuard, needs, visit_of
from plinth.identity.model import Actor
from plinth.identity.schemas import Id, deleted
from plinth.identity.signin import oidc_http
from plinth.identity.signin.browser import Browsers, fresh
from plinth.identity.signin.errors import SessionNeeded, SignInBusy, WrongCredentials, WrongPassword
from plinth.identity.signin.model import Attempt, Language, OpenedSession
from plinth.identity.signin.passwords import Verdict, check_new
from plinth.identity.signin.schemas import (
    CredentialsWire,
    InvitationAcceptanceWire,
    InvitationWire,
    OwnSessionWire,
    PasswordChangeWire,
    PasswordResetWire,
    ResetTokenWire,
    SessionWire,
    SetupDoneWire,
    SetupWire,
    StrangerWire,
    TokenWire,
    UserChangeWire,
)
from plinth.identity.signin.service import SignInService
from plinth.kit import i18n
from plinth.kit.db import Database, Session
from plinth.kit.http import Deleted, ListPage

log = logging.getLogger(__name__)

Result = TypeVar("Result")
# puts the sample data into a project, by its id
Sample = Callable[[str], None]


class Desk:
    """What the handlers share: transactions off the event loop, and answers that carry the cookie."""

    def __init__(self, db: Database, service: SignInService, browsers: Browsers) -> None:
        self.db, self.service, self.browsers = db, service, browsers

    async def write(self, work: Callable[[Session], Result]) -> Result:
        def transaction() -> Result:
            with self.db.write() as session:
                return work(session)

        return await run_in_threadpool(transaction)

    async def read(self, work: Callable[[Session], Result]) -> Result:
        def transaction() -> Result:
            with self.db.read() as session:
                return work(session)

        return await run_in_threadpool(transaction)

    async def compare(self, attempt: Attempt, password: str) -> Verdict:
        """Raises `SignInBusy`; nothing was tried then, so it does not count."""
        try:
            return await self.service.passwords.verify(attempt.password_hash, password)
        except SignInBusy:
            await self.write(lambda session: self.service.accounts.forgive(session, attempt))
            raise

    def session(self, request: Request, secret: str) -> SessionWire | StrangerWire:
        providers = list(self.service.openid.providers.values())
        with self.db.read() as session:
            standing = self.service.standing(session, secret) if secret else None
            if standing is None:
                return StrangerWire.of(self.service.organization(session) is None, providers)
        negotiated: Language = "zh" if i18n.negotiate(request.headers.get("accept-language")) == "zh" else "en"
        return SessionWire.of(standing, providers, negotiated)

    async def signed_in(self, request: Request, response: Response, opened: OpenedSession) -> SessionWire:
        """The answer to every way of signing in. The session that this browser had before ends."""
        if older := request.cookies.get(SESSION_COOKIE):
            await self.write(lambda session: self.service.replace(session, older))
        self.browsers.remember(request, response, opened)
        wire = await run_in_threadpool(self.session, request, opened.secret)
        assert isinstance(wire, SessionWire)
        return wire


def router(db: Database, service: SignInService, guard: AuthGuard, sample: Sample, public_url: str = "") -> APIRouter:
    """Args: `public_url` is where browsers reach the console; empty for what they asked for."""
    browsers = Browsers(service.sessions.rules, public_url)
    desk = Desk(db, service, browsers)
    routes = APIRouter(tags=["sign-in"], dependencies=[Depends(fresh)])
    routes.include_router(_session(desk))
    routes.include_router(_own_account(desk, guard))
    routes.include_router(_resets(desk, guard))
    routes.include_router(_invitations(desk))
    routes.include_router(_setup(desk, sample))
    routes.include_router(oidc_http.router(db, service, browsers))
    return routes


def _session(desk: Desk) -> APIRouter:
    routes, service = APIRouter(), desk.service

    @routes.get("/api/session")
    def get_session(request: Request) -> SessionWire | StrangerWire:
        """Who has signed in. Needs no credentials."""
        visit = visit_of(request)
        return desk.session(request, visit.secret if visit else "")

    @routes.post("/api/session")
    async def sign_in(body: CredentialsWire, request: Request, response: Response) -> SessionWire:
        """Sign in with a password; sets the session cookie."""
        visitor = desk.browsers.visitor(request)
        organization = await desk.read(service.organization)
        attempt = await desk.write(lambda s: service.accounts.attempt(s, organization, body.email, visitor))
        verdict = await desk.compare(attempt, body.password)
        if not verdict.right:
            await desk.write(lambda s: service.accounts.fail(s, organization, attempt))
            raise WrongCredentials
        opened = await desk.write(lambda s: service.accounts.succeed(s, attempt, verdict, visitor))
        return await desk.signed_in(request, response, opened)

    @routes.delete("/api/session")
    def sign_out(request: Request, response: Response) -> SessionWire | StrangerWire:
        """The session ends on the server. Without one it changes nothing."""
        if visit := visit_of(request):
            with desk.db.write() as session:
                if found := service.sessions.find(session, visit.secret):
                    service.sessions.check_csrf(found, visit.csrf_token)
                    service.accounts.sign_out(session, found)
        desk.browsers.forget(request, response)
        return desk.session(request, "")

    return routes


def _own_account(desk: Desk, guard: AuthGuard) -> APIRouter:
    routes, service = APIRouter(), desk.service

    caller = needs(guard.anybody())

    def signed_in(request: Request, actor: Actor = caller) -> Actor:
        # a playground token names the session too, but may do nothing here
        if visit_of(request) is None:
            raise SessionNeeded
        return actor

    person = needs(signed_in)

    @routes.get("/api/sessions")
    def list_sessions(actor: Actor = person) -> ListPage[OwnSessionWire]:
        """One's own sessions, newest first."""
        with desk.db.read() as session:
            _, user = service.own(session, actor)
            found = service.sessions.of_user(session, user.id)
        data = [OwnSessionWire.of(item, actor.session_id) for item in found]
        return ListPage(data=data, first_id=data[0].id, last_id=data[-1].id)

    @routes.delete("/api/sessions/{session_id}")
    def end_session(session_id: Id, actor: Actor = person) -> Deleted:
        """End one of one's own sessions, in this browser or elsewhere."""
        with desk.db.write() as session:
            service.end_own(session, actor, session_id)
        return deleted(session_id, "session")

    @routes.post("/api/session/token")
    def create_token(actor: Actor = person) -> TokenWire:
        """A token of ten minutes to call models with, in the project of the header `x-plinth-project`."""
        return TokenWire.of(service.playground_token(actor))

    @routes.patch("/api/session/user")
    def change_user(body: UserChangeWire, request: Request, actor: Actor = person) -> SessionWire | StrangerWire:
        """Change one's own name or language."""
        with desk.db.write() as session:
            service.change_user(session, actor, body.name, body.language)
        return desk.session(request, request.cookies[SESSION_COOKIE])

    @routes.post("/api/session/password")
    async def change_password(
        body: PasswordChangeWire, request: Request, actor: Actor = person
    ) -> SessionWire | StrangerWire:
        """Change one's own password; the other sessions end."""
        visitor = desk.browsers.visitor(request)
        found, user = await desk.read(lambda s: service.own(s, actor))
        check_new(body.new, user.email, param="new")
        attempt = await desk.write(lambda s: service.accounts.try_own(s, user, visitor))
        verdict = await desk.compare(attempt, body.current)
        if not verdict.right:
            await desk.write(lambda s: service.accounts.change_failed(s, found))
            raise WrongPassword(param="current")
        hashed = await service.passwords.hash(body.new)
        await desk.write(lambda s: service.accounts.change_password(s, found, attempt, hashed))
        return await run_in_threadpool(desk.session, request, request.cookies[SESSION_COOKIE])

    return routes


def _resets(desk: Desk, guard: AuthGuard) -> APIRouter:
    routes, service = APIRouter(), desk.service
    writer = needs(guard("organization:write"))

    @routes.post("/api/users/{user_id}/password_reset")
    def create_password_reset(user_id: Id, actor: Actor = writer) -> ResetTokenWire:
        """A one-time link to set a password, for an owner or admin to hand over. An earlier one ends."""
        with desk.db.write() as session:
            issued = service.accounts.issue_reset(session, actor, user_id)
        return ResetTokenWire(token=issued.token, expires_at=int(issued.expires_at), user_id=user_id)

    @routes.post("/api/password_reset")
    async def use_password_reset(body: PasswordResetWire, request: Request, response: Response) -> SessionWire:
        """Set a password with the token of such a link; every session of the person ends, a new one begins."""
        visitor = desk.browsers.visitor(request)
        user = await desk.read(lambda s: service.accounts.reset_user(s, body.token))
        check_new(body.password, user.email)
        hashed = await service.passwords.hash(body.password)
        opened = await desk.write(lambda s: service.accounts.reset(s, body.token, hashed, visitor))
        return await desk.signed_in(request, response, opened)

    return routes


def _invitations(desk: Desk) -> APIRouter:
    routes, service = APIRouter(), desk.service

    @routes.get("/api/invitations/{token}")
    def retrieve_invitation(token: str) -> InvitationWire:
        """What an invitation is to. The token is the proof; no key is needed."""
        with desk.db.read() as session:
            return InvitationWire.of(service.invited(session, token))

    @routes.post("/api/invitations/accept")
    async def accept_invitation(body: InvitationAcceptanceWire, request: Request, response: Response) -> SessionWire:
        """Become a user with a password, and sign in. Makes no API keys (`/api/invites/accept` does)."""
        visitor = desk.browsers.visitor(request)
        await desk.read(lambda s: service.check_invited(s, body.token, body.password))
        hashed = await service.passwords.hash(body.password)
        opened = await desk.write(lambda s: service.accept_invite(s, body.token, body.name, hashed, visitor))
        return await desk.signed_in(request, response, opened)

    return routes


def _setup(desk: Desk, sample: Sample) -> APIRouter:
    routes, service = APIRouter(), desk.service

    @routes.post("/api/setup")
    async def set_up(body: SetupWire, request: Request, response: Response) -> SetupDoneWire:
        """Create the organization and its owner, who is signed in. Works once, with the token that
        `plinth up` printed."""
        visitor, wanted = desk.browsers.visitor(request), body.setup()
        await desk.read(lambda s: service.check_setup(s, wanted, body.token, body.password))
        hashed = await service.passwords.hash(body.password)
        opened, project_id = await desk.write(lambda s: service.set_up(s, wanted, hashed, visitor))
        service.setup_token.spend()
        loaded: Literal["loaded", "failed", "skipped"] = "skipped"
        if body.sample:
            loaded = "loaded" if await run_in_threadpool(_load, sample, project_id) else "failed"
        wire = await desk.signed_in(request, response, opened)
        return SetupDoneWire(**wire.model_dump(), sample=loaded)

    return routes


def _load(sample: Sample, project_id: str) -> bool:
    try:
        sample(project_id)
    except Exception:  # the owner and the organization are there; sample data is no reason to lose them
        log.exception("the sample could not be loaded", extra={"project_id": project_id})
        return False
    return True
