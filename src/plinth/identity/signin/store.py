"""Tables and queries of signing in. Everything of a user goes with the user (ON DELETE CASCADE)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Float, ForeignKey, Index, Row, String, Table, delete, func, insert, select, text, update

from plinth.identity.model import MANAGERS, Role, User
from plinth.identity.signin.model import Language, ProjectRole, UserSession
from plinth.identity.store import invites, project_members, projects, users
from plinth.kit.db import Session, metadata

_ID = String(64)
SETUP_LOCK_KEY = 7061728


def _user_column(**more: Any) -> Column[str]:
    return Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, **more)


user_passwords = Table(
    "user_passwords",
    metadata,
    _user_column(primary_key=True),
    Column("hash", String(255), nullable=False),
    Column("changed_at", Float, nullable=False),
)
user_languages = Table(
    "user_languages",
    metadata,
    _user_column(primary_key=True),
    Column("language", String(8), nullable=False),
)
# a session that was ended has no row; one that has expired has its row until somebody tidies
user_sessions = Table(
    "user_sessions",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("organization_id", _ID, nullable=False),
    _user_column(index=True),
    Column("token_digest", String(64), nullable=False, unique=True),
    Column("method", String(64), nullable=False),
    Column("device", String(160), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("last_seen_at", Float, nullable=False, index=True),
    Column("ends_at", Float, nullable=False),
)
# what failed lately; `account` and `network` are pseudonyms, because people type passwords into
# the wrong field
sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("account", String(64), nullable=False),
    Column("network", String(64), nullable=False),
    Column("at", Float, nullable=False, index=True),
    Index("ix_sign_in_attempts_account_at", "account", "at"),
    Index("ix_sign_in_attempts_network_at", "network", "at"),
)
one_time_tokens = Table(
    "one_time_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("purpose", String(40), nullable=False),
    _user_column(index=True),
    Column("created_at", Float, nullable=False),
    Column("created_by", String(120), nullable=False),
    Column("expires_at", Float, nullable=False),
)
oidc_identities = Table(
    "oidc_identities",
    metadata,
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    _user_column(index=True),
    Column("linked_at", Float, nullable=False),
)


# passwords


def password_hash(session: Session, user_id: str) -> str | None:
    statement = select(user_passwords.c.hash).where(user_passwords.c.user_id == user_id)
    return session.execute(statement).scalar_one_or_none()


def set_password(session: Session, user_id: str, hash: str, now: float) -> None:
    session.execute(delete(user_passwords).where(user_passwords.c.user_id == user_id))
    session.execute(insert(user_passwords).values(user_id=user_id, hash=hash, changed_at=now))


def refresh_hash(session: Session, user_id: str, old: str, new: str) -> None:
    """Another hash of the same password; nothing happens when the password has been changed since."""
    mine = (user_passwords.c.user_id == user_id, user_passwords.c.hash == old)
    session.execute(update(user_passwords).where(*mine).values(hash=new))


# sessions


def add_session(session: Session, new: UserSession, token_digest: str) -> None:
    session.execute(insert(user_sessions).values(**vars(new), token_digest=token_digest))


def _session(row: Row[Any]) -> UserSession:
    return UserSession(**{name: value for name, value in row._mapping.items() if name != "token_digest"})


def session_by_digest(session: Session, digest: str) -> UserSession | None:
    row = session.execute(select(user_sessions).where(user_sessions.c.token_digest == digest)).one_or_none()
    return _session(row) if row else None


def sessions_of(session: Session, user_id: str) -> list[UserSession]:
    """Newest first."""
    statement = select(user_sessions).where(user_sessions.c.user_id == user_id).order_by(user_sessions.c.id.desc())
    return [_session(row) for row in session.execute(statement)]


def touch_session(session: Session, session_id: str, now: float) -> None:
    session.execute(update(user_sessions).where(user_sessions.c.id == session_id).values(last_seen_at=now))


def end_session(session: Session, session_id: str) -> None:
    session.execute(delete(user_sessions).where(user_sessions.c.id == session_id))


def end_sessions_of(session: Session, user_id: str, keep: str = "") -> list[str]:
    """End all sessions of a user but `keep`; returns the ids of those that ended."""
    statement = select(user_sessions.c.id).where(user_sessions.c.user_id == user_id, user_sessions.c.id != keep)
    ids = list(session.execute(statement).scalars())
    session.execute(delete(user_sessions).where(user_sessions.c.id.in_(ids)))
    return ids


# attempts


def add_attempt(session: Session, id: str, account: str, network: str, now: float) -> None:
    session.execute(insert(sign_in_attempts).values(id=id, account=account, network=network, at=now))


def attempts_since(session: Session, column: Column[Any], value: str, after: float, limit: int) -> list[float]:
    """When the newest attempts of an account or network were, newest first; up to `limit`."""
    table = sign_in_attempts
    statement = select(table.c.at).where(column == value, table.c.at > after).order_by(table.c.at.desc()).limit(limit)
    return list(session.execute(statement).scalars())


def forgive_attempt(session: Session, attempt_id: str) -> None:
    session.execute(delete(sign_in_attempts).where(sign_in_attempts.c.id == attempt_id))


def forgive_account(session: Session, account: str) -> None:
    session.execute(delete(sign_in_attempts).where(sign_in_attempts.c.account == account))


# one-time tokens


def replace_token(session: Session, user_id: str, purpose: str, **values: Any) -> None:
    """The user's one token of that purpose; an older one stops working."""
    mine = (one_time_tokens.c.user_id == user_id, one_time_tokens.c.purpose == purpose)
    session.execute(delete(one_time_tokens).where(*mine))
    session.execute(insert(one_time_tokens).values(user_id=user_id, purpose=purpose, **values))


