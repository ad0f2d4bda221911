"""Recall, precision and speed of the detectors on the shared sets of texts with marked personal data.

    python bench/privacy/detectors.py [--half tune|report|all] [--misses KIND] [--data FOLDER]

A marked value counts as found when every letter and digit of it lies inside findings of the right kind.
A finding is right when it touches a marked value of its kind; everything else, decoys included, is a
false alarm. Rows are halved by a hash of their template, so that what was tuned on one half is
reported on sentences never looked at. Presidio runs beside ours where it can be imported
(`PLINTH_BENCH_PEER_PATH` may name a site-packages folder that has it).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if peer_path := os.environ.get("PLINTH_BENCH_PEER_PATH"):
    sys.path.append(peer_path)

from plinth.adapters.detectors.engine import StandardLocator
from plinth.adapters.detectors.identifiers import IdentifierDetector
from plinth.kit.errors import MissingExtra
from plinth.privacy import Detector, Finding

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
CLASSES: dict[str, dict[str, frozenset[str]]] = {
    language: {name: frozenset(kinds.split("|")) for name, kinds in (item.split("=") for item in table.split())}
    for language, table in {
        "zh": "ID_CARD=resident_id BANK_CARD=bank_card|bank_account USCC=company_code MOBILE=phone LANDLINE=phone"
        " EMAIL=email PASSPORT=passport PLATE=vehicle_plate PERSON=person ADDRESS=address ORGANIZATION=organization",
        "en": "CREDIT_CARD=bank_card|bank_account IBAN_CODE=iban US_SSN=us_ssn PHONE_NUMBER=phone EMAIL_ADDRESS=email"
        " IP_ADDRESS=ip_address US_DRIVER_LICENSE=driver_license PERSON=person STREET_ADDRESS=address"
        " ORGANIZATION=organization",
    }.items()
}
# marked in the English set, and nothing that we call personal data on its own
NOT_COUNTED = {"GPE", "DATE_TIME", "TITLE", "NRP", "AGE", "ZIP_CODE", "DOMAIN_NAME"}


@dataclass(frozen=True)
class Row:
    text: str
    template: str
    marked: list[tuple[str, int, int]]
    decoys: list[tuple[str, int, int]]

    @property
    def half(self) -> str:
        return "tune" if hashlib.sha256(self.template.encode()).digest()[0] % 2 else "report"


def load(language: str, shared: Path) -> list[Row]:
    path = shared / {"zh": "pii-zh-synthetic/pii_zh_a.jsonl.gz", "en": "pii-en-presidio/pii_a.jsonl.gz"}[language]
    if not path.exists():
        print(f"skipped {language}: {path} is missing")
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [_row(json.loads(line)) for line in lines]


def _row(raw: dict[str, Any]) -> Row:
    if "full_text" in raw:
        spans = [(s["entity_type"], s["start_position"], s["end_position"]) for s in raw["spans"]]
        return Row(raw["full_text"], f"en{raw['template_id']}", spans, [])
    spans, decoys = ([(s["type"], s["start"], s["end"]) for s in raw[key]] for key in ("spans", "decoys"))
    return Row(raw["text"], f"zh{raw['template']}", spans, decoys)


def wilson(hits: int, n: int) -> str:
    """The 95 % score interval of a proportion (Wilson 1927)."""
    if not n:
        return "n = 0"
    z, p = 1.959964, hits / n
    centre, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)
    return f"{100 * p:5.1f} [{100 * low:.1f}, {100 * high:.1f}] n={n}"


class Score:
    def __init__(self, language: str) -> None:
        self.classes = CLASSES[language]
        self.found: Counter[str] = Counter()
        self.marked: Counter[str] = Counter()
        self.right: Counter[str] = Counter()
        self.reported: Counter[str] = Counter()
        self.decoys: Counter[str] = Counter()
        self.decoys_hit: Counter[str] = Counter()
        self.misses: dict[str, list[str]] = defaultdict(list)

    def add(self, row: Row, findings: Iterable[Finding]) -> None:
        by_kind: dict[str, set[int]] = defaultdict(set)
        everything: set[int] = set()
        for finding in findings:
            span = range(finding.start, finding.end)
            by_kind[finding.kind].update(span)
            everything.update(span)
            touching = [name for name, start, end in row.marked if start < finding.end and finding.start < end]
            self.reported[finding.kind] += 1
            if any(finding.kind in self.classes.get(name, ()) for name in touching):
                self.right[finding.kind] += 1
            else:
                around = row.text[max(0, finding.start - 12) : finding.end + 8].replace("\n", " ")
                self.misses[f"+{finding.kind}"].append(
                    f"{row.text[finding.start : finding.end]!r} in {around!r} {touching}"
                )
        for name, start, end in row.marked:
            if name in NOT_COUNTED:
                continue
            covered = set().union(*(by_kind[kind] for kind in self.classes[name]))
            self.marked[name] += 1
            if all(i in covered for i in range(start, end) if row.text[i].isalnum()):
                self.found[name] += 1
            else:
                self.misses[name].append(f"{row.text[start:end]!r} in {row.text[max(0, start - 24) : end + 8]!r}")
        for name, start, end in row.decoys:
            self.decoys[name] += 1
            self.decoys_hit[name] += any(i in everything for i in range(start, end))

    def table(self) -> str:
        lines = ["  class              recall %                       kind            precision %"]
        for name, kinds in self.classes.items():
            kind = next(iter(sorted(kinds, key=lambda k: -self.reported[k])))
            right, reported = sum(self.right[k] for k in kinds), sum(self.reported[k] for k in kinds)
            recall = wilson(self.found[name], self.marked[name])
            lines.append(f"  {name:18} {recall:30} {kind:15} {wilson(right, reported)}")
        extra = set(self.reported) - set().union(*self.classes.values())
        lines += [f"  (unmarked kind)    {'':30} {kind:15} {self.reported[kind]} findings" for kind in sorted(extra)]
        if self.decoys:
            lines.append(
                "  decoys hit: " + ", ".join(f"{k} {self.decoys_hit[k]}/{n}" for k, n in sorted(self.decoys.items()))
            )
        return "\n".join(lines)


def peer() -> Detector | None:
    from plinth.adapters.detectors.presidio import PresidioDetector

    try:
        return PresidioDetector()
    except MissingExtra as error:
        print(f"skipped Presidio: {error.message}")
        return None


def seconds(detector: Detector, texts: list[str], rounds: int) -> float:
    """Processor seconds, the best of several rounds over all texts."""
    best = math.inf
    for _ in range(rounds):
        started = time.process_time()
        for text in texts:
            detector.detect(text)
        best = min(best, time.process_time() - started)
    return best


def _text(paths: Iterable[Path]) -> str:
    return "".join(path.read_text("utf-8") for path in sorted(paths))[:100_000]


def speed(detectors: dict[str, Detector], rows: dict[str, list[Row]], shared: Path) -> None:
    prose = {
        "plain zh prose": _text((shared / "prc-finance-laws").glob("*法*.md")),
        "plain en prose": _text((shared / "handbook-18f/pages").rglob("*.md")),
    }
    samples = {f"pii {language}, dense": [row.text for row in found] for language, found in rows.items() if found}
    samples |= {name: [text[i : i + 2000] for i in range(0, len(text), 2000)] for name, text in prose.items() if text}
    print("\nspeed: microseconds per kilobyte (UTF-8), microseconds per text")
    for name, detector in detectors.items():
        for sample, texts in samples.items():
            chosen = texts if detector.linear_time else texts[:60]
            size = sum(len(text.encode()) for text in chosen) / 1000
            taken = seconds(detector, chosen, 5 if detector.linear_time else 1) * 1e6
            each, length = taken / len(chosen), 1000 * size / len(chosen)
            print(f"  {name:22} {sample:18} {taken / size:9.1f} us/kB {each:10.1f} us/text of {length:.0f} bytes")
    if prose["plain zh prose"]:
        ours = next(iter(detectors.values()))
        for sample, text in prose.items():
            found = Counter(f.kind for f in ours.detect(text))
            print(f"findings in {sample}, {len(text.encode()) // 1000} kB: {dict(found) or 'none'}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--half", choices=("tune", "report", "all"), default="report")
    arguments.add_argument("--misses", default="", help="show missed values of a class, or false alarms of +kind")
    arguments.add_argument("--data", type=Path, default=SHARED)
    arguments.add_argument("--no-peer", action="store_true")
    chosen = arguments.parse_args()
    detectors: dict[str, Detector] = {"ours": IdentifierDetector()}
    if not chosen.no_peer and (other := peer()):
        detectors["presidio"] = other
    rows = {language: load(language, chosen.data) for language in CLASSES}
    for language, found in rows.items():
        part = [row for row in found if chosen.half in ("all", row.half)]
        templates = len({row.template for row in part})
        for name, detector in detectors.items():
            if not part:
                continue
            score = Score(language)
            for row in part:
                score.add(row, detector.detect(row.text))
            print(
                f"\n{name}, {language}, half '{chosen.half}': {len(part)} texts, {templates} templates\n{score.table()}"
            )
            if chosen.misses and name == "ours":
                print("\n".join(score.misses[chosen.misses]))
    if not chosen.misses:
        speed({**detectors, "ours, without RE2": IdentifierDetector(StandardLocator)}, rows, chosen.data)


if __name__ == "__main__":
    main()
