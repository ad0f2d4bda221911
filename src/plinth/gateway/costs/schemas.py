"""Wire types of prices, pools and costs.

Amounts go out as JSON numbers with every digit they have (no float in between), and come in as
numbers or as strings.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from plinth.gateway.costs.errors import BadRate
from plinth.gateway.costs.model import (
    DISCOUNT_PARTS,
    GROUP_COLUMNS,
    CostFilter,
    CostReport,
    CostSum,
    Machine,
    Pool,
    PoolGroup,
    PoolPrice,
    Price,
    decimal_of,
    nanos_of,
)
from plinth.gateway.costs.service import PoolPriceDraft, PriceDraft
from plinth.gateway.usage import Period, user_of
from plinth.kit.http import Wire

Amount = Annotated[Decimal, Field(allow_inf_nan=False, max_digits=24), WithJsonSchema({"type": "number"})]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{3}$")]
ModelId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Moment = Annotated[float, Field(ge=0, le=253_402_300_799, allow_inf_nan=False)]
Seconds = Annotated[int, Field(ge=0, le=253_402_300_799)]


def _printable(name: str) -> str:
    if "\x00" in name:
        raise ValueError("must not hold the character NUL")
    return name


Names = Annotated[
    tuple[Annotated[str, StringConstraints(max_length=400), AfterValidator(_printable)], ...], Field(max_length=200)
]


def exact_json(wire: Wire) -> bytes:
    """JSON whose decimals are numbers with all their digits."""
    return orjson.dumps(wire.model_dump(), default=_number)


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}")
    raise TypeError(type(value).__name__)


class PriceCreate(Wire):
    """Amounts are for a million tokens. `effective_from`: unix seconds, default now."""

    model: ModelId
    currency: Currency
    input: Amount
    output: Amount = Decimal(0)
    cached_input: Amount | None = None
    batch_discount: Annotated[Decimal, Field(ge=0, le=1, decimal_places=4), WithJsonSchema({"type": "number"})] = (
        Decimal(0)
    )
    effective_from: Moment | None = None

    def draft(self) -> PriceDraft:
        return PriceDraft(
            model_id=self.model,
            currency=self.currency,
            input_nanos=nanos_of(self.input, "input"),
            output_nanos=nanos_of(self.output, "output"),
            cached_input_nanos=None if self.cached_input is None else nanos_of(self.cached_input, "cached_input"),
            batch_discount=int(self.batch_discount * DISCOUNT_PARTS),
            effective_from=self.effective_from,
        )


class PriceObject(Wire):
    """`shared`: a price of the installation, which an own price replaces."""

    id: str
    object: str = "price"
    model: str
    currency: str
    input: Amount
    cached_input: Amount
    output: Amount
    batch_discount: Amount
    effective_from: float
    created_at: int
    shared: bool

    @classmethod
    def of(cls, price: Price) -> PriceObject:
        return cls(
            id=price.id,
            model=price.model_id,
            currency=price.currency,
            input=decimal_of(price.input_nanos),
            cached_input=decimal_of(price.cached_input_nanos),
            output=decimal_of(price.output_nanos),
            batch_discount=Decimal(price.batch_discount) / DISCOUNT_PARTS,
            effective_from=price.effective_from,
            created_at=int(price.created_at),
            shared=price.organization_id == "",
        )


class Purchase(Wire):
    """Written off evenly over `months`, in each of which the machine stands ready for `hours_per_month`."""

    price: Amount
    months: int = Field(ge=1, le=600)
    hours_per_month: int = Field(default=730, ge=1, le=744)


class Power(Wire):
    """`watts` drawn on average."""

    watts: int = Field(ge=0, le=10_000_000)
    price_per_kwh: Amount


class PoolPriceCreate(Wire):
    """Either a plain `per_hour`, or what it is computed from; with neither the price is unknown from
    then on. `effective_from`: unix seconds of a full hour, default the current one."""

    currency: Currency
    per_hour: Amount | None = None
    purchase: Purchase | None = None
    power: Power | None = None
    other_per_hour: Amount | None = None
    effective_from: Moment | None = None

    def draft(self) -> PoolPriceDraft:
        """Raises `BadRate`, `BadAmount`."""
        parts = self.purchase, self.power, self.other_per_hour
        computed = any(part is not None for part in parts)
        if computed and self.per_hour is not None:
            raise BadRate(param="per_hour")
        return PoolPriceDraft(
            currency=self.currency,
            nanos_per_hour=None if self.per_hour is None else nanos_of(self.per_hour, "per_hour"),
            machine=self._machine() if computed else None,
            effective_from=self.effective_from,
        )

    def _machine(self) -> Machine:
        bought, power, other = self.purchase, self.power, self.other_per_hour
        fields: dict[str, int] = {}
        if bought is not None:
            nanos = nanos_of(bought.price, "purchase.price")
            fields |= {
                "purchase_nanos": nanos,
                "months": bought.months,
                "hours_per_month": bought.hours_per_month,
            }
        if power is not None:
            nanos = nanos_of(power.price_per_kwh, "power.price_per_kwh")
            fields |= {"watts": power.watts, "kilowatt_hour_nanos": nanos}
        if other is not None:
            fields["other_nanos"] = nanos_of(other, "other_per_hour")
        return Machine(**fields)


class PoolPriceObject(Wire):
    """`per_hour` is null while nobody knows the price; `basis` is what it was computed from."""

    id: str
    object: str = "pool.price"
    pool: str
    currency: str
    per_hour: Amount | None
    basis: dict[str, Any] | None
    effective_from: int
    created_at: int

    @classmethod
    def of(cls, price: PoolPrice) -> PoolPriceObject:
        nanos = price.nanos_per_hour
        return cls(
            id=price.id,
            pool=price.pool,
            currency=price.currency,
            per_hour=None if nanos is None else decimal_of(nanos),
            basis=None if price.basis is None else _basis(price.basis),
            effective_from=price.effective_from,
            created_at=int(price.created_at),
        )


class PoolCreate(Wire):
    name: Annotated[str, StringConstraints(max_length=64)]


class PoolGroupCreate(Wire):
    """`engine_group`: a group of engines as in usage records' `endpoint_group`."""

    engine_group: ModelId
    effective_from: Moment | None = None