def token_user(session: Session, digest: str, purpose: str, now: float) -> User | None:
    """Whose token it is; None when it is unknown, spent or has expired. The row is held until the
    transaction ends, so that two requests cannot both use it."""
    token = one_time_tokens.c
    row = session.execute(
        select(users)
        .join(one_time_tokens, token.user_id == users.c.id)
        .where(token.digest == digest, token.purpose == purpose, token.expires_at > now)
        .with_for_update()
    ).one_or_none()
    return _user(row) if row else None


def spend_tokens(session: Session, user_id: str, purpose: str) -> None:
    mine = (one_time_tokens.c.user_id == user_id, one_time_tokens.c.purpose == purpose)
    session.execute(delete(one_time_tokens).where(*mine))


# people


def _user(row: Row[Any]) -> User:
    return User(**{**row._mapping, "role": Role(row.role)})


def rename_user(session: Session, user_id: str, name: str) -> None:
    session.execute(update(users).where(users.c.id == user_id).values(name=name))


def language(session: Session, user_id: str) -> Language | None:
    statement = select(user_languages.c.language).where(user_languages.c.user_id == user_id)
    found: Language | None = session.execute(statement).scalar_one_or_none()
    return found


def set_language(session: Session, user_id: str, chosen: Language) -> None:
    session.execute(delete(user_languages).where(user_languages.c.user_id == user_id))
    session.execute(insert(user_languages).values(user_id=user_id, language=chosen))


def active_project_name(session: Session, organization_id: str, project_id: str) -> str | None:
    project = projects.c
    statement = select(project.name).where(
        project.id == project_id, project.organization_id == organization_id, project.archived_at.is_(None)
    )
    return session.execute(statement).scalar_one_or_none()


def projects_of(session: Session, user: User) -> list[ProjectRole]:
    """Every active project that the user can work in, oldest first."""
    active = (projects.c.organization_id == user.organization_id, projects.c.archived_at.is_(None))
    if user.role in MANAGERS:
        statement = select(projects.c.id, projects.c.name).where(*active).order_by(projects.c.id)
        return [ProjectRole(row.id, row.name, user.role) for row in session.execute(statement)]
    member = project_members.c
    mine = (
        select(projects.c.id, projects.c.name, member.role)
        .join(project_members, member.project_id == projects.c.id)
        .where(*active, member.user_id == user.id)
        .order_by(projects.c.id)
    )
    return [ProjectRole(row.id, row.name, Role(row.role)) for row in session.execute(mine)]


def manager_signs_in(session: Session, organization_id: str, issuers: tuple[str, ...]) -> bool:
    """Whether an owner or admin has a password, or is known to one of these providers."""
    managers = (users.c.organization_id == organization_id, users.c.role.in_(MANAGERS))
    by_password = select(users.c.id).join(user_passwords, user_passwords.c.user_id == users.c.id).where(*managers)
    by_provider = (
        select(users.c.id)
        .join(oidc_identities, oidc_identities.c.user_id == users.c.id)
        .where(*managers, oidc_identities.c.issuer.in_(issuers))
    )
    return any(session.execute(query.limit(1)).first() is not None for query in (by_password, by_provider))


# sign-in providers


def linked_user(session: Session, issuer: str, subject: str) -> User | None:
    identity = oidc_identities.c
    row = session.execute(
        select(users)
        .join(oidc_identities, identity.user_id == users.c.id)
        .where(identity.issuer == issuer, identity.subject == subject)
    ).one_or_none()
    return _user(row) if row else None


def link(session: Session, issuer: str, subject: str, user_id: str, now: float) -> None:
    session.execute(insert(oidc_identities).values(issuer=issuer, subject=subject, user_id=user_id, linked_at=now))


def is_linked(session: Session, issuer: str, user_id: str) -> bool:
    identity = oidc_identities.c
    statement = select(identity.subject).where(identity.issuer == issuer, identity.user_id == user_id)
    return session.execute(statement.limit(1)).first() is not None


def pending_invite(session: Session, organization_id: str, email: str, now: float) -> str | None:
    """The id of an invite to that address that can still be accepted."""
    invite = invites.c
    statement = select(invite.id).where(
        invite.organization_id == organization_id,
        invite.email == email,
        invite.accepted_at.is_(None),
        invite.expires_at > now,
    )
    return session.execute(statement.order_by(invite.id.desc()).limit(1)).scalar_one_or_none()


# housekeeping


def hold_setup(session: Session) -> None:
    """Let one set-up at a time proceed (SQLite's write lock does so by itself)."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SETUP_LOCK_KEY})


def hold_attempts(session: Session, account: str, network: str) -> None:
    """Count the attempts of an account and of a network one after the other."""
    if session.get_bind().dialect.name == "postgresql":
        # in one order, so that two requests cannot wait for each other
        for name in sorted((account, network)):
            session.execute(select(func.pg_advisory_xact_lock(func.hashtext(name))))


def tidy(session: Session, now: float, idle_seconds: float, attempts_before: float) -> None:
    """Forget what has expired."""
    sessions = user_sessions.c
    session.execute(delete(user_sessions).where(sessions.last_seen_at < now - idle_seconds))
    session.execute(delete(sign_in_attempts).where(sign_in_attempts.c.at < attempts_before))
    session.execute(delete(one_time_tokens).where(one_time_tokens.c.expires_at < now))
