"""The prompts of the three arms: base, few-shot, tuned. Pure functions; the texts are in prompts.yaml.

Everything but the last message is the same for every row of an arm, so an engine that caches
prefixes pays for it once.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from plinth.cli.demo.dataset import Row, stratified

Arm = Literal["base", "few_shot", "tuned"]
ARMS: tuple[Arm, ...] = ("base", "few_shot", "tuned")
Message = dict[str, str]
MAX_EXAMPLE_CHARACTERS = 160


@cache
def texts() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("prompts.yaml").read_text(encoding="utf-8"))
    return loaded


def prefix(arm: Arm, labels: Sequence[str], train: Sequence[Row], seed: int) -> list[Message]:
    """The messages before the customer's."""
    if arm == "tuned":
        return [{"role": "system", "content": texts()["tuned"]}]
    instruction = texts()["instruction"].format(labels="\n".join(f"- {label}" for label in labels)).strip()
    messages = [{"role": "system", "content": instruction}]
    if arm == "few_shot":
        for row in examples(train, seed):
            messages += [{"role": "user", "content": row.text}, {"role": "assistant", "content": row.label}]
    return messages


def examples(train: Sequence[Row], seed: int) -> list[Row]:
    """Rows of every label in turn while they fit the budget, in an order that favours no label."""
    # a brace pair in an example would be read as a template by the evaluation
    short = [row for row in train if len(row.text) <= MAX_EXAMPLE_CHARACTERS and "{{" not in row.text]
    left = int(texts()["example_tokens"])
    chosen = []
    for row in stratified(short, len(short)):
        left -= estimate_tokens(row.text) + estimate_tokens(row.label) + 10  # the chat template around them
        if left < 0:
            break
        chosen.append(row)
    random.Random(seed).shuffle(chosen)  # noqa: S311 - an order, not a secret
    return chosen


def estimate_tokens(text: str) -> int:
    """A high guess for a small English vocabulary: 3.5 ASCII characters a token, any other character 2.5."""
    ascii_count = sum(character.isascii() for character in text)
    return round(ascii_count / 3.5 + (len(text) - ascii_count) * 2.5) + 1


def answer_tokens(labels: Sequence[str]) -> int:
    """Room for the longest label in a short sentence; a model that rambles is wrong by then anyway."""
    return min(int(texts()["answer_tokens"]), max(estimate_tokens(label) for label in labels) + 8)


def training_file(rows: Iterable[Row]) -> bytes:
    """Chat JSONL: the prompt of the tuned model, the customer's text, the label as the answer."""
    lines = []
    for row in rows:
        messages = [
            *prefix("tuned", (), (), 0),
            {"role": "user", "content": row.text},
            {"role": "assistant", "content": row.label},
        ]
        lines.append(json.dumps({"messages": messages}, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode()


def evaluation_file(rows: Iterable[Row]) -> bytes:
    """JSONL items for `client.evals`."""
    lines = [json.dumps({"item": {"text": r.text, "label": r.label}}, ensure_ascii=False) for r in rows]
    return ("\n".join(lines) + "\n").encode()


def read_label(answer: str, labels: Sequence[str]) -> str | None:
    """The label an answer means when read kindly: case, spacing and punctuation are forgiven, and a
    sentence counts when it names exactly one label. None when it names none or several."""
    plain = {_plain(label): label for label in labels}
    wanted = _plain(answer)
    if wanted in plain:
        return plain[wanted]
    padded = f" {wanted} "
    named = [name for name in plain if f" {name} " in padded]
    # "card payment" inside "card payment fee" is not a second label
    longest = [name for name in named if not any(name != other and f" {name} " in f" {other} " for other in named)]
    return plain[longest[0]] if len(longest) == 1 else None


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
