"""What Plinth costs an engine: tokens/s of llama.cpp at 32 streams, asked directly and through Plinth.

    python bench/gateway/engine_tax.py [--pairs 5] [--seconds 60] [--quick]

One real engine with the packaged model SmolLM2-135M serves both ways in turn: over its unix socket
with the body that Plinth would send, and through the public port. A token is a piece of text in a
stream; pieces are counted as they arrive. Nothing is pinned: engine, Plinth and load generator share
the machine as they would.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import machine, native
from harness.load import Load, Target
from harness.peers import Plinth
from harness.peers.base import NotStarted, Setting
from harness.peers.plinth import Installation

MODEL = "smollm2-135m-instruct"
STREAMS = 32
KEPT = 0.97
JUDGED_PAIRS = 3
_CONTEXT_TOKENS = 512
_BODY = {
    "messages": [{"role": "user", "content": "Tell a long story about a bank clerk. It is story @id=00000000."}],
    "max_tokens": 64,
    "temperature": 0,
    "stream": True,
}

# what the gateway itself reads before it forwards a request
_ADDRESS = """\
import json, sys
from pathlib import Path
from plinth.bootstrap.platform import Platform
from plinth.serving import translate
platform = Platform.open(Path(sys.argv[1]))
with platform.db.read() as session:
    endpoint = next(one for one in platform.serving.endpoints(session) if one.socket_path)
body = translate({**json.loads(sys.argv[2]), "stream_options": {"include_usage": True}}, endpoint)
print(json.dumps({"socket": endpoint.socket_path, "key": endpoint.key, "body": body}))
"""


def main() -> int:
    arguments = _arguments()
    cache: Path = arguments.cache.expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    programs = native.programs(cache)
    plinth = Plinth(cache)
    versions = plinth.prepare()
    with tempfile.TemporaryDirectory(prefix="plinth-tax-") as name:
        folder = Path(name)
        load = Load(programs.load, _everywhere().anywhere, folder)
        setting = Setting("", 1, _everywhere(), folder)
        installation = Installation(plinth.python, setting)
        try:
            running = installation.up()
        except NotStarted as error:
            sys.exit(f"{error}\n{setting.last_words()}")
        try:
            installation.bind([MODEL])
            installation.deploy(MODEL, slots=STREAMS, context_tokens=_CONTEXT_TOKENS)
            pairs = _alternate(load, installation, arguments.pairs, arguments.seconds)
        finally:
            running.stop()
    results = {
        "machine": machine.description(),
        "versions": versions,
        "streams": STREAMS,
        "seconds": arguments.seconds,
        "pairs": pairs,
        "kept": statistics.median(pair["plinth"] / pair["direct"] for pair in pairs),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "engine_tax.json").write_text(json.dumps(results, indent=1) + "\n")
    print(_table(results))
    return int(arguments.check and (len(pairs) < JUDGED_PAIRS or results["kept"] < KEPT))


def _alternate(load: Load, installation: Installation, pairs: int, seconds: float) -> list[dict[str, float]]:
    """Tokens a second of both ways, side by side; the order turns around every pair."""
    engine = _engine(installation)
    ways = {
        "direct": (Target(0, MODEL, key=engine["key"], unix=engine["socket"]), engine["body"]),
        "plinth": (Target(installation.port, MODEL, key=installation.keys["project_key"]), {"model": MODEL, **_BODY}),
    }

    def tokens_per_second(way: str, seconds: float) -> float:
        target, body = ways[way]
        run = load.run(
            target,
            body,
            connections=STREAMS,
            seconds=seconds,
            warmup=seconds / 4,  # the first answers' prompts are all read at once
            mark='"content":"',
            lean=1,  # an empty content is no token
            header="connection: close" if way == "direct" else "",  # llama.cpp does not like kept connections
        )
        if not run["marks"] or run["bad"] or run["broken"]:
            sys.exit(f"{way}: {run['bad']} bad, {run['broken']} broken of {run['requests']}: {run['complaint']}")
        found: float = run["marks_per_second"]
        return found

    for way in ways:  # an engine's first prompts cost more than later ones, which share what it has read
        tokens_per_second(way, seconds / 2)
    found = []
    for number in range(pairs):
        pair: dict[str, float] = {}
        for way in list(ways)[:: 1 if number % 2 == 0 else -1]:
            pair[way] = tokens_per_second(way, seconds)
            print(f"pair {number + 1}: {way} {pair[way]:.1f} tokens/s", file=sys.stderr, flush=True)
            time.sleep(1)
        found.append(pair)
    return found


def _engine(installation: Installation) -> dict[str, Any]:
    command = [str(installation.python), "-c", _ADDRESS, str(installation.home), json.dumps({"model": MODEL, **_BODY})]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"the engine's address cannot be read: {done.stderr[-1000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _everywhere() -> machine.Cores:
    class Everywhere(machine.Cores):
        def gateway(self, workers: int) -> machine.Place:
            return self.anywhere

    return Everywhere(**asdict(machine.Cores.of_this_process()))


def _table(results: dict[str, Any]) -> str:
    lines = ["| pair | direct tokens/s | through Plinth | kept |", "| --- | --- | --- | --- |"]
    for number, pair in enumerate(results["pairs"], 1):
        kept = pair["plinth"] / pair["direct"]
        lines.append(f"| {number} | {pair['direct']:.1f} | {pair['plinth']:.1f} | {kept:.1%} |")
    low, high = (choose(pair["plinth"] / pair["direct"] for pair in results["pairs"]) for choose in (min, max))
    direct = [pair["direct"] for pair in results["pairs"]]
    verdict = "reached" if results["kept"] >= KEPT else "missed"
    if len(direct) < JUDGED_PAIRS:
        verdict = "too few pairs to judge"
    lines.append(f"\nMedian {results['kept']:.1%} ({low:.1%} to {high:.1%}); promised {KEPT:.0%}: {verdict}.")
    lines.append(f"The direct runs differ by {max(direct) / min(direct) - 1:.1%}: smaller differences say nothing.")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--quick", action="store_true", help="one pair of 20 seconds")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/plinth-bench"))
    parser.add_argument("--out", type=Path, default=Path(), help="folder for engine_tax.json")
    parser.add_argument(
        "--check", action="store_true", help=f"exit status 1 below {KEPT:.0%} or with fewer than three pairs"
    )
    arguments = parser.parse_args()
    arguments.pairs = arguments.pairs or (1 if arguments.quick else 5)
    arguments.seconds = arguments.seconds or (20.0 if arguments.quick else 60.0)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
