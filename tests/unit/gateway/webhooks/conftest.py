from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from plinth.gateway.webhooks import EndpointDraft, InMemorySender, WebhookService, WebhookSettings
from plinth.gateway.webhooks.jobs import DeliveryLoop
from plinth.gateway.webhooks.model import Delivery, DeliveryQuery, Endpoint, EndpointChange, IssuedEndpoint
from plinth.kit import events
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.events import Dispatcher, Subscription
from plinth.kit.secrets import InstanceKey
from support import actor

DRAFT = EndpointDraft("Builds", "https://hooks.example/plinth", ("fine_tuning.job.succeeded", "batch.completed"))


@dataclass
class World:
    """Webhooks on a database, with the dispatcher and the sender's loop beside them, turned by hand."""

    db: Database
    clock: FixedClock
    sender: InMemorySender
    service: WebhookService
    audited: list[tuple[str, str, dict[str, Any]]]
    loop: DeliveryLoop = field(init=False)
    dispatcher: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        self.loop = DeliveryLoop(self.db, self.service.deliveries, self.sender, concurrency=8)
        heard = Subscription(
            "webhooks.facts", frozenset({"tuning.job.succeeded", "gateway.batch.completed"}),
            handler=self.service.deliveries.on_fact,
        )  # fmt: skip
        self.dispatcher = Dispatcher(self.db, self.clock, [heard])

    def create(self, project_id: str = "proj_a", **changes: Any) -> IssuedEndpoint:
        draft = EndpointDraft(**{**vars(DRAFT), **changes})
        with self.db.write() as session:
            return self.service.create(session, actor(project_id), draft)

    def update(self, endpoint_id: str, **changes: Any) -> Endpoint:
        with self.db.write() as session:
            return self.service.update(session, actor(), endpoint_id, EndpointChange(**changes))

    def endpoint(self, endpoint_id: str) -> Endpoint:
        with self.db.read() as session:
            return self.service.endpoint(session, "proj_a", endpoint_id)

    def happen(self, kind: str = "gateway.batch.completed", project_id: str = "proj_a", **payload: Any) -> None:
        """A fact, and its hand-over to the deliveries."""
        with self.db.write() as session:
            events.emit(session, self.clock, kind, payload or {"batch_id": "batch_1"}, project_id)
        self.dispatcher.run_once()

    def deliveries(self, **query: Any) -> list[Delivery]:
        """Newest first."""
        with self.db.read() as session:
            return self.service.deliveries.page(session, "proj_a", DeliveryQuery(**{"limit": 100, **query}))

    def redeliver(self, delivery_id: str) -> Delivery:
        with self.db.write() as session:
            return self.service.deliveries.redeliver(session, actor(), delivery_id)

    def kinds(self) -> set[str]:
        with self.db.read() as session:
            return events.kinds_between(session, 0, events.latest_seq(session))


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(db: Database, clock: FixedClock) -> Iterator[MakeWorld]:
    def make(**settings: Any) -> World:
        audited: list[tuple[str, str, dict[str, Any]]] = []

        def audit(_session: Any, _actor: Any, action: str, target: str, detail: dict[str, Any]) -> None:
            audited.append((action, target, detail))

        sender = InMemorySender()
        service = WebhookService(clock, InstanceKey(b"k" * 32), WebhookSettings(**settings), sender, audit)
        return World(db, clock, sender, service, audited)

    return make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()
