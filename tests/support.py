"""Helpers that tests share: actors, guards, an app around one router, a small database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from plinth.identity import Actor, Role
from plinth.identity.model import PERMISSIONS
from plinth.kit import http
from plinth.kit.errors import Forbidden

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def actor(project_id: str = "proj_a", role: Role = Role.owner, organization_id: str = "org_a") -> Actor:
    return Actor(
        organization_id=organization_id,
        project_id=project_id,
        key_id="key_test",
        principal="user:user_test",
        permissions=PERMISSIONS[role],
    )


class Caller:
    """A guard whose caller the test can change: `caller.actor = actor("proj_b")`."""

    def __init__(self, who: Actor | None = None) -> None:
        self.actor = who or actor()

    def guard(self, permission: str) -> Any:
        def dependency() -> Actor:
            if not self.actor.may(permission):
                raise Forbidden(permission=permission)
            return self.actor

        return dependency


@contextmanager
def client_for(*routers: APIRouter) -> Iterator[TestClient]:
    """A test client over routers, with the platform's error handling."""
    app = FastAPI()
    http.install(app)
    app.add_middleware(http.RequestIdMiddleware)
    for router in routers:
        app.include_router(router)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
