"""From counts and scores to what a person reads: rates with intervals, cost, the comparison of two runs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plinth.evaluation import statistics
from plinth.evaluation.model import ItemStatus, Json, Tally
from plinth.evaluation.statistics import Agreement, Estimate

Results = tuple[str, str, ItemStatus, list[Json]]
"""Output item id, item digest, status, results of one graded row."""

OVERALL = "all criteria"
MAX_FLIPPED = 1000


@dataclass(frozen=True)
class Pair:
    """The same item in two runs."""

    a: Results
    b: Results


def estimate(value: Estimate, name: str = "value") -> Json:
    interval = value.interval
    shown = None if interval is None else {**vars(interval), "low": _round(interval.low), "high": _round(interval.high)}
    return {name: None if value.value is None else _round(value.value), "interval": shown, "n": value.n}


def criteria(tally: Tally, names: Sequence[str], means: Mapping[str, Json] | None) -> list[Json]:
    """One entry per criterion: passed and failed, the pass rate with Wilson's interval over the graded
    rows, how many were errored, and (when the run has ended) the mean score with its interval."""
    entries = []
    for name in names:
        counted = tally.criteria.get(name)
        passed, failed, errored = (counted.passed, counted.failed, counted.errored) if counted else (0, 0, 0)
        entry: Json = {"testing_criteria": name, "passed": passed, "failed": failed, "errored": errored}
        entry |= estimate(statistics.rate(passed, passed + failed), "pass_rate")
        entry["mean_score"] = (means or {}).get(name)
        entries.append(entry)
    return entries


def mean_scores(results: Iterable[Results], names: Sequence[str]) -> dict[str, Json]:
    """The mean score of each criterion over the rows it graded."""
    scores: dict[str, list[float]] = {name: [] for name in names}
    for _, _, _, graded in results:
        for entry in graded:
            if "error" not in entry and entry["name"] in scores:
                scores[entry["name"]].append(float(entry["score"]))
    return {name: estimate(statistics.mean(values)) for name, values in scores.items()}


def cost(tally: Tally, price_per_hour: int, currency: str) -> Json:
    """What 1,000 answers of this run take: tokens, seconds, machine money. Says how it was reckoned."""
    answers = tally.answers
    tokens = sum(usage["total_tokens"] for usage in tally.models.values())
    money = price_per_hour * tally.occupied_seconds / 3600 if price_per_hour else None

    def thousand(amount: float | None) -> float | None:
        return None if amount is None or not answers else round(1000 * amount / answers, 4)

    return {
        "answers": answers,
        "occupied_seconds": round(tally.occupied_seconds, 3),
        "per_1000_answers": {
            "tokens": thousand(tokens),
            "occupied_seconds": thousand(tally.occupied_seconds),
            "answer_seconds": thousand(tally.answer_seconds),
            "machine_cost": None if money is None else {"minor_units": thousand(money), "currency": currency},
        },
        "machine_price_per_hour": {"minor_units": price_per_hour, "currency": currency} if price_per_hour else None,
        "basis": (
            "occupied_seconds is wall time in which this run had requests in flight, times the price of the whole "
            "machine; other work on the machine at the same time is not taken off, and seconds lost to a crash are "
            "not counted. tokens include those of grading models."
        ),
    }


def pairs(a: Sequence[Results], b: Sequence[Results]) -> list[Pair]:
    """Rows with equal content; the k-th occurrence of an item in one run meets the k-th in the other."""
    waiting: dict[tuple[str, int], Results] = {}
    seen: Counter[str] = Counter()
    for row in a:
        waiting[row[1], seen[row[1]]] = row
        seen[row[1]] += 1
    met, found = Counter[str](), []
    for row in b:
        partner = waiting.get((row[1], met[row[1]]))
        met[row[1]] += 1
        if partner is not None:
            found.append(Pair(partner, row))
    return found


def comparison(found: Sequence[Pair], names: Sequence[str]) -> Json:
    """The paired comparison: overall (an item passes when every criterion passes) and per criterion."""
    by_name: dict[str, list[tuple[Pair, Json, Json]]] = defaultdict(list)
    for pair in found:
        left, right = _by_name(pair.a), _by_name(pair.b)
        for name in names:
            if name in left and name in right:
                by_name[name].append((pair, left[name], right[name]))
    whole = [
        (pair, {"passed": pair.a[2] is ItemStatus.passed}, {"passed": pair.b[2] is ItemStatus.passed})
        for pair in found
        if ItemStatus.errored not in (pair.a[2], pair.b[2])
    ]
    return {
        "paired_items": len(found),
        "errored_pairs": len(found) - len(whole),
        "overall": _verdict(OVERALL, whole),
        "per_testing_criteria": [_verdict(name, by_name[name]) for name in names],
    }


def _verdict(name: str, graded: Sequence[tuple[Pair, Json, Json]]) -> Json:
    flags = [(bool(left["passed"]), bool(right["passed"])) for _, left, right in graded]
    table = Agreement(
        both_passed=flags.count((True, True)),
        only_a=flags.count((True, False)),
        only_b=flags.count((False, True)),
        both_failed=flags.count((False, False)),
    )
    flipped = [
        {"run_a_item_id": pair.a[0], "run_b_item_id": pair.b[0], "now": "pass" if after else "fail"}
        for (pair, _, _), (before, after) in zip(graded, flags, strict=True)
        if before != after
    ]
    verdict: Json = {
        "testing_criteria": name,
        "n": table.n,
        "run_a": estimate(statistics.rate(table.both_passed + table.only_a, table.n), "pass_rate"),
        "run_b": estimate(statistics.rate(table.both_passed + table.only_b, table.n), "pass_rate"),
        "difference": estimate(statistics.paired_difference(table)),
        "mcnemar_p": statistics.mcnemar(table.only_a, table.only_b) if table.n else None,
        "agreement": {**vars(table), "share": _round((table.n - len(flipped)) / table.n) if table.n else None},
        "flipped": flipped[:MAX_FLIPPED],
        "flipped_total": len(flipped),
    }
    if graded and "score" in graded[0][1]:
        scores = ([float(entry["score"]) for _, entry, _ in graded], [float(entry["score"]) for _, _, entry in graded])
        verdict["score_difference"] = estimate(statistics.paired_mean_difference(*scores))
    return verdict


def _by_name(row: Results) -> dict[str, Any]:
    return {entry["name"]: entry for entry in row[3] if "error" not in entry}


def _round(value: float) -> float:
    return round(value, 6)
