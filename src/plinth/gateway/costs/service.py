"""Decisions about prices and pools. Every method takes the session first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from plinth.gateway.costs import store
from plinth.gateway.costs.errors import BadAmount, PoolTaken
from plinth.gateway.costs.model import (
    DISCOUNT_PARTS,
    LOCAL_POOL,
    Currencies,
    Machine,
    Meters,
    Pool,
    PoolGroup,
    PoolPrice,
    Price,
    PriceTable,
    check_pool_name,
    check_start,
)
from plinth.gateway.costs.ports import Audit
from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import NotFound
from plinth.kit.ids import new_id


@dataclass(frozen=True)
class PriceDraft:
    """A price per million tokens in nanos; `effective_from` None for now, `cached_input_nanos` None
    for the price of other input; `batch_discount` in 1/10,000."""

    model_id: str
    currency: str
    input_nanos: int
    output_nanos: int
    cached_input_nanos: int | None = None
    batch_discount: int = 0
    effective_from: float | None = None


@dataclass(frozen=True)
class PoolPriceDraft:
    """A plain `nanos_per_hour`, a `machine` to compute it from, or neither: the price is unknown.
    `effective_from` is a full hour, None for the current one."""

    currency: str
    nanos_per_hour: int | None = None
    machine: Machine | None = None
    effective_from: float | None = None


class CostService:
    """Emits `gateway.price.changed` and `gateway.pool.changed`."""

    def __init__(self, clock: Clock, audit: Audit, currencies: Currencies) -> None:
        self._clock, self._audit, self.currencies = clock, audit, currencies

    # providers' prices

    def set_price(self, session: Session, actor: Actor, draft: PriceDraft) -> Price:
        """A new version of a model's price for the actor's organization. Prices that requests were
        booked with do not change; requests that had none are booked soon when it begins in the past.

        Raises `BadAmount`, `BadCurrency`.
        """
        if not 0 <= draft.batch_discount <= DISCOUNT_PARTS:
            raise BadAmount(param="batch_discount", field="batch_discount", low=0, high=1)
        now = self._clock.unix()
        starts = now if draft.effective_from is None else draft.effective_from
        cached = draft.input_nanos if draft.cached_input_nanos is None else draft.cached_input_nanos
        price = Price(
            id=new_id("price_"),
            organization_id=actor.organization_id,
            model_id=draft.model_id,
            effective_from=starts,
            currency=self.currencies.check(draft.currency),
            input_nanos=draft.input_nanos,
            cached_input_nanos=cached,
            output_nanos=draft.output_nanos,
            batch_discount=draft.batch_discount,
            created_at=now,
        )
        store.insert_price(session, price, booked=False)
        self._audit(session, actor, "price.created", price.model_id, asdict(price))
        events.emit(session, self._clock, "gateway.price.changed", {"model_id": price.model_id, "price_id": price.id})
        return price

    def prices(self, session: Session, actor: Actor) -> list[Price]:
        """Every version that the actor's organization can be charged by, oldest first."""
        return store.prices(session, actor.organization_id)

    def snapshot(self, session: Session) -> PriceTable:
        """All prices, for the gateway's memory."""
        return PriceTable(store.prices(session))

    # pools

    def create_pool(self, session: Session, actor: Actor, name: str) -> Pool:
        """Raises `BadPoolName`, `PoolTaken`. Idempotent for the owner."""
        check_pool_name(name)
        known = store.pool(session, name)
        if known is None:
            known = Pool(name, actor.organization_id, self._clock.unix())
            if not store.insert_pool(session, known):
                raise PoolTaken(pool=name, param="name")
            self._changed(session, actor, "pool.created", name, {})
        if known.organization_id != actor.organization_id:
            raise PoolTaken(pool=name, param="name")
        return known

    def pools(self, session: Session, actor: Actor) -> list[Pool]:
        """The organization's pools; `local` is there from the start, until another one owns it."""
        known = {pool.name: pool for pool in store.all_pools(session)}
        known.setdefault(LOCAL_POOL, Pool(LOCAL_POOL, actor.organization_id, 0.0))
        return [pool for _, pool in sorted(known.items()) if pool.organization_id == actor.organization_id]

    def pool(self, session: Session, actor: Actor, name: str) -> Pool:
        """Raises `NotFound`."""
        for pool in self.pools(session, actor):
            if pool.name == name:
                return pool
        raise NotFound(what="pool", id=name[:64])

    def pool_prices(self, session: Session, actor: Actor, name: str) -> list[PoolPrice]:
        """Oldest first. Raises `NotFound`."""
        return store.all_pool_prices(session, self.pool(session, actor, name).name)

    def set_pool_price(self, session: Session, actor: Actor, name: str, draft: PoolPriceDraft) -> PoolPrice:
        """A new version of a pool's price. From its first hour on the books are made again.

        Raises `NotFound`, `NotWholeHour`, `TooLongAgo`, `BadCurrency`.
        """
        pool, now, machine = self.pool(session, actor, name), self._clock.unix(), draft.machine
        starts, currency = check_start(draft.effective_from, now), self.currencies.check(draft.currency)
        if pool.name == LOCAL_POOL:
            # whoever says first what this machine costs pays for its idle time
            self.create_pool(session, actor, LOCAL_POOL)
        price = PoolPrice(
            id=new_id("poolprice_"),
            pool=pool.name,
            effective_from=starts,
            currency=currency,
            nanos_per_hour=draft.nanos_per_hour if machine is None else machine.nanos_per_hour(),
            basis=None if machine is None else asdict(machine),
            created_at=now,
        )
        store.insert_pool_price(session, price)
        store.make_stale(session, starts, pool.name)
        self._changed(session, actor, "pool.priced", pool.name, asdict(price))
        return price

    def pool_groups(self, session: Session, actor: Actor, name: str) -> list[PoolGroup]:
        """The engine groups that were ever mapped to it. Raises `NotFound`."""
        return store.all_pool_groups(session, self.pool(session, actor, name).name)

    def map_group(
        self, session: Session, actor: Actor, name: str, endpoint_group: str, effective_from: float | None = None
    ) -> PoolGroup:
        """The engine group runs in the pool from that full hour on. From there on the books of all
        pools are made again. Raises `NotFound`, `NotWholeHour`, `TooLongAgo`."""
        pool, now = self.pool(session, actor, name), self._clock.unix()
        starts = check_start(effective_from, now)
        entry = PoolGroup(endpoint_group, starts, pool.name, now)
        store.put_pool_group(session, entry)
        store.make_stale(session, starts)
        self._changed(session, actor, "pool.mapped", pool.name, asdict(entry))
        return entry

    def _changed(self, session: Session, actor: Actor, action: str, name: str, detail: dict[str, Any]) -> None:
        self._audit(session, actor, action, name, detail)
        events.emit(session, self._clock, "gateway.pool.changed", {"pool": name})


def meters(session: Session) -> Meters:
    """All pools, their prices and groups, as they are known now."""
    return Meters(store.all_pools(session), store.all_pool_prices(session), store.all_pool_groups(session))


def shares_of_records(session: Session, record_ids: Sequence[str]) -> dict[str, list[tuple[int, str]]]:
    """Record id -> (nanos, currency) for each settled hour that it worked in; without an entry
    nothing is settled (yet), or the price was unknown."""
    return store.shares_of_records(session, record_ids) if record_ids else {}
