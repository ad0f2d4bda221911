"""The maps and what they are worth: properties that hold for any data, and known answers."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.gateway.decisions.calibration import (
    Identity,
    Isotonic,
    Temperature,
    fit,
    fit_isotonic,
    fit_temperature,
    map_of,
    pava,
)
from plinth.gateway.decisions.errors import CalibrationBadCosts
from plinth.gateway.decisions.model import Method, split
from plinth.gateway.decisions.reliability import Example, calibration_error, curve, judged, report, wilson
from plinth.gateway.decisions.thresholds import Costs, Rule, measured, rule

shares = st.floats(1e-9, 1.0)


@st.composite
def examples(draw: st.DrawFn, binary: bool = False) -> list[Example]:
    options = 2 if binary else draw(st.integers(2, 6))
    row = st.tuples(st.lists(shares, min_size=options, max_size=options), st.integers(0, options - 1))
    rows = draw(st.lists(row, min_size=1, max_size=60))
    return [Example(tuple(value / sum(values) for value in values), answer) for values, answer in rows]


numbers = st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.1, 100)), min_size=1, max_size=80)


@given(numbers)
def test_pava_never_falls_is_idempotent_and_keeps_the_weighted_mean(rows: list[tuple[float, float]]) -> None:
    values, weights = [v for v, _ in rows], [w for _, w in rows]
    found = pava(values, weights)
    assert all(a <= b + 1e-6 for a, b in pairwise(found))
    assert pava(found, weights) == pytest.approx(found)
    before = math.fsum(v * w for v, w in rows)
    assert math.fsum(v * w for v, w in zip(found, weights, strict=True)) == pytest.approx(before, rel=1e-6, abs=1e-3)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=9))
def test_pava_is_the_best_monotone_fit(outcomes: list[int]) -> None:
    """Against the min-max formula: g(i) = max over a <= i of min over b >= i of mean(a..b)."""
    n = len(outcomes)
    exact = [
        max(min(sum(outcomes[a : b + 1]) / (b + 1 - a) for b in range(i, n)) for a in range(i + 1)) for i in range(n)
    ]
    assert pava([float(outcome) for outcome in outcomes], [1.0] * n) == pytest.approx(exact)


@given(examples(binary=True), st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_an_isotonic_map_is_monotone_and_refitting_its_output_changes_nothing(
    rows: list[Example], asked: list[float]
) -> None:
    fitted = fit_isotonic(rows, True)
    mapped = [fitted.at(value) for value in sorted(asked)]
    assert mapped == sorted(mapped)
    once = [Example(fitted.apply(row.probabilities), row.answer) for row in rows]
    again = fit_isotonic(once, True)
    assert [again.apply(row.probabilities)[0] for row in once] == pytest.approx([row.probabilities[0] for row in once])


@given(examples(), st.floats(0.02, 50))
def test_a_temperature_keeps_the_ranking(rows: list[Example], temperature: float) -> None:
    for row in rows:
        mapped = Temperature(temperature).apply(row.probabilities)
        ranked = sorted(range(len(mapped)), key=lambda index: row.probabilities[index])
        assert all(mapped[a] <= mapped[b] + 1e-12 for a, b in pairwise(ranked))


@given(examples(), st.sampled_from(list(Method)))
def test_mapped_probabilities_are_probabilities(rows: list[Example], method: Method) -> None:
    fitted = fit(method, rows, False)
    for row in rows:
        mapped = fitted.apply(row.probabilities)
        assert math.fsum(mapped) == pytest.approx(1)
        assert all(0 <= value <= 1 for value in mapped)


@given(st.booleans().flatmap(lambda b: st.tuples(st.just(b), examples(binary=b))), st.sampled_from(list(Method)))
def test_the_calibration_error_on_the_fitted_rows_never_gets_worse(
    given_rows: tuple[bool, list[Example]], method: Method
) -> None:
    binary, rows = given_rows
    fitted = fit(method, rows, binary)
    after = [Example(fitted.apply(row.probabilities), row.answer) for row in rows]
    assert calibration_error(after, binary) <= calibration_error(rows, binary)


@given(examples(), st.sampled_from(list(Method)))
def test_a_stored_map_is_the_same_map(rows: list[Example], method: Method) -> None:
    fitted = fit(method, rows, False)
    assert map_of(fitted.document) == fitted


@pytest.mark.parametrize("true_temperature", [0.5, 2.0, 5.0])
def test_the_temperature_that_made_the_data_is_found(true_temperature: float) -> None:
    random = Random(7)
    rows = []
    for _ in range(4000):
        honest = _softmax([random.gauss(0, 1.5) for _ in range(3)])
        stated = Temperature(1 / true_temperature).apply(honest)
        rows.append(Example(stated, random.choices(range(3), honest)[0]))
    assert fit_temperature(rows).temperature == pytest.approx(true_temperature, rel=0.1)


def test_a_leaning_model_is_mended_by_isotonic_and_not_by_temperature() -> None:
    random = Random(8)

    def draw(n: int) -> list[Example]:
        honest = [random.random() for _ in range(n)]
        return [Example((p**0.2, 1 - p**0.2), int(random.random() >= p)) for p in honest]

    to_fit, held_out = draw(2000), draw(2000)
    errors = {
        method: calibration_error([Example(fitted.apply(e.probabilities), e.answer) for e in held_out], True)
        for method, fitted in ((method, fit(method, to_fit, True)) for method in Method)
    }
    assert calibration_error(held_out, True) > 0.25
    assert errors[Method.isotonic] < 0.06
    assert errors[Method.temperature] > 0.1


def test_a_perfect_model_is_left_nearly_alone_and_certainty_is_never_stated() -> None:
    rows = [Example((0.9, 0.1), int(n % 10 == 0)) for n in range(100)]
    assert isinstance(fit(Method.isotonic, rows, True), Identity | Isotonic)
    sure = fit_isotonic([Example((0.99, 0.01), 0)] * 200, True)
    assert 0.99 < sure.at(0.99) < 1


def test_known_measures() -> None:
    rows = [Example((0.8, 0.2), 0), Example((0.8, 0.2), 1), Example((0.3, 0.7), 1)]
    assert calibration_error(rows, True) == pytest.approx((2 * 0.3 + 0.3) / 3)
    # of a choice only the likeliest option counts: 0.8 right, 0.8 wrong, 0.7 right
    assert calibration_error(rows, False) == pytest.approx((2 * 0.3 + 0.3) / 3)
    assert judged(rows[1], True).squared == pytest.approx(0.64)
    assert judged(rows[1], False).squared == pytest.approx(1.28)
    points = curve([judged(row, True) for row in rows])
    assert [(point["from"], point["n"], point["observed"]) for point in points] == [(0.3, 1, 0.0), (0.8, 2, 0.5)]
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_the_report_is_reproducible_and_its_intervals_hold_the_values() -> None:
    random = Random(9)
    before = [Example((p, 1 - p), int(random.random() >= p * p)) for p in (random.random() for _ in range(150))]
    fitted = fit(Method.isotonic, before, True)
    after = [Example(fitted.apply(e.probabilities), e.answer) for e in before]
    found = report(before, after, True, 3)
    assert found == report(before, after, True, 3)
    for measure in ("brier",):
        for part in ("before", "after", "change"):
            figure = found[measure][part]
            assert figure["low"] <= figure["value"] <= figure["high"]
    assert found["ece"]["change"]["value"] < 0
    assert sum(point["n"] for point in found["curve"]["before"]) == 150


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), min_size=1, max_size=50), st.integers(0, 99))
def test_the_same_input_is_never_on_both_sides(inputs: list[str], seed: int) -> None:
    held_out = split(inputs, seed, 0.5)
    assert held_out == split(inputs, seed, 0.5)
    sides = {text: {side for other, side in zip(inputs, held_out, strict=True) if other == text} for text in inputs}
    assert all(len(side) == 1 for side in sides.values())


@given(st.integers(0, 1000), st.integers(0, 1000), st.none() | st.integers(0, 1000), st.floats(0, 1))
def test_no_other_action_is_cheaper_than_the_rules(wrong_yes: int, wrong_no: int, review: int | None, p: float) -> None:
    costs = Costs(wrong_yes, wrong_no, review)
    if not wrong_yes + wrong_no:
        with pytest.raises(CalibrationBadCosts):
            rule(costs)
        return
    found = rule(costs)
    actions = [(1 - p) * wrong_yes, p * wrong_no, *([review] if review is not None else [])]
    expected = p * found.cost(p, True, costs) + (1 - p) * found.cost(p, False, costs)
    assert expected == pytest.approx(min(actions), abs=1e-9 * 1000)


def test_the_threshold_is_measured_on_rows() -> None:
    rows = [Example((0.9, 0.1), 0)] * 9 + [Example((0.9, 0.1), 1)] + [Example((0.05, 0.95), 1)] * 10
    costs = Costs(10, 100)
    found = rule(costs)
    assert found == Rule(10 / 110)
    figures = measured(found, costs, rows, 1)
    assert figures["mean_cost"]["value"] == pytest.approx(10 / 20)
    assert figures["mean_cost_always"]["value"] == pytest.approx(110 / 20)
    assert figures["mean_cost_never"]["value"] == pytest.approx(900 / 20)
    banded = rule(Costs(10, 10, 1))
    assert (banded.reject_from, banded.reject_to) == (pytest.approx(0.1), pytest.approx(0.9))


def _softmax(values: list[float]) -> tuple[float, ...]:
    powers = [math.exp(value) for value in values]
    return tuple(power / sum(powers) for power in powers)
