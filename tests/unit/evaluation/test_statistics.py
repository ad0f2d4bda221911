from __future__ import annotations

import math
from fractions import Fraction
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plinth.evaluation import statistics
from plinth.evaluation.statistics import Agreement, Interval

counts = st.integers(0, 40)
tables = st.builds(Agreement, counts, counts, counts, counts).filter(lambda table: table.n > 0)
scores = st.lists(st.floats(0, 1), min_size=1, max_size=60)


def test_wilson_matches_published_values() -> None:
    # Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29 (method 3)
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (successes, n), (low, high) in published.items():
        interval = statistics.wilson(successes, n)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_ends_where_the_score_test_rejects(case: tuple[int, int]) -> None:
    successes, n = case
    interval = statistics.wilson(successes, n)
    assert 0 <= interval.low <= successes / n <= interval.high <= 1
    for bound in (interval.low, interval.high):
        if 0 < bound < 1:
            z = abs(successes / n - bound) / math.sqrt(bound * (1 - bound) / n)
            assert z == pytest.approx(1.959964, rel=1e-6)
    mirrored = statistics.wilson(n - successes, n)
    assert mirrored.low == pytest.approx(1 - interval.high)


@given(st.integers(0, 25), st.integers(0, 25))
def test_mcnemar_is_the_exact_sign_test(only_a: int, only_b: int) -> None:
    n = only_a + only_b
    tail = sum(Fraction(math.comb(n, k), 2**n) for k in range(min(only_a, only_b) + 1))
    assert statistics.mcnemar(only_a, only_b) == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-12)


def test_mcnemar_with_many_pairs() -> None:
    assert statistics.mcnemar(5000, 5000) == 1.0
    assert 0 < statistics.mcnemar(4000, 5000) < 1e-20


def likelihood(table: Agreement, difference: float, only_a: float) -> float:
    """Log likelihood of the discordant cells when b - a = difference and P(only a) = only_a."""
    rest = 1 - 2 * only_a - difference
    cells = ((table.only_a, only_a), (table.only_b, only_a + difference), (table.n - table.only_a - table.only_b, rest))
    return sum(count * math.log(max(share, 1e-300)) for count, share in cells if count)


@settings(max_examples=60, deadline=None)
@given(tables, st.floats(-0.9, 0.9))
def test_tango_uses_the_restricted_maximum_likelihood(table: Agreement, difference: float) -> None:
    """The closed form of the nuisance share is checked against a search over it."""
    low, high = max(0.0, -difference), (1 - difference) / 2
    inner, outer = low, high
    for _ in range(200):  # golden-section search; the log likelihood is concave
        third = (outer - inner) / 3
        if likelihood(table, difference, inner + third) < likelihood(table, difference, outer - third):
            inner += third
        else:
            outer -= third
    share = (inner + outer) / 2
    variance = table.n * (2 * share + difference - difference * difference)
    distance = table.only_b - table.only_a - table.n * difference
    if variance > 1e-6:
        expected = distance / math.sqrt(variance)
        assert statistics.tango_score(table, difference) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@given(tables)
def test_paired_difference_ends_where_tangos_test_rejects(table: Agreement) -> None:
    found = statistics.paired_difference(table)
    assert found.value == pytest.approx((table.only_b - table.only_a) / table.n)
    assert found.interval is not None
    assert -1 <= found.interval.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.interval.high <= 1
    for bound in (found.interval.low, found.interval.high):
        if abs(bound) < 0.999:
            assert abs(statistics.tango_score(table, bound)) == pytest.approx(1.959964, rel=1e-3)
    swapped = statistics.paired_difference(Agreement(table.both_passed, table.only_b, table.only_a, table.both_failed))
    assert swapped.interval is not None
    assert swapped.interval.low == pytest.approx(-found.interval.high, abs=1e-9)


