"""Routes for users, their roles in projects, and invites."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from plinth.identity.errors import UnknownRole
from plinth.identity.guard import AuthGuard, needs
from plinth.identity.model import Actor, Paging, Role, role_named
from plinth.identity.people_schemas import (
    AcceptanceWire,
    AcceptedWire,
    InviteDraftWire,
    InviteWire,
    IssuedInviteWire,
    MemberChangeWire,
    MemberDraftWire,
    MemberWire,
    UserChangeWire,
    UserDraftWire,
    UserWire,
)
from plinth.identity.schemas import Email, Id, deleted
from plinth.identity.service import IdentityService
from plinth.kit.db import Database
from plinth.kit.errors import BadInput
from plinth.kit.http import Deleted, ListPage, page


def paging(
    after: Annotated[Id | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "asc",
) -> Paging:
    """The list parameters that every route here takes: oldest first unless `order=desc`."""
    return Paging(after, limit, descending=order == "desc")


Listing = Annotated[Paging, Depends(paging)]


def router(db: Database, service: IdentityService, guard: AuthGuard) -> APIRouter:
    routes = APIRouter()
    for part in (_users, _members, _invites):
        routes.include_router(part(db, service, guard))
    return routes


def _users(db: Database, service: IdentityService, guard: AuthGuard) -> APIRouter:
    routes = APIRouter()
    people = service.people
    reader, writer = needs(guard("organization:read")), needs(guard("organization:write"))

    @routes.post("/api/users")
    def create_user(body: UserDraftWire, actor: Actor = writer) -> UserWire:
        """Add a person without an invite."""
        with db.write() as session:
            return UserWire.of(people.add_user(session, actor, body.email, body.name, role_named(body.role)), [])

    @routes.get("/v1/organization/users")
    def list_users(
        paging: Listing,
        emails: Annotated[tuple[Email, ...], Query(alias="emails[]", max_length=100)] = (),
        actor: Actor = reader,
    ) -> ListPage[UserWire]:
        with db.read() as session:
            found = people.users(session, actor, paging, emails)
            memberships = people.memberships(session, [user.id for user in found])
        return page([UserWire.of(user, memberships[user.id]) for user in found], paging.limit)

    @routes.get("/v1/organization/users/{user_id}")
    def retrieve_user(user_id: Id, actor: Actor = reader) -> UserWire:
        with db.read() as session:
            user = people.user(session, actor, user_id)
            return UserWire.of(user, people.memberships(session, [user_id])[user_id])

    @routes.post("/v1/organization/users/{user_id}")
    def update_user(user_id: Id, body: UserChangeWire, actor: Actor = writer) -> UserWire:
        role = _wanted_role(body)
        with db.write() as session:
            user = people.user(session, actor, user_id)
            if role is not None:
                user = people.set_role(session, actor, user_id, role)
            return UserWire.of(user, people.memberships(session, [user_id])[user_id])

    @routes.delete("/v1/organization/users/{user_id}")
    def delete_user(user_id: Id, actor: Actor = writer) -> Deleted:
        with db.write() as session:
            people.remove_user(session, actor, user_id)
        return deleted(user_id, "organization.user")

    return routes


def _members(db: Database, service: IdentityService, guard: AuthGuard) -> APIRouter:
    routes = APIRouter(prefix="/v1/organization/projects/{project_id}/users")
    people = service.people
    reader, writer = needs(guard("organization:read")), needs(guard("organization:write"))

    @routes.post("")
    def create_project_user(project_id: Id, body: MemberDraftWire, actor: Actor = writer) -> MemberWire:
        role = role_named(body.role)
        with db.write() as session:
            if body.user_id is not None:
                user_id = body.user_id
            elif body.email is not None:
                user_id = people.user_with_email(session, actor, body.email).id
            else:
                raise BadInput(param="user_id", reason="Say who: send 'user_id' or 'email'.")
            return MemberWire.of(people.add_member(session, actor, project_id, user_id, role))

    @routes.get("")
    def list_project_users(project_id: Id, paging: Listing, actor: Actor = reader) -> ListPage[MemberWire]:
        with db.read() as session:
            found = people.members(session, actor, project_id, paging)
        return page([MemberWire.of(item) for item in found], paging.limit)

    @routes.get("/{user_id}")
    def retrieve_project_user(project_id: Id, user_id: Id, actor: Actor = reader) -> MemberWire:
        with db.read() as session:
            return MemberWire.of(people.member(session, actor, project_id, user_id))

    @routes.post("/{user_id}")
    def update_project_user(project_id: Id, user_id: Id, body: MemberChangeWire, actor: Actor = writer) -> MemberWire:
        with db.write() as session:
            if body.role is None:
                return MemberWire.of(people.member(session, actor, project_id, user_id))
            role = role_named(body.role)
            return MemberWire.of(people.set_member_role(session, actor, project_id, user_id, role))

    @routes.delete("/{user_id}")
    def delete_project_user(project_id: Id, user_id: Id, actor: Actor = writer) -> Deleted:
        with db.write() as session:
            people.remove_member(session, actor, project_id, user_id)
        return deleted(user_id, "organization.project.user")

    return routes


def _invites(db: Database, service: IdentityService, guard: AuthGuard) -> APIRouter:
    routes = APIRouter()
    people, clock = service.people, service.clock
    reader, writer = needs(guard("organization:read")), needs(guard("organization:write"))

    @routes.post("/v1/organization/invites")
    def create_invite(body: InviteDraftWire, actor: Actor = writer) -> IssuedInviteWire:
        role, grants = role_named(body.role), [item.grant() for item in body.projects]
        with db.write() as session:
            issued = people.invite(session, actor, body.email, role, grants)
        return IssuedInviteWire.issued(issued, clock.unix())

    @routes.get("/v1/organization/invites")
    def list_invites(paging: Listing, actor: Actor = reader) -> ListPage[InviteWire]:
        with db.read() as session:
            found = people.invites(session, actor, paging)
        return page([InviteWire.of(item, clock.unix()) for item in found], paging.limit)

    @routes.get("/v1/organization/invites/{invite_id}")
    def retrieve_invite(invite_id: Id, actor: Actor = reader) -> InviteWire:
        with db.read() as session:
            return InviteWire.of(people.invite_of(session, actor, invite_id), clock.unix())

    @routes.delete("/v1/organization/invites/{invite_id}")
    def delete_invite(invite_id: Id, actor: Actor = writer) -> Deleted:
        with db.write() as session:
            people.delete_invite(session, actor, invite_id)
        return deleted(invite_id, "organization.invite")

    @routes.post("/api/invites/accept")
    def accept_invite(body: AcceptanceWire) -> AcceptedWire:
        """No key is needed: the token is the proof."""
        with db.write() as session:
            accepted = people.accept_invite(session, body.token, body.name)
            return AcceptedWire.of(accepted, people.memberships(session, [accepted.user.id])[accepted.user.id])

    return routes


def _wanted_role(body: UserChangeWire) -> Role | None:
    if body.role_id is not None:
        name = body.role_id.removeprefix("role-organization-")
        if name not in list(Role):
            raise UnknownRole(param="role_id", role=name, roles=", ".join(f"role-organization-{r}" for r in Role))
        return Role(name)
    return None if body.role is None else role_named(body.role)
