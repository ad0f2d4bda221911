"""Users, project users and invites on the wire (see `schemas.py` for the names of roles)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from plinth.identity.model import Grant, Invite, IssuedInvite, Member, User, role_named
from plinth.identity.people import Accepted
from plinth.identity.schemas import (
    Email,
    Id,
    IssuedProjectKeyWire,
    RoleName,
    Text,
    organization_role,
    project_role,
    seconds,
)
from plinth.kit.http import Wire


class UserDraftWire(Wire):
    email: Email
    name: Text
    role: RoleName


class UserChangeWire(Wire):
    role: RoleName | None = None
    role_id: Id | None = None


class UserProjectWire(Wire):
    id: str
    name: str
    role: str


class UserProjectsWire(Wire):
    object: Literal["list"] = "list"
    data: list[UserProjectWire]


class UserDetailWire(Wire):
    id: str
    object: Literal["user"] = "user"
    email: str
    name: str
    enabled: bool = True


class UserWire(Wire):
    id: str
    object: Literal["organization.user"] = "organization.user"
    added_at: int
    created: int
    email: str
    name: str
    role: str
    is_service_account: bool = False
    projects: UserProjectsWire
    user: UserDetailWire

    @classmethod
    def of(cls, user: User, memberships: Sequence[Member]) -> UserWire:
        data = [UserProjectWire(id=m.project_id, name=m.project_name, role=project_role(m.role)) for m in memberships]
        return cls(
            id=user.id,
            added_at=int(user.added_at),
            created=int(user.added_at),
            email=user.email,
            name=user.name,
            role=organization_role(user.role),
            projects=UserProjectsWire(data=data),
            user=UserDetailWire(id=user.id, email=user.email, name=user.name),
        )


class MemberDraftWire(Wire):
    """One of `user_id` and `email` says who."""

    role: RoleName
    user_id: Id | None = None
    email: Email | None = None


class MemberChangeWire(Wire):
    role: RoleName | None = None


class MemberWire(Wire):
    id: str
    object: Literal["organization.project.user"] = "organization.project.user"
    added_at: int
    email: str
    name: str
    role: str

    @classmethod
    def of(cls, member: Member) -> MemberWire:
        role = project_role(member.role)
        return cls(id=member.id, added_at=int(member.added_at), email=member.email, name=member.name, role=role)


class GrantWire(Wire):
    id: Id
    role: RoleName

    def grant(self) -> Grant:
        return Grant(self.id, role_named(self.role))


class InviteDraftWire(Wire):
    """Without `projects` the person joins the organization only: no project is given by omission."""

    email: Email
    role: RoleName
    projects: Annotated[tuple[GrantWire, ...], Field(max_length=100)] = ()


class InviteWire(Wire):
    id: str
    object: Literal["organization.invite"] = "organization.invite"
    email: str
    role: str
    status: str
    created_at: int
    expires_at: int
    accepted_at: int | None
    projects: list[GrantWire]

    @classmethod
    def fields_of(cls, invite: Invite, now: float) -> dict[str, Any]:
        return {
            "id": invite.id,
            "email": invite.email,
            "role": organization_role(invite.role),
            "status": invite.status(now),
            "created_at": int(invite.created_at),
            "expires_at": int(invite.expires_at),
            "accepted_at": seconds(invite.accepted_at),
            "projects": [GrantWire(id=g.project_id, role=project_role(g.role)) for g in invite.grants],
        }

    @classmethod
    def of(cls, invite: Invite, now: float) -> InviteWire:
        return cls(**cls.fields_of(invite, now))


class IssuedInviteWire(InviteWire):
    """`token` (ours) is shown once: hand it to the invited person, who posts it to
    `/api/invites/accept`. This server sends no mail."""

    token: str

    @classmethod
    def issued(cls, issued: IssuedInvite, now: float) -> IssuedInviteWire:
        return cls(**cls.fields_of(issued.invite, now), token=issued.token)


class AcceptanceWire(Wire):
    token: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    name: Text


class AcceptedWire(Wire):
    object: Literal["invite.accepted"] = "invite.accepted"
    user: UserWire
    api_keys: list[IssuedProjectKeyWire]

    @classmethod
    def of(cls, accepted: Accepted, memberships: Sequence[Member]) -> AcceptedWire:
        keys = [IssuedProjectKeyWire.issued(key) for key in accepted.keys]
        return cls(user=UserWire.of(accepted.user, memberships), api_keys=keys)
