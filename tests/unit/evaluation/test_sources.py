from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.evaluation import sources
from plinth.evaluation.errors import InvalidItems, InvalidTemplate, MissingValue, UnsupportedSource
from plinth.evaluation.json_schema import Schema
from plinth.evaluation.sources import RowLimits
from plinth.kit.errors import BadInput, TooLarge

LIMITS = RowLimits(rows=5, source_bytes=4000, row_bytes=1000)
SCHEMA = Schema({"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]})
FILE = {"type": "file_id", "id": "file-1"}


def read(text: str | bytes, needs_sample: bool = False) -> list[sources.Row]:
    data = text if isinstance(text, bytes) else text.encode()
    return sources.checked_rows(sources.lines_of(io.BytesIO(data), LIMITS), SCHEMA, needs_sample, LIMITS)


def test_rows_with_a_byte_order_mark_and_blank_lines() -> None:
    rows = read('\ufeff{"item": {"q": "你好"}}\n\n{"item": {"q": "b"}, "sample": {"output_text": "c"}}')
    assert [row.item["q"] for row in rows] == ["你好", "b"]
    assert rows[1].sample == {"output_text": "c"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Line 2: it is not JSON"),
        ('{"q": "a"}', 'Line 2: write {"item": {…}}.'),
        ('{"item": {"q": 3}}', "Line 2: 'q' must be of type string."),
        ('{"item": {}}', "Line 2: 'q' is required."),
        ('{"item": {"q": NaN}}', "Line 2: it is not JSON (NaN is not JSON)."),
        ('{"item": {"q": "\\ud800"}}', "Line 2: it has text or numbers"),
        ('{"item": {"q": "a"}, "sample": 3}', "Line 2: 'sample' must be an object."),
        ("[" * 400 + "]" * 400, "Line 2:"),
    ],
)
def test_a_bad_line_is_named(line: str, reason: str) -> None:
    with pytest.raises(InvalidItems) as caught:
        read('{"item": {"q": "ok"}}\n' + line)
    assert reason in caught.value.message
    assert caught.value.fields["count"] == 1


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    with pytest.raises(InvalidItems, match="Line 4: "):
        read('\n\n{"item": {"q": "ok"}}\n{}\n')


def test_latin_1_is_not_guessed() -> None:
    with pytest.raises(InvalidItems, match="Line 1: it is not UTF-8"):
        read('{"item": {"q": "é"}}'.encode("latin-1"))


def test_limits() -> None:
    with pytest.raises(TooLarge):
        read('{"item": {"q": "' + "a" * 2000 + '"}}')
    with pytest.raises(TooLarge):
        read(('{"item": {"q": "' + "a" * 900 + '"}}\n') * 5)
    with pytest.raises(BadInput, match="at most 5 rows"):
        read('{"item": {"q": "a"}}\n' * 6)
    with pytest.raises(InvalidItems, match="no row"):
        read("\n\n")


def test_a_jsonl_run_needs_samples_where_criteria_read_them() -> None:
    with pytest.raises(InvalidItems, match="needs a 'sample'"):
        read('{"item": {"q": "a"}}', needs_sample=True)


@given(st.binary(max_size=200))
def test_any_bytes_become_rows_or_a_sentence(data: bytes) -> None:
    try:
        assert not any(list(SCHEMA.errors(row.item)) for row in read(data))
    except BadInput:
        pass


def template(*texts: str) -> dict[str, Any]:
    return {"type": "template", "template": [{"role": "user", "content": text} for text in texts]}


def completions(**more: Any) -> dict[str, Any]:
    base = {"type": "completions", "model": "m", "source": FILE, "input_messages": template("{{ item.q }}")}
    return {**base, **more}


def asked(given: dict[str, Any], item: dict[str, Any]) -> sources.Question:
    parsed = sources.parse(given)
    assert not isinstance(parsed, sources.JsonlSource)
    return sources.question(parsed, item, 100)


def test_completions_question() -> None:
    form = {"type": "json_object"}
    found = asked(completions(sampling_params={"temperature": 0, "seed": 1, "response_format": form}), {"q": "你好"})
    assert found.messages == [{"role": "user", "content": "你好"}]
    assert found.sampling == {"max_completion_tokens": 100, "temperature": 0, "seed": 1, "response_format": form}


def test_responses_question_is_mapped_to_chat() -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
    schema = {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": True}
    messages = [
        {
            "role": "developer",
            "content": [{"type": "input_text", "text": "Be kind. "}, "{{ item.q }}"],
            "type": "message",
        },
    ]
    given = {
        "type": "responses",
        "model": "m",
        "source": FILE,
        "input_messages": {"type": "template", "template": messages},
        "sampling_params": {"max_completion_tokens": 7, "text": {"format": schema}, "tools": [tool]},
    }
    found = asked(given, {"q": "hi"})
    assert found.messages == [{"role": "system", "content": "Be kind. hi"}]
    assert found.sampling["max_completion_tokens"] == 7
    assert found.sampling["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }
    assert found.sampling["tools"] == [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}
    ]


def test_item_reference() -> None:
    given = completions(input_messages={"type": "item_reference", "item_reference": "item.turns"})
    turns = [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}]
    assert [m["role"] for m in asked(given, {"turns": turns}).messages] == ["system", "user"]
    for wrong in ({"turns": "x"}, {"turns": []}, {"turns": [{"role": "root", "content": ""}]}):
        with pytest.raises(BadInput):
            asked(given, wrong)
    with pytest.raises(MissingValue):
        asked(given, {})


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (None, BadInput),
        ({"type": "magic"}, BadInput),
        ({"type": "jsonl", "source": {"type": "stored_completions"}}, UnsupportedSource),
        ({"type": "responses", "source": {"type": "responses"}}, UnsupportedSource),
        (completions(model=""), BadInput),
        (completions(input_messages=None), BadInput),
        (completions(input_messages=template()), BadInput),
        (completions(input_messages=template("{{ sample.output_text }}")), BadInput),
        (completions(input_messages=template("{{ 1 + 1 }}")), InvalidTemplate),
        (completions(sampling_params={"temperature": 9}), BadInput),
        (completions(sampling_params={"tools": [{"type": "web_search"}]}), BadInput),
        (completions(input_messages={"type": "item_reference", "item_reference": "x.y"}), InvalidTemplate),
    ],
)
def test_a_source_that_cannot_work_is_refused(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        sources.parse(given)


def test_dump_leaves_inline_content_out_and_parses_again() -> None:
    given = {"type": "jsonl", "source": {"type": "file_content", "content": [{"item": {"q": "a"}}]}}
    stored = sources.dump(sources.parse(given))
    assert stored == {"type": "jsonl", "source": {"type": "file_content"}}
    assert sources.dump(sources.parse(stored)) == stored
    full = sources.dump(sources.parse(completions(sampling_params={"seed": 3})))
    assert full == sources.dump(sources.parse(json.loads(json.dumps(full))))


def test_digest_ignores_the_order_of_keys() -> None:
    assert sources.digest({"a": 1, "b": "中"}) == sources.digest({"b": "中", "a": 1}) != sources.digest({"a": 1})
