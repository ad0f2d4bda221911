"""`/api/routes`: a project's routes, their history, and the way back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from plinth.gateway.routes.schemas import RollbackRequest, RouteObject, RoutePatch, RouteRequest, RouteVersionObject
from plinth.gateway.routes.service import RouteService
from plinth.identity import Actor
from plinth.kit.db import Database
from plinth.kit.http import Deleted, Guard, ListPage, page

NO_NUL = r"^[^\x00]*$"  # PostgreSQL has no text with NUL characters
Name = Annotated[str, Path(max_length=255, pattern=NO_NUL)]
After = Annotated[str | None, Query(max_length=64, pattern=NO_NUL)]
Limit = Annotated[int, Query(ge=1, le=100)]
Expected = Annotated[int | None, Query(ge=0, lt=1 << 31, description="answer 409 unless at this version")]


def router(db: Database, service: RouteService, guard: Guard) -> APIRouter:
    """Reads need `serving:read`, changes `serving:write`. A name may contain '/', hence `:path`."""
    routes = APIRouter(prefix="/api/routes", tags=["routes"])
    _versions(routes, db, service, guard)  # first: `/history` is not part of a name
    _routes(routes, db, service, guard)
    return routes


def _routes(routes: APIRouter, db: Database, service: RouteService, guard: Guard) -> None:
    read, write = Depends(guard("serving:read")), Depends(guard("serving:write"))

    @routes.get("")
    def list_routes(after: After = None, limit: Limit = 20, actor: Actor = read) -> ListPage[RouteObject]:
        with db.read() as session:
            found = service.routes(session, actor.project_id, after, limit)
        return page([RouteObject.of(route) for route in found], limit)

    @routes.get("/{name:path}")
    def retrieve_route(name: Name, actor: Actor = read) -> RouteObject:
        with db.read() as session:
            found = service.route(session, actor.project_id, name)
            return RouteObject.of(found, service.missing_models(session, found))

    @routes.put("/{name:path}")
    def put_route(name: Name, body: RouteRequest, actor: Actor = write) -> RouteObject:
        """Create the route, or replace its whole plan by a new version."""
        with db.write() as session:
            return RouteObject.of(service.put(session, actor, name, body.plan(), body.expected_version))

    @routes.patch("/{name:path}")
    def change_route(name: Name, body: RoutePatch, actor: Actor = write) -> RouteObject:
        """Change a part of the plan, such as the canary's percentage (JSON merge patch)."""
        with db.write() as session:
            return RouteObject.of(service.change(session, actor, name, body.apply, body.expected_version))

    @routes.delete("/{name:path}")
    def delete_route(name: Name, expected_version: Expected = None, actor: Actor = write) -> Deleted:
        with db.write() as session:
            gone = service.delete(session, actor, name, expected_version)
        return Deleted(id=gone.id, object="route")


def _versions(routes: APIRouter, db: Database, service: RouteService, guard: Guard) -> None:
    read, write = Depends(guard("serving:read")), Depends(guard("serving:write"))

    @routes.get("/{name:path}/history")
    def route_history(
        name: Name, after: After = None, limit: Limit = 20, actor: Actor = read
    ) -> ListPage[RouteVersionObject]:
        """Newest first; it survives the route."""
        with db.read() as session:
            found = service.history(session, actor.project_id, name, after, limit)
        return page([RouteVersionObject.of(version) for version in found], limit)

    @routes.post("/{name:path}/rollback")
    def roll_back_route(name: Name, body: RollbackRequest | None = None, actor: Actor = write) -> RouteObject:
        """Make a new version of an earlier one; brings a deleted route back."""
        wanted = body or RollbackRequest()
        with db.write() as session:
            route = service.roll_back(session, actor, name, wanted.version, wanted.expected_version)
        return RouteObject.of(route)
