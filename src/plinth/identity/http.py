"""Routes for projects, service accounts, keys, roles, the audit log, and "who am I".

`/v1/organization/*` follows the official SDK's `client.admin.organization.*` and takes admin keys;
`/api/*` is what that SDK cannot express. Routes for users and invites are in `people_http.py`.
"""

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from plinth.identity import people_http
from plinth.identity.errors import CustomRoles, KeyScopes
from plinth.identity.guard import AuthGuard, build_guard, needs
from plinth.identity.keys import KeyDraft
from plinth.identity.model import Actor, Role, role_named
from plinth.identity.people_http import Listing
from plinth.identity.schemas import (
    AdminKeyDraftWire,
    AdminKeyWire,
    AuditQueryWire,
    CreatedServiceAccountWire,
    Id,
    IssuedAdminKeyWire,
    IssuedProjectKeyWire,
    MeWire,
    ProjectChangeWire,
    ProjectDraftWire,
    ProjectKeyChangeWire,
    ProjectKeyDraftWire,
    ProjectKeyWire,
    ProjectWire,
    RoleList,
    RoleWire,
    RotationWire,
    ServiceAccountChangeWire,
    ServiceAccountDraftWire,
    ServiceAccountKeyDraftWire,
    ServiceAccountKeyWire,
    ServiceAccountWire,
    audit_wire,
    deleted,
)
from plinth.identity.service import IdentityService
from plinth.kit.db import Database
from plinth.kit.errors import BadInput, NotFound
from plinth.kit.http import Deleted, ListPage, page

__all__ = ["AuthGuard", "build_guard", "router"]

PROJECT = "/v1/organization/projects/{project_id}"
ACCESS = {"active": True, "inactive": False, "any": None}


def router(db: Database, service: IdentityService, guard: AuthGuard) -> APIRouter:
    """Every route of identity."""
    routes = APIRouter(tags=["identity"])
    for part in (_projects, _service_accounts, _project_keys, _admin_keys, _roles, _overview):
        routes.include_router(part(db, service, guard))
    routes.include_router(people_http.router(db, service, guard))
    return routes


def _projects(db: Database, service: IdentityService, guard: AuthGuard) -> APIRouter:
    routes = APIRouter()
    reader, writer = needs(guard("organization:read")), needs(guard("organization:write"))

    @routes.post("/v1/organization/projects")
    def create_project(body: ProjectDraftWire, actor: Actor = writer) -> ProjectWire:
        with db.write() as session:
            return ProjectWire.of(service.create_project(session, actor, body.name))

    @routes.get("/v1/organization/projects")
    def list_projects(paging: Listing, include_archived: bool = False, actor: Actor = reader) -> ListPage[ProjectWire]:
        with db.read() as session:
            found = service.projects(session, actor, paging, include_archived)
        return page([ProjectWire.of(item) for item in found], paging.limit)

    @routes.get(PROJECT)
    def retrieve_project(project_id: Id, actor: Actor = reader) -> ProjectWire:
        with db.read() as session:
            return ProjectWire.of(service.project(session, actor, project_id))

    @routes.post(PROJECT)
    def update_project(project_id: Id, body: ProjectChangeWire, actor: Actor = writer) -> ProjectWire:
        with db.write() as session:
            if body.name is None:
                return ProjectWire.of(service.project(session, actor, project_id))
            return ProjectWire.of(service.rename_project(session, actor, project_id, body.name))

    @routes.post(PROJECT + "/archive")
    def archive_project(project_id: Id, actor: Actor = writer) -> ProjectWire:
        with db.write() as session:
            return ProjectWire.of(service.archive_project(session, actor, project_id))

    return routes


