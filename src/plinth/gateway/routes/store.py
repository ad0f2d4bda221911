"""Tables and queries of routes. Private to the slice.

A route's row is the name's for good; its versions are only ever added. A version without a plan
says that the route was deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Integer,
    Row,
    Select,
    String,
    Table,
    UniqueConstraint,
    and_,
    func,
    insert,
    select,
    update,
)

from plinth.gateway.routes.model import Action, Route, RouteVersion, document_of, plan_of
from plinth.kit.db import Session, metadata

routes = Table(
    "gateway_routes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("project_id", "name"),
)
versions = Table(
    "gateway_route_versions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("route_id", String(64), ForeignKey("gateway_routes.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Column("plan", JSON(none_as_null=True), nullable=True),
    Column("restored", Integer, nullable=True),
    Column("principal", String(120), nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("route_id", "number"),
)

_IDS_A_QUERY = 500  # databases limit the parameters of a statement
_CURRENT = and_(versions.c.route_id == routes.c.id, versions.c.number == routes.c.version)


def lock(session: Session, project_id: str, name: str) -> tuple[str, int] | None:
    """The name's (route id, current version), also of a deleted route; nobody else can change it
    until the transaction ends. None for a name that never was a route."""
    row = session.execute(
        select(routes.c.id, routes.c.version)
        .where(routes.c.project_id == project_id, routes.c.name == name)
        .with_for_update()
    ).one_or_none()
    return (row.id, row.version) if row else None


def insert_route(session: Session, id: str, project_id: str, name: str, now: float) -> None:
    """At version 0: the caller adds the first version."""
    values = {"id": id, "project_id": project_id, "name": name, "version": 0, "created_at": now, "updated_at": now}
    session.execute(insert(routes).values(**values))


def add_version(session: Session, route_id: str, version: RouteVersion) -> None:
    """Append a version and make it the current one."""
    plan = document_of(version.plan) if version.plan else None
    session.execute(insert(versions).values(**{**vars(version), "plan": plan}, route_id=route_id))
    session.execute(
        update(routes).where(routes.c.id == route_id).values(version=version.number, updated_at=version.created_at)
    )


def route(session: Session, project_id: str, name: str) -> Route | None:
    """None also for a deleted one."""
    row = session.execute(_live().where(routes.c.project_id == project_id, routes.c.name == name)).one_or_none()
    return _route(row) if row else None


def routes_of(session: Session, project_id: str, after: str | None, limit: int) -> list[Route]:
    """Live routes in the order in which their names first came up; `after` is a route's id."""
    query = _live().where(routes.c.project_id == project_id)
    if after is not None:
        query = query.where(routes.c.id > after)
    return [_route(row) for row in session.execute(query.order_by(routes.c.id).limit(limit))]


def count_of(session: Session, project_id: str) -> int:
    live = select(func.count()).select_from(routes).join(versions, _CURRENT)
    query = live.where(routes.c.project_id == project_id, versions.c.plan.is_not(None))
    return int(session.execute(query).scalar_one())


def live_versions(session: Session) -> list[tuple[str, int]]:
    """(route id, current version) of every live route of every project, oldest route first."""
    query = select(routes.c.id, routes.c.version).join(versions, _CURRENT).where(versions.c.plan.is_not(None))
    return [(row.id, row.version) for row in session.execute(query.order_by(routes.c.id))]


def routes_by_id(session: Session, ids: Sequence[str]) -> list[Route]:
    found: list[Route] = []
    for start in range(0, len(ids), _IDS_A_QUERY):
        some = ids[start : start + _IDS_A_QUERY]
        found += [_route(row) for row in session.execute(_live().where(routes.c.id.in_(some)))]
    return found


def version(session: Session, route_id: str, number: int) -> RouteVersion | None:
    row = session.execute(
        select(versions).where(versions.c.route_id == route_id, versions.c.number == number)
    ).one_or_none()
    return _version(row) if row else None


def history(session: Session, project_id: str, name: str, after: str | None, limit: int) -> list[RouteVersion]:
    """Newest first, also of a deleted route; `after` is a version's id."""
    query = (
        select(versions)
        .join(routes, versions.c.route_id == routes.c.id)
        .where(routes.c.project_id == project_id, routes.c.name == name)
    )
    if after is not None:
        query = query.where(
            versions.c.number < select(versions.c.number).where(versions.c.id == after).scalar_subquery()
        )
    return [_version(row) for row in session.execute(query.order_by(versions.c.number.desc()).limit(limit))]


def _live() -> Select[Any]:
    return select(routes, versions.c.plan).join(versions, _CURRENT).where(versions.c.plan.is_not(None))


def _route(row: Row[Any]) -> Route:
    return Route(row.id, row.project_id, row.name, row.version, plan_of(row.plan), row.created_at, row.updated_at)


def _version(row: Row[Any]) -> RouteVersion:
    return RouteVersion(
        id=row.id,
        number=row.number,
        action=Action(row.action),
        plan=plan_of(row.plan) if row.plan else None,
        restored=row.restored,
        principal=row.principal,
        created_at=row.created_at,
    )
