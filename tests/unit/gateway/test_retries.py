"""When another attempt is right."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.gateway.dataplane.retries import Attempt, Backoff, BudgetSettings, Failure, Retries, RetryBudget
from plinth.kit.clock import FixedClock

FIRST = Attempt(number=1, allowed=3, failure=Failure.server_error)


def retries(clock: FixedClock, roll: float = 0.5, **settings: Any) -> Retries:
    return Retries(RetryBudget(clock, BudgetSettings(**settings)), lambda: roll, Backoff(1.0, 8.0))


def test_never_after_the_first_byte(clock: FixedClock) -> None:
    for failure in Failure:
        for elsewhere in (True, False):
            attempt = replace(FIRST, failure=failure, started=True, elsewhere=elsewhere)
            assert retries(clock).pause(attempt) is None


def test_only_as_often_as_the_route_allows(clock: FixedClock) -> None:
    policy = retries(clock)
    assert [policy.pause(replace(FIRST, number=number)) is None for number in (1, 2, 3, 4)] == [
        False,
        False,
        True,
        True,
    ]
    assert policy.pause(replace(FIRST, allowed=1)) is None


@pytest.mark.parametrize("failure", list(Failure))
def test_a_wrong_request_is_wrong_everywhere_and_the_rest_may_go_on(clock: FixedClock, failure: Failure) -> None:
    for elsewhere in (True, False):
        pause = retries(clock).pause(replace(FIRST, failure=failure, elsewhere=elsewhere))
        assert (pause is None) == (failure is Failure.refused)


def test_another_target_is_asked_at_once_the_same_one_after_a_pause(clock: FixedClock) -> None:
    assert retries(clock).pause(replace(FIRST, elsewhere=True)) == 0.0
    assert retries(clock).pause(FIRST) == 0.5
    assert retries(clock).pause(replace(FIRST, number=2)) == 1.0


def test_a_target_may_ask_for_a_longer_wait_but_not_for_a_very_long_one(clock: FixedClock) -> None:
    throttled = replace(FIRST, failure=Failure.throttled)
    assert retries(clock).pause(replace(throttled, retry_after_seconds=7)) == 7
    assert retries(clock).pause(replace(throttled, retry_after_seconds=60)) is None
    assert retries(clock).pause(replace(throttled, retry_after_seconds=60, elsewhere=True)) == 0.0


def test_not_when_the_time_is_up_before_the_attempt(clock: FixedClock) -> None:
    assert retries(clock).pause(replace(FIRST, seconds_left=0.5)) is None
    assert retries(clock).pause(replace(FIRST, seconds_left=0.51)) == 0.5
    assert retries(clock).pause(replace(FIRST, seconds_left=0.0, elsewhere=True)) is None


def test_what_is_not_retried_costs_no_budget(clock: FixedClock) -> None:
    policy = retries(clock, reserve=1, per_second=0, share=0)
    for attempt in (
        replace(FIRST, started=True),
        replace(FIRST, number=3),
        replace(FIRST, failure=Failure.refused),
        replace(FIRST, seconds_left=0.1),
    ):
        assert policy.pause(attempt) is None
    assert policy.pause(FIRST) is not None
    assert policy.pause(FIRST) is None


def test_a_dead_targets_traffic_always_finds_its_fallback(clock: FixedClock) -> None:
    policy = retries(clock, reserve=1, per_second=0, share=0)
    dead = replace(FIRST, failure=Failure.unreachable)
    assert [policy.pause(replace(dead, elsewhere=True)) for _ in range(1000)] == [0.0] * 1000
    assert policy.pause(dead) is not None
    assert policy.pause(dead) is None  # knocking at the same door again is paid for


def test_an_overloaded_target_gets_at_most_the_budget_on_top(clock: FixedClock) -> None:
    policy = retries(clock, share=0.2, per_second=0, reserve=10)
    made = 0
    for _ in range(10_000):
        policy.budget.earn()
        made += policy.pause(FIRST) is not None
    assert made == pytest.approx(2000 + 10, abs=1)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.floats(0, 10)), max_size=60),
    st.floats(0, 0.5),
    st.floats(0, 5),
    st.floats(1, 50),
)
def test_no_stretch_of_time_sees_more_retries_than_promised(
    steps: list[tuple[int, int, float]], share: float, per_second: float, reserve: float
) -> None:
    clock = FixedClock(0.0)
    budget = RetryBudget(clock, BudgetSettings(share, per_second, reserve))
    seen = []  # (time, requests so far, retries so far)
    requests = spent = 0
    for arrivals, failures, seconds in steps:
        seen.append((clock.monotonic(), requests, spent))
        for _ in range(arrivals):
            budget.earn()
        requests += arrivals
        spent += sum(budget.spend() for _ in range(failures))
        for start, before, spent_before in seen:
            most = share * (requests - before) + per_second * (clock.monotonic() - start) + reserve
            assert spent - spent_before <= most + 1e-6
        clock.advance(seconds)


def test_quiet_time_refills_the_budget_up_to_its_reserve(clock: FixedClock) -> None:
    budget = RetryBudget(clock, BudgetSettings(share=0, per_second=2, reserve=5))
    assert [budget.spend() for _ in range(6)] == [True] * 5 + [False]
    clock.advance(1)
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    clock.advance(3600)
    assert sum(budget.spend() for _ in range(100)) == 5


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_and_stay_below_the_cap(attempt: int, roll: float) -> None:
    backoff = Backoff(0.1, 5.0)
    assert 0 <= backoff.pause(attempt, lambda: roll) <= min(5.0, 0.1 * 2.0 ** min(attempt - 1, 60))


def test_pauses_are_spread_over_the_whole_range() -> None:
    dice = random.Random(1).random
    pauses = [Backoff(1.0, 60.0).pause(3, dice) for _ in range(4000)]
    assert sum(pauses) / len(pauses) == pytest.approx(2.0, abs=0.1)
    assert min(pauses) < 0.05
    assert max(pauses) > 3.95
