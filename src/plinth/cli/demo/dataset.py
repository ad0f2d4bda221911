"""Rows with labels out of CSV files, and how they are split. Knows no model and no server.

A folder may hold `train.csv[.gz]` and `test*.csv[.gz]`: that split is kept. A single file is split
20 % / 80 % by a hash of the text within each label, so the split does not depend on the row order.
Validation rows are taken from train in the same way. A text occurs in one split only.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from plinth.cli.demo.errors import UnreadableTable

TEXT_COLUMNS = ("text", "utterance", "question", "query", "message", "sentence", "content", "文本", "问题", "内容")
LABEL_COLUMNS = ("label", "category", "intent", "class", "target", "tag", "标签", "类别", "意图", "分类")
MAX_BYTES = 64 * 1024 * 1024
MAX_TEXT = 2000
MAX_LABELS = 300
TEST_SHARE = 5  # one row in five
VALIDATION_ROWS = 60
SAMPLE = Path(__file__).parents[2] / "samples" / "bank_service"


@dataclass(frozen=True)
class Row:
    text: str
    label: str


@dataclass(frozen=True)
class Table:
    """`skipped` counts rows left out: empty, too long, or a text that another split or row holds."""

    source: str
    split: str  # "given" or "made"
    labels: tuple[str, ...]
    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    test: tuple[Row, ...]
    skipped: int
    synthetic: bool = False


def load(path: Path | None) -> Table:
    """The rows of a file or folder; without a path the sample that ships with Plinth.

    Raises:
        UnreadableTable: one sentence that says what is wrong with which file.
    """
    place = path or SAMPLE
    if place.is_dir():
        train_file, test_file = _find(place, "train"), _find(place, "test")
        if train_file is None:
            raise UnreadableTable(path=place, reason="there is no train.csv in it.")
    else:
        train_file, test_file = place, None
    rows = read(train_file)
    seen: set[str] = set()
    if test_file is None:
        unique = _unique(rows, seen)
        train, test = _divide(unique, lambda count: count // TEST_SHARE)
        skipped = len(rows) - len(unique)
    else:
        test_rows = read(test_file)
        test = _unique(test_rows, seen)
        train = _unique(rows, seen)
        skipped = len(rows) + len(test_rows) - len(train) - len(test)
    return _table(place, train, test, skipped, synthetic=path is None, given=test_file is not None)


def _table(place: Path, train: list[Row], test: list[Row], skipped: int, *, synthetic: bool, given: bool) -> Table:
    labels = tuple(sorted({row.label for row in train}))
    if not 2 <= len(labels) <= MAX_LABELS:
        raise UnreadableTable(path=place, reason=f"it has {len(labels)} labels; 2 to {MAX_LABELS} can be used.")
    known = [row for row in test if row.label in set(labels)]
    if len(known) < 10 or len(train) < 20:
        raise UnreadableTable(path=place, reason=f"{len(train)} train and {len(known)} test rows are too few.")
    share = min(VALIDATION_ROWS, len(train) // 10) / len(train)
    train, validation = _divide(train, lambda count: round(count * share))
    return Table(
        source=place.name if not synthetic else "bank_service",
        split="given" if given else "made",
        labels=labels,
        train=tuple(train),
        validation=tuple(validation),
        test=tuple(known),
        skipped=skipped + len(test) - len(known),
        synthetic=synthetic,
    )


def read(path: Path) -> list[Row]:
    """Every usable row of a CSV file (UTF-8, or GB 18030 as Chinese spreadsheets write it; may be gzip)."""
    reader = csv.reader(io.StringIO(_decode(path), newline=""))
    try:
        header = next(reader, [])
        records = [record for record in reader if record]
    except csv.Error as error:
        raise UnreadableTable(path=path, reason=f"line {reader.line_num}: {error}.") from None
    text, label = detect_columns(path, header, records)
    rows = []
    for record in records:
        if len(record) > max(text, label):
            row = Row(" ".join(record[text].split()), record[label].strip())
            if row.label and 0 < len(row.text) <= MAX_TEXT:
                rows.append(row)
    if not rows:
        raise UnreadableTable(path=path, reason="no row has both a text and a label.")
    return rows


def detect_columns(path: Path, header: Sequence[str], records: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Which columns hold the text and the label: by name, else the longer of two columns is the text."""
    names = [name.strip().lower() for name in header]
    text = next((names.index(name) for name in TEXT_COLUMNS if name in names), None)
    label = next((names.index(name) for name in LABEL_COLUMNS if name in names), None)
    if len(names) == 2:
        if text is None and label is None and records:
            lengths = [sum(len(record[i]) for record in records if len(record) > i) for i in (0, 1)]
            text = int(lengths[1] > lengths[0])
        if text is None and label is not None:
            text = 1 - label
        elif text is not None and label is None:
            label = 1 - text
    if text is None or label is None:
        raise UnreadableTable(path=path, reason=f"its columns are {', '.join(header)[:200] or 'missing'}.")
    return text, label


def stratified(rows: Iterable[Row], count: int) -> list[Row]:
    """Up to `count` rows, taken from every label in turn (label order and hash order, so always the same)."""
    groups = _groups(rows)
    taken: list[Row] = []
    depth = 0
    while len(taken) < count and (layer := [g[depth] for g in groups.values() if depth < len(g)]):
        # the last, partial layer is spread by hash: it must not favour the first letters of the alphabet
        taken += layer if len(taken) + len(layer) <= count else sorted(layer, key=_hash)[: count - len(taken)]
        depth += 1
    return taken


def _find(folder: Path, stem: str) -> Path | None:
    found = sorted(path for path in folder.iterdir() if path.name.startswith(stem))
    return next((path for path in found if path.name.endswith((".csv", ".csv.gz"))), None)


def _decode(path: Path) -> str:
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableTable(path=path, reason=f"{reason}.") from None
    if len(data) > MAX_BYTES:
        raise UnreadableTable(path=path, reason=f"it is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableTable(path=path, reason="it is not text in UTF-8.")


def _unique(rows: Iterable[Row], seen: set[str]) -> list[Row]:
    kept = []
    for row in rows:
        if row.text not in seen:
            seen.add(row.text)
            kept.append(row)
    return kept


def _divide(rows: Sequence[Row], size: Callable[[int], int]) -> tuple[list[Row], list[Row]]:
    """(kept, taken): of every label with n rows, `size(n)` rows are taken, in hash order."""
    kept: list[Row] = []
    taken: list[Row] = []
    for group in _groups(rows).values():
        count = min(size(len(group)), len(group) - 1)
        taken += group[:count]
        kept += group[count:]
    return kept, taken


def _groups(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.label].append(row)
    return {label: sorted(groups[label], key=_hash) for label in sorted(groups)}


def _hash(row: Row) -> str:
    return hashlib.sha256(row.text.encode()).hexdigest()


def majority_share(rows: Sequence[Row]) -> float:
    """What always answering the most frequent label would score."""
    return Counter(row.label for row in rows).most_common(1)[0][1] / len(rows)
