"""What a caller of the limiter observes: room, refusals, corrections, headers."""

from __future__ import annotations

import pytest

from plinth.gateway.limits import (
    Budget,
    InMemoryCounters,
    Limit,
    Limiter,
    LimitTable,
    Mode,
    ModelRule,
    Period,
    Scope,
    Subject,
)
from plinth.gateway.limits.errors import (
    BudgetExhausted,
    ConcurrencyReached,
    LargerThanLimit,
    LimitReached,
    ModelNotPermitted,
    RequestRateReached,
    TokenRateReached,
)
from plinth.gateway.limits.limiter import Reading
from plinth.identity import Actor
from plinth.kit.clock import FixedClock

KEY = Subject(Scope.key, "key_1", "org_1", "proj_1")
PROJECT = Subject(Scope.project, "proj_1", "org_1", "proj_1")
ORGANIZATION = Subject(Scope.organization, "org_1", "org_1")
ME = Actor("org_1", "proj_1", "key_1", "user:u")
COLLEAGUE = Actor("org_1", "proj_1", "key_2", "user:v")
STRANGER = Actor("org_2", "proj_2", "key_3", "user:w")
MINUTE = 60.0


@pytest.fixture
def start() -> FixedClock:
    """A clock at the beginning of a minute."""
    return FixedClock(60.0 * 1_000_000)


def limiter(clock: FixedClock, *limits: Limit, budgets: tuple[Budget, ...] = (), rules: tuple[ModelRule, ...] = ()):
    made = Limiter(InMemoryCounters(), clock)
    made.update(LimitTable.of(limits, budgets, rules))
    return made


def admitted(made: Limiter, times: int, who: Actor = ME, model: str = "m", tokens: int = 1) -> int:
    count = 0
    for _ in range(times):
        try:
            made.admit(who, model, tokens)
            count += 1
        except LimitReached:
            pass
    return count


def test_without_limits_everybody_may_call(start: FixedClock) -> None:
    made = limiter(start)
    permit = made.admit(ME, "m", 10**9)
    permit.settle(5, 5)
    permit.release()
    assert made.headers(ME, "m") == []


def test_requests_per_minute_hold_for_the_project_not_for_others(start: FixedClock) -> None:
    made = limiter(start, Limit("l", PROJECT, requests_per_minute=5))
    assert admitted(made, 3) + admitted(made, 10, COLLEAGUE) == 5
    assert admitted(made, 10, STRANGER) == 10
    with pytest.raises(RequestRateReached) as refusal:
        made.admit(ME, "m", 1)
    error = refusal.value
    assert error.status == 429
    assert error.to_openai()["error"]["code"] == "rate_limit_exceeded"
    assert "project=proj_1" in error.message
    assert "5 requests" in error.message


def test_retry_after_is_long_enough_and_not_longer_than_needed(start: FixedClock) -> None:
    made = limiter(start, Limit("l", PROJECT, requests_per_minute=10))
    start.advance(20)
    assert admitted(made, 20) == 10
    with pytest.raises(RequestRateReached) as refusal:
        made.admit(ME, "m", 1)
    seconds = int(refusal.value.headers["Retry-After"])
    # the minute ends in 40 s; then a tenth of the 10 calls leaves the window every 6 s
    assert seconds == 46
    start.advance(seconds - 2)
    assert admitted(made, 1) == 0
    start.advance(2)
    assert admitted(made, 1) == 1


def test_a_refused_call_counts_nowhere(start: FixedClock) -> None:
    made = limiter(
        start,
        Limit("wide", KEY, requests_per_minute=100, tokens_per_minute=1000, concurrent_requests=50),
        Limit("narrow", ORGANIZATION, requests_per_minute=1),
    )
    assert admitted(made, 20, tokens=10) == 1
    headers = dict(made.headers(ME, "m"))
    assert headers[b"x-ratelimit-remaining-tokens"] == b"990"


def test_the_last_minute_fades(start: FixedClock) -> None:
    made = limiter(start, Limit("l", KEY, requests_per_minute=100))
    assert admitted(made, 200) == 100
    start.advance(MINUTE + 15)
    # three quarters of the last minute's calls are still inside the window
    assert admitted(made, 200) == 25
    start.advance(2 * MINUTE)
    assert admitted(made, 200) == 100


