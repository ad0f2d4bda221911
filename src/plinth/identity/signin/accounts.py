"""Signing in with a password, and everything around passwords: attempts, changes, one-time links."""

from __future__ import annotations

import math

from plinth.identity import store as identity_store
from plinth.identity.audit import AuditLog, Change
from plinth.identity.model import Actor, Organization, Role, User, plausible
from plinth.identity.scope import require_owner, user_of
from plinth.identity.signin import store
from plinth.identity.signin.errors import (
    NoPassword,
    ResetTokenSpent,
    TooManyAttempts,
    WrongCredentials,
    WrongPassword,
)
from plinth.identity.signin.model import (
    RESET_SECONDS,
    Attempt,
    AttemptRules,
    IssuedToken,
    OpenedSession,
    UserSession,
    Visitor,
)
from plinth.identity.signin.passwords import Verdict
from plinth.identity.signin.sessions import Sessions
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.ids import new_id, secret_token
from plinth.kit.secrets import InstanceKey, sha256_hex

RESET = "password_reset"
_PSEUDONYM = "sign-in-attempts"


class Accounts:
    """Hashing takes long and holds no transaction, so signing in has three steps: `attempt`, the
    comparison (`Passwords.verify`), and `succeed` or `fail`."""

    def __init__(self, clock: Clock, key: InstanceKey, log: AuditLog, sessions: Sessions, rules: AttemptRules) -> None:
        self._clock, self._key, self._log = clock, key, log
        self._sessions, self._rules = sessions, rules

    def attempt(self, session: Session, organization: Organization | None, email: str, visitor: Visitor) -> Attempt:
        """Count an attempt, before it is known whether it succeeds: so no number of requests at once
        gets more tries. Raises `TooManyAttempts`."""
        address = email.strip().lower()
        known = organization and identity_store.user_by_email(session, organization.id, address)
        user = known or None
        attempt_id = self._count(session, address, visitor)
        return Attempt(attempt_id, user, store.password_hash(session, user.id if user else ""))

    def succeed(self, session: Session, attempt: Attempt, verdict: Verdict, visitor: Visitor) -> OpenedSession:
        """Raises `WrongCredentials` when the password was changed or the person removed meanwhile."""
        user = attempt.user and identity_store.user(session, attempt.user.organization_id, attempt.user.id)
        if not user or not verdict.right or store.password_hash(session, user.id) != attempt.password_hash:
            raise WrongCredentials
        if verdict.rehashed and attempt.password_hash:
            store.refresh_hash(session, user.id, attempt.password_hash, verdict.rehashed)
        store.forgive_attempt(session, attempt.id)
        store.forgive_account(session, self._pseudonym(user.email))
        return self.enter(session, user, "password", visitor)

    def fail(self, session: Session, organization: Organization | None, attempt: Attempt) -> None:
        if organization:
            self.refused(session, organization, attempt.user, "password", WrongCredentials.code)

    def forgive(self, session: Session, attempt: Attempt) -> None:
        """It was not tried after all."""
        store.forgive_attempt(session, attempt.id)

    def enter(self, session: Session, user: User, method: str, visitor: Visitor) -> OpenedSession:
        """A session for somebody who has proved who they are."""
        now = self._clock.unix()
        store.tidy(session, now, self._sessions.rules.idle_seconds, now - self._rules.window_seconds)
        opened = self._sessions.open(session, user, method, visitor)
        change = Change("login.succeeded", user.id, detail={"method": method, "session_id": opened.session.id})
        self._log.record(session, self._sessions.actor(opened.session), change)
        return opened

    def refused(self, session: Session, organization: Organization, user: User | None, method: str, code: str) -> None:
        """Note a sign-in that failed. What was typed stays out of the log: it may be a password."""
        stranger = Actor(organization.id, "", "", "anonymous")
        detail = {"method": method, "error_code": code}
        self._log.record(session, stranger, Change("login.failed", user.id if user else "unknown", detail=detail))

    def sign_out(self, session: Session, found: UserSession) -> None:
        store.end_session(session, found.id)
        change = Change("logout.succeeded", found.user_id, detail={"session_id": found.id})
        self._log.record(session, self._sessions.actor(found), change)

    # one's own password

    def try_own(self, session: Session, user: User, visitor: Visitor) -> Attempt:
        """Like `attempt`, for the current password of somebody who is signed in: a borrowed browser
        must not become a place to guess. Raises `TooManyAttempts`, `NoPassword`."""
        stored = store.password_hash(session, user.id)
        if stored is None:
            raise NoPassword
        return Attempt(self._count(session, user.email, visitor), user, stored)

    def change_password(self, session: Session, found: UserSession, attempt: Attempt, hash: str) -> None:
        """Ends the person's other sessions. Raises `WrongPassword` when it was changed meanwhile."""
        if store.password_hash(session, found.user_id) != attempt.password_hash:
            raise WrongPassword(param="current")
        store.forgive_attempt(session, attempt.id)
        self.set_password(session, found.user_id, hash)
        ended = store.end_sessions_of(session, found.user_id, keep=found.id)
        change = Change("password.changed", found.user_id, detail={"sessions_ended": len(ended)})
        self._log.record(session, self._sessions.actor(found), change)

    def change_failed(self, session: Session, found: UserSession) -> None:
        self._log.record(session, self._sessions.actor(found), Change("password.change_failed", found.user_id))

    def set_password(self, session: Session, user_id: str, hash: str) -> None:
        """Unspent links to set it stop working."""
        store.set_password(session, user_id, hash, self._clock.unix())
        store.spend_tokens(session, user_id, RESET)

    # links to set a password

    def issue_reset(self, session: Session, actor: Actor, user_id: str) -> IssuedToken:
        """A one-time token by which the person sets a password; it replaces an older one. Whoever has
        it can become that person, so only an owner may make one for an owner.
        Raises `NotFound`, `OwnerOnly`."""
        user = user_of(session, actor, user_id)
        if user.role is Role.owner:
            require_owner(session, actor)
        token, now = f"reset-{secret_token(32)}", self._clock.unix()
        store.replace_token(
            session,
            user_id,
            RESET,
            digest=sha256_hex(token),
            created_at=now,
            created_by=actor.principal,
            expires_at=now + RESET_SECONDS,
        )
        self._log.record(session, actor, Change("password_reset.issued", user_id))
        return IssuedToken(token, now + RESET_SECONDS)

    def reset_user(self, session: Session, token: str) -> User:
        """Whose password the token sets. Raises `ResetTokenSpent`."""
        now = self._clock.unix()
        user = store.token_user(session, sha256_hex(token), RESET, now) if plausible(token) else None
        if user is None:
            raise ResetTokenSpent(param="token")
        return user

    def reset(self, session: Session, token: str, hash: str, visitor: Visitor) -> OpenedSession:
        """Set the password, end every session of the person and sign in. Raises `ResetTokenSpent`."""
        user = self.reset_user(session, token)
        self.set_password(session, user.id, hash)
        ended = store.end_sessions_of(session, user.id)
        store.forgive_account(session, self._pseudonym(user.email))
        opened = self.enter(session, user, "reset", visitor)
        change = Change("password_reset.used", user.id, detail={"sessions_ended": len(ended)})
        self._log.record(session, self._sessions.actor(opened.session), change)
        return opened

    def _count(self, session: Session, email: str, visitor: Visitor) -> str:
        rules, now = self._rules, self._clock.unix()
        account, network = self._pseudonym(email), self._pseudonym(visitor.network)
        store.hold_attempts(session, account, network)
        columns = store.sign_in_attempts.c
        for column, value, limit in (
            (columns.account, account, rules.per_account),
            (columns.network, network, rules.per_network),
        ):
            newest = store.attempts_since(session, column, value, now - rules.window_seconds, limit)
            if len(newest) >= limit:
                # room comes when the oldest of the newest `limit` attempts stops counting
                wait = newest[-1] + rules.window_seconds - now
                raise TooManyAttempts(retry_after_seconds=max(1, math.ceil(wait)))
        attempt_id = new_id("attempt_")
        store.add_attempt(session, attempt_id, account, network, now)
        return attempt_id

    def _pseudonym(self, text: str) -> str:
        return self._key.sign(text.strip().lower(), _PSEUDONYM)
