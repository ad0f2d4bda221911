"""A database with everything that keeps books on it, and records to fill it with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import openai
from fastapi.testclient import TestClient

from plinth.gateway.costs import Bookkeeper, CostReports, CostService, Currencies, Spending
from plinth.gateway.model import UsageRecord
from plinth.gateway.usage import UsageTable
from plinth.identity import Actor
from plinth.identity.model import ORGANIZATION_PERMISSIONS
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database, Session
from plinth.kit.errors import Forbidden
from support import actor

NOON = 1_800_014_400 // 86_400 * 86_400 + 43_200
HOUR = 3600


class Door:
    """A guard like identity's, whose caller the test can change."""

    def __init__(self, who: Actor) -> None:
        self.actor = who

    def __call__(self, permission: str) -> Any:
        return self.any_of(permission)

    def any_of(self, *permissions: str) -> Any:
        def dependency() -> Actor:
            if not any(map(self.actor.may, permissions)):
                raise Forbidden(permission=permissions[0])
            return self.actor

        return dependency


def admin(organization_id: str = "org_a") -> Actor:
    return Actor(organization_id, "", "key_admin", "admin_key:key_admin", ORGANIZATION_PERMISSIONS)


def project_key(project_id: str = "proj_a") -> Actor:
    return actor(project_id)


def record(id: str, dispatched_at: float | None, seconds: float = 0.0, **more: Any) -> UsageRecord:
    fields: dict[str, Any] = {
        "id": f"usage_{id}",
        "created_at": NOON if dispatched_at is None else dispatched_at,
        "organization_id": "org_a",
        "project_id": "proj_a",
        "key_id": "key_1",
        "principal": "user:ann",
        "operation": "chat/completions",
        "model": "helper",
        "model_id": "small",
        "endpoint_group": "small@llamacpp",
        "engine": "llamacpp",
        "prompt_tokens": 100,
        "cached_tokens": 40,
        "completion_tokens": 20,
        "first_token_ms": None,
        "total_ms": seconds * 1000,
        "status": 200,
        "request_id": "req_1",
        "dispatched_at": dispatched_at,
        "occupied_seconds": seconds,
    }
    return UsageRecord(**{**fields, **more})


def remote(id: str, at: float, nanos: int | None, currency: str = "USD", **more: Any) -> UsageRecord:
    fields = {"engine": "remote", "model_id": "big", "endpoint_group": "big", "currency": currency if nanos else ""}
    return record(id, at, 1.0, **{**fields, "cost_nanos": nanos, **more})


class Desk:
    """Everything that keeps the books of one database, and the audit trail that was written."""

    def __init__(self, db: Database, clock: FixedClock) -> None:
        self.db, self.clock = db, clock
        self.trail: list[tuple[str, str]] = []
        self.currencies = Currencies("USD", {})
        self.usage = UsageTable(db)
        self.service = CostService(clock, self._audit, self.currencies)
        self.books = Bookkeeper(db, clock, grace_seconds=300)
        self.reports = CostReports(db, clock, self.books)
        self.spending = Spending(clock, self.currencies)
        self.door = Door(admin())

    def _audit(self, session: Session, who: Actor, action: str, target: str, detail: dict[str, Any]) -> None:
        self.trail.append((action, target))

    def read(self, ask: Callable[[Session], Any]) -> Any:
        with self.db.read() as session:
            return ask(session)

    def at(self, unix: float) -> Desk:
        self.clock.advance(unix - self.clock.unix())
        return self


def sdk(client: TestClient) -> openai.OpenAI:
    """The official SDK, talking to the test's application."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        path = request.url.raw_path.decode()
        answer = client.request(request.method, path, content=request.content, headers=dict(request.headers))
        return httpx2.Response(answer.status_code, content=answer.content, headers=dict(answer.headers))

    transport = httpx2.MockTransport(handle)
    return openai.OpenAI(
        api_key="sk-none",
        admin_api_key="sk-admin",
        base_url="http://testserver/v1",
        max_retries=0,
        http_client=httpx2.Client(transport=transport),
    )