def test_tokens_are_estimated_then_corrected(start: FixedClock) -> None:
    made = limiter(start, Limit("l", KEY, tokens_per_minute=100))
    permit = made.admit(ME, "m", 80)
    with pytest.raises(TokenRateReached) as refusal:
        made.admit(ME, "m", 30)
    assert (refusal.value.fields["used"], refusal.value.fields["requested"]) == (80, 30)
    permit.settle(10, 0)
    permit.settle(1000, 0)
    permit.release()
    made.admit(ME, "m", 90)
    assert admitted(made, 1, tokens=1) == 0


def test_an_answer_longer_than_its_estimate_counts_when_it_ends(start: FixedClock) -> None:
    made = limiter(start, Limit("l", KEY, tokens_per_minute=100))
    permit = made.admit(ME, "m", 10)
    start.advance(5 * MINUTE)
    permit.settle(95, 0)
    assert admitted(made, 1, tokens=16) == 0
    assert admitted(made, 1, tokens=15) == 1


def test_what_was_released_gives_its_tokens_back_even_in_the_next_minute(start: FixedClock) -> None:
    made = limiter(start, Limit("l", KEY, tokens_per_minute=100))
    permit = made.admit(ME, "m", 100)
    start.advance(MINUTE)
    assert admitted(made, 1, tokens=100) == 0
    permit.release()
    assert admitted(made, 1, tokens=100) == 1


def test_a_request_larger_than_the_limit_is_told_not_to_wait(start: FixedClock) -> None:
    made = limiter(start, Limit("l", KEY, tokens_per_minute=100))
    with pytest.raises(LargerThanLimit) as refusal:
        made.admit(ME, "m", 101)
    assert "Retry-After" not in refusal.value.headers
    assert refusal.value.headers["x-should-retry"] == "false"


def test_requests_at_the_same_time(start: FixedClock) -> None:
    made = limiter(start, Limit("l", KEY, concurrent_requests=2))
    first, _ = made.admit(ME, "m", 1), made.admit(ME, "m", 1)
    with pytest.raises(ConcurrencyReached):
        made.admit(ME, "m", 1)
    first.release()
    first.settle(1, 1)
    made.admit(ME, "m", 1)
    with pytest.raises(ConcurrencyReached):
        made.admit(ME, "m", 1)


@pytest.mark.parametrize("kind", ["requests_per_minute", "tokens_per_minute", "concurrent_requests"])
def test_zero_blocks(start: FixedClock, kind: str) -> None:
    made = limiter(start, Limit("l", KEY, **{kind: 0}))
    with pytest.raises(LimitReached):
        made.admit(ME, "m", 1)


def test_a_limit_for_a_model_counts_that_model_by_any_name(start: FixedClock) -> None:
    made = limiter(start, Limit("l", PROJECT, "base", requests_per_minute=2))
    assert admitted(made, 5, model="other") == 5
    made.admit(ME, "base", 1)
    made.admit(ME, "nickname", 1, model_id="base")
    with pytest.raises(RequestRateReached, match="model=base"):
        made.admit(ME, "nickname", 1, model_id="base")


def test_a_new_table_counts_on_and_an_old_permit_still_ends(start: FixedClock) -> None:
    made = limiter(start, Limit("l", KEY, requests_per_minute=3, concurrent_requests=9))
    permit = made.admit(ME, "m", 1)
    made.update(LimitTable.of([Limit("l", KEY, requests_per_minute=2, concurrent_requests=1)]))
    with pytest.raises(ConcurrencyReached):
        made.admit(ME, "m", 1)
    permit.settle(1, 0)
    assert admitted(made, 5) == 1
    made.update(LimitTable())
    assert admitted(made, 5) == 5


@pytest.mark.parametrize("jump", [-3600.0, -61.0, -1.0, 3600.0, 10.0**7])
def test_a_jump_of_the_clock_locks_nobody_out(start: FixedClock, jump: float) -> None:
    made = limiter(start, Limit("l", KEY, requests_per_minute=5, tokens_per_minute=50, concurrent_requests=5))
    permits = [made.admit(ME, "m", 10) for _ in range(5)]
    start.advance(jump)
    for permit in permits:
        permit.settle(10, 0)
    start.advance(4 * MINUTE)
    assert admitted(made, 10, tokens=10) == 5


