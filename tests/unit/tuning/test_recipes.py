from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.tuning import Cost, Hyperparameters, Recipe, TrainingSpec
from plinth.tuning.errors import BadHyperparameter, UnknownRecipe
from plinth.tuning.model import Sample, estimate, with_price
from plinth.tuning.recipes import RANGES, Shape, book, resolve
from tuning_support import recipe

AUTO = Hyperparameters()


@given(st.sampled_from([None, *book()["recipes"]]), st.integers(1, 200_000), st.integers(1, 200_000))
def test_auto_always_gives_usable_numbers(name: str | None, count: int, answers: int) -> None:
    found = resolve(name, AUTO, Shape(count, answers))
    for field, (low, high) in RANGES.items():
        assert low <= getattr(found, field) <= high
    assert found.batch_size <= count
    assert 0 < found.learning_rate < 0.01
    assert Recipe.from_dict({**vars(found), "targets": list(found.targets)}) == found


def test_what_is_asked_for_wins() -> None:
    found = resolve("quick", Hyperparameters(7, 3, 0.5), Shape(1000, 10))
    plain = resolve("quick", AUTO, Shape(1000, 10))
    assert (found.n_epochs, found.batch_size) == (7, 3)
    assert found.learning_rate == pytest.approx(plain.learning_rate / 2)


def test_free_text_is_learnt_more_gently_than_labels() -> None:
    assert resolve(None, AUTO, Shape(300, 300)).learning_rate < resolve(None, AUTO, Shape(300, 12)).learning_rate


def test_few_rows_for_each_label_are_seen_more_often() -> None:
    assert resolve(None, AUTO, Shape(700, 77)).n_epochs > resolve(None, AUTO, Shape(700, 12)).n_epochs


def test_more_rows_need_no_more_epochs() -> None:
    epochs = [resolve(None, AUTO, Shape(count, 77)).n_epochs for count in (100, 700, 3000, 10_003)]
    assert epochs == sorted(epochs, reverse=True)


@pytest.mark.parametrize(
    ("field", "value"), [("n_epochs", 0), ("n_epochs", 51), ("batch_size", 0), ("learning_rate_multiplier", -1.0)]
)
def test_numbers_out_of_range_are_named(field: str, value: float) -> None:
    with pytest.raises(BadHyperparameter) as caught:
        resolve(None, Hyperparameters(**{field: value}), Shape(10, 2))
    assert caught.value.param == field


def test_unknown_recipe_lists_the_known() -> None:
    with pytest.raises(UnknownRecipe, match="quick, good, best"):
        resolve("perfect", AUTO, Shape(10, 2))


def test_a_spec_survives_json() -> None:
    spec = TrainingSpec("j", "b", "/b", "t", "/r", recipe(), 1)
    assert TrainingSpec.from_dict(spec.to_dict()) == spec


def test_the_estimate_is_a_range_around_the_likely_end() -> None:
    steady = [Sample(t * 1.0, t * 1.9, t * 100.0) for t in range(1, 6)]
    found = estimate(steady, 1000.0, threads=2)
    assert found is not None
    assert found.likely == pytest.approx(5.0)
    assert found.low < found.likely < found.high


def test_a_busy_machine_widens_the_range() -> None:
    busy = [Sample(1, 1.9, 100), Sample(2, 3.8, 200), Sample(12, 5.7, 300)]
    found = estimate(busy, 400.0, threads=2)
    assert found is not None
    assert found.low < 1.0
    assert found.high >= 10.0


@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.01, 10), st.floats(0.1, 1e6)), max_size=40))
def test_estimates_are_ordered_and_finite(increments: list[tuple[float, float, float]]) -> None:
    samples, wall, cpu, work = [], 0.0, 0.0, 0.0
    for more_wall, more_cpu, more_work in increments:
        wall, cpu, work = wall + more_wall, cpu + more_cpu, work + more_work
        samples.append(Sample(wall, cpu, work))
    found = estimate(samples, work * 1.5, threads=2)
    if found is None:
        assert len(samples) < 2
    else:
        assert 0 <= found.low <= found.likely <= found.high < float("inf")


def test_no_estimate_from_nothing() -> None:
    assert estimate([], 10, 1) is None
    assert estimate([Sample(1, 1, 5), Sample(2, 2, 5)], 10, 1) is None


def test_cost_has_an_amount_only_with_a_price() -> None:
    assert with_price(Cost(10, 1800), 0, "CNY").amount is None
    assert with_price(Cost(10, 1800), 120, "CNY") == Cost(10, 1800, 60, "CNY")
