"""What the benchmark concludes from its measurements."""

from __future__ import annotations

from collections import Counter
from typing import Any

from harness import report, stacks


def results(plinth: float, growth: int = 0, requests: int = 1_000_000) -> dict[str, Any]:
    """Two rounds; everyone is twice as fast in the second one."""
    runs: list[dict[str, Any]] = []
    for number in (0, 1):
        for peer, rate in (("direct", 50_000.0), ("litellm", 100.0), ("tensorzero", 5000.0), ("plinth", plinth)):
            factor = number + 1
            measures: dict[str, Any] = {
                "saturation": {"per_second": rate * factor, "p50": 1.0, "p99": 2.0, "platform_cpu_us_per_request": 9.0}
                | {"cpu_us_per_request": 8.0, "others_cores": 0.1, "tools_cores": 0.3},
                "low_rate": {"p50": (0.2 if peer == "direct" else 0.9) * factor, "p99": 3.0},
                "paced": {"cpu_us_per_chunk": 61.0, "first_p50": 1.0, "first_p99": 2.0, "marks_per_second": 1600.0},
                "abandoned": {"talking_max": 20.0, "silent_max": 30.0, "talking_unseen": 0, "silent_unseen": 0},
                "stalled": {"growth_bytes": 5_000_000, "taken_bytes": 9_000_000},
            }
            runs.append({"peer": peer, "workers": 1, "round": number, "measures": measures})
    memory = {"requests": requests, "start_bytes": 1, "end_bytes": 2, "last_half_bytes": growth}
    return {
        "began": "2026-01-01T00:00:00Z",
        "machine": {"cpu": "a", "cores": 2, "memory_gib": 4, "system": "s", "kernel": "k", "load_average": [0.0]},
        "cores": "gateway on core 0",
        "compiler": "cc",
        "options": {"rounds": 2, "seconds": 1.0, "warmup_seconds": 1.0},
        "peers": ["litellm", "tensorzero", "plinth"],
        "versions": {"litellm": {}, "tensorzero": {}, "plinth": {"plinth-maas": "1"}},
        "duties": {"litellm": "", "tensorzero": "", "plinth": "all"},
        "runs": runs,
        "memory": {"plinth": memory | {"last_half_requests": requests // 2}},
    }


def verdicts(found: dict[str, Any]) -> list[bool | None]:
    return [target.reached for target in report.targets(found)]


def test_ratios_compare_what_ran_in_the_same_round() -> None:
    read = report.Reader(results(plinth=6000.0))
    ratio = read.ratio("plinth", "litellm", "saturation", "per_second")
    assert ratio == report.Spread(60.0, 60.0, 60.0, 2)
    added = read.added("plinth", "low_rate", "p50")
    assert added is not None
    assert (round(added.low, 3), round(added.high, 3)) == (0.7, 1.4)


def test_targets_are_reached_missed_or_not_measured() -> None:
    #       40 x   tensorzero  added  chunk  abandoned  stopped  memory
    assert verdicts(results(plinth=6000.0)) == [True, True, False, False, True, True, True]
    assert verdicts(results(plinth=3000.0, growth=6_000_000))[:2] == [False, False]
    assert verdicts(results(plinth=3000.0, growth=6_000_000))[-1] is False
    assert verdicts(results(plinth=3000.0, growth=6_000_000, requests=20_000))[-1] is None


def test_a_stream_that_is_never_cancelled_misses_its_target() -> None:
    found = results(plinth=6000.0)
    found["runs"][-1]["measures"]["abandoned"] |= {"silent_unseen": 1}
    assert verdicts(found)[4] is False


def test_a_measure_that_failed_gives_no_figure_and_is_named() -> None:
    found = results(plinth=6000.0)
    for run in found["runs"]:
        if run["peer"] == "plinth":
            run["measures"]["saturation"]["failed"] = "3 bad of 9: status 500"
    assert verdicts(found)[:2] == [None, None]
    page = report.markdown(found)
    assert "plinth, 1 worker(s), round 2, saturation: 3 bad of 9: status 500" in page


def test_the_page_says_what_a_version_could_not_do() -> None:
    found = results(plinth=6000.0)
    found["runs"][-1]["without"] = ("a route",)
    assert "(**without a route**: this version has none)" in report.markdown(found)


def test_stacks_are_summed_by_function_and_waiting_threads_are_left_out() -> None:
    lines = [
        "run (/x/site-packages/uvicorn/server.py:5);answer (/w/src/plinth/gateway/answer.py:9) 3",
        "run (/x/site-packages/uvicorn/server.py:5);answer (/w/src/plinth/gateway/answer.py:9);dumps (orjson.so) 1",
        "Thread.run (threading.py:9);Condition.wait (threading.py:300) 50",
    ]
    found = stacks.costs(stacks.read(lines))
    assert found.total == 4
    assert found.own == Counter({"answer (plinth/gateway/answer.py)": 3, "dumps (orjson.so)": 1})
    assert found.below["run (uvicorn/server.py)"] == 4
    assert found.modules["plinth/gateway/answer.py"] == 3
