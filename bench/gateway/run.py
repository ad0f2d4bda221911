"""Measure gateways side by side on this machine.

    python bench/gateway/run.py --peers litellm,tensorzero,plinth [--quick]

Needs Linux and Python 3.11; a C compiler where there is one. Installs the peers into --cache.
Writes results.json and results.md into --out after every step. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import machine, measures, native, report
from harness.load import Load, LoadFailed
from harness.measures import Bench
from harness.peers import PEERS, Direct, Peer
from harness.peers.base import NotStarted, Running, Setting
from harness.upstream import Upstream, UpstreamGone

_DIRECT_MEASURES = ("saturation", "low_rate", "burst", "paced", "embeddings", "abandoned")
_TWO_WORKER_MEASURES = ("saturation", "burst")


@dataclass(frozen=True)
class Options:
    """`memory_requests` is for Plinth; slower peers get as many as pass in `memory_seconds`."""

    rounds: int
    seconds: float
    warmup_seconds: float
    leavers: int
    stall_seconds: float
    memory_requests: int
    memory_seconds: float
    nice: int = 0


QUICK = Options(1, 2.0, 0.5, 8, 2.0, 20_000, 15.0)
FULL = Options(5, 10.0, 2.0, 40, 10.0, 1_000_000, 600.0)


class Comparison:
    """One comparison: the instruments, the peers, what was found so far."""

    def __init__(self, peers: list[Peer], options: Options, programs: native.Programs, folder: Path, out: Path) -> None:
        self._peers, self._options, self._folder, self._out = peers, options, folder, out
        self._cores = machine.Cores.of_this_process(options.nice)
        self._upstream = Upstream(programs.upstream, self._cores.upstream, folder / "upstream.log")
        load = Load(programs.load, self._cores.load, folder)
        self._bench = Bench(
            load, self._upstream, options.seconds, options.warmup_seconds, options.leavers, options.stall_seconds
        )
        self._starts = 0
        self.results: dict[str, Any] = {
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine.description(),
            "cores": self._cores.in_words(),
            "compiler": programs.compiler,
            "options": asdict(options),
            "peers": [peer.name for peer in peers],
            "duties": {peer.name: peer.duties for peer in peers},
            "versions": {},
            "runs": [],
            "memory": {},
        }

    def prepare(self) -> None:
        for peer in self._peers:
            self.results["versions"][peer.name] = peer.prepare()

    def round(self, number: int) -> None:
        """Every peer once; the direct way first; the others' order turns around every round."""
        order = self._peers if number % 2 == 0 else self._peers[::-1]
        for peer in [Direct(self._folder), *order]:
            for workers in range(1, min(peer.most_workers, len(self._cores.all)) + 1):
                self._run(peer, workers, number)

    def memory(self) -> None:
        for peer in self._peers:
            requests, seconds = self._options.memory_requests, self._options.memory_seconds
            if peer.name == "plinth":  # promised for this many requests, however long they take
                seconds = float("inf")
            try:
                running = self._start(peer, 1)
            except NotStarted as error:
                self.results["memory"][peer.name] = {"failed": f"{error}; {self._kept_logs()}"}
                continue
            try:
                _say(f"{peer.name}: memory over {requests:,} requests")
                self.results["memory"][peer.name] = measures.memory(self._bench, running, requests, seconds)
            except LoadFailed as error:
                self.results["memory"][peer.name] = {"failed": str(error)}
            finally:
                running.stop()

    def close(self) -> None:
        self._upstream.close()

    def _run(self, peer: Peer, workers: int, number: int) -> None:
        entry: dict[str, Any] = {"peer": peer.name, "workers": workers, "round": number, "measures": {}}
        self.results["runs"].append(entry)
        began = time.monotonic()
        try:
            running = self._start(peer, workers)
        except NotStarted as error:
            entry["failed"] = f"{error}; {self._kept_logs()}"
            _say(f"{peer.name}, {workers} worker(s): {entry['failed']}")
            return
        entry["without"] = running.without
        entry["start_seconds"] = round(time.monotonic() - began, 2)
        try:
            self._measure(peer, running, workers, entry)
        finally:
            running.stop()

    def _measure(self, peer: Peer, running: Running, workers: int, entry: dict[str, Any]) -> None:
        measures.warm_up(self._bench, running)
        names = tuple(measures.ONE_WORKER) if workers == 1 else _TWO_WORKER_MEASURES
        for name in _DIRECT_MEASURES if isinstance(peer, Direct) else names:
            _say(f"round {entry['round'] + 1}: {peer.name}, {workers} worker(s), {name}")
            self._upstream.stats()  # raises when it is gone: nothing after that means anything
            try:
                entry["measures"][name] = measures.ONE_WORKER[name](self._bench, running)
            except LoadFailed as error:
                entry["measures"][name] = {"failed": str(error)}

    def _start(self, peer: Peer, workers: int) -> Running:
        self._starts += 1
        folder = self._folder / f"{self._starts:03d}-{peer.name}"
        folder.mkdir()
        self._setting = Setting(self._upstream.url, workers, self._cores, folder)
        running = peer.start(self._setting)
        self._cores.gateway(workers).prefer(running.platform())
        return running

    def _kept_logs(self) -> str:
        """Keeps the logs of the peer that did not start: its folder is temporary."""
        kept = self._out / "logs" / self._setting.folder.name
        for path in self._setting.logs():
            target = kept / path.relative_to(self._setting.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        return f"its logs are in {kept}"


def main() -> int:
    arguments = _arguments()
    options = _options(arguments)
    cache: Path = arguments.cache.expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    programs = native.programs(cache)
    with tempfile.TemporaryDirectory(prefix="plinth-bench-") as folder:
        peers = [PEERS[name](cache) for name in arguments.peers]
        comparison = Comparison(peers, options, programs, Path(folder), arguments.out)
        try:
            comparison.prepare()
            for number in range(options.rounds):
                comparison.round(number)
                _write(comparison.results, arguments.out)
            comparison.memory()
        except UpstreamGone as error:
            sys.exit(str(error))
        finally:
            comparison.close()
            _write(comparison.results, arguments.out)
    print(report.markdown(comparison.results))
    missed = any(target.reached is False for target in report.targets(comparison.results))
    broken = bool(report.Reader(comparison.results).failures())
    return int(arguments.check and (missed or broken))


def _write(results: dict[str, Any], folder: Path) -> None:
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "results.md").write_text(report.markdown(results))


def _options(arguments: argparse.Namespace) -> Options:
    chosen = asdict(QUICK if arguments.quick else FULL)
    given = {"rounds": arguments.rounds, "seconds": arguments.seconds, "memory_requests": arguments.requests}
    given["nice"] = arguments.nice
    return Options(**{**chosen, **{name: value for name, value in given.items() if value is not None}})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=_peer_names, default=list(PEERS), help=f"any of {','.join(PEERS)}")
    parser.add_argument("--quick", action="store_true", help="one round of two seconds: does it work?")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of one measure")
    parser.add_argument("--requests", type=int, help="of the memory measure")
    parser.add_argument(
        "--nice", type=int, help="of everything measured; below 0 (root) keeps others of the machine out"
    )
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/plinth-bench"))
    parser.add_argument("--out", type=Path, default=Path(), help="folder for results.json and results.md")
    parser.add_argument("--check", action="store_true", help="exit status 1 when a target is missed or a measure fails")
    return parser.parse_args()


def _peer_names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    return names


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
