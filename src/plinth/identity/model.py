"""Who may do what: roles, permissions, keys, and the authenticated caller.

Permissions are `area:verb`. An API key acts with the permissions of its role inside exactly one
project (`sk-proj-…`) or on the organization (`sk-admin-…`), never both.

An organization's owners and admins have that role in every project. Everybody else has, in each
project, the role given there, and none where none was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from plinth.identity.errors import UnknownRole
from plinth.kit.errors import BadInput, Unauthenticated
from plinth.kit.secrets import InstanceKey


class Role(StrEnum):
    owner = "owner"
    admin = "admin"
    developer = "developer"
    annotator = "annotator"
    agent = "agent"
    viewer = "viewer"


_READ = frozenset({"models:read", "data:read", "tuning:read", "evals:read", "serving:read", "usage:read"})
_DEVELOP = _READ | {"models:use", "models:write", "data:write", "tuning:write", "evals:write", "serving:write"}
_ADMINISTER = _DEVELOP | {"project:write", "catalog:write"}

PERMISSIONS: dict[Role, frozenset[str]] = {
    Role.owner: _ADMINISTER,
    Role.admin: _ADMINISTER,
    Role.developer: _DEVELOP,
    Role.annotator: frozenset({"models:read", "data:read", "labels:write"}),
    Role.agent: frozenset({"models:read", "models:use", "desk:write"}),
    Role.viewer: _READ,
}
ORGANIZATION_PERMISSIONS = frozenset({"organization:read", "organization:write", "catalog:write"})

# these have their role in every project, and admin keys may belong to them
MANAGERS = (Role.owner, Role.admin)

# the hosted API's names for two of our roles
_SYNONYMS = {"member": Role.developer, "reader": Role.viewer}

PROJECT_KEY_PREFIX = "sk-proj-"
ADMIN_KEY_PREFIX = "sk-admin-"
INTERNAL_PREFIX = "sk-int-"
SESSION_PREFIX = "session:"
MAX_SECRET_CHARACTERS = 256
MAX_TOKEN_SECONDS = 7 * 86_400
INVITE_SECONDS = 7 * 86_400


def role_named(name: str) -> Role:
    """The role of that name; `member` and `reader` are understood. Raises `UnknownRole`."""
    if name in _SYNONYMS:
        return _SYNONYMS[name]
    try:
        return Role(name)
    except ValueError:
        raise UnknownRole(param="role", role=name[:64], roles=", ".join(Role)) from None


@dataclass(frozen=True)
class Actor:
    """The authenticated caller of one request.

    `project_id` is empty for an organization admin key, and for a signed-in person who works on the
    organization. `key_id` of a signed-in person is `session:<id>`. `principal` is `user:<id>`,
    `service_account:<id>`, `admin_key:<id>`, `internal`, `system` (the command line), or `anonymous`
    (somebody who failed to sign in).
    """

    organization_id: str
    project_id: str
    key_id: str
    principal: str
    permissions: frozenset[str] = field(default_factory=frozenset)

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    @property
    def session_id(self) -> str | None:
        """Of a signed-in person; None for keys and tokens."""
        return self.key_id.removeprefix(SESSION_PREFIX) if self.key_id.startswith(SESSION_PREFIX) else None


@dataclass(frozen=True)
class Visit:
    """What a browser sends instead of a key.

    Args:
        secret: the session cookie's value.
        project_id: the project to act in; empty for the organization.
        csrf_token: what a page of another site cannot know; needed where `changes` is true, which is
            for every method that may change something.
    """

    secret: str = field(repr=False)
    project_id: str = ""
    csrf_token: str = field(default="", repr=False)
    changes: bool = False


@dataclass(frozen=True)
class Organization:
    id: str
    name: str
    created_at: float


@dataclass(frozen=True)
class Project:
    id: str
    organization_id: str
    name: str
    created_at: float
    archived_at: float | None

    @property
    def status(self) -> str:
        return "active" if self.archived_at is None else "archived"


@dataclass(frozen=True)
class User:
    """`role` is the role in the organization."""

    id: str
    organization_id: str
    email: str
    name: str
    role: Role
    added_at: float


@dataclass(frozen=True)
class Member:
    """A user in one project, with the role given there; `id` is the user's."""

    id: str
    project_id: str
    project_name: str
    role: Role
    added_at: float
    email: str
    name: str


