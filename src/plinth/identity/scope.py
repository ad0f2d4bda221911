"""What an actor can reach: its organization, its projects, and whether it speaks for an owner."""

from __future__ import annotations

from plinth.identity import store
from plinth.identity.errors import OwnerOnly, ProjectArchived
from plinth.identity.model import MANAGERS, Actor, Project, Role, User
from plinth.kit.db import Session
from plinth.kit.errors import NotFound


def project_of(session: Session, actor: Actor, project_id: str) -> Project:
    """The project, if it is in the actor's organization and the actor's key is not bound to
    another one. Raises `NotFound`."""
    found = store.project(session, actor.organization_id, project_id)
    if found is None or actor.project_id not in ("", project_id):
        raise NotFound(what="project", id=project_id)
    return found


def open_project(session: Session, actor: Actor, project_id: str) -> Project:
    """Like `project_of`, for changing it. Raises `ProjectArchived`."""
    found = project_of(session, actor, project_id)
    if found.archived_at is not None:
        raise ProjectArchived(id=project_id)
    return found


def user_of(session: Session, actor: Actor, user_id: str) -> User:
    found = store.user(session, actor.organization_id, user_id)
    if found is None:
        raise NotFound(what="user", id=user_id)
    return found


def acting_user(session: Session, actor: Actor) -> User | None:
    """The person behind the key or session, None for service accounts and the system itself."""
    kind, _, name = actor.principal.partition(":")
    user_id = name if kind == "user" else store.key_holder(session, actor.key_id)
    return store.user(session, actor.organization_id, user_id) if user_id else None


def role_in(session: Session, user: User, project_id: str) -> Role | None:
    """What the user may be in an existing project: owners and admins are that everywhere."""
    if user.role in MANAGERS:
        return user.role
    found = store.member(session, project_id, user.id)
    return found.role if found else None


def require_owner(session: Session, actor: Actor) -> None:
    """Raises `OwnerOnly` unless the actor speaks for an owner (or is the command line)."""
    if actor.principal == "system":
        return
    person = acting_user(session, actor)
    if person is None or person.role is not Role.owner:
        raise OwnerOnly(permission="organization:write")
