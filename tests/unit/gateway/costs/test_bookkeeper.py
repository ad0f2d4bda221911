from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from plinth.gateway.costs import (
    BooksOpen,
    CostFilter,
    CostQuestion,
    Currencies,
    HourNotSettled,
    Machine,
    PoolPriceDraft,
    PriceDraft,
    Spending,
    books,
    store,
)
from plinth.gateway.costs.errors import ExchangeRateMissing, NotWholeHour, PoolTaken, TooLongAgo
from plinth.gateway.usage import Scope, Width, Window
from plinth.gateway.usage.store import usage_records
from plinth.kit.db import Database
from plinth.kit.errors import NotFound
from unit.gateway.costs.desk import HOUR, NOON, Desk, admin, record, remote

DAY = NOON - 43_200
RATE = 3_600_000_007  # nanos an hour: does not divide evenly


def price_local(desk: Desk, nanos: int | None = RATE, at: float = NOON, currency: str = "USD") -> None:
    with desk.db.write() as session:
        draft = PoolPriceDraft(currency, nanos_per_hour=nanos, effective_from=at)
        desk.service.set_pool_price(session, admin(), "local", draft)


def day_costs(desk: Desk, *groups: str, scope: Scope | None = None, **chosen: Any) -> list[tuple[Any, ...]]:
    window = Window(DAY, DAY + 86_400, Width.day, None)
    question = CostQuestion(scope or Scope("org_a"), window, groups, CostFilter(**chosen))
    report = desk.read(lambda session: desk.reports.report(session, question))
    return [(*item.group, item.currency, item.nanos, item.requests) for item in report.sums]