def test_wilson_covers_the_truth() -> None:
    """Exact coverage, by adding up the binomial probabilities of the counts whose interval has the truth."""
    covered = []
    for n in (20, 60, 200):
        intervals = [statistics.wilson(k, n) for k in range(n + 1)]
        for truth in (0.02, 0.1, 0.3, 0.5, 0.77, 0.9, 0.97):
            covered.append(
                sum(
                    math.comb(n, k) * truth**k * (1 - truth) ** (n - k)
                    for k, interval in enumerate(intervals)
                    if interval.low <= truth <= interval.high
                )
            )
    assert min(covered) > 0.91
    assert sum(covered) / len(covered) == pytest.approx(0.95, abs=0.01)


def test_the_paired_interval_covers_the_truth() -> None:
    random = Random(11)
    for both, only_a, only_b, n in ((0.7, 0.05, 0.12, 80), (0.5, 0.1, 0.1, 40), (0.9, 0.0, 0.05, 100)):
        hits = 0
        for _ in range(1000):
            draws = [random.random() for _ in range(n)]
            a = sum(both <= x < both + only_a for x in draws)
            b = sum(both + only_a <= x < both + only_a + only_b for x in draws)
            interval = statistics.paired_difference(Agreement(n - a - b, a, b, 0)).interval
            assert interval is not None
            hits += interval.low <= only_b - only_a <= interval.high
        assert 0.925 <= hits / 1000 <= 0.985, (both, only_a, only_b, n)


def test_the_bootstrap_covers_the_mean_of_skewed_scores() -> None:
    random = Random(3)
    hits = 0
    for _ in range(120):
        interval = statistics.bca([random.random() ** 3 for _ in range(40)])
        hits += interval.low <= 0.25 <= interval.high
    assert 0.88 <= hits / 120 <= 1.0


@settings(max_examples=40, deadline=None)
@given(scores)
@example([0.5, 0.5 + 2**-53, 0.5])
@example([0.0, 5e-324, 1e-200])
def test_a_mean_lies_in_its_interval(values: list[float]) -> None:
    found = statistics.mean(values)
    assert found == statistics.mean(values)
    assert found.value == pytest.approx(math.fsum(values) / len(values))
    assert found.interval is not None
    assert found.interval.low - 1e-9 <= found.value <= found.interval.high + 1e-9
    assert found.n == len(values)


def test_equal_scores_are_not_certainty() -> None:
    found = statistics.mean([0.8] * 5)
    assert found.interval is not None
    assert found.interval.method == "hoeffding"
    assert found.interval.high - found.interval.low > 0.5
    assert statistics.mean([7.0, 7.0]).interval is None


def test_zeros_and_ones_are_a_rate() -> None:
    assert statistics.mean([1.0, 0.0, 1.0]).interval == statistics.wilson(2, 3)


def test_nothing_is_said_about_nothing() -> None:
    for empty in (statistics.rate(0, 0), statistics.mean([]), statistics.paired_difference(Agreement(0, 0, 0, 0))):
        assert (empty.value, empty.interval, empty.n) == (None, None, 0)
    assert statistics.paired_mean_difference([], []).value is None


def test_many_scores_use_the_normal_interval_and_agree_with_the_bootstrap() -> None:
    random = Random(5)
    values = [random.random() for _ in range(statistics.BOOTSTRAP_LIMIT + 1)]
    normal, bootstrap = statistics.mean(values).interval, statistics.bca(values)
    assert isinstance(normal, Interval)
    assert normal.method == "normal"
    assert normal.low == pytest.approx(bootstrap.low, abs=0.002)
    assert normal.high == pytest.approx(bootstrap.high, abs=0.002)


def test_paired_scores_use_the_pairing() -> None:
    random = Random(9)
    base = [random.random() for _ in range(60)]
    better = [value + 0.05 + random.gauss(0, 0.01) for value in base]
    found = statistics.paired_mean_difference(base, better)
    assert found.interval is not None
    assert 0.04 < found.interval.low < 0.05 < found.interval.high < 0.06
    unpaired = statistics.mean(base).interval
    assert unpaired is not None
    assert found.interval.high - found.interval.low < (unpaired.high - unpaired.low) / 10
