"""The tables of prices, pools and the books, and their queries. Private to the slice.

The books of an hour are three things written together: `settled_hours` (what it cost, what was
idle), `cost_shares` (what each record pays) and `cost_lines` (the shares summed per payer and
model, and the idle line), from which reports are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from plinth.gateway.costs.model import (
    GROUP_COLUMNS,
    CostLine,
    CostQuestion,
    CostSum,
    Pool,
    PoolGroup,
    PoolPrice,
    Price,
    SettledHour,
)
from plinth.kit.db import Session, metadata

model_prices = Table(
    "model_prices",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("organization_id", String(64), nullable=False),
    Column("model_id", String(256), nullable=False),
    Column("effective_from", Float, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("input_nanos", BigInteger, nullable=False),
    Column("cached_input_nanos", BigInteger, nullable=False),
    Column("output_nanos", BigInteger, nullable=False),
    Column("batch_discount", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    # false until requests that came before the price was entered have been booked
    Column("booked", Boolean, nullable=False),
    Index("ix_model_prices_organization_id_model_id", "organization_id", "model_id"),
)
pools = Table(
    "pools",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("organization_id", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
)
pool_prices = Table(
    "pool_prices",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("pool", String(64), nullable=False, index=True),
    Column("effective_from", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("nanos_per_hour", BigInteger, nullable=True),
    Column("basis", JSON, nullable=True),
    Column("created_at", Float, nullable=False),
)
pool_groups = Table(
    "pool_groups",
    metadata,
    Column("endpoint_group", String(256), primary_key=True),
    Column("effective_from", BigInteger, primary_key=True, autoincrement=False),
    Column("pool", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
)
settled_hours = Table(
    "settled_hours",
    metadata,
    Column("pool", String(64), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("meter_nanos", BigInteger, nullable=True),
    Column("idle_nanos", BigInteger, nullable=True),
    Column("currency", String(3), nullable=False),
    Column("requests", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    # of the hour's mark when its records were read
    Column("revision", BigInteger, nullable=False),
    Column("stale", Boolean, nullable=False),
    Column("times_settled", Integer, nullable=False),
    Column("settled_at", Float, nullable=False),
    Index("ix_settled_hours_hour", "hour"),
)
cost_shares = Table(
    "cost_shares",
    metadata,
    Column("record_id", String(64), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("pool", String(64), nullable=False),
    Column("nanos", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Index("ix_cost_shares_pool_hour", "pool", "hour"),
)
cost_lines = Table(
    "cost_lines",
    metadata,
    Column("pool", String(64), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("organization_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("principal", String(128), nullable=False),
    Column("model_id", String(256), nullable=False),
    Column("line_item", String(400), nullable=False),
    Column("idle", Boolean, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("nanos", BigInteger, nullable=True),
    Column("requests", Integer, nullable=False),
    Index("ix_cost_lines_organization_id_hour", "organization_id", "hour"),
    Index("ix_cost_lines_project_id_hour", "project_id", "hour"),
    Index("ix_cost_lines_hour", "hour"),
)

_PRICE_COLUMNS = [column for column in model_prices.c if column.name != "booked"]


# prices


def insert_price(session: Session, price: Price, booked: bool) -> None:
    session.execute(insert(model_prices).values(**asdict(price), booked=booked))


def prices(session: Session, organization_id: str | None = None) -> list[Price]:
    """Oldest first; with an organization its own and the shared ones."""
    statement = select(*_PRICE_COLUMNS).order_by(model_prices.c.id)
    if organization_id is not None:
        statement = statement.where(model_prices.c.organization_id.in_((organization_id, "")))
    return [Price(**row._mapping) for row in session.execute(statement)]


def unbooked_prices(session: Session) -> list[Price]:
    rows = session.execute(select(*_PRICE_COLUMNS).where(model_prices.c.booked.is_(False)))
    return [Price(**row._mapping) for row in rows]


def mark_booked(session: Session, ids: Sequence[str]) -> None:
    session.execute(update(model_prices).where(model_prices.c.id.in_(ids)).values(booked=True))


# pools


def pool(session: Session, name: str) -> Pool | None:
    row = session.execute(select(pools).where(pools.c.name == name)).one_or_none()
    return Pool(**row._mapping) if row else None


def all_pools(session: Session) -> list[Pool]:
    return [Pool(**row._mapping) for row in session.execute(select(pools).order_by(pools.c.name))]


def insert_pool(session: Session, entry: Pool) -> bool:
    """False when the name is taken."""
    try:
        with session.begin_nested():
            session.execute(insert(pools).values(**asdict(entry)))
    except IntegrityError:
        return False
    return True


def insert_pool_price(session: Session, price: PoolPrice) -> None:
    session.execute(insert(pool_prices).values(**asdict(price)))


def all_pool_prices(session: Session, pool_name: str | None = None) -> list[PoolPrice]:
    """Oldest first."""
    statement = select(pool_prices).order_by(pool_prices.c.id)
    if pool_name is not None:
        statement = statement.where(pool_prices.c.pool == pool_name)
    return [PoolPrice(**row._mapping) for row in session.execute(statement)]


def put_pool_group(session: Session, entry: PoolGroup) -> None:
    columns = pool_groups.c
    session.execute(
        delete(pool_groups).where(
            columns.endpoint_group == entry.endpoint_group, columns.effective_from == entry.effective_from
        )
    )
    session.execute(insert(pool_groups).values(**asdict(entry)))


def all_pool_groups(session: Session, pool_name: str | None = None) -> list[PoolGroup]:
    statement = select(pool_groups).order_by(pool_groups.c.effective_from, pool_groups.c.endpoint_group)
    if pool_name is not None:
        statement = statement.where(pool_groups.c.pool == pool_name)
    return [PoolGroup(**row._mapping) for row in session.execute(statement)]


# the books


def make_stale(session: Session, since: int, pool_name: str | None = None) -> None:
    """What was settled from that hour on has to be settled again."""
    columns = settled_hours.c
    chosen = columns.pool == pool_name if pool_name is not None else true()
    session.execute(update(settled_hours).where(columns.hour >= since, chosen).values(stale=True))


def settled(session: Session, pool_name: str, since: int, until: int) -> list[SettledHour]:
    columns = settled_hours.c
    rows = session.execute(
        select(settled_hours)
        .where(columns.pool == pool_name, columns.hour >= since, columns.hour < until)
        .order_by(columns.hour)
    )
    return [SettledHour(**row._mapping) for row in rows]


def settled_states(session: Session, pool_name: str, since: int) -> dict[int, tuple[int, bool]]:
    """Hour -> (revision, stale) of everything settled from `since` on."""
    columns = settled_hours.c
    rows = session.execute(
        select(columns.hour, columns.revision, columns.stale).where(columns.pool == pool_name, columns.hour >= since)
    )
    return {int(hour): (int(revision), bool(stale)) for hour, revision, stale in rows}


def settled_signature(session: Session, since: int) -> tuple[int, int]:
    """Changes whenever an hour from `since` on is settled, also for the second time."""
    columns = settled_hours.c
    row = session.execute(
        select(func.count(), func.coalesce(func.sum(columns.times_settled), 0)).where(columns.hour >= since)
    ).one()
    return int(row[0]), int(row[1])


def note_revision(session: Session, pool_name: str, hour: int, revision: int) -> None:
    """The hour was looked at again and nothing had changed."""
    columns = settled_hours.c
    session.execute(
        update(settled_hours)
        .where(columns.pool == pool_name, columns.hour == hour)
        .values(revision=revision, stale=False)
    )


def write_books(
    session: Session, entry: SettledHour, shares: Iterable[tuple[str, int]], lines: Sequence[CostLine]
) -> None:
    """Replace the books of one pool and hour."""
    for table in (settled_hours, cost_shares, cost_lines):
        session.execute(delete(table).where(table.c.pool == entry.pool, table.c.hour == entry.hour))
    session.execute(insert(settled_hours).values(**asdict(entry)))
    common = {"hour": entry.hour, "pool": entry.pool, "currency": entry.currency}
    if rows := [{"record_id": record_id, "nanos": nanos, **common} for record_id, nanos in shares]:
        session.execute(insert(cost_shares), rows)
    if rows := [{"position": position, **asdict(line)} for position, line in enumerate(lines)]:
        session.execute(insert(cost_lines), rows)


def shares(session: Session, pool_name: str, hour: int) -> dict[str, int]:
    columns = cost_shares.c
    rows = session.execute(
        select(columns.record_id, columns.nanos).where(columns.pool == pool_name, columns.hour == hour)
    )
    return {record_id: int(nanos) for record_id, nanos in rows}


def shares_of_records(session: Session, record_ids: Sequence[str]) -> dict[str, list[tuple[int, str]]]:
    """Record id -> (nanos, currency) per hour and pool that it worked in."""
    columns = cost_shares.c
    rows = session.execute(
        select(columns.record_id, columns.nanos, columns.currency).where(columns.record_id.in_(record_ids))
    )
    found: dict[str, list[tuple[int, str]]] = {}
    for record_id, nanos, currency in rows:
        found.setdefault(record_id, []).append((int(nanos), currency))
    return found


def lines_total(session: Session, pool_name: str, hour: int) -> int:
    """The sum of all lines of one hour, idle included."""
    columns = cost_lines.c
    total = session.execute(
        select(func.coalesce(func.sum(columns.nanos), 0)).where(columns.pool == pool_name, columns.hour == hour)
    ).scalar_one()
    return int(total)


def spent_on_pools(session: Session, since: int) -> list[tuple[str, str, str, str, int]]:
    """(organization, project, key, currency, nanos) of settled shares, idle left out."""
    columns = cost_lines.c
    payer = (columns.organization_id, columns.project_id, columns.key_id, columns.currency)
    rows = session.execute(
        select(*payer, func.sum(columns.nanos))
        .where(columns.hour >= since, columns.idle.is_(False), columns.nanos.is_not(None))
        .group_by(*payer)
    )
    return [(organization, project, key, currency, int(nanos)) for organization, project, key, currency, nanos in rows]


def line_sums(session: Session, question: CostQuestion) -> list[CostSum]:
    """Settled lines per bucket, group and currency. `nanos` is None for those without a known price."""
    columns, window, chosen = cost_lines.c, question.window, question.filter
    bucket = (columns.hour - columns.hour % window.width.seconds).label("bucket")
    asked = [columns[GROUP_COLUMNS[name]] for name in question.groups]
    scope = (
        columns.project_id == question.scope.project_id
        if question.scope.project_id
        else columns.organization_id == question.scope.organization_id
    )
    lists = {"project_id": chosen.project_ids, "key_id": chosen.key_ids, "line_item": chosen.line_items}
    rows: Any = session.execute(
        select(bucket, columns.currency, func.sum(columns.nanos), func.sum(columns.requests), *asked)
        .where(
            scope,
            columns.hour >= window.start,
            columns.hour < window.end,
            *(columns[name].in_(values) for name, values in lists.items() if values),
        )
        .group_by("bucket", columns.currency, *asked)
    )
    return [
        CostSum(
            int(start),
            tuple(group),
            currency,
            None if nanos is None else int(nanos),
            int(requests),
        )
        for start, currency, nanos, requests, *group in rows
    ]