def test_headers_name_the_limit_with_the_least_room(start: FixedClock) -> None:
    made = limiter(
        start,
        Limit("a", KEY, requests_per_minute=10),
        Limit("b", PROJECT, requests_per_minute=4, tokens_per_minute=1000),
    )
    start.advance(30)
    made.admit(ME, "m", 300)
    assert dict(made.headers(ME, "m", tokens=300)) == {
        b"x-ratelimit-limit-requests": b"4",
        b"x-ratelimit-remaining-requests": b"3",
        b"x-ratelimit-reset-requests": b"1m30s",
        b"x-ratelimit-limit-tokens": b"1000",
        b"x-ratelimit-remaining-tokens": b"700",
        b"x-ratelimit-reset-tokens": b"1m30s",
    }
    assert admitted(made, 9) == 3
    with pytest.raises(RequestRateReached) as refusal:
        made.admit(ME, "m", 1)
    assert refusal.value.headers["x-ratelimit-remaining-requests"] == "0"
    assert refusal.value.headers["x-ratelimit-limit-tokens"] == "1000"


@pytest.mark.parametrize(
    ("mode", "listed", "name", "means", "permitted"),
    [
        (Mode.allow, {"base"}, "base", "", True),
        (Mode.allow, {"base"}, "alias", "base", True),
        (Mode.allow, {"alias"}, "alias", "base", True),
        (Mode.allow, {"base"}, "other", "", False),
        (Mode.allow, set(), "base", "", False),
        (Mode.deny, {"base"}, "other", "", True),
        (Mode.deny, {"base"}, "base", "", False),
        (Mode.deny, {"base"}, "alias", "base", False),
        (Mode.deny, set(), "base", "", True),
    ],
)
def test_model_permissions(
    start: FixedClock, mode: Mode, listed: set[str], name: str, means: str, permitted: bool
) -> None:
    made = limiter(start, rules=(ModelRule(PROJECT, mode, frozenset(listed)),))
    assert made.permits(ME, name, means) is permitted
    made.admit(STRANGER, name, 1, means)
    if permitted:
        made.admit(ME, name, 1, means)
    else:
        with pytest.raises(ModelNotPermitted) as refusal:
            made.admit(ME, name, 1, means)
        assert refusal.value.status == 403


def test_a_key_and_its_project_must_both_permit(start: FixedClock) -> None:
    rules = (ModelRule(PROJECT, Mode.allow, frozenset({"a", "b"})), ModelRule(KEY, Mode.deny, frozenset({"b"})))
    made = limiter(start, rules=rules)
    assert [made.permits(ME, model) for model in "abc"] == [True, False, False]
    assert [made.permits(COLLEAGUE, model) for model in "abc"] == [True, True, False]


def budget(nanos: int, period: Period = Period.month, hard: bool = True) -> Budget:
    return Budget("b", PROJECT, period, nanos, "USD", hard)


def test_a_budget_counts_what_was_settled_and_reserved(start: FixedClock) -> None:
    made = limiter(start, budgets=(budget(100),))
    first = made.admit(ME, "m", 1, cost_nanos=60)
    with pytest.raises(BudgetExhausted):
        made.admit(ME, "m", 1, cost_nanos=41)
    first.settle(1, 30)
    second = made.admit(ME, "m", 1, cost_nanos=70)
    second.settle(1, 70)
    with pytest.raises(BudgetExhausted) as refusal:
        made.admit(COLLEAGUE, "m", 1)
    error = refusal.value
    assert (error.status, error.to_openai()["error"]["code"]) == (429, "insufficient_quota")
    assert error.headers["x-should-retry"] == "false"
    assert int(error.headers["Retry-After"]) == int(Period.month.end(start.unix()) - start.unix())
    made.admit(STRANGER, "m", 1)


def test_budgets_of_a_day_and_a_month_count_a_call_once_each(start: FixedClock) -> None:
    day, month = Budget("d", PROJECT, Period.day, 50, "USD"), Budget("m", PROJECT, Period.month, 100, "USD")
    made = limiter(start, budgets=(day, month))
    running = made.admit(ME, "m", 1, cost_nanos=20)
    assert [purse.used(start.unix()) for purse in made.purses()] == [20, 20]
    running.settle(1, 50)
    assert [purse.used(start.unix()) for purse in made.purses()] == [50, 50]
    with pytest.raises(BudgetExhausted, match="this day"):
        made.admit(ME, "m", 1)


def test_a_soft_budget_stops_nobody(start: FixedClock) -> None:
    made = limiter(start, budgets=(budget(0, hard=False),))
    made.admit(ME, "m", 1, cost_nanos=10)


def test_a_new_period_starts_with_nothing_spent(start: FixedClock) -> None:
    made = limiter(start, budgets=(budget(100, Period.day),))
    (purse,) = made.purses()
    end = Period.day.end(start.unix())
    purse.reading = Reading(100, purse.settled(), end)
    with pytest.raises(BudgetExhausted):
        made.admit(ME, "m", 1)
    start.advance(end - start.unix())
    made.admit(ME, "m", 1)
