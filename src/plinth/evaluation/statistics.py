"""How sure a number is: intervals at 95 % for rates, means and paired differences.

Pure functions over plain numbers, no dependency. Rates: Wilson (1927). Means: bias-corrected and
accelerated bootstrap (Efron 1987) with a fixed seed, so the same scores always give the same
interval; above `BOOTSTRAP_LIMIT` scores the central limit theorem does as well and is used.
Pairs: exact McNemar test (1947) and Tango's score interval (1998).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist, fmean, stdev

LEVEL = 0.95
BOOTSTRAP_LIMIT = 2000
RESAMPLES = 2000
SEED = 20261101

_NORMAL = NormalDist()
_Z = _NORMAL.inv_cdf(0.5 + LEVEL / 2)


@dataclass(frozen=True)
class Interval:
    """`method` is wilson, bca, normal, hoeffding or tango; `level` is 0.95."""

    low: float
    high: float
    method: str
    level: float = LEVEL


@dataclass(frozen=True)
class Estimate:
    """A number with how sure it is. `value` is None when `n` is 0, `interval` when n is too small."""

    value: float | None
    interval: Interval | None
    n: int


@dataclass(frozen=True)
class Agreement:
    """The 2 x 2 table of two runs over the same items."""

    both_passed: int
    only_a: int
    only_b: int
    both_failed: int

    @property
    def n(self) -> int:
        return self.both_passed + self.only_a + self.only_b + self.both_failed


def rate(successes: int, n: int) -> Estimate:
    """`successes` out of `n` with Wilson's interval."""
    return Estimate(successes / n, wilson(successes, n), n) if n else Estimate(None, None, 0)


def wilson(successes: int, n: int) -> Interval:
    """Wilson's score interval for a binomial proportion; `n` at least 1."""
    share, squared = successes / n, _Z * _Z
    centre = (share + squared / (2 * n)) / (1 + squared / n)
    half = _Z / (1 + squared / n) * math.sqrt(share * (1 - share) / n + squared / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low, high, "wilson")


def mean(values: Sequence[float]) -> Estimate:
    """The mean of scores with an interval that fits what they are.

    Only 0 and 1: Wilson. All equal and within 0..1: Hoeffding (1963), because a bootstrap of equal
    values would claim certainty. Otherwise BCa, or the normal interval for many values.
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, 0)
    value = fmean(values)
    if all(score in (0.0, 1.0) for score in values):
        return Estimate(value, wilson(round(sum(values)), n), n)
    if min(values) == max(values):
        return Estimate(value, _hoeffding(value, n), n)
    if n > BOOTSTRAP_LIMIT:
        half = _Z * stdev(values) / math.sqrt(n)
        return Estimate(value, Interval(value - half, value + half, "normal"), n)
    return Estimate(value, bca(values), n)


def bca(values: Sequence[float]) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of the mean; needs two different values."""
    n, value = len(values), fmean(values)
    random = Random(SEED)  # noqa: S311 - resampling, not a secret
    means = sorted(fmean(random.choices(values, k=n)) for _ in range(RESAMPLES))
    below = sum(m < value for m in means) + sum(m == value for m in means) / 2
    bias = _NORMAL.inv_cdf(min(max(below / RESAMPLES, 0.5 / RESAMPLES), 1 - 0.5 / RESAMPLES))
    largest = max(abs(v - value) for v in values)
    deviations = [(v - value) / largest for v in values]  # of any size: the powers below must not underflow
    acceleration = math.fsum(d**3 for d in deviations) / (6 * math.fsum(d * d for d in deviations) ** 1.5)

    def quantile(z: float) -> float:
        shifted = bias + (bias + z) / max(1e-9, 1 - acceleration * (bias + z))
        return means[min(RESAMPLES - 1, max(0, round(_NORMAL.cdf(shifted) * RESAMPLES - 0.5)))]

    return Interval(quantile(-_Z), quantile(_Z), "bca")


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p of the hypothesis that both runs pass equally often."""
    n, least = only_a + only_b, min(only_a, only_b)
    term = total = 1
    for k in range(least):
        term = term * (n - k) // (k + 1)
        total += term
    return min(1.0, 2 * total / (1 << n))


def paired_difference(table: Agreement) -> Estimate:
    """Pass rate of b minus pass rate of a over the same items, with Tango's score interval."""
    n = table.n
    if not n:
        return Estimate(None, None, 0)
    value = (table.only_b - table.only_a) / n
    return Estimate(value, Interval(_tango(table, value, +1), _tango(table, value, -1), "tango"), n)


def paired_mean_difference(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """Mean of b - a over the same items, resampling whole items."""
    differences = [right - left for left, right in zip(a, b, strict=True)]
    if differences and min(differences) == max(differences):
        return Estimate(fmean(differences), None, len(differences))
    if not differences:
        return Estimate(None, None, 0)
    value, n = fmean(differences), len(differences)
    if n > BOOTSTRAP_LIMIT:
        half = _Z * stdev(differences) / math.sqrt(n)
        return Estimate(value, Interval(value - half, value + half, "normal"), n)
    return Estimate(value, bca(differences), n)


def _hoeffding(value: float, n: int) -> Interval | None:
    if not 0 <= value <= 1:
        return None
    half = math.sqrt(math.log(2 / (1 - LEVEL)) / (2 * n))
    return Interval(max(0.0, value - half), min(1.0, value + half), "hoeffding")


def _tango(table: Agreement, value: float, side: int) -> float:
    """The bound where the score statistic reaches z: below `value` for side +1, above for -1."""
    inside, outside = value, -float(side)
    for _ in range(80):
        middle = (inside + outside) / 2
        if side * tango_score(table, middle) < _Z:
            inside = middle
        else:
            outside = middle
    return (inside + outside) / 2


def tango_score(table: Agreement, difference: float) -> float:
    """Tango's statistic for the hypothesis that b's rate minus a's rate is `difference`.

    The nuisance share of "only a" is at its maximum likelihood under that hypothesis.
    """
    n, b, c = table.n, table.only_b, table.only_a
    linear = -b - c + (2 * n - b + c) * difference
    constant = -c * difference * (1 - difference)
    share = (math.sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    distance = b - c - n * difference
    if variance <= 0:
        return math.copysign(math.inf, distance) if abs(distance) > 1e-12 else 0.0
    return distance / math.sqrt(variance)
