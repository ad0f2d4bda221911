from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.evaluation import reports
from plinth.evaluation.model import CriterionTally, ItemStatus, ModelUsage, Tally, Usage
from plinth.evaluation.reports import Results


def row(id: str, item: str, passed: bool | None, score: float | None = None) -> Results:
    if passed is None:
        return id, item, ItemStatus.errored, [{"name": "g", "passed": False, "score": 0.0, "error": {"code": "x"}}]
    status = ItemStatus.passed if passed else ItemStatus.failed
    return id, item, status, [{"name": "g", "passed": passed, "score": float(passed) if score is None else score}]


def test_pairs_by_content_whatever_the_order() -> None:
    a = [row("a1", "x", True), row("a2", "x", False), row("a3", "y", True), row("a4", "only-a", True)]
    b = [row("b1", "y", True), row("b2", "x", True), row("b3", "x", True), row("b4", "x", True)]
    assert [(pair.a[0], pair.b[0]) for pair in reports.pairs(a, b)] == [("a3", "b1"), ("a1", "b2"), ("a2", "b3")]


def test_comparison() -> None:
    a = [row("a0", "0", True), row("a1", "1", True), row("a2", "2", False), row("a3", "3", False), row("a4", "4", None)]
    b = [row("b0", "0", True), row("b1", "1", False), row("b2", "2", True), row("b3", "3", True), row("b4", "4", True)]
    found = reports.comparison(reports.pairs(a, b), ["g"])
    assert (found["paired_items"], found["errored_pairs"]) == (5, 1)
    overall = found["overall"]
    assert overall["agreement"] == {"both_passed": 1, "only_a": 1, "only_b": 2, "both_failed": 0, "share": 0.25}
    assert overall["run_a"]["pass_rate"] == 0.5
    assert overall["run_b"]["pass_rate"] == 0.75
    assert overall["difference"]["value"] == 0.25
    assert overall["difference"]["interval"]["method"] == "tango"
    assert overall["mcnemar_p"] == 1.0
    assert overall["flipped"] == [
        {"run_a_item_id": "a1", "run_b_item_id": "b1", "now": "fail"},
        {"run_a_item_id": "a2", "run_b_item_id": "b2", "now": "pass"},
        {"run_a_item_id": "a3", "run_b_item_id": "b3", "now": "pass"},
    ]
    assert found["per_testing_criteria"][0]["score_difference"]["value"] == 0.25


def test_cost_says_what_a_thousand_answers_take() -> None:
    tally = Tally(passed=10, answers=10, occupied_seconds=36.0, answer_seconds=72.0)
    tally.count_usage(ModelUsage("m", Usage(90, 10)))
    found = reports.cost(tally, 1000, "CNY")
    assert found["per_1000_answers"] == {
        "tokens": 10_000.0,
        "occupied_seconds": 3600.0,
        "answer_seconds": 7200.0,
        "machine_cost": {"minor_units": 1000.0, "currency": "CNY"},
    }
    assert reports.cost(tally, 0, "CNY")["per_1000_answers"]["machine_cost"] is None
    assert reports.cost(Tally(), 1000, "CNY")["per_1000_answers"]["tokens"] is None


def test_criteria_without_results_have_no_rate() -> None:
    (entry,) = reports.criteria(Tally(), ["g"], None)
    assert (entry["pass_rate"], entry["interval"], entry["n"]) == (None, None, 0)
    (entry,) = reports.criteria(Tally(criteria={"g": CriterionTally(3, 1, 2)}), ["g"], None)
    assert (entry["pass_rate"], entry["n"], entry["errored"]) == (0.75, 4, 2)


tallies = st.builds(
    lambda passed, failed, answers, models: _tally(passed, failed, answers, models),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 5),
    st.lists(st.sampled_from(["m", "n"]), max_size=4),
)


def _tally(passed: int, failed: int, answers: int, models: list[str]) -> Tally:
    tally = Tally(passed=passed, failed=failed, answers=answers, criteria={"g": CriterionTally(passed, failed)})
    for model in models:
        tally.count_usage(ModelUsage(model, Usage(3, 2, 1)))
    return tally


@given(st.lists(tallies, max_size=4), st.integers(0, 4))
def test_tallies_add_up_in_any_grouping(parts: list[Tally], cut: int) -> None:
    def as_json(tally: Tally) -> Any:
        return Tally.from_json(tally.to_json()).to_json()

    whole = Tally.sum(parts)
    assert as_json(Tally.sum([Tally.sum(parts[:cut]), Tally.sum(parts[cut:])])) == as_json(whole)
    assert whole.finished == sum(part.passed + part.failed for part in parts)
    assert sum(usage["total_tokens"] for usage in whole.models.values()) == pytest.approx(
        5 * sum(usage["invocation_count"] for usage in whole.models.values())
    )
