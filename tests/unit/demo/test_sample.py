"""The shipped sample is what its maker writes, and its held-out rows are honest."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from plinth.cli.demo import baselines, dataset

ROOT = Path(__file__).parents[3]


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", ROOT / "tools" / "make_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = maker()
PHRASES = yaml.safe_load(MAKER.PHRASES.read_text(encoding="utf-8"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_committed_file_is_what_the_maker_writes(split: str) -> None:
    committed = (dataset.SAMPLE / f"{split}.csv").read_bytes().decode()
    assert committed == MAKER.as_csv(MAKER.make(PHRASES, split)), "run: python tools/make_sample.py"
    rows = list(csv.DictReader(io.StringIO(committed)))
    cells = Counter((row["label"], row["language"]) for row in rows)
    assert len(cells) == 24
    assert set(cells.values()) == {MAKER.ROWS_PER_INTENT_AND_LANGUAGE[split]}
    assert len({row["text"] for row in rows}) == len(rows)


def test_train_and_test_share_no_phrase() -> None:
    for part in ("openers", "closers", "asides"):
        for language, splits in PHRASES[part].items():
            train, test = (
                set(s.values()) if isinstance(s, dict) else set(s) for s in (splits["train"], splits["test"])
            )
            assert not train & test, (part, language)
    everywhere: dict[str, str] = {}
    for label, languages in PHRASES["intents"].items():
        for splits in languages.values():
            for split, lines in splits.items():
                for line in lines.splitlines():
                    assert line not in everywhere, f"{line!r} is in {everywhere.get(line)} and {label}/{split}"
                    everywhere[line] = f"{label}/{split}"


def test_an_aside_never_names_the_rows_own_matter() -> None:
    for split in ("train", "test"):
        for text, label, language in MAKER.make(PHRASES, split):
            own = PHRASES["asides"][language][split].get(label)
            assert own is None or own.lower() not in text.lower()


def test_it_is_neither_trivial_nor_hopeless_for_word_counts() -> None:
    pytest.importorskip("sklearn")
    table = dataset.load(None)
    fitted = baselines.tfidf([*table.train, *table.validation], table.test)
    right = sum(a == row.label for a, row in zip(fitted.predictions, table.test, strict=True))
    assert 0.78 < right / len(table.test) < 0.90
