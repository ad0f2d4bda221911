"""Reading an input file: each line on its own, whatever is in it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.gateway.batches.errors import BadWindow
from plinth.gateway.batches.lines import MAX_PROBLEMS, Findings, Limits, inspect, read
from plinth.gateway.batches.model import Line, LineProblem, check_line, token_counts, window_seconds
from unit.gateway.batches.site import CHAT, jsonl, request_line


def look(content: bytes, lines: int = 100, line_bytes: int = 10_000) -> Findings:
    return inspect(io.BytesIO(content), CHAT, Limits(lines, line_bytes))


def test_a_good_file() -> None:
    found = look(
        b"\xef\xbb\xbf" + jsonl(request_line(1), request_line(2)) + b"\r\n \n" + jsonl(request_line("三")).strip()
    )
    assert found == Findings(3, "m", ())


def test_several_models_have_no_common_name() -> None:
    other = request_line(2, body={"model": "n", "messages": []})
    assert look(jsonl(request_line(1), other)).model is None


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"[1]", "invalid_json_line"),
        (b'{"custom_id": NaN}', "invalid_json_line"),
        (b"\xff\xfe", "invalid_json_line"),
        (b"[" * 5000, "invalid_json_line"),
        (jsonl(request_line(1, custom_id="")).strip(), "invalid_custom_id"),
        (jsonl(request_line(1, custom_id=7)).strip(), "invalid_custom_id"),
        (jsonl(request_line(1, custom_id="x" * 513)).strip(), "invalid_custom_id"),
        (jsonl(request_line(1, method="GET")).strip(), "invalid_method"),
        (jsonl(request_line(1, url="/v1/embeddings")).strip(), "mismatched_endpoint"),
        (jsonl(request_line(1, body="hello")).strip(), "invalid_body"),
        (jsonl(request_line(1, body={})).strip(), "missing_model"),
        (jsonl(request_line(1, body={"model": "m\0"})).strip(), "missing_model"),
        (jsonl(request_line(1, body={"model": "m", "stream": True})).strip(), "stream_not_supported"),
    ],
)
def test_a_bad_line_says_what_is_wrong_and_where(line: bytes, code: str) -> None:
    found = look(jsonl(request_line("a")) + line + b"\n" + jsonl(request_line("b")))
    assert [(p.line, p.code) for p in found.problems] == [(2, code)]
    assert found.problems[0].message


def test_a_repeated_custom_id_names_the_first_use() -> None:
    (problem,) = look(jsonl(request_line(1), request_line(2), request_line(1))).problems
    assert (problem.line, problem.code, problem.param) == (3, "duplicate_custom_id", "custom_id")
    assert "line 1" in problem.message


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_requests(content: bytes) -> None:
    assert [p.code for p in look(content).problems] == ["empty_batch"]


def test_a_long_line_is_skipped_whole_and_counted_once() -> None:
    content = jsonl(request_line("a"), request_line("x" * 5000), request_line("b"))
    found = look(content, line_bytes=400)
    assert [(p.line, p.code) for p in found.problems] == [(2, "line_too_long")]
    assert found.total == 3


def test_too_many_lines() -> None:
    assert [p.code for p in look(jsonl(*map(request_line, range(4))), lines=3).problems] == ["too_many_requests"]


def test_problems_are_bounded() -> None:
    found = look(b"x\n" * (MAX_PROBLEMS + 5), lines=10_000)
    assert len(found.problems) == MAX_PROBLEMS + 1
    assert "5 more" in found.problems[-1].message


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers() | st.none(), max_size=3)))
def test_any_bodies_come_through_unchanged(bodies: list[dict[str, Any]]) -> None:
    bodies = [{**body, "model": "m", "stream": False} for body in bodies]
    content = b"".join(json.dumps(request_line(n, body=body)).encode() + b"\n" for n, body in enumerate(bodies))
    assert [line.body for line in read(io.BytesIO(content), CHAT, 10_000) if isinstance(line, Line)] == bodies


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)))
def test_no_value_breaks_the_check(value: Any) -> None:
    assert isinstance(check_line(1, value, CHAT), Line | LineProblem)
    assert len(token_counts(value)) == 4


@pytest.mark.parametrize(("text", "seconds"), [("24h", 86_400), ("1h", 3600), ("7d", 604_800), ("168h", 604_800)])
def test_windows(text: str, seconds: int) -> None:
    assert window_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "24", "0h", "169h", "8d", "24m", "1h ", "-1h", "٢٤h", "1e3h"])
def test_no_windows(text: str) -> None:
    with pytest.raises(BadWindow):
        window_seconds(text)
