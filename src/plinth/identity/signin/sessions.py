"""Sessions of signed-in people: open, recognise, list, end.

The cookie is 256 random bits; only its SHA-256 is stored (as with API keys, see `identity.keys`).
Every request reads the session and the person's roles from the database: signing out, removing
somebody and changing a role count from the next request on, in every process.
"""

from __future__ import annotations

import hmac

from plinth.identity import store as identity_store
from plinth.identity.model import (
    MANAGERS,
    ORGANIZATION_PERMISSIONS,
    PERMISSIONS,
    Actor,
    Role,
    User,
    Visit,
    plausible,
)
from plinth.identity.scope import role_in
from plinth.identity.signin import store
from plinth.identity.signin.errors import CsrfFailed, SessionEnded
from plinth.identity.signin.model import SESSION_SECRET_BYTES, OpenedSession, SessionRules, UserSession, Visitor
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import NotFound
from plinth.kit.ids import new_id, secret_token
from plinth.kit.secrets import InstanceKey, sha256_hex

_CSRF_PURPOSE = "session-csrf"


class Sessions:
    """The guard's door for signed-in people."""

    def __init__(self, clock: Clock, key: InstanceKey, rules: SessionRules) -> None:
        self._clock, self._key, self.rules = clock, key, rules

    def open(self, session: Session, user: User, method: str, visitor: Visitor) -> OpenedSession:
        now, secret = self._clock.unix(), secret_token(SESSION_SECRET_BYTES)
        opened = UserSession(
            id=new_id("sess_"),
            organization_id=user.organization_id,
            user_id=user.id,
            method=method,
            device=visitor.device,
            created_at=now,
            last_seen_at=now,
            ends_at=now + self.rules.absolute_seconds,
        )
        store.add_session(session, opened, sha256_hex(secret))
        return OpenedSession(opened, secret)

    def find(self, session: Session, secret: str) -> UserSession | None:
        """The living session behind a cookie."""
        found = store.session_by_digest(session, sha256_hex(secret)) if plausible(secret) else None
        return found if found and found.alive(self._clock.unix(), self.rules) else None

    def person(self, session: Session, secret: str) -> tuple[UserSession, User] | None:
        found = self.find(session, secret)
        user = identity_store.user(session, found.organization_id, found.user_id) if found else None
        return (found, user) if found and user else None

    def caller(self, session: Session, visit: Visit) -> Actor:
        """Raises `SessionEnded`, `CsrfFailed`, and `NotFound` for a project that the person has no role in."""
        known = self.person(session, visit.secret)
        if known is None:
            raise SessionEnded
        found, user = known
        if visit.changes:
            self.check_csrf(found, visit.csrf_token)
        permissions = ORGANIZATION_PERMISSIONS if user.role in MANAGERS else frozenset[str]()
        if visit.project_id:
            permissions = PERMISSIONS[self._role(session, user, visit.project_id)]
        return Actor(user.organization_id, visit.project_id, found.key_id, f"user:{user.id}", permissions)

    def actor(self, found: UserSession) -> Actor:
        """The person themselves, with no permissions: for what one may do to one's own account."""
        return Actor(found.organization_id, "", found.key_id, f"user:{found.user_id}")

    def csrf_token(self, found: UserSession) -> str:
        return self._key.sign(found.id, _CSRF_PURPOSE)

    def check_csrf(self, found: UserSession, given: str) -> None:
        """Raises `CsrfFailed`."""
        if not hmac.compare_digest(self.csrf_token(found).encode(), given.encode()):
            raise CsrfFailed

    def touch(self, session: Session, session_id: str) -> None:
        store.touch_session(session, session_id, self._clock.unix())

    def of_user(self, session: Session, user_id: str) -> list[UserSession]:
        """The living ones, newest first."""
        now = self._clock.unix()
        return [found for found in store.sessions_of(session, user_id) if found.alive(now, self.rules)]

    def own(self, session: Session, user_id: str, session_id: str) -> UserSession:
        """Raises `NotFound`, also for another person's session."""
        for found in self.of_user(session, user_id):
            if found.id == session_id:
                return found
        raise NotFound(what="session", id=session_id)

    def _role(self, session: Session, user: User, project_id: str) -> Role:
        named = store.active_project_name(session, user.organization_id, project_id) is not None
        role = role_in(session, user, project_id) if named else None
        if role is None:
            raise NotFound(what="project", id=project_id[:64])
        return role
