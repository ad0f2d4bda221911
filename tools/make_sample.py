"""Write the synthetic bank customer service sample that ships with Plinth.

    python tools/make_sample.py [--output FOLDER]

The phrases are in `bank_service_phrases.yaml`. The output is a pure function of that file and
`SEED`: a test holds the committed CSV files equal to what this writes. Train and test rows come
from different template families (and different openers, closers and asides), so a model cannot
score on the held-out rows by having seen their sentences.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
from pathlib import Path
from typing import Any

import yaml

SEED = 20261123
PHRASES = Path(__file__).with_name("bank_service_phrases.yaml")
OUTPUT = Path(__file__).parent.parent / "src" / "plinth" / "samples" / "bank_service"
ROWS_PER_INTENT_AND_LANGUAGE = {"train": 34, "test": 10}
LANGUAGES = ("zh", "en")
Row = tuple[str, str, str]  # text, label, language
Place = tuple[str, str, str]  # label, language, split


def make(phrases: dict[str, Any], split: str, seed: int = SEED) -> list[Row]:
    """The rows (text, label, language) of one split, shuffled; no text occurs twice."""
    generator = random.Random(f"{seed}/{split}")
    rows: list[Row] = []
    for label, languages in phrases["intents"].items():
        for language in LANGUAGES:
            families = languages[language][split].splitlines()
            count = ROWS_PER_INTENT_AND_LANGUAGE[split]
            place = (label, language, split)
            rows += [(text, label, language) for text in _texts(phrases, families, place, count, generator)]
    generator.shuffle(rows)
    return rows


def _texts(
    phrases: dict[str, Any], families: list[str], place: Place, count: int, generator: random.Random
) -> list[str]:
    texts: dict[str, None] = {}
    while len(texts) < count:
        family = families[len(texts) % len(families)]
        texts[_one(phrases, family, place, generator)] = None
    return list(texts)


def _one(phrases: dict[str, Any], family: str, place: Place, generator: random.Random) -> str:
    """One customer message: a family with its slots filled, dressed up and made a little untidy."""
    label, language, split = place
    slots = {name: generator.choice(values) for name, values in phrases["slots"][language].items()}
    text = family.format(**slots)
    if generator.random() < 0.18:
        asides = [aside for about, aside in phrases["asides"][language][split].items() if about != label]
        text = _aside(text, generator.choice(asides), language, generator)
    if generator.random() < 0.3:
        text = _join(generator.choice(phrases["openers"][language][split]), text, language)
    if generator.random() < 0.25:
        text = _close(text, generator.choice(phrases["closers"][language][split]), language)
    if generator.random() < 0.35:
        text = (_untidy_chinese if language == "zh" else _untidy_english)(text, phrases, generator)
    return text


def _aside(text: str, aside: str, language: str, generator: random.Random) -> str:
    if generator.random() < 0.4:
        return f"{aside}{'' if language == 'zh' else ' '}{text}"
    return f"{text}。{aside}" if language == "zh" else f"{text}. {aside}"


def _join(opener: str, text: str, language: str) -> str:
    if language == "en" and opener.endswith((", ", ": ", "but ")) and not text.startswith(("I ", "I'", "ATM")):
        text = text[0].lower() + text[1:]
    return opener + text


def _close(text: str, closer: str, language: str) -> str:
    if text.endswith(("。", ".", "!", "？", "?")):
        return text + ("" if language == "zh" else " ") + closer
    return f"{text}，{closer}" if language == "zh" else f"{text}. {closer}"


def _untidy_chinese(text: str, phrases: dict[str, Any], generator: random.Random) -> str:
    """Mixed-in English, slips of the input method, or no punctuation."""
    table = phrases["mixed" if generator.random() < 0.5 else "misspellings"]
    present = [word for word in table if word in text]
    if present:
        word = generator.choice(present)
        return text.replace(word, table[word], 1)
    return text.replace("，", " ").replace("。", " ").strip()


def _untidy_english(text: str, _phrases: dict[str, Any], generator: random.Random) -> str:
    """All lower case, or one word with two letters swapped or one lost."""
    if generator.random() < 0.3:
        return text.lower()
    words = text.split(" ")
    long = [index for index, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text.lower()
    index = generator.choice(long)
    word = words[index]
    place = generator.randrange(1, len(word) - 2)
    swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    words[index] = swapped if generator.random() < 0.5 else word[:place] + word[place + 1 :]
    return " ".join(words)


def as_csv(rows: list[Row]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("text", "label", "language"))
    writer.writerows(rows)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the synthetic bank customer service sample.")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    phrases = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
    for split in ROWS_PER_INTENT_AND_LANGUAGE:
        (output / f"{split}.csv").write_text(as_csv(make(phrases, split)), encoding="utf-8", newline="")


if __name__ == "__main__":
    main()