def test_an_hour_is_settled_after_its_grace_and_its_books_close(desk: Desk) -> None:
    price_local(desk)
    desk.usage.add([record("a", NOON + 10, 100), record("b", NOON + 60, 100, project_id="proj_b")])
    assert desk.at(NOON + HOUR + 299).books.run_once() == 0
    with pytest.raises(HourNotSettled):
        desk.read(lambda session: desk.books.verify(session, "local", NOON))
    assert desk.at(NOON + HOUR + 300).books.run_once() == 1
    proof = desk.read(lambda session: desk.books.verify(session, "local", NOON))
    assert (proof.meter_nanos, proof.requests, proof.difference) == (RATE, 2, 0)
    assert proof.requests_nanos + (proof.idle_nanos or 0) == RATE
    # 150 of 3600 seconds were worked
    assert abs(proof.requests_nanos - RATE * 150 // 3600) <= 2
    assert desk.books.run_once() == 0


def test_a_late_record_settles_the_hour_again(desk: Desk) -> None:
    price_local(desk)
    desk.usage.add([record("a", NOON + 10, 100)])
    desk.at(NOON + HOUR + 400).books.run_once()
    desk.usage.add([record("late", NOON + 10, 100)])
    with pytest.raises(BooksOpen):
        desk.read(lambda session: desk.books.verify(session, "local", NOON))
    assert desk.books.run_once() == 1
    shares = desk.read(lambda session: store.shares(session, "local", NOON))
    # they worked at the same time, and a nano that cannot be halved goes to the lower id
    assert sorted(shares) == ["usage_a", "usage_late"]
    assert shares["usage_a"] - shares["usage_late"] in (0, 1)
    desk.usage.add([record("late", NOON + 10, 100)])  # a replayed journal
    assert desk.books.run_once() == 0


def test_a_request_over_the_hour_pays_in_both_hours(desk: Desk) -> None:
    price_local(desk, 3_600)
    desk.usage.add([record("long", NOON + 3500, 200)])
    assert desk.at(NOON + 2 * HOUR + 300).books.run_once() == 2
    shares = desk.read(lambda session: store.shares_of_records(session, ["usage_long"]))
    assert sorted(shares["usage_long"]) == [(100, "USD"), (100, "USD")]
    assert [line[-1] for line in day_costs(desk, "project_id")] == [0, 1]  # counted once, where it began


def test_a_record_that_began_hours_ago_is_found(desk: Desk) -> None:
    price_local(desk, 3_600)
    desk.usage.add([record("batch", NOON - 5 * HOUR, 6 * HOUR)])
    desk.at(NOON + HOUR + 300).books.run_once()
    assert desk.read(lambda session: store.shares(session, "local", NOON)) == {"usage_batch": 3_600}


def test_an_idle_machine_is_paid_for(desk: Desk) -> None:
    price_local(desk, 1000)
    assert desk.at(NOON + 3 * HOUR + 300).books.run_once() == 3
    assert day_costs(desk, "line_item") == [("idle: local", "USD", 3000 + 83, 0)]  # 300 s run in the fourth hour
    assert day_costs(desk, scope=Scope("org_b")) == []
    assert day_costs(desk, scope=Scope("org_a", "proj_a")) == []


def test_an_unknown_price_is_null_and_never_zero(desk: Desk) -> None:
    desk.usage.add([record("a", NOON + 10, 100)])
    assert day_costs(desk, "project_id") == [("proj_a", "", None, 1)]  # the running hour
    desk.at(NOON + HOUR + 400).books.run_once()
    proof = desk.read(lambda session: desk.books.verify(session, "local", NOON))
    assert (proof.meter_nanos, proof.idle_nanos) == (None, None)
    assert day_costs(desk, "project_id") == [("proj_a", "", None, 1)]
    price_local(desk, 3600)  # from the hour that is over
    assert desk.books.run_once() == 1
    assert ("proj_a", "USD", 100, 1) in day_costs(desk, "project_id")
    price_local(desk, None)  # that was a mistake
    desk.books.run_once()
    assert day_costs(desk, "project_id") == [("proj_a", "", None, 1)]


def test_a_price_counts_from_its_hour(desk: Desk) -> None:
    price_local(desk, 1000)
    price_local(desk, 5000, NOON + HOUR)
    desk.at(NOON + 2 * HOUR + 300).books.run_once()
    meters = [entry.meter_nanos for entry in desk.read(lambda s: store.settled(s, "local", NOON, NOON + 2 * HOUR))]
    assert meters == [1000, 5000]


def test_groups_of_engines_belong_to_the_pool_they_are_mapped_to(desk: Desk) -> None:
    price_local(desk, 3600)
    with desk.db.write() as session:
        desk.service.create_pool(session, admin(), "gpu")
        desk.service.set_pool_price(session, admin(), "gpu", PoolPriceDraft("USD", 36_000, effective_from=NOON))
        desk.service.map_group(session, admin(), "gpu", "large@vllm")
    desk.usage.add([record("small", NOON, 1800), record("large", NOON, 1800, endpoint_group="large@vllm")])
    desk.at(NOON + HOUR + 300).books.run_once()
    assert desk.read(lambda session: store.shares(session, "local", NOON)) == {"usage_small": 1800}
    assert desk.read(lambda session: store.shares(session, "gpu", NOON)) == {"usage_large": 18_000}
    assert day_costs(desk, "line_item", line_items=("gpu: small", "idle: gpu")) == [
        ("gpu: small", "USD", 18_000, 1),
        ("idle: gpu", "USD", 18_000 + 3000, 0),
    ]


def test_a_day_adds_up_to_its_meters_and_the_providers_prices(desk: Desk) -> None:
    desk.at(DAY)
    price_local(desk, RATE, DAY)
    own = [record(f"own{n:03}", DAY + n * 700.25, 900.5, project_id=f"proj_{n % 3}") for n in range(120)]
    paid = [remote(f"far{n:03}", DAY + n * 900.5, 1_000_000 + n, project_id=f"proj_{n % 3}") for n in range(90)]
    shadow = [remote("shadow", DAY + 5, 77, kind="mirror"), remote("failed", DAY + 6, 33, kind="attempt")]
    desk.usage.add([*own, *paid, *shadow])
    desk.at(DAY + 86_400 + 300).books.run_once()
    providers = sum(item.cost_nanos or 0 for item in (*paid, *shadow))
    total = 24 * RATE + providers
    for groups in ((), ("line_item",), ("project_id",), ("project_id", "user_id", "api_key_id", "line_item")):
        assert sum(line[-2] for line in day_costs(desk, *groups)) == total
    assert day_costs(desk) == [("USD", total, 210)]
    items = {line[0]: line[2] for line in day_costs(desk, "line_item")}
    assert items["remote: big"] == providers
    assert items["local: small"] + items["idle: local"] == 24 * RATE
    assert sum(line[-2] for line in day_costs(desk, "line_item", line_items=("remote: big",))) == providers
    mine = day_costs(desk, "line_item", scope=Scope("org_a", "proj_1"))
    assert [line[0] for line in mine] == ["local: small", "remote: big"]


@pytest.mark.parametrize("damage", ["share", "line", "idle", "record", "meter"])
def test_verify_notices_whatever_was_changed_afterwards(desk: Desk, damage: str) -> None:
    price_local(desk)
    desk.usage.add([record("a", NOON + 10, 100), record("b", NOON + 60, 100)])
    desk.at(NOON + HOUR + 400).books.run_once()
    with desk.db.write() as session:
        if damage == "share":
            session.execute(update(store.cost_shares).values(nanos=store.cost_shares.c.nanos + 1))
        elif damage == "line":
            session.execute(delete(store.cost_lines).where(store.cost_lines.c.position == 0))
        elif damage == "idle":
            hours = store.settled_hours
            session.execute(update(hours).values(idle_nanos=hours.c.idle_nanos - 1))
        elif damage == "meter":
            hours = store.settled_hours
            session.execute(update(hours).values(meter_nanos=hours.c.meter_nanos + 1))
        else:
            session.execute(update(usage_records).values(occupied_seconds=7))
    with pytest.raises(BooksOpen):
        desk.read(lambda session: desk.books.verify(session, "local", NOON))
    desk.books.settle("local", NOON, again=True)
    assert desk.read(lambda session: desk.books.verify(session, "local", NOON)).difference == 0


def test_shares_that_add_up_but_go_to_the_wrong_one_do_not_close(desk: Desk) -> None:
    price_local(desk)
    desk.usage.add([record("a", NOON + 10, 100), record("b", NOON + 500, 10)])
    desk.at(NOON + HOUR + 400).books.run_once()
    with desk.db.write() as session:
        shares = store.shares(session, "local", NOON)
        session.execute(delete(store.cost_shares))
        swapped = zip(shares, reversed(shares.values()), strict=True)
        rows = [{"record_id": id, "nanos": n, "hour": NOON, "pool": "local", "currency": "USD"} for id, n in swapped]
        session.execute(insert(store.cost_shares), rows)
    with pytest.raises(BooksOpen):
        desk.read(lambda session: desk.books.verify(session, "local", NOON))


def test_requests_are_booked_when_their_price_is_entered_later(desk: Desk) -> None:
    desk.usage.add([remote("a", NOON + 1, None), remote("b", NOON - HOUR, None), remote("c", NOON + 2, 5)])
    assert day_costs(desk, "line_item") == [("remote: big", "", None, 2), ("remote: big", "USD", 5, 1)]
    with desk.db.write() as session:
        draft = PriceDraft("big", "usd", 1_000_000_000, 2_000_000_000, effective_from=NOON)
        desk.service.set_price(session, admin(), draft)
    desk.books.run_once()
    # 100 tokens in, 20 out; the one before the price began stays unknown, the one that had a price keeps it
    assert day_costs(desk, "line_item") == [("remote: big", "", None, 1), ("remote: big", "USD", 140_005, 2)]
    desk.books.run_once()
    assert len(day_costs(desk, "line_item")) == 2


def test_spending_counts_everything_once(desk: Desk, db: Database) -> None:
    price_local(desk, 3600)
    desk.usage.add([record("a", NOON + 10, 100), remote("b", NOON + 20, 7, key_id="key_2")])

    def spent(since: float = NOON) -> dict[Any, int]:
        return dict(desk.read(lambda session: desk.spending.spent(session, since)))

    everybody = {
        ("organization", "org_a"): 107,
        ("project", "proj_a"): 107,
        ("key", "key_1"): 100,
        ("key", "key_2"): 7,
    }
    desk.at(NOON + 200)
    assert spent() == everybody  # provisional
    desk.at(NOON + HOUR + 100)
    assert spent() == everybody  # over, not settled
    desk.at(NOON + HOUR + 300).books.run_once()
    assert spent() == everybody  # settled
    desk.usage.add([remote("late", NOON + 30, 1)])  # into a finished hour
    assert spent()["project", "proj_a"] == 108
    desk.usage.add([remote("now", NOON + HOUR + 301, 10)])
    assert spent()["project", "proj_a"] == 118
    assert spent(NOON + HOUR) == {
        ("organization", "org_a"): 10,
        ("project", "proj_a"): 10,
        ("key", "key_1"): 10,
    }


def test_spending_in_two_currencies(desk: Desk) -> None:
    desk.usage.add([remote("a", NOON, 1_000, "CNY"), remote("b", NOON, 7)])
    rated = Spending(desk.clock, Currencies("USD", {"CNY": Decimal("0.1405")}))
    # 140.5 rounds to the even nano
    assert desk.read(lambda session: rated.spent(session, NOON))["project", "proj_a"] == 147
    with pytest.raises(ExchangeRateMissing):
        desk.read(lambda session: desk.spending.spent(session, NOON))


def test_provisional_shares_are_not_computed_every_second(desk: Desk) -> None:
    price_local(desk, 3600)
    desk.usage.add([record("a", NOON, 10)])
    desk.at(NOON + 20)
    first = desk.read(lambda session: desk.spending.spent(session, NOON))
    desk.usage.add([record("b", NOON + 10, 10)])
    assert desk.read(lambda session: desk.spending.spent(session, NOON)) == first
    desk.clock.advance(5)
    assert desk.read(lambda session: desk.spending.spent(session, NOON))["project", "proj_a"] == 20


def test_an_estimate_is_never_below_what_the_books_say(desk: Desk) -> None:
    price_local(desk)
    # bursts: much overlaps, much is idle
    desk.usage.add([record(f"{n:03}", NOON + n % 4 * 600 + n / 10, 30 + n % 7, key_id=f"k{n % 3}") for n in range(80)])
    desk.at(NOON + HOUR + 10)
    estimated = desk.read(lambda session: desk.spending.spent(session, NOON))["organization", "org_a"]
    desk.at(NOON + HOUR + 300).books.run_once()
    settled = desk.read(lambda session: desk.spending.spent(session, NOON))["organization", "org_a"]
    proof = desk.read(lambda session: desk.books.verify(session, "local", NOON))
    assert settled == proof.requests_nanos
    assert settled < estimated <= RATE


def test_records_that_come_while_an_hour_is_settled_are_not_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    price_local(desk)
    desk.usage.add([record("a", NOON + 10, 100)])
    original = books.settle

    def slow(*arguments: Any) -> books.Settlement:
        monkeypatch.setattr(books, "settle", original)
        desk.usage.add([record("b", NOON + 10, 100)])
        return original(*arguments)

    monkeypatch.setattr(books, "settle", slow)
    assert desk.at(NOON + HOUR + 400).books.run_once() == 0
    assert desk.books.run_once() == 1
    assert desk.read(lambda session: desk.books.verify(session, "local", NOON)).requests == 2


def test_rules_of_pools(desk: Desk) -> None:
    with pytest.raises(NotWholeHour):
        price_local(desk, 1, NOON + 1)
    with pytest.raises(TooLongAgo):
        price_local(desk, 1, NOON - 401 * 86_400)
    price_local(desk, 1)
    with desk.db.write() as session, pytest.raises(NotFound):
        # this machine is the first organization's now
        desk.service.set_pool_price(session, admin("org_b"), "local", PoolPriceDraft("USD", 1))
    with desk.db.write() as session, pytest.raises(PoolTaken):
        desk.service.create_pool(session, admin("org_b"), "local")
    assert desk.trail == [("pool.created", "local"), ("pool.priced", "local")]


def test_what_a_machine_costs_an_hour() -> None:
    bought = Machine(30_000 * 10**9, months=36, hours_per_month=730)
    assert bought.nanos_per_hour() == 1_141_552_511  # 1.14155251141…
    assert Machine(watts=650, kilowatt_hour_nanos=300_000_000).nanos_per_hour() == 195_000_000
    everything = Machine(30_000 * 10**9, 36, 730, 650, 300_000_000, 10)
    assert everything.nanos_per_hour() == 1_141_552_511 + 195_000_000 + 10
