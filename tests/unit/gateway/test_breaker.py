"""The circuit of a target, on a clock that the test moves."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.gateway.dataplane.breaker import REFUSED, Breaker, Breakers, BreakerSettings, Circuit
from plinth.kit.clock import FixedClock

SETTINGS = BreakerSettings(
    failures_in_a_row=3,
    failure_share=0.5,
    minimum_calls=10,
    window_seconds=10,
    pause_seconds=5,
    longest_pause_seconds=15,
    trial_seconds=4,
)


@pytest.fixture
def breaker(clock: FixedClock) -> Breaker:
    return Breaker(clock, SETTINGS)


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(breaker.enter())


def succeed(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.succeeded(breaker.enter())


def test_failures_in_a_row_open_it_and_a_success_in_between_starts_anew(breaker: Breaker) -> None:
    fail(breaker, 2)
    succeed(breaker)
    fail(breaker, 2)
    assert breaker.circuit is Circuit.closed
    fail(breaker)
    assert (breaker.circuit, breaker.opened, breaker.enter()) == (Circuit.open, 1, REFUSED)


def test_a_share_of_failures_opens_it_once_there_are_enough_calls(breaker: Breaker) -> None:
    for _ in range(4):
        succeed(breaker)
        fail(breaker)
    assert breaker.circuit is Circuit.closed  # half of 8 failed, but 8 are too few
    succeed(breaker)
    fail(breaker)
    assert breaker.circuit is Circuit.open


def test_what_the_window_left_behind_does_not_count(breaker: Breaker, clock: FixedClock) -> None:
    succeed(breaker, 1000)
    clock.advance(11)  # an hour of success must not hide the trouble of now
    for _ in range(5):
        succeed(breaker)
        fail(breaker)
    assert breaker.circuit is Circuit.open


def test_old_failures_are_forgotten(breaker: Breaker, clock: FixedClock) -> None:
    for _ in range(8):
        fail(breaker)
        succeed(breaker, 4)
    clock.advance(11)
    succeed(breaker, 10)
    fail(breaker)  # one in eleven; with the old ones it would be nine
    assert breaker.circuit is Circuit.closed


def test_after_the_pause_one_trial_decides(breaker: Breaker, clock: FixedClock) -> None:
    fail(breaker, 3)
    clock.advance(4.9)
    assert breaker.enter() == REFUSED
    assert breaker.retry_in_seconds == pytest.approx(0.1)
    clock.advance(0.2)
    assert not breaker.would_refuse
    trial = breaker.enter()
    assert trial != REFUSED
    assert breaker.circuit is Circuit.half_open
    assert breaker.would_refuse
    assert [breaker.enter() for _ in range(5)] == [REFUSED] * 5
    breaker.succeeded(trial)
    assert breaker.circuit is Circuit.closed
    assert breaker.enter() != REFUSED


def test_each_failed_trial_doubles_the_pause_up_to_a_limit_and_success_resets_it(
    breaker: Breaker, clock: FixedClock
) -> None:
    fail(breaker, 3)
    pauses = []
    for _ in range(4):
        pauses.append(breaker.retry_in_seconds)
        clock.advance(breaker.retry_in_seconds)
        fail(breaker)
    assert pauses == [5, 10, 15, 15]
    clock.advance(breaker.retry_in_seconds)
    succeed(breaker)
    fail(breaker, 3)
    assert breaker.retry_in_seconds == 5


def test_a_call_from_before_says_nothing_about_now(breaker: Breaker, clock: FixedClock) -> None:
    slow, slower = breaker.enter(), breaker.enter()
    fail(breaker, 3)
    breaker.succeeded(slow)
    assert breaker.circuit is Circuit.open
    clock.advance(5)
    trial = breaker.enter()
    breaker.failed(slower)
    assert breaker.circuit is Circuit.half_open
    breaker.succeeded(trial)
    assert breaker.circuit is Circuit.closed


def test_a_withdrawn_trial_lets_the_next_call_be_it(breaker: Breaker, clock: FixedClock) -> None:
    fail(breaker, 3)
    clock.advance(5)
    breaker.withdrawn(breaker.enter())
    assert breaker.circuit is Circuit.half_open
    succeed(breaker)
    assert breaker.circuit is Circuit.closed


def test_a_trial_that_never_ends_is_replaced_and_its_late_verdict_ignored(breaker: Breaker, clock: FixedClock) -> None:
    fail(breaker, 3)
    clock.advance(5)
    lost = breaker.enter()
    clock.advance(4)
    trial = breaker.enter()
    assert trial != REFUSED
    breaker.failed(lost)
    assert breaker.circuit is Circuit.half_open
    breaker.succeeded(trial)
    assert breaker.circuit is Circuit.closed


def test_a_withdrawn_call_counts_neither_way(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.withdrawn(breaker.enter())
    assert breaker.circuit is Circuit.closed
    fail(breaker)
    assert breaker.circuit is Circuit.open


@given(
    st.lists(st.tuples(st.sampled_from("ssffwe"), st.sampled_from((0.0, 0.0, 0.0, 0.5, 1.0, 3.0, 11.0))), max_size=200)
)
def test_the_window_counts_exactly_the_calls_in_it(steps: list[tuple[str, float]]) -> None:
    """Against a plain list of (time, failed): same sums, and it opens exactly when it should."""
    clock = FixedClock()
    breaker = Breaker(clock, SETTINGS)
    ended: list[tuple[int, bool]] = []
    in_a_row = 0
    for step, seconds in steps:
        clock.advance(seconds)
        ticket = breaker.enter()
        if ticket == REFUSED or step == "e":
            continue
        if breaker.circuit is not Circuit.closed:
            breaker.succeeded(ticket)
            ended, in_a_row = [], 0
            continue
        if step == "w":
            breaker.withdrawn(ticket)
            continue
        now = int(clock.monotonic() // 1)
        ended = [entry for entry in (*ended, (now, step == "f")) if entry[0] > now - 10]
        in_a_row = in_a_row + 1 if step == "f" else 0
        breaker.failed(ticket) if step == "f" else breaker.succeeded(ticket)
        failures = sum(failed for _, failed in ended)
        share = step == "f" and len(ended) >= 10 and failures >= 0.5 * len(ended)
        assert (breaker.circuit is Circuit.open) == (share or in_a_row >= 3)


def test_targets_have_circuits_of_their_own_and_the_table_stays_small(clock: FixedClock) -> None:
    breakers = Breakers(clock, SETTINGS)
    fail(breakers.of("a"), 3)
    succeed(breakers.of("b"))
    assert breakers.circuits() == {"a": Circuit.open, "b": Circuit.closed}
    assert breakers.of("a") is breakers.of("a")
    breakers.keep(["b", "c"])
    assert breakers.circuits() == {"b": Circuit.closed}


def test_the_happy_path_costs_about_a_microsecond(clock: FixedClock) -> None:
    breaker, rounds, calls = Breaker(clock, SETTINGS), 15, 2000
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            breaker.succeeded(breaker.enter())
        best = min(best, (time.perf_counter() - start) / calls)
    assert best < 3e-6  # measured 0.5 us; the rest is for a busy machine
