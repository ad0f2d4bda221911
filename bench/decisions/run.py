"""How good a small model's decisions are, before and after calibration, on labelled public sets.

    python bench/decisions/run.py --data ../shared/data --rows 400 --out /tmp/decisions

Starts an installation with the packaged model in a temporary folder, asks it about every row through the
public port as `/v1/decisions` does, and fits on one half what is reported on the other. Readings are kept in
`--out` (numbers only, no texts), so that a second run only fits again. Prints one table row a set and method.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / "acceptance"), str(REPOSITORY / "src")]

from installation import Installation  # noqa: E402
from plinth.adapters.completers.http import HttpCompleter, Policy  # noqa: E402
from plinth.gateway.decisions.calibration import fit  # noqa: E402
from plinth.gateway.decisions.labels import LabelReader  # noqa: E402
from plinth.gateway.decisions.model import Kind, Method, Question, split  # noqa: E402
from plinth.gateway.decisions.reliability import Example, report  # noqa: E402
from plinth.kit.clock import SystemClock  # noqa: E402

MODEL = "smollm2-135m-instruct"
SEED = 20261101


@dataclass(frozen=True)
class Labelled:
    question: Question
    rows: list[tuple[str, bool]]


def sms_spam(data: Path) -> Labelled:
    with gzip.open(data / "sms-spam" / "sms_spam_a.csv.gz", "rt", encoding="utf-8") as file:
        rows = [(row["text"], row["label"] == "spam") for row in csv.DictReader(file)]
    return Labelled(predicate("The message is spam: an advertisement or a scam sent to many people."), rows)


def telecom_fraud_zh(data: Path) -> Labelled:
    path = data / "telecom-fraud-zh-dialogues" / "dialogues_a.jsonl.gz"
    rows = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            found = json.loads(line)
            text = "\n".join(turn["text"] for turn in found["turns"])
            rows.append((text[:250], found["label"] == "fraud"))
    return Labelled(predicate("来电者在试图诈骗。"), rows)


def predicate(statement: str) -> Question:
    return Question(Kind.predicate, statement)


SETS: dict[str, Callable[[Path], Labelled]] = {"sms-spam": sms_spam, "telecom-fraud-zh": telecom_fraud_zh}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    missing = [name for name in given.sets if not (given.out / f"{name}.json").exists()]
    if missing:
        with tempfile.TemporaryDirectory(prefix="decisions-") as folder:
            installation = Installation(Path(folder) / "home")
            try:
                installation.start()
                for name in missing:
                    rows = sample(SETS[name](given.data), given.rows)
                    found = read(installation, rows)
                    (given.out / f"{name}.json").write_text(json.dumps(found))
            finally:
                installation.close()
    for name in given.sets:
        show(name, json.loads((given.out / f"{name}.json").read_text()))


def sample(labelled: Labelled, count: int) -> Labelled:
    """As many rows as asked for, in the set's own proportion of right answers."""
    return Labelled(labelled.question, Random(SEED).sample(labelled.rows, min(count, len(labelled.rows))))


def read(installation: Installation, labelled: Labelled) -> dict[str, Any]:
    key = installation.keys["project_key"]
    completer = HttpCompleter(installation.url, lambda project: key, SystemClock(), Policy(2, 3, 120.0))
    reader = LabelReader(completer, "", MODEL, 1e-9)  # nothing is refused: what a limit would refuse is reported
    held_out = split([text for text, _ in labelled.rows], SEED, 0.5)
    started = time.monotonic()
    with ThreadPoolExecutor(2) as threads:
        readings = list(threads.map(lambda row: reader.read(row[0], labelled.question), labelled.rows))
    rows = [
        {"p": reading.probabilities[0], "mass": reading.mass, "true": true, "held_out": side}
        for reading, (_, true), side in zip(readings, labelled.rows, held_out, strict=True)
    ]
    cached = sum(reading.tokens.cached for reading in readings) / sum(reading.tokens.input for reading in readings)
    return {"seconds": time.monotonic() - started, "cached": cached, "rows": rows}


def show(name: str, found: dict[str, Any]) -> None:
    rows = found["rows"]
    refused = sum(row["mass"] < 0.5 for row in rows)
    usable = [row for row in rows if row["mass"] >= 0.5]
    base = sum(row["true"] for row in usable) / max(1, len(usable))
    print(
        f"{name}: {len(rows)} rows, {base:.1%} true, {refused} refused, {found['seconds'] / len(rows):.2f} s a row, "
        f"{found['cached']:.0%} of prompt tokens cached, AUC {area(usable):.3f}"
    )
    to_fit, held_out = ([example(row) for row in usable if row["held_out"] is side] for side in (False, True))
    share = sum(e.answer == 0 for e in to_fit) / len(to_fit)
    constant = [Example((share, 1 - share), e.answer) for e in held_out]
    print("  always the base rate:", line(report(held_out, constant, True, SEED)))
    for method in Method:
        fitted = fit(method, to_fit, True)
        after = [Example(fitted.apply(e.probabilities), e.answer) for e in held_out]
        print(f"  {method} ({fitted.document['kind']}):", line(report(held_out, after, True, SEED)))


def example(row: dict[str, Any]) -> Example:
    return Example((row["p"], 1 - row["p"]), 0 if row["true"] else 1)


def line(found: dict[str, Any]) -> str:
    def figure(value: dict[str, float]) -> str:
        return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"

    parts = [f"{m} {figure(found[m]['before'])} -> {figure(found[m]['after'])}, change {figure(found[m]['change'])}" for m in ("ece", "brier")]  # fmt: skip # noqa: E501
    return f"n {found['n']}; " + "; ".join(parts)


def area(rows: Sequence[dict[str, Any]]) -> float:
    """Of a true and an untrue row at random, how often the true one has the higher probability."""
    true, untrue = ([row["p"] for row in rows if row["true"] is side] for side in (True, False))
    wins = sum((a > b) + (a == b) / 2 for a in true for b in untrue)
    return wins / max(1, len(true) * len(untrue))


if __name__ == "__main__":
    main()
