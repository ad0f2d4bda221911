"""Identity's front door: projects, service accounts, authentication, the first organization.

Keys are in `service.keys`, users and invites in `service.people`, the audit log in `service.log`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from plinth.identity import store
from plinth.identity.audit import AuditLog, Change
from plinth.identity.errors import OrganizationExists
from plinth.identity.keys import KeyDraft, Keys, ManagerSignsIn, nobody_signs_in
from plinth.identity.model import (
    INTERNAL_PREFIX,
    MAX_TOKEN_SECONDS,
    Actor,
    ApiKey,
    FirstOrganization,
    InternalTokens,
    KeyEntry,
    KeyOwner,
    Organization,
    Paging,
    Project,
    Role,
    ServiceAccount,
    User,
    normal_name,
    plausible,
)
from plinth.identity.people import People
from plinth.identity.scope import acting_user, open_project, project_of, role_in
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import NotFound, Unauthenticated
from plinth.kit.ids import new_id
from plinth.kit.secrets import InstanceKey, sha256_hex


class IdentityService:
    """Who may do what. Every method takes the session of the caller's transaction first.

    Args: `manager_signs_in` says whether an owner or admin can sign in without a key.
    """

    def __init__(self, clock: Clock, key: InstanceKey, manager_signs_in: ManagerSignsIn = nobody_signs_in) -> None:
        self.clock = clock
        self.tokens = InternalTokens(key)
        self.log = AuditLog(clock)
        self.keys = Keys(clock, self.log, manager_signs_in)
        self.people = People(clock, self.log, self.keys)

    def authenticate(self, session: Session, secret: str) -> Actor:
        """The caller behind a secret: a project key, an admin key or an internal token.

        Reads roles as they are now, so a change counts from the next request on. Raises
        `Unauthenticated` when the secret is unknown, expired or revoked, or its project archived.
        A key whose owner has lost access authenticates, with no permissions.
        """
        if secret.startswith(INTERNAL_PREFIX):
            return self.tokens.actor(secret, self.clock.unix(), store.active_projects(session))
        if not plausible(secret):
            raise Unauthenticated
        given = sha256_hex(secret)
        for digest, _, key in store.working_secrets(session, self.clock.unix(), given):
            # The index found it by digest; what its timing tells is about SHA-256 digests, from
            # which no secret can be built. The final word is a constant-time comparison.
            if hmac.compare_digest(digest, given):
                return Actor(key.organization_id, key.project_id, key.id, key.principal, key.permissions)
        raise Unauthenticated

    def internal_token(
        self, project_id: str, ttl_seconds: float, key_id: str = "", principal: str = "", scope: str = ""
    ) -> str:
        """A token for our own calls on behalf of a project, with a developer's permissions.

        Args:
            key_id, principal: whose work it is, for limits and usage; the platform's own without.
            scope: "models" narrows the token to calling models.

        Raises `ValueError` unless 0 < ttl_seconds <= 7 days."""
        if not 0 < ttl_seconds <= MAX_TOKEN_SECONDS:
            raise ValueError(f"ttl_seconds must be between 0 and {MAX_TOKEN_SECONDS}")
        return self.tokens.issue(project_id, self.clock.unix() + ttl_seconds, key_id, principal, scope)

    def key_snapshot(self, session: Session) -> list[KeyEntry]:
        """Every secret that works now. Read it again after `identity.key.changed` and
        `identity.project.changed`, and honour each entry's `expires_at`."""
        return self.keys.snapshot(session)

    def active_projects(self, session: Session) -> dict[str, str]:
        """Project id -> organization id of every project that is not archived: with it and
        `InternalTokens.actor`, internal tokens can be checked outside the database."""
        return store.active_projects(session)

    def audit(self, session: Session, actor: Actor, action: str, target: str, detail: Mapping[str, Any]) -> None:
        """Append a line to the audit log. `action` is `noun.verb` in the past tense; no secrets."""
        self.log.record(session, actor, Change(action, target, actor.project_id, detail))

    def touch(self, session: Session, key_ids: Sequence[str]) -> None:
        """Note that these keys were used just now; for the gateway's write-behind."""
        self.keys.touch(session, key_ids)

    def organization(self, session: Session, actor: Actor) -> Organization:
        return store.organization(session, actor.organization_id)

    def bootstrap_organization(
        self, session: Session, name: str, owner_email: str = "owner@localhost", owner_name: str = "Owner"
    ) -> FirstOrganization:
        """The first organization with its owner, a project, an admin key and a project key.
        Raises `OrganizationExists` when there is one already."""
        organization, owner, project = self.found_organization(session, name, owner_email, owner_name)
        system = Actor(organization.id, "", "", "system")
        admin_key = self.keys.issue(session, system, KeyDraft("", "First admin key", owner.id))
        project_key = self.keys.issue(session, system, KeyDraft(project.id, "First key", owner.id))
        return FirstOrganization(organization, project, admin_key.secret, project_key.secret)

    def found_organization(
        self, session: Session, name: str, owner_email: str, owner_name: str
    ) -> tuple[Organization, User, Project]:
        """The first organization with its owner and a project, without keys.
        Raises `OrganizationExists` when there is one already."""
        if existing := store.first_organization(session):
            raise OrganizationExists(name=existing.name)
        organization = Organization(new_id("org_"), normal_name(name), self.clock.unix())
        store.add(session, store.organizations, **vars(organization))
        system = Actor(organization.id, "", "", "system")
        self.log.record(session, system, Change("organization.created", organization.id))
        owner = self.people.add_user(session, system, owner_email, owner_name, Role.owner)
        project = self.create_project(session, system, "Default project")
        self.people.add_member(session, system, project.id, owner.id, Role.owner)
        return organization, owner, project

    def first_organization(self, session: Session) -> Organization | None:
        """None on an empty installation."""
        return store.first_organization(session)

    def whoami(self, session: Session, actor: Actor) -> tuple[KeyOwner | None, ApiKey | None]:
        """Who stands behind the caller, and with which key; a signed-in person has none."""
        if actor.session_id is None:
            if actor.principal == "internal":
                return None, None
            key = self.keys.key(session, actor, actor.project_id, actor.key_id)
            return key.owner, key
        person = acting_user(session, actor)
        if person is None:
            return None, None
        role = role_in(session, person, actor.project_id) if actor.project_id else person.role
        return KeyOwner("user", person.id, person.name, person.email, role, person.added_at), None

    def create_project(self, session: Session, actor: Actor, name: str) -> Project:
        """A new project; the person who asks becomes an owner in it."""
        project = Project(new_id("proj_"), actor.organization_id, name, self.clock.unix(), None)
        store.add(session, store.projects, **vars(project))
        detail = {"data": {"name": name}}
        self._project_changed(session, actor, project, Change("project.created", project.id, project.id, detail))
        if person := acting_user(session, actor):
            self.people.add_member(session, actor, project.id, person.id, Role.owner)
        return project

    def project(self, session: Session, actor: Actor, project_id: str) -> Project:
        return project_of(session, actor, project_id)

    def projects(self, session: Session, actor: Actor, paging: Paging, archived: bool = False) -> list[Project]:
        return store.list_projects(session, actor.organization_id, paging, archived)

    def rename_project(self, session: Session, actor: Actor, project_id: str, name: str) -> Project:
        """Raises `NotFound`, `ProjectArchived`."""
        open_project(session, actor, project_id)
        store.change(session, store.projects, project_id, name=name)
        project = project_of(session, actor, project_id)
        detail = {"changes_requested": {"title": name}}
        self._project_changed(session, actor, project, Change("project.updated", project_id, project_id, detail))
        return project

    def archive_project(self, session: Session, actor: Actor, project_id: str) -> Project:
        """Its keys stop working at once, for good. Archiving it again changes nothing."""
        if project_of(session, actor, project_id).archived_at is None:
            store.change(session, store.projects, project_id, archived_at=self.clock.unix())
            project = project_of(session, actor, project_id)
            self._project_changed(session, actor, project, Change("project.archived", project_id, project_id))
        return project_of(session, actor, project_id)

    def create_service_account(
        self, session: Session, actor: Actor, project_id: str, name: str, role: Role | None = Role.developer
    ) -> ServiceAccount:
        """Raises `NotFound`, `ProjectArchived`."""
        open_project(session, actor, project_id)
        account = ServiceAccount(new_id("svc_"), project_id, name, role, self.clock.unix())
        store.add(session, store.service_accounts, **vars(account))
        detail = {"data": {"role": role}}
        self.log.record(session, actor, Change("service_account.created", account.id, project_id, detail))
        return account

    def service_account(self, session: Session, actor: Actor, project_id: str, account_id: str) -> ServiceAccount:
        project_of(session, actor, project_id)
        found = store.service_account(session, project_id, account_id)
        if found is None:
            raise NotFound(what="service account", id=account_id)
        return found

    def service_accounts(self, session: Session, actor: Actor, project_id: str, paging: Paging) -> list[ServiceAccount]:
        project_of(session, actor, project_id)
        return store.list_service_accounts(session, project_id, paging)

    def change_service_account(self, session: Session, actor: Actor, account: ServiceAccount) -> ServiceAccount:
        """Store the account's new name and role; its keys have the new role at once."""
        open_project(session, actor, account.project_id)
        store.change(session, store.service_accounts, account.id, name=account.name, role=account.role)
        detail = {"changes_requested": {"role": account.role}}
        change = Change("service_account.updated", account.id, account.project_id, detail)
        self.log.record(session, actor, change)
        self.log.keys_changed(session, {"service_account_id": account.id}, account.project_id)
        return account

    def delete_service_account(self, session: Session, actor: Actor, project_id: str, account_id: str) -> None:
        """Its keys stop working at once."""
        self.service_account(session, actor, project_id, account_id)
        self.keys.revoke_of_service_account(session, actor, account_id)
        store.remove(session, store.service_accounts, store.service_accounts.c.id == account_id)
        self.log.record(session, actor, Change("service_account.deleted", account_id, project_id))

    def _project_changed(self, session: Session, actor: Actor, project: Project, change: Change) -> None:
        self.log.record(session, actor, change)
        self.log.project_changed(session, project.id, project.status)