def _service_accounts(db: Database, service: IdentityService, guard: AuthGuard) -> APIRouter:
    routes = APIRouter(prefix=PROJECT + "/service_accounts")
    reader, writer = needs(guard("organization:read")), needs(guard("organization:write"))

    @routes.post("")
    def create_service_account(
        project_id: Id, body: ServiceAccountDraftWire, actor: Actor = writer
    ) -> CreatedServiceAccountWire:
        if body.create_service_account_only and body.expires_in_seconds is not None:
            raise BadInput(param="expires_in_seconds", reason="There is no key to expire: leave out one of the two.")
        with db.write() as session:
            if body.create_service_account_only:
                account = service.create_service_account(session, actor, project_id, body.name, role=None)
                return CreatedServiceAccountWire.created(account, None)
            account = service.create_service_account(session, actor, project_id, body.name)
            draft = KeyDraft(project_id, "Secret Key", None, account.id, body.expires_in_seconds)
            key = service.keys.create_project_key(session, actor, draft)
            return CreatedServiceAccountWire.created(account, key)

    @routes.get("")
    def list_service_accounts(project_id: Id, paging: Listing, actor: Actor = reader) -> ListPage[ServiceAccountWire]:
        with db.read() as session:
            found = service.service_accounts(session, actor, project_id, paging)
        return page([ServiceAccountWire.of(item) for item in found], paging.limit)

    @routes.get("/{account_id}")
    def retrieve_service_account(project_id: Id, account_id: Id, actor: Actor = reader) -> ServiceAccountWire:
        with db.read() as session:
            return ServiceAccountWire.of(service.service_account(session, actor, project_id, account_id))

    @routes.post("/{account_id}")
    def update_service_account(
        project_id: Id, account_id: Id, body: ServiceAccountChangeWire, actor: Actor = writer
    ) -> ServiceAccountWire:
        with db.write() as session:
            account = service.service_account(session, actor, project_id, account_id)
            role = account.role if body.role is None else role_named(body.role)
            wanted = replace(account, name=body.name or account.name, role=role)
            return ServiceAccountWire.of(service.change_service_account(session, actor, wanted))

    @routes.delete("/{account_id}")
    def delete_service_account(project_id: Id, account_id: Id, actor: Actor = writer) -> Deleted:
        with db.write() as session:
            service.delete_service_account(session, actor, project_id, account_id)
        return deleted(account_id, "organization.project.service_account")

    @routes.post("/{account_id}/api_keys")
    def create_service_account_key(
        project_id: Id, account_id: Id, body: ServiceAccountKeyDraftWire, actor: Actor = writer
    ) -> ServiceAccountKeyWire:
        _refuse_scopes(body.scopes)
        draft = KeyDraft(project_id, body.name, None, account_id, body.expires_in_seconds)
        with db.write() as session:
            return ServiceAccountKeyWire.issued(service.keys.create_project_key(session, actor, draft))

    return routes


def _project_keys(db: Database, service: IdentityService, guard: AuthGuard) -> APIRouter:
    routes = APIRouter()
    reader, writer = needs(guard("organization:read")), needs(guard("organization:write"))
    # inside its own project a key with project:write may hand out keys too
    issuer = needs(guard.any_of("project:write", "organization:write"))

    @routes.get(PROJECT + "/api_keys")
    def list_project_keys(
        project_id: Id,
        paging: Listing,
        owner_project_access: Literal["active", "inactive", "any"] = "any",
        actor: Actor = reader,
    ) -> ListPage[ProjectKeyWire]:
        with db.read() as session:
            found = service.keys.page(session, actor, project_id, paging, ACCESS[owner_project_access])
        return page([ProjectKeyWire.of(item) for item in found], paging.limit)

    @routes.get(PROJECT + "/api_keys/{key_id}")
    def retrieve_project_key(project_id: Id, key_id: Id, actor: Actor = reader) -> ProjectKeyWire:
        with db.read() as session:
            return ProjectKeyWire.of(service.keys.key(session, actor, project_id, key_id))

    @routes.post(PROJECT + "/api_keys/{key_id}")
    def update_project_key(
        project_id: Id, key_id: Id, body: ProjectKeyChangeWire, actor: Actor = writer
    ) -> ProjectKeyWire:
        _refuse_scopes(body.scopes)
        with db.write() as session:
            if body.expires_in_seconds is None:
                return ProjectKeyWire.of(service.keys.key(session, actor, project_id, key_id))
            changed = service.keys.set_expiry(session, actor, project_id, key_id, body.expires_in_seconds)
            return ProjectKeyWire.of(changed)

    @routes.delete(PROJECT + "/api_keys/{key_id}")
    def delete_project_key(project_id: Id, key_id: Id, actor: Actor = writer) -> Deleted:
        with db.write() as session:
            service.keys.revoke(session, actor, project_id, key_id)
        return deleted(key_id, "organization.project.api_key")

    @routes.post("/api/projects/{project_id}/api_keys")
    def create_project_key(project_id: Id, body: ProjectKeyDraftWire, actor: Actor = issuer) -> IssuedProjectKeyWire:
        draft = KeyDraft(project_id, **body.model_dump())
        with db.write() as session:
            return IssuedProjectKeyWire.issued(service.keys.create_project_key(session, actor, draft))

    @routes.post("/api/projects/{project_id}/api_keys/{key_id}/rotate")
    def rotate_project_key(
        project_id: Id, key_id: Id, body: RotationWire, actor: Actor = issuer
    ) -> IssuedProjectKeyWire:
        with db.write() as session:
            issued = service.keys.rotate(session, actor, project_id, key_id, body.grace_seconds)
            return IssuedProjectKeyWire.issued(issued)

    return routes


