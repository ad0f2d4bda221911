"""Reading and writing formats: round trips (hypothesis), and every kind of bad row by line and column."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plinth.data.errors import DecompressedTooLarge, NotExpressible, RowError
from plinth.data.formats import Reading, detect, open_text, read, write
from plinth.data.formats.json_lines import encode_object
from plinth.data.formats.tables import encode_record
from plinth.data.model import Kind, Layout, Row

# a busy machine is not a defect: no deadline, and slow generation is no failure
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

LIMIT = 1 << 16
MAX = 1 << 24


def parse(
    raw: bytes, name: str = "a", reading: Reading | None = None, limit: int = LIMIT
) -> tuple[Layout | None, list[Row], list[RowError]]:
    text = open_text(io.BytesIO(raw), MAX)
    layout = detect(text, name, reading or Reading(), limit)
    if isinstance(layout, RowError):
        return None, [], [layout]
    if layout is None:
        return None, [], []
    text.seek(0)
    items = list(read(text, layout, limit))
    return layout, [i for i in items if not isinstance(i, RowError)], [i for i in items if isinstance(i, RowError)]


def places(errors: list[RowError]) -> list[tuple[int, str | None, str]]:
    return [(error.line, error.column, error.code) for error in errors]


# --- round trips

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
words = text.filter(lambda value: value.strip() != "")
names = st.text("abcxyz 中文_-", min_size=1, max_size=8).filter(lambda name: name.strip() != "")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=3,
)
message = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": text}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": text}, optional={"weight": st.sampled_from([0, 1]), "name": text}
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "content": text, "tool_call_id": text}),
    st.fixed_dictionaries(
        {
            "role": st.just("assistant"),
            "tool_calls": st.lists(st.dictionaries(text, json_values), min_size=1, max_size=2),
        }
    ),
)
answer = st.fixed_dictionaries({"role": st.just("assistant"), "content": words})
extras = st.dictionaries(text.filter(lambda k: k not in ("messages", "tools")), json_values, max_size=2)
chat_rows = st.builds(
    lambda before, last, tools, more: {"messages": [*before, last], **tools, **more},
    st.lists(message, max_size=4),
    answer,
    st.just({})
    | st.fixed_dictionaries({"tools": st.lists(st.dictionaries(text, json_values), min_size=1, max_size=2)}),
    extras,
)


@calm
@given(st.lists(chat_rows, min_size=1, max_size=3))
def test_chat_comes_back_byte_for_byte(rows: list[Row]) -> None:
    raw = "".join(encode_object(row) for row in rows)
    layout, found, errors = parse(raw.encode(), "a.jsonl")
    assert layout is not None
    assert errors == []
    assert found == rows
    assert "".join(write(found, layout, Kind.chat)) == raw


@st.composite
def tables(
    draw: st.DrawFn, first: str | None = None, second: str | None = None
) -> tuple[list[str], list[list[str]], str]:
    taken = {"prompt", "completion"} if first is None else set()
    columns = draw(
        st.lists(names, min_size=2 if first is None else 0, max_size=4, unique_by=lambda n: n.strip().lower()).filter(
            lambda found: not taken & {n.strip().lower() for n in found}
        )
    )
    if first is not None and second is not None:
        columns = draw(st.permutations([*(c for c in columns if c not in (first, second)), first, second]))
    records = draw(st.lists(st.lists(words, min_size=len(columns), max_size=len(columns)), min_size=1, max_size=5))
    return columns, records, draw(st.sampled_from(["csv", "tsv"]))


def table_text(columns: list[str], records: list[list[str]], container: str) -> str:
    delimiter = "," if container == "csv" else "\t"
    return "".join(encode_record(record, delimiter) for record in [columns, *records])


@calm
@given(tables(), st.none() | words)
def test_classification_comes_back_byte_for_byte(
    table: tuple[list[str], list[list[str]], str], instruction: str | None
) -> None:
    columns, records, container = table
    raw = table_text(columns, records, container)
    reading = Reading(Kind.classification, columns[1], columns[0], instruction)
    layout, rows, errors = parse(raw.encode(), f"a.{container}", reading)
    assert errors == []
    assert layout is not None
    assert [row["label"] for row in rows] == [record[0] for record in records]
    assert [row["messages"][-2]["content"] for row in rows] == [record[1] for record in records]
    assert "".join(write(rows, layout, Kind.classification)) == raw
    if instruction is not None:
        assert all(row["messages"][0] == {"role": "system", "content": instruction} for row in rows)


@calm
@given(tables("prompt", "completion"))
def test_prompt_completion_tables_come_back_byte_for_byte(table: tuple[list[str], list[list[str]], str]) -> None:
    columns, records, container = table
    raw = table_text(columns, records, container)
    layout, rows, errors = parse(raw.encode(), f"a.{container}")
    assert errors == []
    assert layout is not None
    assert layout.kind is Kind.prompt_completion
    assert "".join(write(rows, layout, Kind.prompt_completion)) == raw


@calm
@given(st.lists(st.tuples(words, words, extras), min_size=1, max_size=4))
def test_prompt_completion_lines_come_back(pairs: list[tuple[str, str, dict[str, Any]]]) -> None:
    values = [{**more, "prompt": prompt, "completion": completion} for prompt, completion, more in pairs]
    layout, rows, errors = parse(
        "".join(map(encode_object, values)).encode(), "a.jsonl", Reading(Kind.prompt_completion)
    )
    assert errors == []
    assert layout is not None
    assert [
        json.loads(line) for line in "".join(write(rows, layout, Kind.prompt_completion)).split("\n")[:-1]
    ] == values


@calm
@given(st.binary(max_size=300), st.sampled_from(["a.jsonl", "a.csv", "a.tsv", "a"]), st.sampled_from([None, *Kind]))
def test_any_bytes_give_rows_or_reasons(raw: bytes, name: str, kind: Kind | None) -> None:
    _, rows, errors = parse(raw, name, Reading(kind), limit=64)
    for row in rows:
        json.dumps(row).encode()
        assert row["messages"][-1]["role"] == "assistant"
    lines = raw.count(b"\n") + 1
    assert all(1 <= error.line <= lines and error.code and error.reason for error in errors)


@calm
@given(st.lists(st.sampled_from([b'"', b",", b"a", b"\n", b"\r", b'""', b"\xff", b"\0", "退".encode()]), max_size=30))
def test_any_table_gives_rows_or_reasons(pieces: list[bytes]) -> None:
    raw = b"text,label\n" + b"".join(pieces)
    _, rows, errors = parse(raw, "a.csv", limit=1000)
    assert len(rows) + len(errors) <= raw.count(b"\n") + 1


@calm
@given(st.lists(st.tuples(words, words), min_size=1, max_size=4), st.booleans())
def test_compression_bom_and_crlf_change_nothing(records: list[tuple[str, str]], windows: bool) -> None:
    plain = [
        (a.replace("\n", " ").replace("\r", " ") + ".", b.replace("\n", " ").replace("\r", " ") + ".")
        for a, b in records
    ]
    raw = table_text(["text", "label"], [list(record) for record in plain], "csv")
    _, expected, _ = parse(raw.encode(), "a.csv")
    changed = ("\ufeff" + raw.replace("\n", "\r\n" if windows else "\n")).encode()
    _, found, errors = parse(gzip.compress(changed), "a.csv.gz")
    assert errors == []
    assert found == expected


# --- bad rows

OK = '{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}'


def chat_line(*messages: Any, **more: Any) -> str:
    return json.dumps({"messages": list(messages), **more})


USER = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        ('{"messages": [}', "character 15", "invalid_json"),
        ("[1]", None, "not_an_object"),
        ('"text"', None, "not_an_object"),
        ('{"messages": NaN}', None, "invalid_json"),
        ('{"a": 1e999}', None, "invalid_json"),
        ('{"a": 1, "a": 2}', None, "invalid_json"),
        ('{"a": ' + "[" * 60_000, None, "invalid_json"),
        ('{"a": "\\ud800"}', None, "invalid_unicode"),
        ('{"a": "\\u0000"}', None, "nul_byte"),
        ('{"a": "' + "x" * LIMIT + '"}', None, "line_too_long"),
        ('{"a": ' + "9" * 5000 + "}", None, "invalid_json"),
        ("{}", "messages", "missing_messages"),
        ('{"messages": []}', "messages", "missing_messages"),
        ('{"messages": "hi"}', "messages", "missing_messages"),
        (chat_line(1), "messages[0]", "not_an_object"),
        (chat_line({"role": "robot", "content": "x"}, ANSWER), "messages[0].role", "unknown_role"),
        (chat_line({"role": ["user"], "content": "x"}, ANSWER), "messages[0].role", "unknown_role"),
        (chat_line({"content": "x"}, ANSWER), "messages[0].role", "unknown_role"),
        (chat_line({"role": "user"}, ANSWER), "messages[0].content", "invalid_content"),
        (chat_line({"role": "user", "content": [{"type": "text"}]}, ANSWER), "messages[0].content", "invalid_content"),
        (chat_line(USER, {**ANSWER, "weight": 2}), "messages[1].weight", "invalid_weight"),
        (chat_line(USER, {**ANSWER, "weight": True}), "messages[1].weight", "invalid_weight"),
        (chat_line({**USER, "weight": 1}, ANSWER), "messages[0].weight", "invalid_weight"),
        (chat_line(USER, {**ANSWER, "weight": 0}), "messages", "nothing_to_learn"),
        (chat_line(USER), "messages[0].role", "no_answer"),
        (chat_line(USER, {"role": "assistant", "content": ""}), "messages[1].content", "empty_answer"),
        (chat_line({"role": "tool", "content": "x"}, ANSWER), "messages[0].tool_call_id", "missing_tool_call_id"),
        (chat_line({**USER, "tool_calls": [{}]}, ANSWER), "messages[0].tool_calls", "invalid_tool_calls"),
        (chat_line(USER, {"role": "assistant", "tool_calls": []}), "messages[1].tool_calls", "invalid_tool_calls"),
        (chat_line(USER, ANSWER, tools="all"), "tools", "invalid_tools"),
        (chat_line(USER, ANSWER, tools=[]), "tools", "invalid_tools"),
    ],
)
def test_bad_chat_rows(line: str, column: str | None, code: str) -> None:
    raw = f"{OK}\n\n  \n{line}\n{OK}\n".encode()
    _, rows, errors = parse(raw, "a.jsonl")
    assert len(rows) == 2
    assert places(errors) == [(4, column, code)]


@pytest.mark.parametrize(
    ("record", "line", "column", "code"),
    [
        (b"a,b,c", 5, None, "ragged_row"),
        (b"a", 5, None, "ragged_row"),
        (b",b", 5, "text", "empty_text"),
        (b"a,  ", 5, "label", "empty_label"),
        (b'"a"b,c', 5, None, "bad_quoting"),
        (b"a\rb,c", 5, None, "bare_carriage_return"),
        (b"a\0b,c", 5, None, "nul_byte"),
        ("退款".encode("gb18030") + b",c", 5, None, "invalid_utf8"),
        (b'"' + b"x" * LIMIT + b'",c', 5, None, "line_too_long"),
    ],
)
def test_bad_table_rows(record: bytes, line: int, column: str | None, code: str) -> None:
    raw = b'text,label\n"two\nlines",x\n\n' + record + b"\r\nfine,y\n"
    _, rows, errors = parse(raw, "a.csv")
    assert [row["label"] for row in rows] == ["x", "y"]
    assert places(errors) == [(line, column, code)]


def test_a_quote_that_is_never_closed_names_the_row_where_it_opens() -> None:
    _, rows, errors = parse(b'text,label\na,b\n"c,d\ne,f\n', "a.csv")
    assert (len(rows), places(errors)) == (1, [(3, None, "open_quote")])
    _, rows, errors = parse(b'text,label\na,b\n"c,d\n' + b"e,f\n" * 10_000, "a.csv", limit=1000)
    assert places(errors)[0] == (3, None, "line_too_long")


@pytest.mark.parametrize(
    ("raw", "column", "code"),
    [
        (b"text,label,text \nx,y,z\n", "text", "duplicate_column"),
        (b"id,when\n1,2\n", None, "columns_not_found"),
        (b"text,category,intent\nx,y,z\n", None, "columns_not_found"),
        (b"te\xffxt,label\nx,y\n", None, "invalid_utf8"),
        ("text,label\nx,y\n".encode("utf-16"), None, "invalid_utf8"),
    ],
)
def test_bad_headers(raw: bytes, column: str | None, code: str) -> None:
    _, rows, errors = parse(raw, "a.csv")
    assert rows == []
    assert places(errors) == [(1, column, code)]


def test_the_reason_names_the_offset_and_the_likely_encoding() -> None:
    raw = b"text,label\nok,b\n" + "退款什么时候到账".encode("gb18030") + b",c\n" + "café".encode("latin-1") + b",d\n"
    _, _, errors = parse(raw, "a.csv")
    assert "offset 16 " in errors[0].reason
    assert "GB18030" in errors[0].reason
    assert f"offset {len(raw) - 4} " in errors[1].reason
    assert "Windows-1252" in errors[1].reason


def test_unicode_line_separators_are_text() -> None:
    question = "a\u2028b\u2029c\x85d\x0be\x0cf"
    row = {"messages": [{"role": "user", "content": question}, ANSWER]}
    _, rows, errors = parse(encode_object(row).encode(), "a.jsonl")
    assert (rows, errors) == ([row], [])
    _, rows, errors = parse(f"text,label\n{question},x\n".encode(), "a.csv")
    assert errors == []
    assert rows[0]["messages"][0]["content"] == question


def test_only_the_first_line_can_have_a_byte_order_mark() -> None:
    _, rows, errors = parse("\ufefftext,label\n\ufeffa,b\n".encode(), "a.csv")
    assert errors == []
    assert rows[0]["messages"][0]["content"] == "\ufeffa"


def test_damaged_and_endless_gzip() -> None:
    whole = gzip.compress(b"text,label\n" + b"".join(b"row %d,x\n" % n for n in range(5000)))
    for damaged in (whole[:-20], whole[:200] + b"\0\0\0\0" + whole[204:], b"\x1f\x8bjunk"):
        _, _, errors = parse(damaged, "a.csv.gz")
        assert errors[-1].code == "corrupt_gzip"
    with pytest.raises(DecompressedTooLarge), open_text(io.BytesIO(gzip.compress(b"x" * 100_000)), 50_000) as source:
        source.read()


@pytest.mark.parametrize(
    ("raw", "name", "kind", "container"),
    [
        (OK, "a.jsonl", Kind.chat, "jsonl"),
        (OK, "upload", Kind.chat, "jsonl"),
        ('{"prompt":"a","completion":"b"}', "a.json", Kind.prompt_completion, "jsonl"),
        ('{"completion":"b"}', "a.ndjson", Kind.prompt_completion, "jsonl"),
        ("prompt,completion\na,b", "a.csv", Kind.prompt_completion, "csv"),
        ("completion\tprompt\na\tb", "a", Kind.prompt_completion, "tsv"),
        ("Text,Category\na,b", "a", Kind.classification, "csv"),
        ("id,text,note,label,intent\n1,a,n,l,i", "a.csv", Kind.classification, "csv"),
        ("内容\t标签\n退款\t售后", "a.tsv", Kind.classification, "tsv"),
        ("prompt,label\na,b", "a.csv", Kind.classification, "csv"),
    ],
)
def test_detection(raw: str, name: str, kind: Kind, container: str) -> None:
    layout, rows, errors = parse(raw.encode(), name)
    assert layout is not None
    assert (layout.kind, layout.container, len(rows)) == (kind, container, 0 if errors else 1)


def test_a_named_label_column_makes_a_pair_table_classification() -> None:
    layout, _, _ = parse(b"prompt,completion\na,b\n", "a.csv", Reading(text_column="prompt", label_column="completion"))
    assert layout is not None
    assert layout.kind is Kind.classification


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"\xef\xbb\xbf", b"text,label\n", b"text,label"])
def test_files_without_rows(raw: bytes) -> None:
    _, rows, errors = parse(raw, "a.csv")
    assert (rows, errors) == ([], [])


def test_pairs_need_text() -> None:
    raw = b'{"prompt":"a","completion":1}\n{"prompt":" ","completion":"b"}\n{"prompt":"a"}\n'
    _, rows, errors = parse(raw, "a.jsonl")
    assert rows == []
    assert places(errors) == [
        (1, "completion", "missing_completion"),
        (2, "prompt", "empty_prompt"),
        (3, "completion", "missing_completion"),
    ]


def test_what_cannot_be_written_is_said() -> None:
    layout = Layout(Kind.chat, "jsonl")
    tools = {"messages": [USER, ANSWER], "tools": [{"type": "function"}]}
    for row in (
        tools,
        {"messages": [USER, ANSWER, USER, ANSWER]},
        {"messages": [{"role": "system", "content": "s"}, ANSWER]},
    ):
        with pytest.raises(NotExpressible, match="Row 1 "):
            list(write([row], layout, Kind.classification))
    relabelled = {"messages": [USER, ANSWER], "label": "other"}
    table = Layout(Kind.classification, "csv", ("text", "label"), "text", "label")
    with pytest.raises(NotExpressible, match="label"):
        list(write([relabelled], table, Kind.classification))
