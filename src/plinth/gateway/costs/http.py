"""Control-plane routes of money: `/v1/organization/costs` (the official SDK's
`client.admin.organization.usage.costs`), prices and pools.

An admin key sees its whole organization, a project's key its own project; changes need an admin key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response, StreamingResponse

from plinth.gateway.costs.model import CostQuestion
from plinth.gateway.costs.reports import CostReports
from plinth.gateway.costs.schemas import (
    COST_GROUPS,
    CostPage,
    CostQuery,
    PoolCreate,
    PoolGroupCreate,
    PoolGroupObject,
    PoolObject,
    PoolPriceCreate,
    PoolPriceObject,
    PriceCreate,
    PriceObject,
    exact_json,
)
from plinth.gateway.costs.service import CostService
from plinth.gateway.usage import Limits, Scope, Width, grouping, window
from plinth.identity import Actor
from plinth.identity.guard import AuthGuard, needs
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session
from plinth.kit.errors import BadInput
from plinth.kit.http import ListPage, Wire, page

_LIMITS = {Width.day: Limits(7, 180), Width.hour: Limits(24, 168)}
PoolName = Annotated[str, Path(max_length=64)]


MAX_EXPORT_SECONDS = 400 * 86_400


def router(db: Database, service: CostService, reports: CostReports, clock: Clock, guard: AuthGuard) -> APIRouter:
    routes = APIRouter(tags=["costs"])
    routes.include_router(_costs(db, reports, clock, guard))
    routes.include_router(_prices(db, service, guard))
    routes.include_router(_pools(db, service, guard))
    return routes


def _costs(db: Database, reports: CostReports, clock: Clock, guard: AuthGuard) -> APIRouter:
    routes = APIRouter()
    reader = needs(guard.any_of("usage:read", "organization:read"))

    @routes.get("/v1/organization/costs", response_model=CostPage)
    def costs(query: Annotated[CostQuery, Query()], actor: Actor = reader) -> Response:
        """Costs per bucket: providers' prices, the shares of own machines, and their idle time."""
        width = Width(query.bucket_width)
        groups = grouping([name for name in query.group_by if name != "api_source"], COST_GROUPS)
        days = window(query.period(), width, _LIMITS[width], clock.unix())
        question = CostQuestion(Scope.of(actor), days, groups, query.filter())
        with db.read() as session:
            report = reports.report(session, question)
        return _exact(CostPage.of(report, groups))

    @routes.get("/api/costs/export", response_class=StreamingResponse)
    def export(
        since: Annotated[float, Query(ge=0, description="unix seconds")],
        until: Annotated[float | None, Query(ge=0, description="unix seconds, exclusive; default: now")] = None,
        actor: Actor = reader,
    ) -> StreamingResponse:
        """Every hour's costs per payer and line item as CSV, oldest first, at most 400 days of them."""
        # nothing is booked in the future, and every day asked for is a query
        end = clock.unix() if until is None else min(until, clock.unix())
        if end - since > MAX_EXPORT_SECONDS:
            raise BadInput(reason="Ask for at most 400 days at once: move 'since' and 'until'.", param="since")
        return _csv(reports.export_csv(Scope.of(actor), since, end), "costs.csv")

    return routes


def _prices(db: Database, service: CostService, guard: AuthGuard) -> APIRouter:
    routes = APIRouter(prefix="/api/prices")
    reader = needs(guard.any_of("usage:read", "organization:read"))
    writer = needs(guard("organization:write"))

    @routes.get("", response_model=ListPage[PriceObject])
    def list_prices(actor: Actor = reader) -> Response:
        """Every version of every provider's price, oldest first. They are few: one page."""
        with db.read() as session:
            found = [PriceObject.of(price) for price in service.prices(session, actor)]
        return _exact(page(found, limit=len(found)))

    @routes.post("", response_model=PriceObject)
    def create_price(body: PriceCreate, actor: Actor = writer) -> Response:
        """A new version of a model's price."""
        draft = body.draft()
        with db.write() as session:
            return _exact(PriceObject.of(service.set_price(session, actor, draft)))

    return routes


def _pools(db: Database, service: CostService, guard: AuthGuard) -> APIRouter:
    routes = APIRouter(prefix="/api/pools")
    reader = needs(guard.any_of("usage:read", "organization:read"))
    writer = needs(guard("organization:write"))

    def shown(session: Session, actor: Actor, name: str) -> PoolObject:
        pool = service.pool(session, actor, name)
        prices, groups = service.pool_prices(session, actor, name), service.pool_groups(session, actor, name)
        return PoolObject.of(pool, prices, groups)

    @routes.get("", response_model=ListPage[PoolObject])
    def list_pools(actor: Actor = reader) -> Response:
        with db.read() as session:
            found = [shown(session, actor, pool.name) for pool in service.pools(session, actor)]
        return _exact(page(found, limit=len(found)))

    @routes.post("", response_model=PoolObject)
    def create_pool(body: PoolCreate, actor: Actor = writer) -> Response:
        with db.write() as session:
            service.create_pool(session, actor, body.name)
            return _exact(shown(session, actor, body.name))

    @routes.get("/{name}", response_model=PoolObject)
    def retrieve_pool(name: PoolName, actor: Actor = reader) -> Response:
        with db.read() as session:
            return _exact(shown(session, actor, name))

    @routes.post("/{name}/prices", response_model=PoolPriceObject)
    def create_pool_price(name: PoolName, body: PoolPriceCreate, actor: Actor = writer) -> Response:
        """What the pool costs from a full hour on; the books from there are made again."""
        draft = body.draft()
        with db.write() as session:
            return _exact(PoolPriceObject.of(service.set_pool_price(session, actor, name, draft)))

    @routes.post("/{name}/engine_groups")
    def map_engine_group(name: PoolName, body: PoolGroupCreate, actor: Actor = writer) -> PoolGroupObject:
        """Say that a group of engines runs in this pool from a full hour on."""
        with db.write() as session:
            entry = service.map_group(session, actor, name, body.engine_group, body.effective_from)
            return PoolGroupObject.of(entry)

    return routes


def _exact(wire: Wire) -> Response:
    return Response(exact_json(wire), media_type="application/json")


def _csv(lines: Iterator[str], name: str) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