def _admin_keys(db: Database, service: IdentityService, guard: AuthGuard) -> APIRouter:
    routes = APIRouter()
    reader, writer = needs(guard("organization:read")), needs(guard("organization:write"))

    @routes.post("/v1/organization/admin_api_keys")
    def create_admin_key(body: AdminKeyDraftWire, actor: Actor = writer) -> IssuedAdminKeyWire:
        draft = KeyDraft("", **body.model_dump())
        with db.write() as session:
            return IssuedAdminKeyWire.issued(service.keys.create_admin_key(session, actor, draft))

    @routes.get("/v1/organization/admin_api_keys")
    def list_admin_keys(paging: Listing, actor: Actor = reader) -> ListPage[AdminKeyWire]:
        with db.read() as session:
            found = service.keys.page(session, actor, "", paging)
        return page([AdminKeyWire.of(item) for item in found], paging.limit)

    @routes.get("/v1/organization/admin_api_keys/{key_id}")
    def retrieve_admin_key(key_id: Id, actor: Actor = reader) -> AdminKeyWire:
        with db.read() as session:
            return AdminKeyWire.of(service.keys.key(session, actor, "", key_id))

    @routes.delete("/v1/organization/admin_api_keys/{key_id}")
    def delete_admin_key(key_id: Id, actor: Actor = writer) -> Deleted:
        with db.write() as session:
            service.keys.revoke(session, actor, "", key_id)
        return deleted(key_id, "organization.admin_api_key")

    @routes.post("/api/admin_api_keys/{key_id}/rotate")
    def rotate_admin_key(key_id: Id, body: RotationWire, actor: Actor = writer) -> IssuedAdminKeyWire:
        with db.write() as session:
            issued = service.keys.rotate(session, actor, "", key_id, body.grace_seconds)
            return IssuedAdminKeyWire.issued(issued)

    return routes


def _roles(db: Database, service: IdentityService, guard: AuthGuard) -> APIRouter:
    """The built-in roles, to read. Writing answers with a sentence that says why not."""
    routes = APIRouter()
    reader, writer = needs(guard("organization:read")), needs(guard("organization:write"))

    @routes.get("/v1/organization/roles")
    def list_organization_roles(actor: Actor = reader) -> RoleList:
        return RoleList(data=[RoleWire.in_organization(role) for role in Role])

    @routes.get("/v1/organization/roles/{role_id}")
    def retrieve_organization_role(role_id: Id, actor: Actor = reader) -> RoleWire:
        return _role(role_id, [RoleWire.in_organization(role) for role in Role])

    @routes.get("/v1/projects/{project_id}/roles")
    def list_project_roles(project_id: Id, actor: Actor = reader) -> RoleList:
        with db.read() as session:
            service.project(session, actor, project_id)
        return RoleList(data=[RoleWire.in_project(role) for role in Role])

    @routes.get("/v1/projects/{project_id}/roles/{role_id}")
    def retrieve_project_role(project_id: Id, role_id: Id, actor: Actor = reader) -> RoleWire:
        with db.read() as session:
            service.project(session, actor, project_id)
        return _role(role_id, [RoleWire.in_project(role) for role in Role])

    def refuse(actor: Actor = writer) -> None:
        raise CustomRoles(roles=", ".join(Role))

    def refuse_one(role_id: Id, actor: Actor = writer) -> None:
        refuse()

    def refuse_in_project(project_id: Id, actor: Actor = writer) -> None:
        refuse()

    def refuse_one_in_project(project_id: Id, role_id: Id, actor: Actor = writer) -> None:
        refuse()

    for path, all_roles, one in (
        ("/v1/organization/roles", refuse, refuse_one),
        ("/v1/projects/{project_id}/roles", refuse_in_project, refuse_one_in_project),
    ):
        summary = "Not supported: roles are built in"
        routes.add_api_route(path, all_roles, methods=["POST"], summary=summary)
        for method in ("POST", "DELETE"):
            routes.add_api_route(path + "/{role_id}", one, methods=[method], summary=summary)
    return routes


def _overview(db: Database, service: IdentityService, guard: AuthGuard) -> APIRouter:
    routes = APIRouter()
    reader, anybody = needs(guard("organization:read")), needs(guard.anybody())

    @routes.get("/v1/organization/audit_logs")
    def list_audit_logs(query: Annotated[AuditQueryWire, Query()], actor: Actor = reader) -> ListPage[dict[str, Any]]:
        """Newest first."""
        with db.read() as session:
            found = service.log.page(session, actor.organization_id, query.query())
        data = [audit_wire(entry) for entry in found.entries]
        first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        return ListPage(data=data, first_id=first, last_id=last, has_more=found.has_more)

    @routes.get("/api/me")
    def me(actor: Actor = anybody) -> MeWire:
        with db.read() as session:
            organization = service.organization(session, actor)
            project = service.project(session, actor, actor.project_id) if actor.project_id else None
            owner, key = service.whoami(session, actor)
        return MeWire.of(actor, organization, project, owner, key)

    return routes


def _role(role_id: str, roles: list[RoleWire]) -> RoleWire:
    for role in roles:
        if role.id == role_id:
            return role
    raise NotFound(what="role", id=role_id)


def _refuse_scopes(scopes: tuple[str, ...]) -> None:
    if scopes:
        raise KeyScopes(param="scopes")
