"""Users, their roles in the organization and in projects, and invites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from plinth.identity import store
from plinth.identity.audit import AuditLog, Change
from plinth.identity.errors import AlreadyMember, EmailTaken, InviteSpent, LastOwner
from plinth.identity.keys import KeyDraft, Keys
from plinth.identity.model import (
    INVITE_SECONDS,
    MANAGERS,
    Actor,
    Grant,
    Invite,
    IssuedInvite,
    IssuedKey,
    Member,
    Paging,
    Role,
    User,
    normal_email,
    plausible,
)
from plinth.identity.scope import open_project, project_of, require_owner, user_of
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import NotFound
from plinth.kit.ids import new_id, secret_token
from plinth.kit.secrets import sha256_hex


@dataclass(frozen=True)
class Accepted:
    """The new user, and a first key for each project the invite granted."""

    user: User
    keys: list[IssuedKey]


class People:
    def __init__(self, clock: Clock, log: AuditLog, keys: Keys) -> None:
        self._clock, self._log, self._keys = clock, log, keys

    def add_user(self, session: Session, actor: Actor, email: str, name: str, role: Role) -> User:
        """Raises `EmailTaken`, `OwnerOnly`, `BadInput`."""
        if role is Role.owner:
            require_owner(session, actor)
        user = User(new_id("user_"), actor.organization_id, normal_email(email), name, role, self._clock.unix())
        try:
            store.add(session, store.users, **vars(user))
        except IntegrityError:
            raise EmailTaken(param="email", email=user.email) from None
        self._log.record(session, actor, Change("user.added", user.id, detail={"data": {"role": role}}))
        return user

    def user(self, session: Session, actor: Actor, user_id: str) -> User:
        return user_of(session, actor, user_id)

    def users(self, session: Session, actor: Actor, paging: Paging, emails: Sequence[str] = ()) -> list[User]:
        return store.list_users(session, actor.organization_id, paging, [e.strip().lower() for e in emails])

    def memberships(self, session: Session, user_ids: Sequence[str]) -> dict[str, list[Member]]:
        """The projects of each user."""
        found: dict[str, list[Member]] = {user_id: [] for user_id in user_ids}
        for member in store.memberships_of(session, user_ids):
            found[member.id].append(member)
        return found

    def set_role(self, session: Session, actor: Actor, user_id: str, role: Role) -> User:
        """Change the role in the organization; it counts from the next request on.
        Raises `LastOwner`, `LastAdminKey`, `OwnerOnly`, `NotFound`."""
        user = user_of(session, actor, user_id)
        if role is user.role:
            return user
        if Role.owner in (role, user.role):
            require_owner(session, actor)
        if user.role is Role.owner:
            self._keep_an_owner(session, actor)
        store.change(session, store.users, user_id, role=role)
        if role not in MANAGERS:
            self._keys.keep_an_admin_key(session, actor)
        self._log.record(session, actor, Change("user.updated", user_id, detail={"changes_requested": {"role": role}}))
        self._log.keys_changed(session, {"user_id": user_id})
        return user_of(session, actor, user_id)

    def remove_user(self, session: Session, actor: Actor, user_id: str) -> None:
        """Take the person out of the organization and every project; their keys stop working.
        Raises `LastOwner`, `LastAdminKey`, `OwnerOnly`, `NotFound`."""
        user = user_of(session, actor, user_id)
        if user.role is Role.owner:
            require_owner(session, actor)
            self._keep_an_owner(session, actor)
        # recorded first: afterwards an actor who removes themselves could no longer be named
        self._log.record(session, actor, Change("user.deleted", user_id))
        self._keys.revoke_of_user(session, actor, user_id)
        store.remove(session, store.project_members, store.project_members.c.user_id == user_id)
        # takes the password, sessions and links along
        store.remove(session, store.users, store.users.c.id == user_id)
        self._keys.keep_an_admin_key(session, actor)

    def add_member(self, session: Session, actor: Actor, project_id: str, user_id: str, role: Role) -> Member:
        """Raises `AlreadyMember`, `NotFound`, `ProjectArchived`."""
        open_project(session, actor, project_id)
        user_of(session, actor, user_id)
        now = self._clock.unix()
        try:
            store.add(session, store.project_members, project_id=project_id, user_id=user_id, role=role, added_at=now)
        except IntegrityError:
            raise AlreadyMember(user_id=user_id) from None
        self._membership_changed(
            session, actor, "role.assignment.created", self.member(session, actor, project_id, user_id)
        )
        return self.member(session, actor, project_id, user_id)

    def user_with_email(self, session: Session, actor: Actor, email: str) -> User:
        found = store.user_by_email(session, actor.organization_id, normal_email(email))
        if found is None:
            raise NotFound(what="user", id=email)
        return found

    def member(self, session: Session, actor: Actor, project_id: str, user_id: str) -> Member:
        """Raises `NotFound` when the user was not added to the project."""
        project_of(session, actor, project_id)
        found = store.member(session, project_id, user_id)
        if found is None:
            raise NotFound(what="project user", id=user_id)
        return found

    def members(self, session: Session, actor: Actor, project_id: str, paging: Paging) -> list[Member]:
        project_of(session, actor, project_id)
        return store.list_members(session, project_id, paging)

    def set_member_role(self, session: Session, actor: Actor, project_id: str, user_id: str, role: Role) -> Member:
        open_project(session, actor, project_id)
        self.member(session, actor, project_id, user_id)
        store.change_member(session, project_id, user_id, role)
        changed = self.member(session, actor, project_id, user_id)
        self._membership_changed(session, actor, "role.assignment.created", changed)
        return changed

    def remove_member(self, session: Session, actor: Actor, project_id: str, user_id: str) -> None:
        """Their keys for this project may do nothing from now on (owners and admins of the
        organization keep their access)."""
        member = self.member(session, actor, project_id, user_id)
        table = store.project_members
        store.remove(session, table, table.c.project_id == project_id, table.c.user_id == user_id)
        self._membership_changed(session, actor, "role.assignment.deleted", member)

    def invite(self, session: Session, actor: Actor, email: str, role: Role, grants: Sequence[Grant]) -> IssuedInvite:
        """Invite somebody; hand them the token. Valid for seven days. Raises `EmailTaken`,
        `OwnerOnly`, `NotFound`, `ProjectArchived`."""
        if role is Role.owner:
            require_owner(session, actor)
        address, now = normal_email(email), self._clock.unix()
        known = store.user_by_email(session, actor.organization_id, address) is not None
        if known or store.invited(session, actor.organization_id, address, now):
            raise EmailTaken(param="email", email=address)
        for grant in grants:
            open_project(session, actor, grant.project_id)
        token = f"invite-{secret_token(32)}"
        invite = Invite(
            new_id("invite_"), actor.organization_id, address, role, tuple(grants), now, now + INVITE_SECONDS, None
        )
        store.add(
            session,
            store.invites,
            **{**vars(invite), "grants": [{"project_id": g.project_id, "role": g.role} for g in grants]},
            token_digest=sha256_hex(token),
        )
        # the address stays out of the log, which can never be erased
        self._log.record(session, actor, Change("invite.sent", invite.id, detail={"data": {"role": role}}))
        return IssuedInvite(invite, token)

    def invite_by_token(self, session: Session, token: str) -> Invite:
        """Raises `NotFound`."""
        invite = store.invite_by_token(session, sha256_hex(token)) if plausible(token) else None
        if invite is None:
            raise NotFound(what="invite", id="(token)")
        return invite

    def accept_invite(self, session: Session, token: str, name: str, with_keys: bool = True) -> Accepted:
        """The holder of the token becomes a user, with a key for every project that was granted and
        is still active (without one where they sign in). Raises `NotFound` (unknown token),
        `InviteSpent`, `EmailTaken`."""
        return self.accept(session, self.invite_by_token(session, token), name, with_keys)

    def accept(self, session: Session, invite: Invite, name: str, with_keys: bool) -> Accepted:
        """Like `accept_invite`, for somebody who has proved to be the invited person."""
        if invite.status(self._clock.unix()) != "pending":
            raise InviteSpent
        system = Actor(invite.organization_id, "", "", "system")
        user = self.add_user(session, system, invite.email, name, invite.role)
        active = store.active_projects(session)
        keys = []
        for grant in invite.grants:
            if grant.project_id in active:
                self.add_member(session, system, grant.project_id, user.id, grant.role)
                if with_keys:
                    keys.append(self._keys.issue(session, system, KeyDraft(grant.project_id, "First key", user.id)))
        store.change(session, store.invites, invite.id, accepted_at=self._clock.unix())
        self._log.record(session, system, Change("invite.accepted", invite.id, detail={"user_id": user.id}))
        return Accepted(user, keys)

    def invite_of(self, session: Session, actor: Actor, invite_id: str) -> Invite:
        found = store.invite(session, actor.organization_id, invite_id)
        if found is None:
            raise NotFound(what="invite", id=invite_id)
        return found

    def invites(self, session: Session, actor: Actor, paging: Paging) -> list[Invite]:
        return store.list_invites(session, actor.organization_id, paging)

    def delete_invite(self, session: Session, actor: Actor, invite_id: str) -> None:
        """Raises `NotFound`, `InviteSpent` (already accepted)."""
        if self.invite_of(session, actor, invite_id).accepted_at is not None:
            raise InviteSpent
        store.remove(session, store.invites, store.invites.c.id == invite_id)
        self._log.record(session, actor, Change("invite.deleted", invite_id))

    def _keep_an_owner(self, session: Session, actor: Actor) -> None:
        if store.lock_owners(session, actor.organization_id) <= 1:
            raise LastOwner

    def _membership_changed(self, session: Session, actor: Actor, action: str, member: Member) -> None:
        detail = {
            "principal_id": member.id,
            "principal_type": "user",
            "resource_id": member.project_id,
            "resource_type": "api.project",
        }
        self._log.record(session, actor, Change(action, member.role, member.project_id, detail))
        self._log.keys_changed(session, {"user_id": member.id}, member.project_id)
