"""The door of every route: who is calling, and may they."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.exc import SQLAlchemyError

from plinth.identity.model import Actor
from plinth.identity.service import IdentityService
from plinth.kit.db import Database
from plinth.kit.errors import Forbidden, PlinthError, Unauthenticated

log = logging.getLogger(__name__)

TOUCH_SECONDS = 60
_bearer = Security(HTTPBearer(auto_error=False, description="An API key: `sk-proj-…` or `sk-admin-…`."))


class AuthGuard:
    """`guard("data:write")` is a FastAPI dependency that returns the caller's `Actor`.

    It answers 401 without a valid key and 403 without the permission, and leaves the actor in
    `request.state.actor`. `last_used_at` is written after the response, at most once a minute a key.
    """

    def __init__(self, db: Database, service: IdentityService) -> None:
        self._db, self._service = db, service
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
        """Any valid key, whatever it may do."""
        return self._dependency(lambda actor: None)

    def _dependency(self, check: Callable[[Actor], None]) -> Callable[..., Iterator[Actor]]:
        def dependency(request: Request, credentials: HTTPAuthorizationCredentials | None = _bearer) -> Iterator[Actor]:
            if credentials is None:
                raise Unauthenticated
            with self._db.read() as session:
                actor = self._service.authenticate(session, credentials.credentials)
            check(actor)
            request.state.actor = actor
            yield actor
            self._touch(actor.key_id)

        return dependency

    def _touch(self, key_id: str) -> None:
        now = self._service.clock.unix()
        with self._lock:
            if self._touched.get(key_id, 0.0) + TOUCH_SECONDS > now:
                return
            self._touched[key_id] = now
        try:
            with self._db.write() as session:
                self._service.touch(session, [key_id])
        except (PlinthError, SQLAlchemyError):
            # the answer is out; a lost statistic is not worth a broken connection
            log.warning("last use of a key was not noted", exc_info=True, extra={"key_id": key_id})


def build_guard(db: Database, service: IdentityService) -> AuthGuard:
    return AuthGuard(db, service)


def needs(dependency: Callable[..., Any]) -> Any:
    """A handler parameter's default that lets the dependency decide."""
    return Depends(dependency)
