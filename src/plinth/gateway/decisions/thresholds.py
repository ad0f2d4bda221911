"""From what mistakes cost to when to act (Elkan 2001), and when to ask a person (Chow 1970).

For a calibrated p = P(true), acting costs (1 - p) x false_positive on average and leaving it p x
false_negative. Acting is cheaper from p = false_positive / (false_positive + false_negative) on. If a person
can look at it for `review`, that is cheaper than either where both cost more than it. All this is as good as
the calibration; on raw probabilities it is worth nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plinth.gateway.decisions.errors import CalibrationBadCosts
from plinth.gateway.decisions.reliability import Example, bootstrap


@dataclass(frozen=True)
class Costs:
    """Whole numbers of any one unit. `review` is None when nobody can be asked."""

    false_positive: int
    false_negative: int
    review: int | None = None


@dataclass(frozen=True)
class Rule:
    """Act from `threshold` on. Between `reject_from` and `reject_to` (both exclusive) ask a person; None when there
    is no such band."""

    threshold: float
    reject_from: float | None = None
    reject_to: float | None = None

    def rejects(self, probability: float) -> bool:
        if self.reject_from is None or self.reject_to is None:
            return False
        return self.reject_from < probability < self.reject_to

    def cost(self, probability: float, is_true: bool, costs: Costs) -> int:
        if costs.review is not None and self.rejects(probability):
            return costs.review
        if probability >= self.threshold:
            return 0 if is_true else costs.false_positive
        return costs.false_negative if is_true else 0


def rule(costs: Costs) -> Rule:
    """Raises `CalibrationBadCosts` when no mistake costs anything."""
    total = costs.false_positive + costs.false_negative
    if total <= 0:
        raise CalibrationBadCosts(param="false_positive")
    threshold = costs.false_positive / total
    # review beats both somewhere only below the cost at the threshold itself, where they are equal
    if costs.review is None or costs.review * total >= costs.false_positive * costs.false_negative:
        return Rule(threshold)
    return Rule(threshold, costs.review / costs.false_negative, 1 - costs.review / costs.false_positive)


def measured(found: Rule, costs: Costs, held_out: Sequence[Example], seed: int) -> dict[str, Any]:
    """The mean cost of a decision on held-out rows, with intervals, beside always and never acting.

    Args: `held_out` has calibrated probabilities of predicates, "true" first.
    """
    pairs = [(example.probabilities[0], example.answer == 0) for example in held_out]
    asked = sum(found.rejects(p) for p, _ in pairs)
    return {
        "n": len(pairs),
        "mean_cost": bootstrap([found.cost(p, true, costs) for p, true in pairs], seed),
        "mean_cost_always": bootstrap([0 if true else costs.false_positive for _, true in pairs], seed),
        "mean_cost_never": bootstrap([costs.false_negative if true else 0 for _, true in pairs], seed),
        "reviewed": asked / len(pairs),
    }
