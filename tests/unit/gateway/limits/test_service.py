"""What is decided about limits, budgets and permissions, and what the limiter gets to see of it."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from plinth.gateway.limits import (
    AlertDraft,
    BudgetDraft,
    BudgetKeeper,
    InMemoryCounters,
    InMemorySpending,
    Limit,
    Limiter,
    Mode,
    Period,
    Rates,
    Scope,
    Spending,
)
from plinth.gateway.limits.errors import BudgetExhausted, ModelNotPermitted, RequestRateReached, WrongCurrency
from plinth.gateway.limits.model import NANOS, money
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from unit.gateway.limits.conftest import World

MONTH = BudgetDraft(Period.month, 100 * NANOS, "USD", alert_percent=(50, 90))


def test_what_is_set_is_enforced(world: World) -> None:
    with world.db.write() as session:
        key = world.service.subject(session, world.admin, Scope.key, world.member.key_id)
        world.service.set_limit(session, world.admin, key, "", Rates(requests_per_minute=1))
        world.service.set_rule(session, world.admin, world.project, Mode.allow, ["chat"])
        table = world.service.snapshot(session)
    limiter = Limiter(InMemoryCounters(), world.clock)
    limiter.update(table)
    limiter.admit(world.member, "chat", 1)
    with pytest.raises(RequestRateReached, match=f"key={world.member.key_id}"):
        limiter.admit(world.member, "chat", 1)
    with pytest.raises(ModelNotPermitted):
        limiter.admit(world.member, "org/base", 1)


def test_setting_the_same_again_is_no_news(world: World) -> None:
    with world.db.write() as session:
        for _ in range(3):
            world.service.set_limit(session, world.admin, world.project, "chat", Rates(tokens_per_minute=5))
    assert len(world.happened("gateway.limit.changed")) == 1


def test_a_budget_is_enforced_by_what_the_books_say(world: World) -> None:
    with world.db.write() as session:
        world.service.budgets.put(session, world.admin, world.project, MONTH)
        table = world.service.snapshot(session)
    limiter = Limiter(InMemoryCounters(), world.clock)
    limiter.update(table)
    keeper = BudgetKeeper(world.db, world.spending, limiter, world.clock, 5)
    start = Period.month.start(world.clock.unix())
    world.spending.book(start - 1, "project", world.project_id, 500 * NANOS)
    world.spending.book(start, "project", world.project_id, 99 * NANOS)
    keeper.refresh()
    limiter.admit(world.member, "chat", 1).settle(1, NANOS)
    with pytest.raises(BudgetExhausted) as refusal:
        limiter.admit(world.member, "chat", 1)
    assert "100.00 of 100.00 USD" in refusal.value.message
    assert f"project={world.project_id}" in refusal.value.message


def test_what_was_settled_counts_until_it_is_surely_booked(world: World) -> None:
    with world.db.write() as session:
        world.service.budgets.put(session, world.admin, world.project, MONTH)
        table = world.service.snapshot(session)
    limiter = Limiter(InMemoryCounters(), world.clock)
    limiter.update(table)
    keeper = BudgetKeeper(world.db, world.spending, limiter, world.clock, 5)
    (purse,) = limiter.purses()
    keeper.refresh()
    limiter.admit(world.member, "chat", 1).settle(1, 7 * NANOS)
    world.clock.advance(1)
    keeper.refresh()
    assert purse.used(world.clock.unix()) == 7 * NANOS  # settled here, not in the books yet
    world.spending.book(world.clock.unix(), "project", world.project_id, 7 * NANOS)
    for _ in range(6):
        world.clock.advance(1)
        keeper.refresh()
        assert purse.used(world.clock.unix()) >= 7 * NANOS
    assert purse.used(world.clock.unix()) == 7 * NANOS


class BrokenBooks(InMemorySpending):
    def spent(self, *_: object) -> dict[tuple[str, str], int]:
        raise OperationalError("SELECT", {}, Exception("away"))


def test_while_the_database_is_away_settled_costs_add_up(world: World) -> None:
    with world.db.write() as session:
        world.service.budgets.put(session, world.admin, world.project, MONTH)
        table = world.service.snapshot(session)
    limiter = Limiter(InMemoryCounters(), world.clock)
    limiter.update(table)
    world.spending.book(world.clock.unix(), "project", world.project_id, 60 * NANOS)
    BudgetKeeper(world.db, world.spending, limiter, world.clock, 5).refresh()
    broken: Spending = BrokenBooks()
    keeper = BudgetKeeper(world.db, broken, limiter, world.clock, 5)
    keeper.start()
    keeper.stop()
    for _ in range(4):
        world.clock.advance(600)
        limiter.admit(world.member, "chat", 1).settle(1, 10 * NANOS)
    with pytest.raises(BudgetExhausted):
        limiter.admit(world.member, "chat", 1)


def test_alerts_are_raised_once_a_period_and_threshold(world: World) -> None:
    def look() -> list[int]:
        with world.db.write() as session:
            world.service.budgets.raise_alerts(session)
        return [payload["percent"] for payload in world.happened("gateway.budget.alert")]

    with world.db.write() as session:
        world.service.budgets.put(session, world.admin, world.project, MONTH)
    assert look() == []
    world.spending.book(world.clock.unix(), "project", world.project_id, 50 * NANOS)
    assert look() == [50]
    assert look() == [50]
    world.spending.book(world.clock.unix(), "project", world.project_id, 50 * NANOS)
    assert look() == [50, 90, 100]
    newest = world.happened("gateway.budget.alert")[-1]
    assert newest["enforcing"] is True
    assert (newest["spent_nanos"], newest["threshold_nanos"]) == (100 * NANOS, 100 * NANOS)
    assert look() == [50, 90, 100]
    # next month
    world.clock.advance(Period.month.end(world.clock.unix()) - world.clock.unix())
    world.spending.book(world.clock.unix(), "project", world.project_id, 95 * NANOS)
    assert look() == [50, 90, 100, 50, 90]
    # a higher budget is another threshold
    with world.db.write() as session:
        higher = BudgetDraft(Period.month, 190 * NANOS, "USD", alert_percent=(50,))
        world.service.budgets.put(session, world.admin, world.project, higher)
    assert look() == [50, 90, 100, 50, 90, 50]


def test_an_alert_at_an_amount_keeps_addresses_out_of_the_event(world: World) -> None:
    with world.db.write() as session:
        organization = world.service.subject(session, world.admin, Scope.organization, world.admin.organization_id)
        draft = AlertDraft(3 * NANOS, "USD", ("boss@example.com",))
        alert = world.service.budgets.add_alert(session, world.admin, organization, draft)
    world.spending.book(world.clock.unix(), "organization", organization.id, 3 * NANOS)
    for _ in range(2):
        with world.db.write() as session:
            world.service.budgets.raise_alerts(session)
    (payload,) = world.happened("gateway.budget.alert")
    assert payload["alert_id"] == alert.id
    assert payload["enforcing"] is False
    assert "boss" not in str([world.happened(k) for k in ("gateway.budget.alert", "gateway.spend_alert.changed")])


def test_a_budget_in_another_currency_is_refused(world: World) -> None:
    with world.db.write() as session, pytest.raises(WrongCurrency, match="USD"):
        world.service.budgets.put(session, world.admin, world.project, BudgetDraft(Period.day, 1, "CNY"))


@pytest.mark.parametrize(
    ("unix", "day", "month"),
    [
        (1_793_535_000, (1_793_491_200, 1_793_577_600), (1_793_491_200, 1_796_083_200)),  # 2026-11-01 12:10
        (1_798_761_599, (1_798_675_200, 1_798_761_600), (1_796_083_200, 1_798_761_600)),  # 2026-12-31 23:59:59
        (1_835_395_200, (1_835_395_200, 1_835_481_600), (1_832_976_000, 1_835_481_600)),  # 2028-02-29 00:00
    ],
)
def test_periods_are_calendar_days_and_months_in_utc(
    unix: float, day: tuple[float, float], month: tuple[float, float]
) -> None:
    assert (Period.day.start(unix), Period.day.end(unix)) == day
    assert (Period.month.start(unix), Period.month.end(unix)) == month


def test_money_is_shown_exactly() -> None:
    shown = [money(nanos) for nanos in (0, 1, 12_500_000_000, 10**18 + 1, -5 * 10**8)]
    assert shown == ["0.00", "0.000000001", "12.50", "1000000000.000000001", "-0.50"]


def test_the_keeper_reads_nothing_without_budgets(db: Database, clock: FixedClock) -> None:
    limiter = Limiter(InMemoryCounters(), clock)
    BudgetKeeper(db, BrokenBooks(), limiter, clock, 5).refresh()
    assert limiter.purses() == []


def test_limits_differ_by_what_they_limit(world: World) -> None:
    with world.db.read() as session:
        shown = world.service.rate_limits(session, world.project)
    assert [limit.model for limit in shown] == ["", "chat", "ft:base:acme:x:1", "org/base"]
    assert all(limit == Limit("", world.project, limit.model) for limit in shown)