@dataclass(frozen=True)
class ServiceAccount:
    """Without a role (`None`) its keys may do nothing."""

    id: str
    project_id: str
    name: str
    role: Role | None
    created_at: float


@dataclass(frozen=True)
class KeyOwner:
    """`kind` is `user` or `service_account`; `role` is what it may be in the key's project now."""

    kind: str
    id: str
    name: str
    email: str
    role: Role | None
    created_at: float


@dataclass(frozen=True)
class ApiKey:
    """`project_id` is empty for an admin key. The secret itself is nowhere."""

    id: str
    organization_id: str
    project_id: str
    name: str
    redacted_value: str
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    owner: KeyOwner

    @property
    def principal(self) -> str:
        return f"{self.owner.kind}:{self.owner.id}" if self.project_id else f"admin_key:{self.id}"

    @property
    def permissions(self) -> frozenset[str]:
        if self.owner.role is None:
            return frozenset()
        return PERMISSIONS[self.owner.role] if self.project_id else ORGANIZATION_PERMISSIONS

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True)
class IssuedKey:
    """A key together with its secret: the only moment the secret is known."""

    key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True)
class KeyEntry:
    """What the gateway needs to know about one valid secret. `digest` is its SHA-256 in hex;
    `expires_at` is unix seconds, None for never."""

    digest: str
    key_id: str
    organization_id: str
    project_id: str
    principal: str
    permissions: frozenset[str]
    expires_at: float | None


@dataclass(frozen=True)
class Grant:
    """A role in one project, promised by an invite."""

    project_id: str
    role: Role


@dataclass(frozen=True)
class Invite:
    id: str
    organization_id: str
    email: str
    role: Role
    grants: tuple[Grant, ...]
    created_at: float
    expires_at: float
    accepted_at: float | None

    def status(self, now: float) -> str:
        if self.accepted_at is not None:
            return "accepted"
        return "expired" if self.expires_at <= now else "pending"


@dataclass(frozen=True)
class IssuedInvite:
    """`token` is shown once, to be handed to the invited person."""

    invite: Invite
    token: str = field(repr=False)


@dataclass(frozen=True)
class FirstOrganization:
    """What `plinth init` prints once."""

    organization: Organization
    project: Project
    admin_key_secret: str = field(repr=False)
    project_key_secret: str = field(repr=False)


@dataclass(frozen=True)
class AuditEntry:
    """One line of the audit log. `actor_*` describe who did it, as far as is still known."""

    id: str
    type: str
    effective_at: float
    project_id: str
    project_name: str | None
    principal: str
    key_id: str
    actor_kind: str | None
    actor_id: str | None
    actor_email: str | None
    target: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Paging:
    """A page of a list that is ordered by id. Queries return up to `limit + 1` rows: the surplus
    one says that there is more."""

    after: str | None = None
    limit: int = 20
    descending: bool = False


@dataclass(frozen=True)
class AuditQuery:
    """Filters of the audit log; an empty tuple does not filter. Times are unix seconds.

    The log reads newest first: `after` goes on to older entries, `before` back to newer ones.
    """

    types: tuple[str, ...] = ()
    actor_ids: tuple[str, ...] = ()
    actor_emails: tuple[str, ...] = ()
    project_ids: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None
    after: str | None = None
    before: str | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class TokenSubject:
    """For whom an internal token speaks. `key_id` and `principal` are those of the person or service
    whose work is done in the background, so that it counts as theirs. `scope` is of `TOKEN_SCOPES`."""

    project_id: str
    key_id: str = "internal"
    principal: str = "internal"
    scope: str = ""


