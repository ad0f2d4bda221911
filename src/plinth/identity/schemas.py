"""Identity on the wire: the shapes of `client.admin.organization.*` in the official SDK, and ours.

The hosted API calls a project's developer `member` and an organization's viewer `reader`; so do
we here. Every other role goes by its own name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from plinth.identity.model import (
    MANAGERS,
    ORGANIZATION_PERMISSIONS,
    PERMISSIONS,
    SESSION_PREFIX,
    Actor,
    ApiKey,
    AuditEntry,
    AuditQuery,
    IssuedKey,
    KeyOwner,
    Organization,
    Project,
    Role,
    ServiceAccount,
)
from plinth.kit.http import Deleted, Wire

MAX_KEY_SECONDS = 10 * 365 * 86_400
MAX_GRACE_SECONDS = 30 * 86_400

# PostgreSQL cannot store the character NUL
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Email = Annotated[str, StringConstraints(min_length=3, max_length=254, pattern=r"^[^\x00]*$")]
Id = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9_\-]+$")]
RoleName = Annotated[str, StringConstraints(max_length=64)]
KeySeconds = Annotated[int, Field(ge=1, le=MAX_KEY_SECONDS)]
Scopes = Annotated[tuple[Annotated[str, StringConstraints(max_length=200)], ...], Field(max_length=100)]


def seconds(value: float | None) -> int | None:
    return None if value is None else int(value)


def project_role(role: Role | None) -> str:
    """A role in a project as the SDK knows it: `none` for no role."""
    if role is None:
        return "none"
    return "member" if role is Role.developer else role.value


def organization_role(role: Role) -> str:
    return "reader" if role is Role.viewer else role.value


class ProjectDraftWire(Wire):
    name: Text


class ProjectChangeWire(Wire):
    name: Text | None = None


class ProjectWire(Wire):
    id: str
    object: Literal["organization.project"] = "organization.project"
    name: str
    created_at: int
    archived_at: int | None
    status: str

    @classmethod
    def of(cls, project: Project) -> ProjectWire:
        return cls(
            id=project.id,
            name=project.name,
            created_at=int(project.created_at),
            archived_at=seconds(project.archived_at),
            status=project.status,
        )


class KeyOwnerDetail(Wire):
    id: str
    created_at: int
    name: str
    role: str
    email: str | None = None


class KeyOwnerWire(Wire):
    type: Literal["user", "service_account"]
    user: KeyOwnerDetail | None = None
    service_account: KeyOwnerDetail | None = None

    @classmethod
    def of(cls, owner: KeyOwner) -> KeyOwnerWire:
        detail = KeyOwnerDetail(
            id=owner.id,
            created_at=int(owner.created_at),
            name=owner.name,
            role=project_role(owner.role),
            email=owner.email or None,
        )
        if owner.kind == "user":
            return cls(type="user", user=detail)
        return cls(type="service_account", service_account=detail)


class ProjectKeyDraftWire(Wire):
    """The owner is a user or a service account of the project; without either, whoever asks."""

    name: Text
    user_id: Id | None = None
    service_account_id: Id | None = None
    expires_in_seconds: KeySeconds | None = None


class ProjectKeyChangeWire(Wire):
    expires_in_seconds: KeySeconds | None = None
    scopes: Scopes = ()


class RotationWire(Wire):
    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_SECONDS)] = 0


class ProjectKeyWire(Wire):
    id: str
    object: Literal["organization.project.api_key"] = "organization.project.api_key"
    name: str
    redacted_value: str
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    owner: KeyOwnerWire
    owner_project_access: Literal["active", "inactive"]

    @classmethod
    def fields_of(cls, key: ApiKey) -> dict[str, Any]:
        return {
            "id": key.id,
            "name": key.name,
            "redacted_value": key.redacted_value,
            "created_at": int(key.created_at),
            "last_used_at": seconds(key.last_used_at),
            "expires_at": seconds(key.expires_at),
            "owner": KeyOwnerWire.of(key.owner),
            "owner_project_access": "active" if key.owner.role else "inactive",
        }

    @classmethod
    def of(cls, key: ApiKey) -> ProjectKeyWire:
        return cls(**cls.fields_of(key))


class IssuedProjectKeyWire(ProjectKeyWire):
    """`value` is the secret; it is never shown again."""

    value: str

    @classmethod
    def issued(cls, issued: IssuedKey) -> IssuedProjectKeyWire:
        return cls(**cls.fields_of(issued.key), value=issued.secret)


class AdminKeyDraftWire(Wire):
    """`user_id` (ours): the owner or admin the key shall belong to; without it, whoever asks."""

    name: Text
    expires_in_seconds: KeySeconds | None = None
    user_id: Id | None = None


class AdminKeyOwnerWire(Wire):
    type: Literal["user"] = "user"
    object: Literal["organization.user"] = "organization.user"
    id: str
    name: str
    created_at: int
    role: str


class AdminKeyWire(Wire):
    id: str
    object: Literal["organization.admin_api_key"] = "organization.admin_api_key"
    name: str
    redacted_value: str
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    owner: AdminKeyOwnerWire

    @classmethod
    def fields_of(cls, key: ApiKey) -> dict[str, Any]:
        owner = key.owner
        role = project_role(owner.role)
        return {
            "id": key.id,
            "name": key.name,
            "redacted_value": key.redacted_value,
            "created_at": int(key.created_at),
            "last_used_at": seconds(key.last_used_at),
            "expires_at": seconds(key.expires_at),
            "owner": AdminKeyOwnerWire(id=owner.id, name=owner.name, created_at=int(owner.created_at), role=role),
        }

    @classmethod
    def of(cls, key: ApiKey) -> AdminKeyWire:
        return cls(**cls.fields_of(key))


class IssuedAdminKeyWire(AdminKeyWire):
    """`value` is the secret; it is never shown again."""

    value: str

    @classmethod
    def issued(cls, issued: IssuedKey) -> IssuedAdminKeyWire:
        return cls(**cls.fields_of(issued.key), value=issued.secret)


class ServiceAccountDraftWire(Wire):
    name: Text
    create_service_account_only: bool | None = None
    expires_in_seconds: KeySeconds | None = None


class ServiceAccountChangeWire(Wire):
    name: Text | None = None
    role: RoleName | None = None


class ServiceAccountKeyDraftWire(Wire):
    name: Text = "Service account key"
    expires_in_seconds: KeySeconds | None = None
    scopes: Scopes = ()


class ServiceAccountKeyWire(Wire):
    id: str
    object: Literal["organization.project.service_account.api_key"] = "organization.project.service_account.api_key"
    name: str
    created_at: int
    expires_at: int | None
    value: str

    @classmethod
    def issued(cls, issued: IssuedKey) -> ServiceAccountKeyWire:
        key = issued.key
        return cls(
            id=key.id,
            name=key.name,
            created_at=int(key.created_at),
            expires_at=seconds(key.expires_at),
            value=issued.secret,
        )


class ServiceAccountWire(Wire):
    id: str
    object: Literal["organization.project.service_account"] = "organization.project.service_account"
    name: str
    role: str
    created_at: int

    @classmethod
    def of(cls, account: ServiceAccount) -> ServiceAccountWire:
        role = project_role(account.role)
        return cls(id=account.id, name=account.name, role=role, created_at=int(account.created_at))


class CreatedServiceAccountWire(ServiceAccountWire):
    api_key: ServiceAccountKeyWire | None = None

    @classmethod
    def created(cls, account: ServiceAccount, issued: IssuedKey | None) -> CreatedServiceAccountWire:
        key = ServiceAccountKeyWire.issued(issued) if issued else None
        return cls(**ServiceAccountWire.of(account).model_dump(), api_key=key)


class RoleWire(Wire):
    id: str
    object: Literal["role"] = "role"
    name: str
    description: str | None = None
    permissions: list[str]
    predefined_role: bool = True
    resource_type: str

    @classmethod
    def in_organization(cls, role: Role) -> RoleWire:
        granted = ORGANIZATION_PERMISSIONS if role in MANAGERS else frozenset[str]()
        return cls._of(role, "organization", granted)

    @classmethod
    def in_project(cls, role: Role) -> RoleWire:
        return cls._of(role, "project", PERMISSIONS[role])

    @classmethod
    def _of(cls, role: Role, scope: str, permissions: frozenset[str]) -> RoleWire:
        return cls(id=f"role-{scope}-{role}", name=role, permissions=sorted(permissions), resource_type=f"api.{scope}")


class RoleList(Wire):
    object: Literal["list"] = "list"
    data: list[RoleWire]
    has_more: bool = False
    next: str | None = None


class MyKeyWire(Wire):
    id: str
    name: str
    redacted_value: str
    expires_at: int | None


class ReferenceWire(Wire):
    id: str
    name: str


class MeWire(Wire):
    """Who the key that was sent belongs to, and what it may do. Without an `api_key` it is a signed-in
    person, or the platform itself."""

    object: Literal["me"] = "me"
    organization: ReferenceWire
    project: ReferenceWire | None
    principal: str
    role: str | None
    permissions: list[str]
    owner: KeyOwnerWire | None
    api_key: MyKeyWire | None

    @classmethod
    def of(
        cls,
        actor: Actor,
        organization: Organization,
        project: Project | None,
        owner: KeyOwner | None,
        key: ApiKey | None,
    ) -> MeWire:
        mine = key and MyKeyWire(
            id=key.id, name=key.name, redacted_value=key.redacted_value, expires_at=seconds(key.expires_at)
        )
        return cls(
            organization=ReferenceWire(id=organization.id, name=organization.name),
            project=ReferenceWire(id=project.id, name=project.name) if project else None,
            principal=actor.principal,
            role=owner.role if owner else None,
            permissions=sorted(actor.permissions),
            owner=KeyOwnerWire.of(owner) if owner else None,
            api_key=mine,
        )


Filter = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^\x00]*$")]
Filters = Annotated[tuple[Filter, ...], Field(max_length=100)]
Moment = Annotated[int, Field(ge=0, le=2**53)]


class AuditQueryWire(Wire):
    """Lists come as `event_types[]=…&event_types[]=…`, times (unix seconds) as `effective_at[gte]=…`."""

    event_types: Filters = Field((), alias="event_types[]")
    actor_ids: Filters = Field((), alias="actor_ids[]")
    actor_emails: Filters = Field((), alias="actor_emails[]")
    project_ids: Filters = Field((), alias="project_ids[]")
    resource_ids: Filters = Field((), alias="resource_ids[]")
    gt: Moment | None = Field(None, alias="effective_at[gt]")
    gte: Moment | None = Field(None, alias="effective_at[gte]")
    lt: Moment | None = Field(None, alias="effective_at[lt]")
    lte: Moment | None = Field(None, alias="effective_at[lte]")
    after: Id | None = None
    before: Id | None = None
    limit: int = Field(20, ge=1, le=100)

    def query(self) -> AuditQuery:
        fields = self.model_dump()
        return AuditQuery(types=fields.pop("event_types"), **fields)


def audit_wire(entry: AuditEntry) -> dict[str, Any]:
    """An audit log object: the details stand under a key named after the type."""
    person = {"id": entry.actor_id, "email": entry.actor_email}
    actor: dict[str, Any]
    if entry.key_id.startswith(SESSION_PREFIX):
        actor = {"type": "session", "session": {"user": person}}
    else:
        api_key: dict[str, Any] = {"id": entry.key_id or entry.principal}
        if entry.actor_kind:
            api_key |= {"type": entry.actor_kind, entry.actor_kind: person}
        actor = {"type": "api_key", "api_key": api_key}
    wire: dict[str, Any] = {
        "id": entry.id,
        "object": "organization.audit_log",
        "type": entry.type,
        "effective_at": int(entry.effective_at),
        "actor": actor,
        entry.type: {"id": entry.target, **entry.detail},
    }
    if entry.project_id:
        wire["project"] = {"id": entry.project_id, "name": entry.project_name}
    return wire


def deleted(row_id: str, kind: str) -> Deleted:
    return Deleted(id=row_id, object=f"{kind}.deleted")
