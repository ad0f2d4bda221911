"""A small organization with two projects, whose limits the tests change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from plinth.gateway.limits import (
    IdentitySubjects,
    InMemorySpending,
    LimitPorts,
    LimitService,
    Scope,
    Subject,
)
from plinth.identity import Actor, FirstOrganization, IdentityService, KeyDraft
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.events import events
from plinth.kit.secrets import InstanceKey

MODELS = ["org/base", "ft:base:acme:x:1", "chat"]


@dataclass
class World:
    db: Database
    clock: FixedClock
    identity: IdentityService
    first: FirstOrganization
    spending: InMemorySpending
    service: LimitService
    admin: Actor
    member: Actor
    other_project: str

    @property
    def project_id(self) -> str:
        return self.first.project.id

    @property
    def project(self) -> Subject:
        return Subject(Scope.project, self.project_id, self.admin.organization_id, self.project_id)

    def secret(self, project_id: str) -> str:
        with self.db.write() as session:
            draft = KeyDraft(project_id, "key")
            return self.identity.keys.create_project_key(session, self.admin, draft).secret

    def happened(self, kind: str) -> list[dict[str, Any]]:
        """The payloads of every event of that kind."""
        with self.db.read() as session:
            rows = session.execute(select(events).where(events.c.kind == kind).order_by(events.c.seq))
            return [row.payload for row in rows]


@pytest.fixture
def world(db: Database, clock: FixedClock) -> World:
    identity = IdentityService(clock, InstanceKey(b"k" * 32))
    spending = InMemorySpending()
    service = LimitService(
        LimitPorts(clock, IdentitySubjects(identity), lambda _, __: MODELS, spending, identity.audit)
    )
    with db.write() as session:
        first = identity.bootstrap_organization(session, "Acme")
        admin = identity.authenticate(session, first.admin_key_secret)
        member = identity.authenticate(session, first.project_key_secret)
        other = identity.create_project(session, admin, "Other").id
    return World(db, clock, identity, first, spending, service, admin, member, other)
