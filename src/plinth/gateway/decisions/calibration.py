"""Maps from a model's probabilities to calibrated ones, and how they are fitted. Pure, no dependency.

*Temperature* (Guo et al. 2017): softmax(log p / T) with one T for all, by the least log loss. It keeps the
ranking and every argmax; it cannot undo a leaning to one side.
*Isotonic* (PAVA, Ayer et al. 1955; Zadrozny and Elkan 2002 for several classes): a step function that never
falls, by least squares. It undoes a leaning, can make near values equal, and needs more rows. With several
options all their probabilities share one function and are divided by their sum.
*Identity*: what a fit ends as when the fitted map has a larger calibration error on its own rows.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from plinth.gateway.decisions.model import Method
from plinth.gateway.decisions.reliability import Example, calibration_error

LEAST_INVERSE, MOST_INVERSE = 0.02, 50.0
_GOLDEN = (math.sqrt(5) - 1) / 2
_STEPS = 60

Probabilities = tuple[float, ...]


class Map(Protocol):
    """`apply` takes and gives probabilities in option order that sum to 1."""

    def apply(self, probabilities: Probabilities) -> Probabilities: ...

    @property
    def document(self) -> dict[str, Any]:
        """As it is stored; `map_of` is the way back."""
        ...


@dataclass(frozen=True)
class Identity:
    def apply(self, probabilities: Probabilities) -> Probabilities:
        return probabilities

    @property
    def document(self) -> dict[str, Any]:
        return {"kind": "identity"}


@dataclass(frozen=True)
class Temperature:
    """Above 1 makes the model less sure, below 1 surer."""

    temperature: float

    def apply(self, probabilities: Probabilities) -> Probabilities:
        return _softened(probabilities, 1 / self.temperature)

    @property
    def document(self) -> dict[str, Any]:
        return {"kind": "temperature", "temperature": self.temperature}


@dataclass(frozen=True)
class Isotonic:
    """Steps: from `starts[i]` on the value is `values[i]`; below the first start it is the first value.
    `binary`: only the first option's probability is mapped, the second is the rest."""

    starts: tuple[float, ...]
    values: tuple[float, ...]
    binary: bool

    def at(self, probability: float) -> float:
        return self.values[max(0, bisect.bisect_right(self.starts, probability) - 1)]

    def apply(self, probabilities: Probabilities) -> Probabilities:
        if self.binary:
            value = self.at(probabilities[0])
            return (value, 1 - value)
        mapped = [self.at(probability) for probability in probabilities]
        total = math.fsum(mapped)
        return tuple(value / total for value in mapped)

    @property
    def document(self) -> dict[str, Any]:
        steps = [{"from": start, "value": value} for start, value in zip(self.starts, self.values, strict=True)]
        return {"kind": "isotonic", "binary": self.binary, "steps": steps}


def map_of(document: Mapping[str, Any]) -> Map:
    if document["kind"] == "temperature":
        return Temperature(document["temperature"])
    if document["kind"] == "isotonic":
        steps = document["steps"]
        starts, values = tuple(step["from"] for step in steps), tuple(step["value"] for step in steps)
        return Isotonic(starts, values, document["binary"])
    return Identity()


def fit(method: Method, examples: Sequence[Example], binary: bool) -> Map:
    """The map, or `Identity` when it would make the calibration error on these very examples larger.

    Args: `examples` is not empty; `binary` for predicates, whose first option is "true".
    """
    fitted: Map = fit_temperature(examples) if method is Method.temperature else fit_isotonic(examples, binary)
    after = [Example(fitted.apply(example.probabilities), example.answer) for example in examples]
    if calibration_error(after, binary) > calibration_error(examples, binary):
        return Identity()
    return fitted


def fit_temperature(examples: Sequence[Example]) -> Temperature:
    """The log loss is convex in 1 / T, so a golden section finds its least value (kept within 1/50 to 50)."""

    def loss(logarithm: float) -> float:
        inverse = math.exp(logarithm)
        return math.fsum(-_log_share(example.probabilities, inverse, example.answer) for example in examples)

    return Temperature(math.exp(-_least(loss, math.log(LEAST_INVERSE), math.log(MOST_INVERSE))))


def fit_isotonic(examples: Sequence[Example], binary: bool) -> Isotonic:
    """Values are kept 1 / (2 (n + 1)) away from 0 and 1: no number of rows proves that something never happens."""
    pairs: list[tuple[float, float]] = []
    for example in examples:
        shown = example.probabilities[:1] if binary else example.probabilities
        pairs += [(probability, float(example.answer == index)) for index, probability in enumerate(shown)]
    pairs.sort()
    starts: list[float] = []
    sums: list[float] = []
    weights: list[int] = []
    for probability, outcome in pairs:
        if starts and starts[-1] == probability:
            sums[-1] += outcome
            weights[-1] += 1
        else:
            starts.append(probability)
            sums.append(outcome)
            weights.append(1)
    means = pava([total / weight for total, weight in zip(sums, weights, strict=True)], weights)
    edge = 1 / (2 * (len(pairs) + 1))
    kept_starts: list[float] = []
    values: list[float] = []
    for start, mean in zip(starts, means, strict=True):
        value = min(1 - edge, max(edge, mean))
        if not values or value != values[-1]:
            kept_starts.append(start)
            values.append(value)
    return Isotonic(tuple(kept_starts), tuple(values), binary)


def pava(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The sequence that never falls and is nearest to `values` by weighted least squares: pool adjacent violators."""
    blocks: list[tuple[float, float, int]] = []  # sum, weight, how many values
    for value, weight in zip(values, weights, strict=True):
        total, mass, count = value * weight, float(weight), 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / mass:
            before = blocks.pop()
            total, mass, count = total + before[0], mass + before[1], count + before[2]
        blocks.append((total, mass, count))
    return [total / mass for total, mass, count in blocks for _ in range(count)]


def _softened(probabilities: Probabilities, inverse: float) -> Probabilities:
    powers = [inverse * math.log(probability) if probability > 0 else -math.inf for probability in probabilities]
    top = max(powers)
    shares = [math.exp(power - top) for power in powers]
    total = math.fsum(shares)
    return tuple(share / total for share in shares)


def _log_share(probabilities: Probabilities, inverse: float, index: int) -> float:
    """The logarithm of one option's softened probability; never minus infinity."""
    powers = [inverse * math.log(max(probability, 1e-300)) for probability in probabilities]
    top = max(powers)
    return powers[index] - top - math.log(math.fsum(math.exp(power - top) for power in powers))


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is least, by golden section."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(_STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2
