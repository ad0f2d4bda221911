"""How far stated probabilities are from what happens: calibration error, Brier score, reliability curve.

Pure, over plain numbers. A predicate is judged by its probability of "true"; a choice or a score by the
probability of its likeliest option, against how often that option was right (top-label calibration).

The expected calibration error (ECE, Naeini et al. 2015) here has ten bins of equal width. It is biased
upwards: with n rows in a bin even a perfect model shows about 0.4 / sqrt(n) at 0.5. Compare before and after,
do not read it as an absolute. The Brier score (1950) is the mean squared distance, over all options for
choices and scores (0 to 2), for the "true" option for predicates (0 to 1); it also counts sharpness.
Intervals are 95 % percentiles of a bootstrap over rows with a fixed seed; the bias stays in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist, fmean
from typing import Any

BINS = 10
RESAMPLES = 1000
LEVEL = 0.95
_Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)


@dataclass(frozen=True)
class Example:
    """`probabilities` in option order; `answer` is the index of the right one."""

    probabilities: tuple[float, ...]
    answer: int


@dataclass(frozen=True)
class Judged:
    """What the measures look at: a stated probability, whether it came true, and the squared distance."""

    stated: float
    came_true: bool
    squared: float


def judged(example: Example, binary: bool) -> Judged:
    if binary:
        stated, came_true = example.probabilities[0], example.answer == 0
        return Judged(stated, came_true, (stated - came_true) ** 2)
    stated = max(example.probabilities)
    squared = math.fsum((p - (index == example.answer)) ** 2 for index, p in enumerate(example.probabilities))
    return Judged(stated, example.probabilities.index(stated) == example.answer, squared)


def calibration_error(examples: Sequence[Example], binary: bool) -> float:
    return _error([judged(example, binary) for example in examples])


def report(before: Sequence[Example], after: Sequence[Example], binary: bool, seed: int) -> dict[str, Any]:
    """What a calibration did to rows it was not fitted on: `before` and `after` are the same rows, in order.

    Every figure is {value, low, high}; `change` is after minus before, resampled in pairs.
    """
    raw, mapped = [judged(e, binary) for e in before], [judged(e, binary) for e in after]
    measures: dict[str, Callable[[Sequence[Judged]], float]] = {
        "ece": _error,
        "brier": lambda rows: fmean(row.squared for row in rows),
    }
    draws = _draws(len(raw), seed)
    found: dict[str, Any] = {"n": len(raw), "bins": BINS, "resamples": RESAMPLES, "level": LEVEL, "seed": seed}
    for name, measure in measures.items():
        first = [measure([raw[index] for index in draw]) for draw in draws]
        second = [measure([mapped[index] for index in draw]) for draw in draws]
        found[name] = {
            "before": _figure(measure(raw), first),
            "after": _figure(measure(mapped), second),
            "change": _figure(measure(mapped) - measure(raw), [b - a for a, b in zip(first, second, strict=True)]),
        }
    found["curve"] = {"before": curve(raw), "after": curve(mapped)}
    return found


def curve(rows: Sequence[Judged]) -> list[dict[str, Any]]:
    """The reliability curve: for each bin that holds rows, the mean stated probability and how often it came true,
    with Wilson's interval."""
    points = []
    for number, held in enumerate(_bins(rows)):
        if held:
            hits = sum(row.came_true for row in held)
            low, high = wilson(hits, len(held))
            points.append(
                {
                    "from": number / BINS,
                    "to": (number + 1) / BINS,
                    "n": len(held),
                    "stated": fmean(row.stated for row in held),
                    "observed": hits / len(held),
                    "low": low,
                    "high": high,
                }
            )
    return points


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval (1927) for `hits` of `n`, n at least 1."""
    share, squared = hits / n, _Z * _Z
    centre = (share + squared / (2 * n)) / (1 + squared / n)
    half = _Z / (1 + squared / n) * math.sqrt(share * (1 - share) / n + squared / (4 * n * n))
    return (0.0 if hits == 0 else max(0.0, centre - half)), (1.0 if hits == n else min(1.0, centre + half))


def bootstrap(values: Sequence[float], seed: int) -> dict[str, float]:
    """The mean of values with its 95 % percentile interval."""
    return _figure(fmean(values), [fmean(values[index] for index in draw) for draw in _draws(len(values), seed)])


def _bins(rows: Sequence[Judged]) -> list[list[Judged]]:
    held: list[list[Judged]] = [[] for _ in range(BINS)]
    for row in rows:
        held[min(BINS - 1, int(row.stated * BINS))].append(row)
    return held


def _error(rows: Sequence[Judged]) -> float:
    stated, hits = [0.0] * BINS, [0] * BINS
    for row in rows:
        number = min(BINS - 1, int(row.stated * BINS))
        stated[number] += row.stated
        hits[number] += row.came_true
    return math.fsum(abs(s - h) for s, h in zip(stated, hits, strict=True)) / len(rows)


def _draws(n: int, seed: int) -> list[list[int]]:
    random = Random(seed)  # noqa: S311 - resampling, not a secret
    return [random.choices(range(n), k=n) for _ in range(RESAMPLES)]


def _figure(value: float, resampled: Sequence[float]) -> dict[str, float]:
    ordered = sorted(resampled)
    tail = (1 - LEVEL) / 2
    low, high = ordered[int(tail * len(ordered))], ordered[min(len(ordered) - 1, int((1 - tail) * len(ordered)))]
    return {"value": value, "low": low, "high": high}
