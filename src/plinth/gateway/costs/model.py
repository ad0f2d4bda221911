"""Money, prices and rates. Integers only: *nanos*, 1e-9 of the currency's unit.

Rounding is to the nearest nano, ties to the even one, once per amount.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from plinth.gateway.costs.errors import (
    BadAmount,
    BadCurrency,
    BadPoolName,
    ExchangeRateMissing,
    NotWholeHour,
    TooLongAgo,
)
from plinth.gateway.usage import Scope, Window, hour_of

NANOS = 1_000_000_000
TOKENS_PER_PRICE = 1_000_000
"""Prices are for a million tokens."""
DISCOUNT_PARTS = 10_000
"""A batch discount is counted in hundredths of a percent."""
MAX_UNITS = 1_000_000_000
"""The largest price, in units of the currency: far below what 64 bits hold after multiplication by use."""
MAX_DAYS_BACK = 400
"""How far back a pool's price may begin."""
LOCAL_POOL = "local"
"""This machine: the pool of every engine that is not mapped elsewhere."""

_NANO = Decimal("1e-9")
_POOL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def rounded(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest integer, ties to even. `denominator` > 0."""
    quotient, rest = divmod(numerator, denominator)
    twice = rest * 2
    return quotient + 1 if twice > denominator or (twice == denominator and quotient & 1) else quotient


def nanos_of(amount: Decimal, field: str) -> int:
    """Exact. Raises `BadAmount` for negative, huge or finer amounts than a nano."""
    in_range = amount.is_finite() and 0 <= amount <= MAX_UNITS
    if not in_range or amount.quantize(_NANO) != amount:
        raise BadAmount(param=field, field=field, low=0, high=MAX_UNITS)
    return int(amount.quantize(_NANO).scaleb(9))


def decimal_of(nanos: int) -> Decimal:
    """The amount in units of the currency, exact, without needless zeros."""
    amount = Decimal(nanos).scaleb(-9).normalize()
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount


def check_pool_name(name: str) -> str:
    """Raises `BadPoolName`."""
    if not _POOL_NAME.fullmatch(name):
        raise BadPoolName(param="name")
    return name


def check_start(unix: float | None, now: float) -> int:
    """The full hour from which something about a pool counts, None for the current one.
    Raises `NotWholeHour`, `TooLongAgo`."""
    if unix is None:
        return hour_of(now)
    if unix != hour_of(unix):
        raise NotWholeHour(param="effective_from", example=hour_of(unix))
    if unix < now - MAX_DAYS_BACK * 86_400:
        raise TooLongAgo(param="effective_from", days=MAX_DAYS_BACK)
    return int(unix)


@dataclass(frozen=True)
class Currencies:
    """The currency that budgets are kept in, and what one unit of others is worth in it."""

    base: str = "USD"
    rates: Mapping[str, Decimal] = field(default_factory=dict)

    def check(self, currency: str) -> str:
        """The ISO code in capitals. Raises `BadCurrency` when it could not be counted in a budget."""
        code = currency.upper()
        if code != self.base and code not in self.rates:
            raise BadCurrency(param="currency", base=self.base, currency=currency[:8])
        return code

    def to_base(self, nanos: int, currency: str) -> int:
        """Raises `ExchangeRateMissing`."""
        if currency == self.base:
            return nanos
        if currency not in self.rates:
            raise ExchangeRateMissing(currency=currency, base=self.base)
        rate = Fraction(self.rates[currency])
        return rounded(nanos * rate.numerator, rate.denominator)


@dataclass(frozen=True, slots=True)
class Price:
    """What a provider takes for a million tokens of one model, from `effective_from` (unix seconds) on.

    Args:
        organization_id: who pays this price; empty: every organization without an own price.
        cached_input_nanos: for input that the provider had in its cache.
        batch_discount: in 1/10,000 of the whole request's price.
    """

    id: str
    organization_id: str
    model_id: str
    effective_from: float
    currency: str
    input_nanos: int
    cached_input_nanos: int
    output_nanos: int
    batch_discount: int
    created_at: float


_SCALE = TOKENS_PER_PRICE * DISCOUNT_PARTS


class Prices:
    """One organization's prices in force, for the hot path: no input, no output, no lock."""

    __slots__ = ("_by_model",)

    def __init__(self, prices: Iterable[Price]) -> None:
        by_model: dict[str, dict[float, Price]] = {}
        # of two that begin at the same moment, the one that was entered later counts
        for price in sorted(prices, key=lambda price: (price.created_at, price.id)):
            by_model.setdefault(price.model_id, {})[price.effective_from] = price
        self._by_model = {
            model_id: ([*sorted(versions)], [versions[start] for start in sorted(versions)])
            for model_id, versions in by_model.items()
        }

    def price(
        self, model_id: str, prompt: int, cached: int, completion: int, batch: bool, at: float
    ) -> tuple[int, str] | None:
        """(nanos, currency) of one request, None while no price is known.

        Args:
            prompt: input tokens, of which `cached` came from the provider's cache.
            at: unix seconds of the request's arrival; the price in force then counts.
        """
        found = self._by_model.get(model_id)
        if found is None:
            return None
        starts, versions = found
        position = len(starts) - 1
        if at < starts[position]:
            position = bisect_right(starts, at) - 1
            if position < 0:
                return None
        price = versions[position]
        if cached > prompt:
            cached = prompt
        parts = (
            (prompt - cached) * price.input_nanos + cached * price.cached_input_nanos + completion * price.output_nanos
        ) * (DISCOUNT_PARTS - price.batch_discount if batch else DISCOUNT_PARTS)
        return rounded(parts, _SCALE), price.currency


_NO_PRICES = Prices(())


class PriceTable:
    """All prices, immutable: `table.of(organization_id).price(…)`."""

    __slots__ = ("_own", "_shared")

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        everyone: dict[str, list[Price]] = {}
        for price in prices:
            everyone.setdefault(price.organization_id, []).append(price)
        shared = everyone.pop("", [])
        self._shared = Prices(shared) if shared else _NO_PRICES
        self._own = {}
        for organization_id, own in everyone.items():
            named = {price.model_id for price in own}
            # an own price replaces the shared ones of that model, its past included
            self._own[organization_id] = Prices([*own, *(price for price in shared if price.model_id not in named)])

    def of(self, organization_id: str) -> Prices:
        return self._own.get(organization_id, self._shared)


@dataclass(frozen=True)
class Machine:
    """What a machine costs, as its owner knows it; amounts in nanos.

    Args:
        purchase_nanos: its price, written off evenly over `months`, in each of which it stands
            ready for `hours_per_month` (730: always).
        watts: drawn on average; `kilowatt_hour_nanos`: the price of energy.
        other_nanos: rent, cooling, staff, … per hour.
    """

    purchase_nanos: int = 0
    months: int = 36
    hours_per_month: int = 730
    watts: int = 0
    kilowatt_hour_nanos: int = 0
    other_nanos: int = 0

    def nanos_per_hour(self) -> int:
        """Amortisation + power + other, rounded once."""
        hours = self.months * self.hours_per_month
        power = self.watts * self.kilowatt_hour_nanos
        return rounded(self.purchase_nanos * 1000 + power * hours, hours * 1000) + self.other_nanos


@dataclass(frozen=True)
class PoolPrice:
    """A pool's price from the full hour `effective_from` on. `nanos_per_hour` None: nobody knows it.
    `basis` keeps what it was computed from (fields of `Machine`), None for a plain figure."""

    id: str
    pool: str
    effective_from: int
    currency: str
    nanos_per_hour: int | None
    basis: dict[str, Any] | None
    created_at: float


@dataclass(frozen=True)
class Pool:
    """`organization_id` pays the idle time."""

    name: str
    organization_id: str
    created_at: float


@dataclass(frozen=True)
class PoolGroup:
    """The engine group runs in the pool from the full hour `effective_from` on."""

    endpoint_group: str
    effective_from: int
    pool: str
    created_at: float


@dataclass(frozen=True)
class Rate:
    nanos_per_hour: int
    currency: str


class Meters:
    """Which pool an engine group belongs to, and what a pool costs, in any hour. Immutable."""

    def __init__(
        self, pools: Iterable[Pool] = (), prices: Iterable[PoolPrice] = (), groups: Iterable[PoolGroup] = ()
    ) -> None:
        self.pools = {LOCAL_POOL: Pool(LOCAL_POOL, "", 0.0), **{pool.name: pool for pool in pools}}
        self._prices: dict[str, dict[int, PoolPrice]] = {}
        for price in sorted(prices, key=lambda price: (price.created_at, price.id)):
            self._prices.setdefault(price.pool, {})[price.effective_from] = price
        self._groups: dict[str, dict[int, str]] = {}
        for group in sorted(groups, key=lambda group: group.created_at):
            self._groups.setdefault(group.endpoint_group, {})[group.effective_from] = group.pool

    def pool_of(self, endpoint_group: str, hour: int) -> str:
        versions = self._groups.get(endpoint_group)
        start = _latest(versions, hour) if versions else None
        return LOCAL_POOL if start is None or versions is None else versions[start]

    def rate(self, pool: str, hour: int) -> Rate | None:
        """None while nobody knows the price."""
        versions = self._prices.get(pool, {})
        start = _latest(versions, hour)
        if start is None or (nanos := versions[start].nanos_per_hour) is None:
            return None
        return Rate(nanos, versions[start].currency)

    def priced_since(self, pool: str) -> int | None:
        """The first full hour that has a price."""
        known = [start for start, price in self._prices.get(pool, {}).items() if price.nanos_per_hour is not None]
        return min(known, default=None)


def _latest(versions: Mapping[int, object], hour: int) -> int | None:
    return max((start for start in versions if start <= hour), default=None)


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one payer owes for one model in one pool and hour, or the pool's idle time (`idle`, then
    the payer's project, key and principal are empty). `nanos` is None while the pool's price is
    unknown; `requests` began in this hour."""

    pool: str
    hour: int
    organization_id: str
    project_id: str
    key_id: str
    principal: str
    model_id: str
    line_item: str
    idle: bool
    currency: str
    nanos: int | None
    requests: int


@dataclass(frozen=True)
class SettledHour:
    """`meter_nanos` and `idle_nanos` are None when the price was unknown. `requests` counts all
    records that worked in the hour; `revision` is the hour's mark when they were read."""

    pool: str
    hour: int
    meter_nanos: int | None
    idle_nanos: int | None
    currency: str
    requests: int
    digest: str
    revision: int
    stale: bool
    times_settled: int
    settled_at: float


GROUP_COLUMNS = {
    "project_id": "project_id",
    "user_id": "principal",
    "api_key_id": "key_id",
    "line_item": "line_item",
}
"""What costs can be grouped by, and the field of a line that says it."""


@dataclass(frozen=True)
class CostFilter:
    """Empty tuples do not filter."""

    project_ids: tuple[str, ...] = ()
    key_ids: tuple[str, ...] = ()
    line_items: tuple[str, ...] = ()


@dataclass(frozen=True)
class CostQuestion:
    """`groups` are names of `GROUP_COLUMNS`."""

    scope: Scope
    window: Window
    groups: tuple[str, ...] = ()
    filter: CostFilter = field(default_factory=CostFilter)


@dataclass(frozen=True)
class CostSum:
    """One group's costs in one bucket and currency; `group` holds a value per group of the question.
    `nanos` is None, and `currency` empty, for requests whose price nobody knows."""

    bucket: int
    group: tuple[str, ...]
    currency: str
    nanos: int | None
    requests: int


@dataclass(frozen=True)
class CostReport:
    """Ordered by bucket and group. `provisional` are the buckets that hold hours without books yet."""

    window: Window
    sums: tuple[CostSum, ...]
    provisional: frozenset[int]
