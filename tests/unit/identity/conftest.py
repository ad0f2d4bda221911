"""A small organization on a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from plinth.identity import Actor, FirstOrganization, IdentityService, KeyDraft, Role, User
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.errors import Unauthenticated
from plinth.kit.secrets import InstanceKey


@dataclass
class World:
    db: Database
    clock: FixedClock
    service: IdentityService
    first: FirstOrganization
    admin: Actor

    @property
    def project_id(self) -> str:
        return self.first.project.id

    def who(self, secret: str) -> Actor:
        with self.db.read() as session:
            return self.service.authenticate(session, secret)

    def works(self, secret: str) -> bool:
        try:
            self.who(secret)
        except Unauthenticated:
            return False
        return True

    def person(self, name: str, role: Role = Role.viewer) -> User:
        with self.db.write() as session:
            return self.service.people.add_user(session, self.admin, f"{name}@example.com", name, role)

    def member_key(self, name: str, role: Role) -> tuple[User, str]:
        """A person with that role in the first project, and the secret of their key."""
        user = self.person(name)
        with self.db.write() as session:
            self.service.people.add_member(session, self.admin, self.project_id, user.id, role)
            draft = KeyDraft(self.project_id, "key", user_id=user.id)
            return user, self.service.keys.create_project_key(session, self.admin, draft).secret


@pytest.fixture
def world(db: Database, clock: FixedClock) -> World:
    service = IdentityService(clock, InstanceKey(b"k" * 32))
    with db.write() as session:
        first = service.bootstrap_organization(session, "Acme")
    with db.read() as session:
        admin = service.authenticate(session, first.admin_key_secret)
    return World(db, clock, service, first, admin)