class PoolGroupObject(Wire):
    object: str = "pool.engine_group"
    engine_group: str
    pool: str
    effective_from: int

    @classmethod
    def of(cls, group: PoolGroup) -> PoolGroupObject:
        return cls(engine_group=group.endpoint_group, pool=group.pool, effective_from=group.effective_from)


class PoolObject(Wire):
    """`prices` oldest first; `engine_groups` lists those that are or were mapped to it. Groups that
    are mapped nowhere belong to the pool `local`."""

    id: str
    object: str = "pool"
    prices: list[PoolPriceObject]
    engine_groups: list[PoolGroupObject]

    @classmethod
    def of(cls, pool: Pool, prices: list[PoolPrice], groups: list[PoolGroup]) -> PoolObject:
        shown = [PoolGroupObject.of(group) for group in groups]
        return cls(id=pool.name, prices=[PoolPriceObject.of(price) for price in prices], engine_groups=shown)


class CostQuery(Wire):
    """The SDK's parameters of `admin.organization.usage.costs`; lists come as `line_items[]=…`."""

    start_time: Seconds
    end_time: Seconds | None = None
    bucket_width: Literal["1d", "1h"] = "1d"
    limit: int | None = None
    page: Annotated[str, StringConstraints(max_length=64)] | None = None
    project_ids: Names = Field((), alias="project_ids[]")
    api_key_ids: Names = Field((), alias="api_key_ids[]")
    line_items: Names = Field((), alias="line_items[]")
    group_by: Names = Field((), alias="group_by[]")

    def period(self) -> Period:
        return Period(self.start_time, self.end_time, self.limit, self.page)

    def filter(self) -> CostFilter:
        return CostFilter(self.project_ids, self.api_key_ids, self.line_items)


class MoneyObject(Wire):
    """`currency` is a lower-case ISO 4217 code."""

    value: Amount
    currency: str


class CostResult(Wire):
    """One group of one bucket in one currency. `amount` is null for requests whose price nobody
    knows; `quantity` counts requests. A grouping that was not asked for, and what idle time does not
    have (project, key, user), is null."""

    object: str = "organization.costs.result"
    amount: MoneyObject | None
    line_item: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    api_source: str | None = None
    quantity: int | None = None
    quantity_unit: str | None = None

    @classmethod
    def of(cls, item: CostSum, groups: tuple[str, ...]) -> CostResult:
        group: dict[str, str | None] = {name: value or None for name, value in zip(groups, item.group, strict=True)}
        if user := group.get("user_id"):
            group["user_id"] = user_of(user)
        if "line_item" in groups:
            group["quantity_unit"] = "requests"
        money = None
        if item.nanos is not None:
            money = MoneyObject(value=decimal_of(item.nanos), currency=item.currency.lower())
        return cls(amount=money, quantity=item.requests if "line_item" in groups else None, **group)


class CostBucket(Wire):
    """`provisional`: hours of it are not settled yet; the running hour counts up to now."""

    object: str = "bucket"
    start_time: int
    end_time: int
    results: list[CostResult]
    provisional: bool


class CostPage(Wire):
    object: str = "page"
    data: list[CostBucket]
    has_more: bool
    next_page: str | None

    @classmethod
    def of(cls, report: CostReport, groups: tuple[str, ...]) -> CostPage:
        window = report.window
        results: dict[int, list[CostResult]] = {start: [] for start in window.buckets}
        for item in report.sums:
            results[item.bucket].append(CostResult.of(item, groups))
        width = window.width.seconds
        buckets = [
            CostBucket(start_time=s, end_time=s + width, results=found, provisional=s in report.provisional)
            for s, found in results.items()
        ]
        return cls(data=buckets, has_more=window.next_page is not None, next_page=window.next_page)


COST_GROUPS = tuple(GROUP_COLUMNS)

_AMOUNTS = {
    "purchase_nanos": "purchase_price",
    "kilowatt_hour_nanos": "price_per_kwh",
    "other_nanos": "other_per_hour",
}


def _basis(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of `Machine` with amounts in units of the currency."""
    return {
        _AMOUNTS.get(name, name): decimal_of(value) if name in _AMOUNTS else value for name, value in fields.items()
    }
