"""/api/base_models: the catalogue, users' own entries, live checks."""

from __future__ import annotations

from enum import Enum

from fastapi import APIRouter, Depends

from plinth.catalog.errors import EgressDenied
from plinth.catalog.model import BaseModel, Check, RemoteSource
from plinth.catalog.schemas import BaseModelCreate, BaseModelObject, BaseModelUpdate, CheckObject
from plinth.catalog.service import CatalogService
from plinth.identity import Actor
from plinth.kit.db import Database
from plinth.kit.http import Deleted, Guard, ListPage, page


def router(db: Database, service: CatalogService, guard: Guard) -> APIRouter:
    routes = APIRouter()
    tags: list[str | Enum] = ["base models"]
    read, write = Depends(guard("models:read")), Depends(guard("catalog:write"))

    def shown(base: BaseModel) -> BaseModelObject:
        return BaseModelObject.of(base, service.fit(base))

    @routes.get("/api/base_models", tags=tags)
    def list_base_models(actor: Actor = read) -> ListPage[BaseModelObject]:
        """Every base model of the project. Entries are few (a limit applies to own ones): one page."""
        with db.read() as session:
            found = [shown(base) for base in service.visible_to(session, actor)]
        return page(found, limit=len(found))

    @routes.get("/api/base_models/{base_id}", tags=tags)
    def retrieve_base_model(base_id: str, actor: Actor = read) -> BaseModelObject:
        with db.read() as session:
            return shown(service.get_for(session, actor, base_id))

    @routes.post("/api/base_models", tags=tags)
    def create_base_model(body: BaseModelCreate, actor: Actor = write) -> BaseModelObject:
        """Add a model from a local folder, a model hub or a remote provider."""
        draft = body.draft()
        base = service.prepare(draft)
        with db.write() as session:
            return shown(service.create(session, actor, base, draft.api_key))

    @routes.post("/api/base_models/{base_id}", tags=tags)
    def update_base_model(base_id: str, body: BaseModelUpdate, actor: Actor = write) -> BaseModelObject:
        with db.write() as session:
            return shown(service.update(session, actor, base_id, body.changes()))

    @routes.delete("/api/base_models/{base_id}", tags=tags)
    def delete_base_model(base_id: str, actor: Actor = write) -> Deleted:
        with db.write() as session:
            base = service.delete(session, actor, base_id)
        service.forget(base)
        return Deleted(id=base_id, object="base_model")

    @routes.post("/api/base_models/{base_id}/check", tags=tags)
    def check_base_model(base_id: str, actor: Actor = write) -> CheckObject:
        """Read the files and compare their checksums, or ask the remote provider what it has."""
        target = None
        with db.read() as session:
            base = service.get_for(session, actor, base_id)
            if isinstance(base.source, RemoteSource):
                try:
                    target = service.remote(session, base_id)
                except EgressDenied as error:
                    return CheckObject.of(base_id, Check(ok=False, detail=error.message, code=error.code))
        return CheckObject.of(base_id, service.check(base, target))

    return routes
