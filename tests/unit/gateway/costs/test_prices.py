from __future__ import annotations

import time
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.gateway.costs import Currencies, PriceTable, decimal_of
from plinth.gateway.costs.errors import BadAmount, BadCurrency
from plinth.gateway.costs.model import Price, nanos_of, rounded

nanos = st.integers(0, 10**12)
tokens = st.integers(0, 10**7)


def price(start: float = 0.0, organization: str = "org_a", **more: int) -> Price:
    fields = {"input_nanos": 270_000_000, "cached_input_nanos": 70_000_000, "output_nanos": 1_100_000_000}
    fields |= {"batch_discount": 0, **more}
    return Price(f"price_{start}", organization, "big", start, "USD", created_at=start, **fields)


@given(nanos, nanos, nanos, st.integers(0, 10_000), tokens, tokens, tokens, st.booleans())
def test_a_request_costs_the_exact_price_rounded_half_even_once(
    input: int, cached_input: int, output: int, discount: int, prompt: int, cached: int, completion: int, batch: bool
) -> None:
    cached = min(cached, prompt)
    version = price(input_nanos=input, cached_input_nanos=cached_input, output_nanos=output, batch_discount=discount)
    exact = Fraction((prompt - cached) * input + cached * cached_input + completion * output, 10**6)
    if batch:
        exact *= Fraction(10_000 - discount, 10_000)
    found = PriceTable([version]).of("org_a").price("big", prompt, cached, completion, batch, 1.0)
    assert found == (round(exact), "USD")  # round() of a Fraction is half-even


def test_ties_go_to_the_even_nano() -> None:
    assert [rounded(n, 2) for n in (1, 3, 5, 4)] == [0, 2, 2, 2]
    assert [rounded(n, 4) for n in (1, 2, 3, 6, 7)] == [0, 0, 1, 2, 2]


def test_the_price_in_force_counts() -> None:
    prices = PriceTable([price(100.0, input_nanos=10**9), price(200.0, input_nanos=2 * 10**9)]).of("org_a")

    def cost(at: float) -> int | None:
        found = prices.price("big", 1_000_000, 0, 0, False, at)
        return None if found is None else found[0]

    assert [cost(at) for at in (99.9, 100.0, 199.9, 200.0, 1e12)] == [None, 10**9, 10**9, 2 * 10**9, 2 * 10**9]
    assert prices.price("other", 1, 0, 0, False, 150.0) is None


def test_of_two_prices_for_the_same_moment_the_later_entry_counts() -> None:
    first = price(100.0, input_nanos=1)
    second = Price("price_z", "org_a", "big", 100.0, "USD", 10**9, 0, 0, 0, created_at=999.0)
    for order in ([first, second], [second, first]):
        assert PriceTable(order).of("org_a").price("big", 1_000_000, 0, 0, False, 100.0) == (10**9, "USD")


def test_an_own_price_replaces_a_shared_one() -> None:
    table = PriceTable([price(0.0, "", input_nanos=10**9), price(50.0, "org_a", input_nanos=3 * 10**9)])
    assert table.of("org_b").price("big", 1_000_000, 0, 0, False, 60.0) == (10**9, "USD")
    assert table.of("org_a").price("big", 1_000_000, 0, 0, False, 60.0) == (3 * 10**9, "USD")
    assert table.of("org_a").price("big", 1_000_000, 0, 0, False, 10.0) is None


def test_more_cached_than_prompt_tokens_is_the_engines_mistake() -> None:
    assert PriceTable([price()]).of("org_a").price("big", 10, 1000, 0, False, 1.0) == (700, "USD")


@given(st.integers(0, 10**18))
def test_amounts_survive_the_way_out_and_in(amount: int) -> None:
    assert nanos_of(decimal_of(amount), "x") == amount
    assert "E" not in f"{decimal_of(amount):f}"


@pytest.mark.parametrize(
    "amount",
    [
        "-0.1",
        "0.0000000001",
        "1000000001",
        "NaN",
        "Infinity",
        "1e999999",
        "1e-999999",
        "1.00000000000000000000000000000001",
    ],
)
def test_amounts_that_are_none(amount: str) -> None:
    with pytest.raises(BadAmount):
        nanos_of(Decimal(amount), "x")


def test_a_currency_needs_a_rate() -> None:
    money = Currencies("USD", {"CNY": Decimal("0.14")})
    assert (money.check("cny"), money.check("USD"), money.to_base(100, "CNY")) == ("CNY", "USD", 14)
    with pytest.raises(BadCurrency):
        money.check("EUR")


def test_pricing_is_fast_enough_for_the_hot_path() -> None:
    prices = PriceTable([price(float(n)) for n in range(20)]).of("org_a")
    best = 1.0
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(2000):
            prices.price("big", 1234, 200, 345, False, 1000.0)
        best = min(best, (time.perf_counter() - begin) / 2000)
    assert best < 10e-6  # about 1 us; the margin is for a busy machine
