"""What the report says in words. The sentences are in `locales/*/report.yaml`."""

from __future__ import annotations

from typing import Any

from plinth.cli.demo.report import CHEAP, Contender, Difference, Report
from plinth.kit import i18n


def text(report: Report, key: str, **fields: Any) -> str:
    return i18n.text("report", key, report.language, **fields)


def headline(report: Report) -> str:
    """The verdict in one or two sentences: which is better, by how much, how sure."""
    verdict = report.verdict
    if verdict.rival is None or verdict.rival_difference is None:
        return text(report, "verdict_no_rival")
    rival, tuned = _of(report, verdict.rival), _of(report, "tuned")
    gap = gap_of(report, verdict.rival_difference, verdict.rival_difference.proven)
    return text(
        report,
        f"verdict_{verdict.code}",
        rival=text(report, verdict.rival),
        gap=gap,
        n=tuned.n,
        p=small(verdict.rival_difference.p, 3),
        rival_make=seconds(report, rival.make_seconds),
        tuned_make=seconds(report, tuned.make_seconds),
    )


def about_prompts(report: Report) -> str:
    """What tuning gained over the best prompt of the same base model."""
    found = report.verdict.prompt_difference
    sign = found.proven
    key = {1: "prompt_better", -1: "prompt_worse", 0: "prompt_same"}[sign]
    return text(
        report, key, prompt=text(report, report.verdict.prompt), gap=gap_of(report, found, sign), p=small(found.p, 3)
    )


def about_parity(report: Report, parity: dict[str, Any]) -> str:
    """How many answers of the deployed version equal the trained checkpoint's."""
    found = parity["agreement"]
    same = found["n"] - parity["differing_total"]
    low, high = percent(found["interval"]["low"]), percent(found["interval"]["high"])
    said = text(report, "parity_same", same=same, n=found["n"], share=percent(found["value"]), low=low, high=high)
    return f"{said} {text(report, 'parity_errored', n=parity['errored'])}" if parity["errored"] else said


def caveats(report: Report) -> list[str]:
    rivals = [one for one in report.contenders if one.key in CHEAP]
    said = [text(report, "several", count=len(rivals))] if len(rivals) > 1 else []
    n = report.data.evaluated_rows
    return [*said, text(report, "limit_seed"), text(report, "limit_rows", n=n), text(report, "limit_format")]


def gap_of(report: Report, found: Difference, sign: int) -> str:
    """A difference with its interval. Where the sentence names the winner it is a plain lead
    (`sign` 1: tuned, -1: the other); 0 keeps the sign of "tuned minus the other"."""
    value, low, high = found.difference, found.interval.low, found.interval.high
    if sign < 0:
        value, low, high = -value, -high, -low
    shown = [points(number) if not sign else f"{number * 100:.1f}" for number in (value, low, high)]
    return text(report, "better_by", difference=shown[0], low=shown[1], high=shown[2], n=found.n)


def points(value: float) -> str:
    """A share as percentage points with a sign: 0.125 -> +12.5."""
    rounded = round(value * 100, 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"


def small(value: float, digits: int) -> str:
    """A number that may be too small to show: 0.00004 with 3 digits -> < 0.001."""
    least = 10**-digits
    return f"< {least:.{digits}f}" if 0 < value < least else f"{value:.{digits}f}"


def percent(value: float) -> str:
    return f"{value * 100:.1f} %"


def seconds(report: Report, value: float) -> str:
    return i18n.text("demo", "seconds", report.language, n=f"{value:.1f}" if value < 10 else round(value))


def _of(report: Report, key: str) -> Contender:
    return next(one for one in report.contenders if one.key == key)
