"""GET/DELETE /v1/models, /api/versions (lineage, reports) and /api/aliases (names)."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from plinth.identity import Actor
from plinth.kit.db import Database
from plinth.kit.http import Deleted, Guard, ListPage, page
from plinth.registry.ports import Routed, not_routed
from plinth.registry.schemas import (
    AliasChangeObject,
    AliasObject,
    AliasRollback,
    AliasTarget,
    ModelObject,
    VersionObject,
)
from plinth.registry.service import RegistryService

Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(max_length=255)]


def router(db: Database, service: RegistryService, guard: Guard, routed: Routed = not_routed) -> APIRouter:
    routes = APIRouter()
    _models(routes, db, service, guard, routed)
    _versions(routes, db, service, guard)
    _aliases(routes, db, service, guard)
    return routes


def _models(routes: APIRouter, db: Database, service: RegistryService, guard: Guard, routed: Routed) -> None:
    tags: list[str | Enum] = ["models"]
    read, write = Depends(guard("models:read")), Depends(guard("models:write"))

    @routes.get("/v1/models", tags=tags)
    def list_models(actor: Actor = read) -> ListPage[ModelObject]:
        with db.read() as session:
            over = routed(session, actor.project_id)
            models = [ModelObject.of(m) for m in service.models(session, actor.project_id, over)]
        return page(models, limit=len(models))

    # `:path` because a base model's id may contain '/'
    @routes.get("/v1/models/{model:path}", tags=tags)
    def retrieve_model(model: str, actor: Actor = read) -> ModelObject:
        with db.read() as session:
            found = service.model(session, actor.project_id, model, routed(session, actor.project_id))
            return ModelObject.of(found, service.reports(session, found.resolved.id))

    @routes.delete("/v1/models/{model:path}", tags=tags)
    def delete_model(model: str, actor: Actor = write) -> Deleted:
        with db.write() as session:
            return Deleted(id=service.delete(session, actor, model), object="model")


def _versions(routes: APIRouter, db: Database, service: RegistryService, guard: Guard) -> None:
    tags: list[str | Enum] = ["versions"]
    read = Depends(guard("models:read"))

    @routes.get("/api/versions", tags=tags)
    def list_versions(after: After = None, limit: Limit = 20, actor: Actor = read) -> ListPage[VersionObject]:
        with db.read() as session:
            found = service.versions(session, actor.project_id, after, limit)
        return page([VersionObject.of(version) for version in found], limit)

    @routes.get("/api/versions/{version:path}", tags=tags)
    def retrieve_version(version: str, actor: Actor = read) -> VersionObject:
        with db.read() as session:
            found = service.lineage(session, actor.project_id, version)
            return VersionObject.of(found, service.reports(session, found.id))


def _aliases(routes: APIRouter, db: Database, service: RegistryService, guard: Guard) -> None:
    tags: list[str | Enum] = ["aliases"]
    read, write = Depends(guard("models:read")), Depends(guard("models:write"))

    @routes.get("/api/aliases", tags=tags)
    def list_aliases(actor: Actor = read) -> ListPage[AliasObject]:
        with db.read() as session:
            found = [AliasObject.of(alias) for alias in service.aliases(session, actor.project_id)]
        return page(found, limit=len(found))

    @routes.get("/api/aliases/{name}", tags=tags)
    def retrieve_alias(name: str, actor: Actor = read) -> AliasObject:
        with db.read() as session:
            return AliasObject.of(service.alias(session, actor.project_id, name))

    @routes.put("/api/aliases/{name}", tags=tags)
    def put_alias(name: str, body: AliasTarget, actor: Actor = write) -> AliasObject:
        with db.write() as session:
            return AliasObject.of(service.set_alias(session, actor, name, body.target))

    @routes.delete("/api/aliases/{name}", tags=tags)
    def delete_alias(name: str, actor: Actor = write) -> Deleted:
        with db.write() as session:
            service.delete_alias(session, actor, name)
        return Deleted(id=name, object="model.alias")

    @routes.get("/api/aliases/{name}/history", tags=tags)
    def alias_history(name: str, actor: Actor = read) -> ListPage[AliasChangeObject]:
        with db.read() as session:
            changes = service.alias_history(session, actor.project_id, name)
        return page([AliasChangeObject.of(change) for change in changes], limit=len(changes))

    @routes.post("/api/aliases/{name}/rollback", tags=tags)
    def roll_back_alias(name: str, body: AliasRollback | None = None, actor: Actor = write) -> AliasObject:
        with db.write() as session:
            change_id = body.to if body else None
            return AliasObject.of(service.roll_back_alias(session, actor, name, change_id))
