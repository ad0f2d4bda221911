"""/api/privacy: policies, and trying a text."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from plinth.kit.db import Database
from plinth.kit.http import Deleted, Guard, ListPage, page
from plinth.privacy.model import DEFAULT_NAME
from plinth.privacy.ports import Actor
from plinth.privacy.schemas import PolicyDraft, PolicyObject, ScanDraft, ScanObject
from plinth.privacy.service import PrivacyService


def router(db: Database, service: PrivacyService, guard: Guard) -> APIRouter:
    routes = APIRouter(prefix="/api/privacy", tags=["privacy"])
    # what may leave the company is decided by those who run the project
    read, write = Depends(guard("serving:read")), Depends(guard("project:write"))

    @routes.get("/policies")
    def list_policies(actor: Actor = read) -> ListPage[PolicyObject]:
        with db.read() as session:
            found = [PolicyObject.of(stored) for stored in service.policies(session, actor.project_id)]
        return page(found, limit=len(found))

    @routes.get("/policies/{name}")
    def retrieve_policy(name: str, actor: Actor = read) -> PolicyObject:
        with db.read() as session:
            return PolicyObject.of(service.policy(session, actor.project_id, name))

    @routes.put("/policies/{name}")
    def put_policy(name: str, body: PolicyDraft, actor: Actor = write) -> PolicyObject:
        """Replace the policy as a whole. It counts within a second, for every request that starts then."""
        with db.write() as session:
            return PolicyObject.of(service.put(session, actor, body.policy(name)))

    @routes.delete("/policies/{name}")
    def delete_policy(name: str, actor: Actor = write) -> Deleted:
        """Deleting `default` brings the built-in one back."""
        with db.write() as session:
            service.delete(session, actor, name)
        return Deleted(id=name, object="privacy.policy")

    @routes.post("/scan")
    def scan_text(body: ScanDraft, actor: Actor = read) -> ScanObject:
        """What the guard finds in a text, and what it would send. Nothing is kept."""
        with db.read() as session:
            stored = service.policy(session, actor.project_id, body.policy or DEFAULT_NAME)
        return ScanObject.of(service.scan(stored.policy, body.text, body.data_class))

    return routes
