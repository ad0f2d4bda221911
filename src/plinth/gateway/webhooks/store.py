"""Tables and queries of webhooks. Private to the sub-slice."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from plinth.gateway.webhooks.model import Delivery, DeliveryQuery, DeliveryStatus, Endpoint, EndpointStatus
from plinth.kit.db import Session, metadata

endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("name", String(256), nullable=False),
    Column("url", Text, nullable=False),
    Column("event_types", JSON, nullable=False),
    Column("secret", Text, nullable=False),
    Column("secret_hint", String(32), nullable=False),
    Column("previous_secret", Text, nullable=True),
    Column("previous_until", Float, nullable=True),
    Column("status", String(16), nullable=False),
    Column("disabled_reason", Text, nullable=False),
    Column("failing_since", Float, nullable=True),
    Column("last_success_at", Float, nullable=True),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)
deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(64), primary_key=True),
    # no foreign key: what was sent stays listed after its endpoint is deleted
    Column("endpoint_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("event_type", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("earlier_attempts", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("next_attempt_at", Float, nullable=False),
    Column("last_attempt_at", Float, nullable=True),
    Column("last_status_code", Integer, nullable=True),
    Column("last_error", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("delivered_at", Float, nullable=True),
    Index("ix_webhook_deliveries_project_id_id", "project_id", "id"),
    Index("ix_webhook_deliveries_status_endpoint_id_next_attempt_at", "status", "endpoint_id", "next_attempt_at"),
)

_PENDING = deliveries.c.status == DeliveryStatus.pending


def insert_endpoint(session: Session, endpoint: Endpoint) -> None:
    session.execute(insert(endpoints).values(**{**asdict(endpoint), "event_types": list(endpoint.event_types)}))


def endpoint_by_id(session: Session, endpoint_id: str, *, lock: bool = False) -> Endpoint | None:
    """Args: `lock` it until the transaction ends. Whoever changes both locks an endpoint before its deliveries."""
    query = select(endpoints).where(endpoints.c.id == endpoint_id)
    row = session.execute(query.with_for_update() if lock else query).one_or_none()
    return _endpoint(row) if row else None


def endpoints_of(session: Session, project_id: str, after: str | None, limit: int) -> list[Endpoint]:
    """Newest first, up to `limit` + 1."""
    query = select(endpoints).where(endpoints.c.project_id == project_id)
    if after is not None:
        query = query.where(endpoints.c.id < after)
    return [_endpoint(row) for row in session.execute(query.order_by(endpoints.c.id.desc()).limit(limit + 1))]


def active_endpoints_of(session: Session, project_id: str) -> list[Endpoint]:
    mine = (endpoints.c.project_id == project_id) & (endpoints.c.status == EndpointStatus.active)
    return [_endpoint(row) for row in session.execute(select(endpoints).where(mine).order_by(endpoints.c.id))]


def count_endpoints(session: Session, project_id: str) -> int:
    query = select(func.count()).select_from(endpoints).where(endpoints.c.project_id == project_id)
    return int(session.execute(query).scalar_one())


def change_endpoint(session: Session, endpoint_id: str, **values: Any) -> None:
    session.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(**values))


def delete_endpoint(session: Session, endpoint_id: str) -> None:
    session.execute(delete(endpoints).where(endpoints.c.id == endpoint_id))


def insert_deliveries(session: Session, created: Collection[Delivery]) -> None:
    if created:
        session.execute(insert(deliveries), [asdict(delivery) for delivery in created])


def delivery_by_id(session: Session, delivery_id: str) -> Delivery | None:
    row = session.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one_or_none()
    return _delivery(row) if row else None


def deliveries_of(session: Session, project_id: str, asked: DeliveryQuery) -> list[Delivery]:
    """Newest first, up to `limit` + 1."""
    query = select(deliveries).where(deliveries.c.project_id == project_id)
    if asked.endpoint_id is not None:
        query = query.where(deliveries.c.endpoint_id == asked.endpoint_id)
    if asked.status is not None:
        query = query.where(deliveries.c.status == asked.status)
    if asked.after is not None:
        query = query.where(deliveries.c.id < asked.after)
    query = query.order_by(deliveries.c.id.desc()).limit(asked.limit + 1)
    return [_delivery(row) for row in session.execute(query)]


def endpoints_due(session: Session, due: ColumnElement[bool], full: Collection[str], limit: int) -> list[Endpoint]:
    """Active endpoints with something to send, who has waited longest first, without the `full` ones."""
    waiting = (
        select(deliveries.c.endpoint_id, func.min(deliveries.c.next_attempt_at).label("since"))
        .where(_PENDING, due, deliveries.c.endpoint_id.not_in(full))
        .group_by(deliveries.c.endpoint_id)
        .subquery()
    )
    query = (
        select(endpoints)
        .join(waiting, waiting.c.endpoint_id == endpoints.c.id)
        .where(endpoints.c.status == EndpointStatus.active)
        .order_by(waiting.c.since)
        .limit(limit)
    )
    return [_endpoint(row) for row in session.execute(query)]


def due_between(earliest_odd: float, now: float) -> ColumnElement[bool]:
    """Due by `now`; or so far ahead (after `earliest_odd`) that the clock must have been set back meanwhile."""
    return or_(deliveries.c.next_attempt_at <= now, deliveries.c.next_attempt_at > earliest_odd)


def due_of(session: Session, endpoint_id: str, due: ColumnElement[bool], limit: int) -> list[Delivery]:
    """Locked, on PostgreSQL, and without those that another worker is claiming just now."""
    query = select(deliveries).where(_PENDING, due, deliveries.c.endpoint_id == endpoint_id)
    query = query.order_by(deliveries.c.next_attempt_at).limit(limit).with_for_update(skip_locked=True)
    return [_delivery(row) for row in session.execute(query)]


def claim(session: Session, delivery: Delivery, now: float, until: float) -> bool:
    """Take it for one attempt; False when another worker was faster. Nobody else takes it before `until`."""
    same = and_(deliveries.c.id == delivery.id, _PENDING, deliveries.c.attempts == delivery.attempts)
    values = {"attempts": delivery.attempts + 1, "last_attempt_at": now, "next_attempt_at": until}
    return bool(session.execute(update(deliveries).where(same).values(**values)).rowcount)  # type: ignore[attr-defined]


def settle(session: Session, delivery_id: str, number: int, *, only_pending: bool, **values: Any) -> bool:
    """Note how attempt `number` ended; False when a later attempt has begun meanwhile."""
    mine = and_(deliveries.c.id == delivery_id, deliveries.c.attempts == number)
    query = update(deliveries).where(mine & _PENDING if only_pending else mine).values(**values)
    return bool(session.execute(query).rowcount)  # type: ignore[attr-defined]


def start_again(session: Session, delivery_id: str, now: float) -> None:
    """A new round of attempts, whatever became of the one before."""
    values = {"status": DeliveryStatus.pending, "started_at": now, "next_attempt_at": now, "delivered_at": None}
    again = update(deliveries).where(deliveries.c.id == delivery_id)
    session.execute(again.values(**values, earlier_attempts=deliveries.c.attempts))


def hurry(session: Session, endpoint_id: str, now: float) -> None:
    """What waits for this endpoint is due now, and its pauses begin anew."""
    waiting = update(deliveries).where(_PENDING, deliveries.c.endpoint_id == endpoint_id)
    session.execute(waiting.values(next_attempt_at=now, earlier_attempts=deliveries.c.attempts))


def change_pending(session: Session, endpoint_id: str, **values: Any) -> None:
    session.execute(update(deliveries).where(_PENDING, deliveries.c.endpoint_id == endpoint_id).values(**values))


def delete_finished(session: Session, before: float, limit: int) -> int:
    """Forget deliveries that ended before that time; `next_attempt_at` of an ended one is never in use again."""
    ended = select(deliveries.c.id).where(~_PENDING, deliveries.c.next_attempt_at < before).limit(limit)
    return int(session.execute(delete(deliveries).where(deliveries.c.id.in_(ended))).rowcount)  # type: ignore[attr-defined]


def _endpoint(row: Row[Any]) -> Endpoint:
    values = dict(row._mapping)
    return Endpoint(
        **{**values, "event_types": tuple(values["event_types"]), "status": EndpointStatus(values["status"])}
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**{**row._mapping, "status": DeliveryStatus(row.status)})
