"""API keys: issue, rotate, expire, revoke.

A secret is its prefix and 256 random bits. Only its SHA-256 is stored. A slow password hash would
add nothing: it protects guessable passwords, and nobody can guess 256 bits; it would cost
milliseconds on every request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plinth.identity import store
from plinth.identity.audit import AuditLog, Change
from plinth.identity.errors import KeyExpired, LastAdminKey
from plinth.identity.model import (
    ADMIN_KEY_PREFIX,
    MANAGERS,
    PROJECT_KEY_PREFIX,
    Actor,
    ApiKey,
    IssuedKey,
    KeyEntry,
    Paging,
    Role,
    User,
    redacted,
)
from plinth.identity.scope import acting_user, open_project, project_of, require_owner, user_of
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import BadInput, NotFound
from plinth.kit.ids import new_id, secret_token
from plinth.kit.secrets import sha256_hex


@dataclass(frozen=True)
class KeyDraft:
    """A key to be made. `project_id` is empty for an admin key; exactly one owner is set.
    Without `expires_in_seconds` it does not expire."""

    project_id: str
    name: str
    user_id: str | None = None
    service_account_id: str | None = None
    expires_in_seconds: int | None = None


# whether an owner or admin of the organization can sign in without a key
ManagerSignsIn = Callable[[Session, str], bool]


def nobody_signs_in(session: Session, organization_id: str) -> bool:
    return False


class Keys:
    def __init__(self, clock: Clock, log: AuditLog, manager_signs_in: ManagerSignsIn = nobody_signs_in) -> None:
        self._clock, self._log, self._manager_signs_in = clock, log, manager_signs_in

    def create_project_key(self, session: Session, actor: Actor, draft: KeyDraft) -> IssuedKey:
        """A key for a user or a service account. Without an owner it belongs to whoever asks.
        Raises `NotFound`, `ProjectArchived`, `BadInput`."""
        open_project(session, actor, draft.project_id)
        if draft.service_account_id is not None:
            if draft.user_id is not None:
                raise BadInput(param="user_id", reason="Name a user or a service account as owner, not both.")
            if store.service_account(session, draft.project_id, draft.service_account_id) is None:
                raise NotFound(what="service account", id=draft.service_account_id)
            return self.issue(session, actor, draft)
        owner = self._owner(session, actor, draft.user_id)
        return self.issue(
            session, actor, KeyDraft(draft.project_id, draft.name, owner.id, None, draft.expires_in_seconds)
        )

    def create_admin_key(self, session: Session, actor: Actor, draft: KeyDraft) -> IssuedKey:
        """An admin key for an owner or admin. Without `user_id` it belongs to whoever asks.
        Raises `OwnerOnly`, `BadInput`, `NotFound`."""
        owner = self._owner(session, actor, draft.user_id)
        if owner.role not in MANAGERS:
            raise BadInput(param="user_id", reason="An admin key can only belong to an owner or admin.")
        if owner.role is Role.owner:
            require_owner(session, actor)
        return self.issue(session, actor, KeyDraft("", draft.name, owner.id, None, draft.expires_in_seconds))

    def issue(self, session: Session, actor: Actor, draft: KeyDraft) -> IssuedKey:
        """Make the key of a draft whose project and owner were checked."""
        prefix = PROJECT_KEY_PREFIX if draft.project_id else ADMIN_KEY_PREFIX
        secret, key_id, now = prefix + secret_token(32), new_id("key_"), self._clock.unix()
        store.add(
            session,
            store.api_keys,
            id=key_id,
            organization_id=actor.organization_id,
            project_id=draft.project_id or None,
            user_id=draft.user_id,
            service_account_id=draft.service_account_id,
            name=draft.name,
            redacted_value=redacted(secret, prefix),
            created_at=now,
            expires_at=None if draft.expires_in_seconds is None else now + draft.expires_in_seconds,
        )
        store.add(session, store.api_key_secrets, digest=sha256_hex(secret), key_id=key_id)
        key = self._key(session, actor, draft.project_id, key_id)
        detail = {"data": {"owner": f"{key.owner.kind}:{key.owner.id}", "expires_in_seconds": draft.expires_in_seconds}}
        self._changed(session, actor, key, Change("api_key.created", key_id, draft.project_id, detail))
        return IssuedKey(key, secret)

    def rotate(self, session: Session, actor: Actor, project_id: str, key_id: str, grace_seconds: int) -> IssuedKey:
        """A new secret for the same key; the old ones end after the grace period. The key keeps its
        own expiry. An empty `project_id` means an admin key. Raises `NotFound`, `KeyExpired`."""
        key = self.key_to_change(session, actor, project_id, key_id)
        prefix = PROJECT_KEY_PREFIX if project_id else ADMIN_KEY_PREFIX
        secret, now = prefix + secret_token(32), self._clock.unix()
        store.end_secrets(session, key_id, now, now + grace_seconds)
        store.add(session, store.api_key_secrets, digest=sha256_hex(secret), key_id=key_id)
        store.change(session, store.api_keys, key_id, redacted_value=redacted(secret, prefix))
        detail = {"changes_requested": {"rotated": True, "grace_seconds": grace_seconds}}
        self._changed(session, actor, key, Change("api_key.updated", key_id, project_id, detail))
        return IssuedKey(self._key(session, actor, project_id, key_id), secret)

    def set_expiry(self, session: Session, actor: Actor, project_id: str, key_id: str, seconds: int) -> ApiKey:
        """Let a project key end `seconds` from now. Raises `NotFound`, `KeyExpired`."""
        key = self.key_to_change(session, actor, project_id, key_id)
        store.change(session, store.api_keys, key_id, expires_at=self._clock.unix() + seconds)
        detail = {"changes_requested": {"expires_in_seconds": seconds}}
        self._changed(session, actor, key, Change("api_key.updated", key_id, project_id, detail))
        return self._key(session, actor, project_id, key_id)

    def revoke(self, session: Session, actor: Actor, project_id: str, key_id: str) -> None:
        """The key stops working at once. Raises `NotFound`, `LastAdminKey`."""
        if project_id:
            project_of(session, actor, project_id)
        key = self._key(session, actor, project_id, key_id)
        if not project_id and key.owner.role is Role.owner:
            require_owner(session, actor)
        store.revoke(session, [key_id], self._clock.unix())
        if not project_id:
            self.keep_an_admin_key(session, actor)
        self._changed(session, actor, key, Change("api_key.deleted", key_id, project_id))

    def revoke_of_user(self, session: Session, actor: Actor, user_id: str) -> None:
        self._revoke_of(session, actor, store.key_ids_of(session, store.api_keys.c.user_id, user_id))

    def revoke_of_service_account(self, session: Session, actor: Actor, account_id: str) -> None:
        self._revoke_of(session, actor, store.key_ids_of(session, store.api_keys.c.service_account_id, account_id))

    def keep_an_admin_key(self, session: Session, actor: Actor) -> None:
        """Raises `LastAdminKey` when the change just made leaves nobody to undo it: no admin key that
        works, and no owner or admin who can sign in."""
        organization_id = actor.organization_id
        if not (
            store.an_admin_key_works(session, organization_id, self._clock.unix())
            or self._manager_signs_in(session, organization_id)
        ):
            raise LastAdminKey

    def key(self, session: Session, actor: Actor, project_id: str, key_id: str) -> ApiKey:
        """Raises `NotFound`. An empty `project_id` looks among the admin keys."""
        if project_id:
            project_of(session, actor, project_id)
        return self._key(session, actor, project_id, key_id)

    def key_to_change(self, session: Session, actor: Actor, project_id: str, key_id: str) -> ApiKey:
        if project_id:
            open_project(session, actor, project_id)
        key = self._key(session, actor, project_id, key_id)
        if key.expired(self._clock.unix()):
            raise KeyExpired(id=key_id)
        if not project_id and key.owner.role is Role.owner:
            require_owner(session, actor)
        return key

    def page(
        self, session: Session, actor: Actor, project_id: str, paging: Paging, access: bool | None = None
    ) -> list[ApiKey]:
        """A project's keys, or the admin keys; `access` filters by whether the owner still has a role."""
        if project_id:
            project_of(session, actor, project_id)
        return store.list_keys(session, actor.organization_id, project_id, paging, access)

    def snapshot(self, session: Session) -> list[KeyEntry]:
        """One entry for every secret that works now, across all organizations and projects."""
        entries = []
        for digest, secret_expires_at, key in store.working_secrets(session, self._clock.unix()):
            ends = [at for at in (secret_expires_at, key.expires_at) if at is not None]
            entries.append(
                KeyEntry(
                    digest=digest,
                    key_id=key.id,
                    organization_id=key.organization_id,
                    project_id=key.project_id,
                    principal=key.principal,
                    permissions=key.permissions,
                    expires_at=min(ends, default=None),
                )
            )
        return entries

    def touch(self, session: Session, key_ids: Sequence[str]) -> None:
        """Note that these keys were used just now. Unknown ids do not matter."""
        if key_ids:
            store.touch(session, key_ids, self._clock.unix())

    def _owner(self, session: Session, actor: Actor, user_id: str | None) -> User:
        if user_id is not None:
            return user_of(session, actor, user_id)
        person = acting_user(session, actor)
        if person is None:
            raise BadInput(param="user_id", reason="Name the user who shall own the key: yours belongs to no person.")
        return person

    def _key(self, session: Session, actor: Actor, project_id: str, key_id: str) -> ApiKey:
        found = store.key(session, actor.organization_id, project_id, key_id)
        if found is None:
            raise NotFound(what="API key", id=key_id)
        return found

    def _revoke_of(self, session: Session, actor: Actor, key_ids: Sequence[str]) -> None:
        store.revoke(session, key_ids, self._clock.unix())
        for key_id in key_ids:
            self._log.record(session, actor, Change("api_key.deleted", key_id))
        self._log.keys_changed(session, {"key_ids": list(key_ids)})

    def _changed(self, session: Session, actor: Actor, key: ApiKey, change: Change) -> None:
        self._log.record(session, actor, change)
        self._log.keys_changed(session, {"key_ids": [key.id]}, key.project_id or None)
