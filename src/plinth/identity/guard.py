"""The door of every route: who is calling, and may they."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.exc import SQLAlchemyError

from plinth.identity.model import Actor, Visit
from plinth.identity.service import IdentityService
from plinth.kit.db import Database, Session
from plinth.kit.errors import Forbidden, PlinthError, Unauthenticated

log = logging.getLogger(__name__)

TOUCH_SECONDS = 60
REMEMBERED_TOUCHES = 10_000
SESSION_COOKIE = "plinth_session"
PROJECT_HEADER, CSRF_HEADER = "x-plinth-project", "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_bearer = Security(HTTPBearer(auto_error=False, description="An API key: `sk-proj-…` or `sk-admin-…`."))


class SessionDoor(Protocol):
    """Knows people who have signed in; `plinth.identity.signin` provides it."""

    def caller(self, session: Session, visit: Visit) -> Actor:
        """Raises `Unauthenticated`, `Forbidden` (the CSRF token) and `NotFound` (the project)."""
        ...

    def touch(self, session: Session, session_id: str) -> None:
        """Note that the session was used just now."""
        ...


class AuthGuard:
    """`guard("data:write")` is a FastAPI dependency that returns the caller's `Actor`.

    It takes an API key, or the cookie of a signed-in person where `sessions` is given and no
    `Authorization` header was sent. It answers 401 without either and 403 without the permission, and
    leaves the actor in `request.state.actor`. The last use of a key or session is written after the
    response, at most once a minute.
    """

    def __init__(self, db: Database, service: IdentityService, sessions: SessionDoor | None = None) -> None:
        self._db, self._service, self._sessions = db, service, sessions
        self._touched: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, permission: str) -> Callable[..., Iterator[Actor]]:
        return self.any_of(permission)

    def any_of(self, *permissions: str) -> Callable[..., Iterator[Actor]]:
        """Enough to have one of these; the first is the one named in the error."""

        def check(actor: Actor) -> None:
            if not any(map(actor.may, permissions)):
                raise Forbidden(permission=permissions[0])

        return self._dependency(check)

    def anybody(self) -> Callable[..., Iterator[Actor]]:
        """Any valid key or session, whatever it may do."""
        return self._dependency(lambda actor: None)

    def _dependency(self, check: Callable[[Actor], None]) -> Callable[..., Iterator[Actor]]:
        def dependency(request: Request, credentials: HTTPAuthorizationCredentials | None = _bearer) -> Iterator[Actor]:
            actor = self._caller(request, credentials)
            check(actor)
            request.state.actor = actor
            yield actor
            self._touch(actor)

        return dependency

    def _caller(self, request: Request, credentials: HTTPAuthorizationCredentials | None) -> Actor:
        if credentials is not None:
            with self._db.read() as session:
                return self._service.authenticate(session, credentials.credentials)
        visit = visit_of(request)
        if self._sessions is None or visit is None:
            raise Unauthenticated
        with self._db.read() as session:
            return self._sessions.caller(session, visit)

    def _touch(self, actor: Actor) -> None:
        now, key_id = self._service.clock.unix(), actor.key_id
        with self._lock:
            if self._touched.get(key_id, 0.0) + TOUCH_SECONDS > now:
                return
            if len(self._touched) >= REMEMBERED_TOUCHES:
                self._touched.clear()
            self._touched[key_id] = now
        try:
            with self._db.write() as session:
                if actor.session_id is None:
                    self._service.touch(session, [key_id])
                elif self._sessions is not None:
                    self._sessions.touch(session, actor.session_id)
        except (PlinthError, SQLAlchemyError):
            # the answer is out; a lost statistic is not worth a broken connection
            log.warning("last use of a key was not noted", exc_info=True, extra={"key_id": key_id})


def visit_of(request: Request) -> Visit | None:
    """What a signed-in browser sends; None without the cookie, and with an `Authorization` header,
    whoever sends one speaks for a key."""
    secret = request.cookies.get(SESSION_COOKIE)
    if not secret or "authorization" in request.headers:
        return None
    return Visit(
        secret,
        request.headers.get(PROJECT_HEADER, ""),
        request.headers.get(CSRF_HEADER, ""),
        changes=request.method not in SAFE_METHODS,
    )


def build_guard(db: Database, service: IdentityService, sessions: SessionDoor | None = None) -> AuthGuard:
    return AuthGuard(db, service, sessions)


def needs(dependency: Callable[..., Any]) -> Any:
    """A handler parameter's default that lets the dependency decide."""
    return Depends(dependency)
