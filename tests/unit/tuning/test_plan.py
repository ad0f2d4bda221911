from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from plinth.adapters.trainers.plan import by_length, learning_rate, make_plan, split

lengths = st.lists(st.integers(1, 300), min_size=1, max_size=200)


@given(lengths, st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**31))
def test_every_epoch_sees_every_row_once(sizes: list[int], batch: int, epochs: int, seed: int) -> None:
    plan = make_plan(sizes, batch, epochs, seed)
    assert plan.steps == plan.epoch_ends[-1] == epochs * -(-len(sizes) // batch)
    start = 0
    for end in plan.epoch_ends:
        seen = Counter(row for rows in plan.batches[start:end] for row in rows)
        assert seen == Counter(range(len(sizes)))
        start = end
    assert all(0 < len(rows) <= batch for rows in plan.batches)


@given(lengths, st.integers(1, 40), st.integers(0, 2**31))
def test_a_plan_is_a_function_of_the_seed(sizes: list[int], batch: int, seed: int) -> None:
    assert make_plan(sizes, batch, 2, seed) == make_plan(sizes, batch, 2, seed)
    assert make_plan(sizes, batch, 2, seed).digest == make_plan(sizes, batch, 2, seed).digest


def test_known_plan() -> None:
    """Guards resume across releases: a checkpoint only fits the plan that it was made under."""
    assert make_plan([3, 1, 2, 5, 4], 2, 2, 0).batches == ((1, 2), (0, 4), (3,), (0, 4), (1, 2), (3,))


@given(lengths, st.integers(1, 500))
def test_parts_stay_below_the_token_limit(sizes: list[int], limit: int) -> None:
    parts = split(range(len(sizes)), sizes, limit)
    assert [row for part in parts for row in part] == list(range(len(sizes)))
    assert all(len(part) == 1 or max(sizes[row] for row in part) * len(part) <= limit for part in parts)


@given(lengths, st.integers(1, 500))
def test_groups_for_inference_cover_all_rows(sizes: list[int], limit: int) -> None:
    groups = by_length(sizes, limit)
    assert sorted(row for group in groups for row in group) == list(range(len(sizes)))


@given(st.integers(1, 3000), st.floats(0.0, 0.5), st.floats(0.0, 1.0))
def test_the_rate_warms_up_and_never_exceeds_its_peak(steps: int, warmup: float, final: float) -> None:
    rates = [learning_rate(step, steps, 0.01, warmup, final) for step in range(steps)]
    assert all(0 < rate <= 0.01 + 1e-12 or final == 0.0 for rate in rates)
    assert max(rates) <= 0.01 + 1e-12
    falling = rates[max(1, int(warmup * steps)) :]
    assert falling == sorted(falling, reverse=True)
