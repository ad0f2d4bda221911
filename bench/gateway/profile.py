"""Where the gateway's time goes: samples of Plinth's gateway process under load.

    python bench/gateway/profile.py [--load plain|burst|paced|embeddings] [--seconds 10] [--native]

Uses py-spy, which looks at the process from outside and needs the right to do so (root, or
kernel.yama.ptrace_scope=0). Prints microseconds of CPU a request (a chunk, for streams) by function
and by module; --out keeps the raw stacks for a flame graph.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from harness import machine, measures, native, stacks
from harness.load import Load
from harness.measures import Bench
from harness.peers import Plinth, Running
from harness.peers.base import NotStarted, Setting
from harness.upstream import Upstream
from harness.venvs import Venv

_PY_SPY = ("py-spy==0.4.3",)
_LOADS = {
    "plain": (measures.saturation, "cpu_us_per_request"),
    "burst": (measures.burst, "cpu_us_per_chunk"),
    "paced": (measures.paced, "cpu_us_per_chunk"),
    "embeddings": (measures.embeddings, "cpu_us_per_request"),
}
_RATE = 250


def main() -> int:
    arguments = _arguments()
    cache: Path = arguments.cache.expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    programs, cores = native.programs(cache), machine.Cores.of_this_process()
    sampler, plinth = Venv(cache, "py-spy", _PY_SPY), Plinth(cache)
    sampler.install()
    plinth.prepare()
    with tempfile.TemporaryDirectory(prefix="plinth-profile-") as name:
        folder = Path(name)
        upstream = Upstream(programs.upstream, cores.upstream, folder / "upstream.log")
        bench = Bench(Load(programs.load, cores.load, folder), upstream, arguments.seconds, 2.0, 0, 0.0)
        try:
            running = _started(plinth, Setting(upstream.url, 1, cores, folder))
            try:
                numbers, samples = _sampled(bench, running, sampler, arguments)
            finally:
                running.stop()
        finally:
            upstream.close()
    unit = _LOADS[arguments.load][1]
    print(_report(numbers, samples, numbers[unit], "request" if unit.endswith("request") else "chunk", arguments.top))
    if arguments.out:
        arguments.out.write_text("".join(f"{stack} {count}\n" for stack, count in samples.items()))
    return int("failed" in numbers)


def _started(plinth: Plinth, setting: Setting) -> Running:
    try:
        return plinth.start(setting)
    except NotStarted as error:
        sys.exit(f"{error}\n{setting.last_words()}")


def _sampled(
    bench: Bench, running: Running, sampler: Venv, arguments: argparse.Namespace
) -> tuple[dict[str, Any], Counter[str]]:
    """The load's numbers, and how often each stack was seen while it ran."""
    (pid, *_) = running.gateway()
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        command = [str(sampler.folder / "bin" / "py-spy"), "record", "--format", "raw", "--output", file.name]
        command += ["--rate", str(_RATE), "--duration", f"{arguments.seconds:.0f}", "--function", "--pid", str(pid)]
        command += ["--native"] if arguments.native else []
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        numbers = _LOADS[arguments.load][0](bench, running)
        output, _ = process.communicate()
        if process.returncode != 0:
            sys.exit(f"py-spy could not look at process {pid}:\n{output}")
        return numbers, stacks.read(Path(file.name).read_text().splitlines())


def _report(numbers: dict[str, Any], samples: Counter[str], microseconds: float, unit: str, top: int) -> str:
    """Shares of the samples, turned into microseconds of what one request or chunk costs."""
    found = stacks.costs(samples)
    each = 1 / max(1, found.total)
    lines = [
        f"{numbers['per_second']:.0f} requests/s, {numbers['marks_per_second']:.0f} chunks/s, "
        f"{microseconds:.1f} us CPU a {unit}, {found.total} samples (sampling itself slows the process)"
    ]
    if "failed" in numbers:
        lines.append(f"FAILED: {numbers['failed']}")
    tables = {"module, own time": found.modules, "function, own time": found.own, "function, all time": found.below}
    for title, counts in tables.items():
        lines += [f"\nBy {title}", f"{'share':>7} {'us':>8}"]
        for name, count in counts.most_common(top):
            lines.append(f"{count * each:7.1%} {count * each * microseconds:8.2f}  {name}")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", choices=list(_LOADS), default="plain")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--top", type=int, default=30, help="lines of a table")
    parser.add_argument("--native", action="store_true", help="also look into C extensions")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/plinth-bench"))
    parser.add_argument("--out", type=Path, help="file for the raw stacks")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
