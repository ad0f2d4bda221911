"""Identity's tables and queries (the audit log's are in `audit_store.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Row,
    Select,
    String,
    Table,
    UniqueConstraint,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from plinth.identity.model import (
    MANAGERS,
    ApiKey,
    Grant,
    Invite,
    KeyOwner,
    Member,
    Organization,
    Paging,
    Project,
    Role,
    ServiceAccount,
    User,
)
from plinth.kit.db import Session, metadata

_ID = String(64)

organizations = Table(
    "organizations",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
)
projects = Table(
    "projects",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("organization_id", _ID, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("archived_at", Float, nullable=True),
)
users = Table(
    "users",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("organization_id", _ID, ForeignKey("organizations.id"), nullable=False),
    Column("email", String(254), nullable=False),
    Column("name", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("added_at", Float, nullable=False),
    UniqueConstraint("organization_id", "email"),
)
project_members = Table(
    "project_members",
    metadata,
    Column("project_id", _ID, ForeignKey("projects.id"), primary_key=True),
    Column("user_id", _ID, ForeignKey("users.id"), primary_key=True, index=True),
    Column("role", String(20), nullable=False),
    Column("added_at", Float, nullable=False),
)
service_accounts = Table(
    "service_accounts",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("role", String(20), nullable=True),
    Column("created_at", Float, nullable=False),
)
# Keys outlive their owners (revoked), so that usage and audit can still name them: the owner
# columns are no foreign keys.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("organization_id", _ID, ForeignKey("organizations.id"), nullable=False),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=True, index=True),
    Column("user_id", _ID, nullable=True, index=True),
    Column("service_account_id", _ID, nullable=True, index=True),
    Column("name", String(200), nullable=False),
    Column("redacted_value", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=True),
    Column("revoked_at", Float, nullable=True),
    Column("last_used_at", Float, nullable=True),
)
# A key has one secret, or several while a rotation's grace period runs.
api_key_secrets = Table(
    "api_key_secrets",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("key_id", _ID, ForeignKey("api_keys.id"), nullable=False, index=True),
    Column("expires_at", Float, nullable=True),
)
invites = Table(
    "invites",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("organization_id", _ID, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("email", String(254), nullable=False),
    Column("role", String(20), nullable=False),
    Column("grants", JSON, nullable=False),
    Column("token_digest", String(64), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("accepted_at", Float, nullable=True),
)


def add(session: Session, table: Table, **values: Any) -> None:
    session.execute(insert(table).values(**values))


def change(session: Session, table: Table, row_id: str, **values: Any) -> None:
    session.execute(update(table).where(table.c.id == row_id).values(**values))


def remove(session: Session, table: Table, *conditions: ColumnElement[bool]) -> None:
    session.execute(delete(table).where(*conditions))


def _paged(statement: Select[Any], column: ColumnElement[str], paging: Paging) -> Select[Any]:
    if paging.after:
        statement = statement.where(column < paging.after if paging.descending else column > paging.after)
    return statement.order_by(column.desc() if paging.descending else column).limit(paging.limit + 1)


def first_organization(session: Session) -> Organization | None:
    row = session.execute(select(organizations).order_by(organizations.c.id).limit(1)).one_or_none()
    return Organization(**row._mapping) if row else None


def organization(session: Session, organization_id: str) -> Organization:
    return Organization(
        **session.execute(select(organizations).where(organizations.c.id == organization_id)).one()._mapping
    )


def project(session: Session, organization_id: str, project_id: str) -> Project | None:
    row = session.execute(
        select(projects).where(projects.c.id == project_id, projects.c.organization_id == organization_id)
    ).one_or_none()
    return Project(**row._mapping) if row else None


def list_projects(session: Session, organization_id: str, paging: Paging, archived: bool) -> list[Project]:
    statement = select(projects).where(projects.c.organization_id == organization_id)
    if not archived:
        statement = statement.where(projects.c.archived_at.is_(None))
    return [Project(**row._mapping) for row in session.execute(_paged(statement, projects.c.id, paging))]


def active_projects(session: Session) -> dict[str, str]:
    statement = select(projects.c.id, projects.c.organization_id).where(projects.c.archived_at.is_(None))
    return {row.id: row.organization_id for row in session.execute(statement)}


def _user(row: Row[Any]) -> User:
    return User(**{**row._mapping, "role": Role(row.role)})


def user(session: Session, organization_id: str, user_id: str) -> User | None:
    row = session.execute(
        select(users).where(users.c.id == user_id, users.c.organization_id == organization_id)
    ).one_or_none()
    return _user(row) if row else None


def user_by_email(session: Session, organization_id: str, email: str) -> User | None:
    row = session.execute(
        select(users).where(users.c.email == email, users.c.organization_id == organization_id)
    ).one_or_none()
    return _user(row) if row else None


def first_owner(session: Session, organization_id: str) -> User | None:
    statement = select(users).where(users.c.organization_id == organization_id, users.c.role == Role.owner)
    row = session.execute(statement.order_by(users.c.id).limit(1)).one_or_none()
    return _user(row) if row else None


def list_users(session: Session, organization_id: str, paging: Paging, emails: Sequence[str]) -> list[User]:
    statement = select(users).where(users.c.organization_id == organization_id)
    if emails:
        statement = statement.where(users.c.email.in_(emails))
    return [_user(row) for row in session.execute(_paged(statement, users.c.id, paging))]


def lock_owners(session: Session, organization_id: str) -> int:
    """How many owners there are; holds their rows, so that two of them cannot leave at once."""
    statement = select(users.c.id).where(users.c.organization_id == organization_id, users.c.role == Role.owner)
    return len(session.execute(statement.with_for_update()).all())


def key_holder(session: Session, key_id: str) -> str | None:
    """The id of the user who owns the key."""
    return session.execute(select(api_keys.c.user_id).where(api_keys.c.id == key_id)).scalar_one_or_none()


_members: Select[Any] = (
    select(
        users.c.id,
        project_members.c.project_id,
        projects.c.name.label("project_name"),
        project_members.c.role,
        project_members.c.added_at,
        users.c.email,
        users.c.name,
    )
    .join(users, users.c.id == project_members.c.user_id)
    .join(projects, projects.c.id == project_members.c.project_id)
)


def _member(row: Row[Any]) -> Member:
    return Member(**{**row._mapping, "role": Role(row.role)})


def member(session: Session, project_id: str, user_id: str) -> Member | None:
    row = session.execute(
        _members.where(project_members.c.project_id == project_id, project_members.c.user_id == user_id)
    ).one_or_none()
    return _member(row) if row else None


def list_members(session: Session, project_id: str, paging: Paging) -> list[Member]:
    statement = _members.where(project_members.c.project_id == project_id)
    return [_member(row) for row in session.execute(_paged(statement, users.c.id, paging))]


def memberships_of(session: Session, user_ids: Sequence[str]) -> list[Member]:
    statement = _members.where(project_members.c.user_id.in_(user_ids)).order_by(project_members.c.project_id)
    return [_member(row) for row in session.execute(statement)]


def change_member(session: Session, project_id: str, user_id: str, role: Role) -> None:
    session.execute(
        update(project_members)
        .where(project_members.c.project_id == project_id, project_members.c.user_id == user_id)
        .values(role=role)
    )


def _service_account(row: Row[Any]) -> ServiceAccount:
    return ServiceAccount(**{**row._mapping, "role": Role(row.role) if row.role else None})


def service_account(session: Session, project_id: str, account_id: str) -> ServiceAccount | None:
    row = session.execute(
        select(service_accounts).where(service_accounts.c.id == account_id, service_accounts.c.project_id == project_id)
    ).one_or_none()
    return _service_account(row) if row else None


def list_service_accounts(session: Session, project_id: str, paging: Paging) -> list[ServiceAccount]:
    statement = select(service_accounts).where(service_accounts.c.project_id == project_id)
    return [_service_account(row) for row in session.execute(_paged(statement, service_accounts.c.id, paging))]


# The role that a key acts with: an owner's or admin's goes for every project, anybody else has
# the one given in the key's project.
_effective_role = case(
    (users.c.role.in_(MANAGERS), users.c.role),
    (api_keys.c.service_account_id.is_not(None), service_accounts.c.role),
    else_=project_members.c.role,
)
_keys: Select[Any] = (
    select(
        api_keys,
        _effective_role.label("role"),
        func.coalesce(users.c.name, service_accounts.c.name, "").label("owner_name"),
        func.coalesce(users.c.email, "").label("owner_email"),
        func.coalesce(users.c.added_at, service_accounts.c.created_at, api_keys.c.created_at).label("owner_since"),
    )
    .outerjoin(projects, projects.c.id == api_keys.c.project_id)
    .outerjoin(users, users.c.id == api_keys.c.user_id)
    .outerjoin(service_accounts, service_accounts.c.id == api_keys.c.service_account_id)
    .outerjoin(
        project_members,
        and_(
            project_members.c.project_id == api_keys.c.project_id,
            project_members.c.user_id == api_keys.c.user_id,
        ),
    )
    .where(api_keys.c.revoked_at.is_(None))
)


def _key(row: Row[Any]) -> ApiKey:
    owner = KeyOwner(
        kind="user" if row.user_id else "service_account",
        id=row.user_id or row.service_account_id,
        name=row.owner_name,
        email=row.owner_email,
        role=Role(row.role) if row.role else None,
        created_at=row.owner_since,
    )
    return ApiKey(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id or "",
        name=row.name,
        redacted_value=row.redacted_value,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        owner=owner,
    )


def _in_project(project_id: str) -> ColumnElement[bool]:
    return api_keys.c.project_id == project_id if project_id else api_keys.c.project_id.is_(None)


def key(session: Session, organization_id: str, project_id: str, key_id: str) -> ApiKey | None:
    """A key that is not revoked; an empty `project_id` looks among the admin keys."""
    row = session.execute(
        _keys.where(api_keys.c.id == key_id, api_keys.c.organization_id == organization_id, _in_project(project_id))
    ).one_or_none()
    return _key(row) if row else None


def list_keys(
    session: Session, organization_id: str, project_id: str, paging: Paging, access: bool | None = None
) -> list[ApiKey]:
    """`access`: only keys whose owner has (True) or has not (False) a role in the project."""
    statement = _keys.where(api_keys.c.organization_id == organization_id, _in_project(project_id))
    if access is not None:
        statement = statement.where(_effective_role.is_not(None) if access else _effective_role.is_(None))
    return [_key(row) for row in session.execute(_paged(statement, api_keys.c.id, paging))]


def _working(now: float) -> Select[Any]:
    """Secrets that are valid at `now`: not revoked, not expired, in a project that is not archived."""
    secret = api_key_secrets.c
    return (
        _keys.add_columns(secret.digest, secret.expires_at.label("secret_expires_at"))
        .join(api_key_secrets, secret.key_id == api_keys.c.id)
        .where(
            projects.c.archived_at.is_(None),
            or_(secret.expires_at.is_(None), secret.expires_at > now),
            or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now),
        )
    )


def working_secrets(session: Session, now: float, digest: str | None = None) -> list[tuple[str, float | None, ApiKey]]:
    """`(digest, the secret's own expiry, key)` of every secret that works; `digest` asks for one."""
    statement = _working(now)
    if digest is not None:
        statement = statement.where(api_key_secrets.c.digest == digest)
    return [(row.digest, row.secret_expires_at, _key(row)) for row in session.execute(statement)]


def an_admin_key_works(session: Session, organization_id: str, now: float) -> bool:
    statement = _working(now).where(
        api_keys.c.organization_id == organization_id, _in_project(""), _effective_role.is_not(None)
    )
    return session.execute(statement.limit(1)).first() is not None


def end_secrets(session: Session, key_id: str, now: float, at: float) -> None:
    """Let the key's present secrets end at `at`, and forget those that have ended already."""
    secret = api_key_secrets.c
    session.execute(delete(api_key_secrets).where(secret.key_id == key_id, secret.expires_at <= now))
    session.execute(
        update(api_key_secrets)
        .where(secret.key_id == key_id, or_(secret.expires_at.is_(None), secret.expires_at > at))
        .values(expires_at=at)
    )


