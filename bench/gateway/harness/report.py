"""From measurements to medians, ratios, targets and a Markdown page."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

MB = 1e6
FULL_MEMORY_RUN = 1_000_000

Results = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of the repeats."""

    median: float
    low: float
    high: float
    repeats: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        found = list(values)
        return cls(statistics.median(found), min(found), max(found), len(found)) if found else None


class Reader:
    """Looks figures up in the results, by round, so that ratios compare what ran side by side."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def per_round(self, peer: str, measure: str, field: str, workers: int = 1) -> dict[int, float]:
        found: dict[int, float] = {}
        for run in self._results["runs"]:
            numbers = run["measures"].get(measure, {})
            if run["peer"] == peer and run["workers"] == workers and "failed" not in numbers:
                value = numbers.get(field)
                if value is not None and value >= 0:
                    found[run["round"]] = value
        return found

    def spread(self, peer: str, measure: str, field: str, workers: int = 1) -> Spread | None:
        return Spread.of(self.per_round(peer, measure, field, workers).values())

    def added(self, peer: str, measure: str, field: str) -> Spread | None:
        """What the peer adds to the direct way in the same round."""
        floor = self.per_round("direct", measure, field)
        own = self.per_round(peer, measure, field)
        return Spread.of(own[number] - floor[number] for number in own.keys() & floor.keys())

    def ratio(self, peer: str, other: str, measure: str, field: str) -> Spread | None:
        below = self.per_round(other, measure, field)
        own = self.per_round(peer, measure, field)
        return Spread.of(own[number] / below[number] for number in own.keys() & below.keys() if below[number])

    def memory(self, peer: str) -> dict[str, Any] | None:
        found = self._results["memory"].get(peer)
        return found if found and "failed" not in found else None

    def failures(self) -> list[str]:
        lines = []
        for run in self._results["runs"]:
            where = f"{run['peer']}, {run['workers']} worker(s), round {run['round'] + 1}"
            if "failed" in run:
                lines.append(f"{where}: {run['failed']}")
            lines += [
                f"{where}, {measure}: {numbers['failed']}"
                for measure, numbers in run["measures"].items()
                if "failed" in numbers
            ]
        lines += [
            f"{peer}, memory: {found['failed']}" for peer, found in self._results["memory"].items() if "failed" in found
        ]
        return lines


@dataclass(frozen=True)
class Target:
    words: str
    value: str
    reached: bool | None
    """None: not measured."""


def targets(results: Results) -> list[Target]:
    """What the project promised of its gateway, and what was measured."""
    read = Reader(results)

    def bound(words: str, found: Spread | None, holds: Callable[[Spread], bool], unit: str) -> Target:
        if found is None:
            return Target(words, "not measured", None)
        return Target(words, _shown(found, unit), holds(found))

    return [
        bound(
            "at least 40 times LiteLLM's requests/s",
            read.ratio("plinth", "litellm", "saturation", "per_second"),
            lambda found: found.median >= 40,
            "x",
        ),
        bound(
            "more requests/s than TensorZero",
            read.ratio("plinth", "tensorzero", "saturation", "per_second"),
            lambda found: found.median > 1,
            "x",
        ),
        bound(
            "at most 1 ms added at 50 requests/s (median request)",
            read.added("plinth", "low_rate", "p50"),
            lambda found: found.median <= 1,
            "ms",
        ),
        bound(
            "at most 60 us CPU a streamed chunk",
            read.spread("plinth", "paced", "cpu_us_per_chunk"),
            lambda found: found.median <= 60,
            "us",
        ),
        _abandoned_target(read),
        bound(
            "less than 20 MB for a reader that stops",
            _scaled(read.spread("plinth", "stalled", "growth_bytes"), 1 / MB),
            lambda found: found.high < 20,
            "MB",
        ),
        _memory_target(read),
    ]


def _abandoned_target(read: Reader) -> Target:
    words = "an abandoned stream is cancelled within 100 ms (slowest, while pieces come and in silence)"
    slowest = [read.spread("plinth", "abandoned", f"{kind}_max") for kind in ("talking", "silent")]
    unseen = [read.spread("plinth", "abandoned", f"{kind}_unseen") for kind in ("talking", "silent")]
    never = sum(found.high for found in unseen if found)
    if never:
        return Target(words, f"{never:.0f} never", reached=False)
    measured = [found.high for found in slowest if found]
    if len(measured) < 2:
        return Target(words, "not measured", None)
    return Target(words, f"{max(measured):.1f} ms", max(measured) <= 100)


def _memory_target(read: Reader) -> Target:
    words = "the last 500,000 of 1,000,000 requests add less than 5 MB"
    found = read.memory("plinth")
    if found is None:
        return Target(words, "not measured", None)
    growth = f"{found['last_half_bytes'] / MB:+.1f} MB over the last {found['last_half_requests']:,}"
    if found["requests"] < FULL_MEMORY_RUN:
        return Target(words, f"{growth}: too few requests to judge", None)
    return Target(words, growth, found["last_half_bytes"] < 5 * MB)


def markdown(results: Results) -> str:
    read = Reader(results)
    peers = ["direct", *results["peers"]]
    parts = [
        "# Gateway benchmark",
        _setting(results),
        "## Requests",
        _table(
            [
                "",
                "requests/s",
                "x LiteLLM",
                "2 workers",
                "CPU us a request (all processes)",
                "p50 ms at 50/s (added)",
                "p99 (added)",
                "p50 ms at 32 (added)",
                "p99 (added)",
                "embeddings/s",
            ],
            [_request_row(read, peer) for peer in peers],
        ),
        "## Streams",
        _table(
            [
                "",
                "first byte p50 ms",
                "p99",
                "CPU us a chunk",
                "chunks/s (of 1,600)",
                "burst chunks/s",
                "left, upstream closed ms p50 / max",
                "left in silence",
                "stopped reader MB (taken)",
            ],
            [_stream_row(read, peer) for peer in peers],
        ),
        "## Memory of the gateway's processes",
        _table(
            ["", "requests", "start MB", "end MB", "last half added MB", "over requests"],
            [_memory_row(read, peer) for peer in results["peers"]],
        ),
        "## Targets",
        _table(
            ["", "measured", ""],
            [[target.words, target.value, _verdict(target)] for target in targets(results)],
        ),
        _noise(results),
    ]
    if failures := read.failures():
        parts += ["## What failed", "\n".join(f"- {line}" for line in failures)]
    return "\n\n".join(parts) + "\n"


def _setting(results: Results) -> str:
    machine, options = results["machine"], results["options"]
    lines = [
        f"{results['began']} on {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}, Linux {machine['kernel']}; load average at the start "
        f"{machine['load_average'][0]:.2f}. {results['cores'].capitalize()}.",
        f"{options['rounds']} rounds in alternating order, {options['seconds']:g} s a measure after "
        f"{options['warmup_seconds']:g} s of warm-up; median (smallest to largest of the rounds). "
        f"Tools: {results['compiler']}.",
    ]
    lines += [
        f"- **{peer}** {', '.join(f'{name} {version}' for name, version in results['versions'][peer].items())}: "
        f"{results['duties'][peer]}{_without(results, peer)}"
        for peer in results["peers"]
    ]
    return "\n".join(lines)


def _without(results: Results, peer: str) -> str:
    found = {duty for run in results["runs"] if run["peer"] == peer for duty in run.get("without", ())}
    return f" (**without {' and '.join(sorted(found))}**: this version has none)" if found else ""


def _request_row(read: Reader, peer: str) -> list[str]:
    def added(measure: str, field: str) -> str:
        own, more = read.spread(peer, measure, field), read.added(peer, measure, field)
        return _shown(own, "") if peer == "direct" or more is None else f"{_shown(own, '')}, +{more.median:.2f}"

    ratio = read.ratio(peer, "litellm", "saturation", "per_second")
    gateway_cpu = read.spread(peer, "saturation", "cpu_us_per_request")
    everything = read.spread(peer, "saturation", "platform_cpu_us_per_request")
    all_cpu = _number(everything.median) if everything else "-"
    return [
        peer,
        _shown(read.spread(peer, "saturation", "per_second"), ""),
        f"{ratio.median:.1f}" if ratio and peer != "direct" else "-",
        _shown(read.spread(peer, "saturation", "per_second", workers=2), ""),
        "-" if peer == "direct" else f"{_shown(gateway_cpu, '')} ({all_cpu})",
        added("low_rate", "p50"),
        added("low_rate", "p99"),
        added("saturation", "p50"),
        added("saturation", "p99"),
        _shown(read.spread(peer, "embeddings", "per_second"), ""),
    ]


def _stream_row(read: Reader, peer: str) -> list[str]:
    def left(kind: str) -> str:
        middle, most = (read.spread(peer, "abandoned", f"{kind}_{field}") for field in ("p50", "max"))
        never = read.spread(peer, "abandoned", f"{kind}_unseen")
        times = f"{middle.median:.1f} / {most.high:.1f}" if middle and most else "-"
        return f"{times}; {never.high:.0f} never" if never and never.high else times

    growth, taken = (read.spread(peer, "stalled", field) for field in ("growth_bytes", "taken_bytes"))
    return [
        peer,
        _shown(read.spread(peer, "paced", "first_p50"), ""),
        _shown(read.spread(peer, "paced", "first_p99"), ""),
        "-" if peer == "direct" else _shown(read.spread(peer, "paced", "cpu_us_per_chunk"), ""),
        _shown(read.spread(peer, "paced", "marks_per_second"), ""),
        _shown(read.spread(peer, "burst", "marks_per_second"), ""),
        left("talking"),
        left("silent"),
        f"{growth.high / MB:.1f} ({taken.median / MB:.0f})" if growth and taken else "-",
    ]


def _memory_row(read: Reader, peer: str) -> list[str]:
    found = read.memory(peer)
    if found is None:
        return [peer, *["-"] * 5]
    return [
        peer,
        f"{found['requests']:,}",
        f"{found['start_bytes'] / MB:.0f}",
        f"{found['end_bytes'] / MB:.0f}",
        f"{found['last_half_bytes'] / MB:+.1f}",
        f"{found['last_half_requests']:,}",
    ]


def _noise(results: Results) -> str:
    """Says plainly when others used the machine, or when the tools themselves were the limit."""
    used = [
        (numbers["others_cores"], numbers["tools_cores"], run["peer"])
        for run in results["runs"]
        for numbers in run["measures"].values()
        if "others_cores" in numbers
    ]
    if not used:
        return ""
    others = [share for share, _, _ in used]
    tools = max((share for _, share, peer in used if peer != "direct"), default=0.0)
    text = (
        f"Others used {statistics.median(others):.2f} cores in the median measure, {max(others):.2f} in the worst. "
        f"Upstream and load generator together used at most {tools:.2f} cores beside a gateway"
    )
    return text + (": at that point they were the limit." if tools > 0.9 else ".")


def _shown(found: Spread | None, unit: str) -> str:
    if found is None:
        return "-"
    text = _number(found.median) + (f" {unit}" if unit else "")
    if found.repeats > 1:
        text += f" ({_number(found.low)} to {_number(found.high)})"
    return text


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _scaled(found: Spread | None, factor: float) -> Spread | None:
    if found is None:
        return None
    return Spread(found.median * factor, found.low * factor, found.high * factor, found.repeats)


def _verdict(target: Target) -> str:
    return {True: "reached", False: "**missed**", None: "-"}[target.reached]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
