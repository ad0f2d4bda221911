"""For any interleaving of calls on several workers: no counter below zero, no limit exceeded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from plinth.gateway.limits import Budget, InMemoryCounters, Limit, Limiter, LimitTable, Period, Permit, Scope, Subject
from plinth.gateway.limits.errors import BudgetExhausted, LimitReached
from plinth.gateway.limits.ports import CELL_BYTES, CELLS, RUNNING
from plinth.gateway.limits.window import WINDOW_SECONDS, duration, empty_seconds, wait_seconds
from plinth.identity import Actor
from plinth.kit.clock import FixedClock

ME = Actor("org_1", "proj_1", "key_1", "user:u")
KEY = Subject(Scope.key, "key_1", "org_1", "proj_1")
WORKERS = 3

steps = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), st.integers(0, WORKERS - 1), st.integers(0, 30)),
        st.tuples(st.just("settle"), st.integers(0, 50), st.integers(0, 60)),
        st.tuples(st.just("release"), st.integers(0, 50), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([1, 7, 30, 59, 60, 61, 200]), st.just(0)),
        st.tuples(st.just("jump"), st.sampled_from([-100, -60, -1, 3600]), st.just(0)),
    ),
    max_size=60,
)
LIMIT = Limit("l", KEY, requests_per_minute=6, tokens_per_minute=100, concurrent_requests=4)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_any_interleaving(history: list[tuple[str, int, int]]) -> None:
    clock = FixedClock(60.0 * 1_000_000)
    first = InMemoryCounters()
    shared = [first, *(InMemoryCounters(first) for _ in range(WORKERS - 1))]
    workers = [Limiter(counters, clock) for counters in shared]
    for worker in workers:
        worker.update(LimitTable.of([LIMIT]))
    running: list[tuple[Permit, int]] = []
    row = first.row("rate:" + LIMIT.label)
    surplus = 0  # tokens that answers used beyond their estimates: the stated slack
    for action, number, tokens in history:
        if action == "admit":
            try:
                running.append((workers[number].admit(ME, "m", tokens), tokens))
            except LimitReached:
                pass
        elif action in ("settle", "release") and running:
            permit, estimate = running.pop(number % len(running))
            if action == "settle":
                surplus += max(0, tokens - estimate)
                permit.settle(tokens, 0)
            permit.release()
            permit.settle(10**6, 10**6)
        elif action in ("wait", "jump"):
            clock.advance(number)
        lines = [first.cells[row + c * CELLS : row + (c + 1) * CELLS].tolist() for c in range(WORKERS)]
        assert all(cell >= 0 for line in lines for cell in line)
        assert sum(line[RUNNING] for line in lines) == len(running) <= 4
        for slot in (0, 3):
            for minute in {line[slot] for line in lines} - {0}:
                inside = [line for line in lines if line[slot] == minute]
                assert sum(line[slot + 1] for line in inside) <= 6
                assert sum(line[slot + 2] for line in inside) <= 100 + surplus


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, WORKERS - 1), st.integers(0, 40), st.integers(0, 60)), max_size=60)
)
def test_money_with_any_interleaving(history: list[tuple[bool, int, int, int]]) -> None:
    """A budget overshoots by what answers cost beyond their reservations, and by nothing else."""
    clock, first = FixedClock(), InMemoryCounters()
    budget = Budget("b", KEY, Period.month, 100, "USD")
    workers = [Limiter(c, clock) for c in (first, *(InMemoryCounters(first) for _ in range(WORKERS - 1)))]
    for worker in workers:
        worker.update(LimitTable.of(budgets=[budget]))
    (purse,) = workers[0].purses()
    running: list[tuple[Permit, int]] = []
    settled = beyond = 0
    for begins, number, reserved, cost in history:
        if begins:
            try:
                running.append((workers[number].admit(ME, "m", 1, cost_nanos=reserved), reserved))
            except BudgetExhausted:
                assert settled + sum(r for _, r in running) + reserved >= 100
        elif running:
            permit, reservation = running.pop(number % len(running))
            permit.settle(1, cost)
            permit.settle(1, cost)
            settled += cost
            beyond += max(0, cost - reservation)
        assert purse.used(clock.unix()) == settled + sum(r for _, r in running) <= 100 + beyond


@settings(max_examples=300, deadline=None)
@given(
    limit=st.integers(1, 1000),
    offsets=st.lists(st.floats(0, 119, allow_nan=False), min_size=1, max_size=400),
)
def test_never_more_than_the_limit_in_a_minute_and_two_in_any_sixty_seconds(limit: int, offsets: list[float]) -> None:
    clock = FixedClock(60.0 * 1_000_000)
    start = clock.unix()
    made = Limiter(InMemoryCounters(), clock)
    made.update(LimitTable.of([Limit("l", KEY, requests_per_minute=limit)]))
    taken: list[float] = []
    for offset in sorted(offsets):
        clock.advance(start + offset - clock.unix())
        try:
            made.admit(ME, "m", 0).release()
            taken.append(offset)
        except LimitReached:
            pass
    assert sum(offset < 60 for offset in taken) == min(limit, sum(offset < 60 for offset in offsets))
    assert sum(offset >= 60 for offset in taken) <= limit


@settings(max_examples=500)
@given(
    limit=st.integers(1, 500),
    current=st.integers(0, 500),
    previous=st.integers(0, 500),
    left=st.floats(0.001, 1),
    amount=st.integers(1, 500),
)
def test_waiting_as_told_is_enough(limit: int, current: int, previous: int, left: float, amount: int) -> None:
    amount = min(amount, limit)
    current = min(current, limit)
    seconds = wait_seconds(limit, current, previous, left, amount)
    assert 0 <= seconds <= 2 * WINDOW_SECONDS
    later = left - seconds / WINDOW_SECONDS
    used = current + previous * later if later > 0 else current * (1 + later)
    assert used + amount <= limit + 1e-6
    assert empty_seconds(current, previous, left) >= 0


def test_durations() -> None:
    shown = [duration(seconds) for seconds in (0, 0.0001, 0.25, 1, 12.1, 59.5, 60, 90, 3601)]
    assert shown == [b"0s", b"1ms", b"250ms", b"1s", b"13s", b"1m0s", b"1m0s", b"1m30s", b"60m1s"]


def test_cells_are_aligned() -> None:
    assert CELLS * CELL_BYTES == 64