def key_ids_of(session: Session, owner: Column[Any], owner_id: str) -> list[str]:
    """Ids of the keys that are not revoked; `owner` is `api_keys.c.user_id` or `.service_account_id`."""
    statement = select(api_keys.c.id).where(owner == owner_id, api_keys.c.revoked_at.is_(None))
    return list(session.execute(statement).scalars())


def revoke(session: Session, key_ids: Sequence[str], now: float) -> None:
    session.execute(update(api_keys).where(api_keys.c.id.in_(key_ids)).values(revoked_at=now))
    session.execute(delete(api_key_secrets).where(api_key_secrets.c.key_id.in_(key_ids)))


def touch(session: Session, key_ids: Sequence[str], now: float) -> None:
    session.execute(update(api_keys).where(api_keys.c.id.in_(key_ids)).values(last_used_at=now))


def _invite(row: Row[Any]) -> Invite:
    return Invite(
        id=row.id,
        organization_id=row.organization_id,
        email=row.email,
        role=Role(row.role),
        grants=tuple(Grant(item["project_id"], Role(item["role"])) for item in row.grants),
        created_at=row.created_at,
        expires_at=row.expires_at,
        accepted_at=row.accepted_at,
    )


def invite(session: Session, organization_id: str, invite_id: str) -> Invite | None:
    row = session.execute(
        select(invites).where(invites.c.id == invite_id, invites.c.organization_id == organization_id)
    ).one_or_none()
    return _invite(row) if row else None


def invite_by_token(session: Session, digest: str) -> Invite | None:
    row = session.execute(select(invites).where(invites.c.token_digest == digest).with_for_update()).one_or_none()
    return _invite(row) if row else None


def list_invites(session: Session, organization_id: str, paging: Paging) -> list[Invite]:
    statement = select(invites).where(invites.c.organization_id == organization_id)
    return [_invite(row) for row in session.execute(_paged(statement, invites.c.id, paging))]


def invited(session: Session, organization_id: str, email: str, now: float) -> bool:
    """Whether an invite to that address is pending."""
    statement = select(literal(1)).where(
        invites.c.organization_id == organization_id,
        invites.c.email == email,
        invites.c.accepted_at.is_(None),
        invites.c.expires_at > now,
    )
    return session.execute(statement.limit(1)).first() is not None