# what an internal token may do; "models" is for tokens that leave this server
MODEL_PERMISSIONS = frozenset({"models:read", "models:use"})
TOKEN_SCOPES: Mapping[str, frozenset[str]] = {"": PERMISSIONS[Role.developer], "models": MODEL_PERMISSIONS}


class InternalTokens:
    """Short-lived tokens by which Plinth's own jobs call Plinth's public API for a project:
    `sk-int-<subject>.<expiry, unix seconds>.<HMAC-SHA256>`, where the subject is a project's id, or
    `<project id>~<key id>~<principal>`, or that with `~<scope>`.

    Nothing is stored, so the gateway checks them without a database. They cannot be revoked:
    keep them short.
    """

    PURPOSE = "internal-token"

    def __init__(self, key: InstanceKey) -> None:
        self._key = key

    def issue(self, project_id: str, expires_at: float, key_id: str = "", principal: str = "", scope: str = "") -> str:
        subject = f"{project_id}~{key_id}~{principal}" if key_id and principal else project_id
        if scope:
            # a scope without a person would be read as a key's id
            assert scope in TOKEN_SCOPES
            assert key_id
            assert principal
            subject = f"{subject}~{scope}"
        message = f"{subject}.{int(expires_at)}"
        return f"{INTERNAL_PREFIX}{message}.{self._key.sign(message, self.PURPOSE)}"

    def verify(self, token: str, now: float) -> TokenSubject:
        """The subject that the token speaks for; its project may have been archived since.
        Raises `Unauthenticated`."""
        message, _, signature = token.removeprefix(INTERNAL_PREFIX).rpartition(".")
        subject, _, expiry = message.rpartition(".")
        genuine = (
            token.startswith(INTERNAL_PREFIX)
            and plausible(token)
            and self._key.verify(message, signature, self.PURPOSE)
        )
        if not genuine or int(expiry) <= now:
            raise Unauthenticated
        return TokenSubject(*subject.split("~"))

    def actor(self, token: str, now: float, active_projects: Mapping[str, str]) -> Actor:
        """The caller behind a token: a developer of its project, or less where the token has a scope.
        Raises `Unauthenticated`.

        Args: `active_projects` maps the id of every project that is not archived to its
            organization's id; `now` is unix seconds.
        """
        subject = self.verify(token, now)
        organization_id = active_projects.get(subject.project_id)
        permissions = TOKEN_SCOPES.get(subject.scope)
        if organization_id is None or permissions is None:
            raise Unauthenticated
        return Actor(organization_id, subject.project_id, subject.key_id, subject.principal, permissions)


def plausible(secret: str) -> bool:
    """Whether it is worth looking at: guards hashing and signing against huge or odd input."""
    return len(secret) <= MAX_SECRET_CHARACTERS and secret.isascii()


def redacted(secret: str, prefix: str) -> str:
    """`sk-proj-abc********wxyz`: enough to recognise a key, far too little to guess it."""
    body = secret.removeprefix(prefix)
    return f"{prefix}{body[:3]}********{body[-4:]}"


def normal_name(text: str) -> str:
    """Without spaces around. Raises `BadInput` unless 1 to 200 characters are left."""
    name = text.strip()
    if not 0 < len(name) <= 200 or "\x00" in name:
        raise BadInput(param="name", reason="'name' must have 1 to 200 characters.")
    return name


def normal_email(text: str) -> str:
    """Lower case, without spaces around. Raises `BadInput` unless it looks like name@host."""
    email = text.strip().lower()
    name, at, host = email.rpartition("@")
    if not (name and at and host) or len(email) > 254 or any(c.isspace() for c in email):
        raise BadInput(param="email", reason="'email' must be an address like name@example.com.")
    return email
