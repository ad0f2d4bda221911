"""`prompt` and `completion`, as columns of a table or fields of JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from plinth.data.errors import NotExpressible, RowError
from plinth.data.formats.chat import exchange, exchange_row
from plinth.data.formats.json_lines import encode_object, read_objects
from plinth.data.formats.tables import Record, encode_record, read_table
from plinth.data.model import Kind, Layout, Row

FIELDS = ("prompt", "completion")


def read(source: BinaryIO, layout: Layout, max_bytes: int) -> Iterator[Row | RowError]:
    records = _from_json(source, max_bytes) if layout.container == "jsonl" else _from_table(source, layout, max_bytes)
    for item in records:
        yield item if isinstance(item, RowError) else _row(*item, layout)


def write(rows: Iterable[Row], layout: Layout) -> Iterator[str]:
    """Rows that were pairs come back in their own container; others become JSON lines."""
    own = layout.kind is Kind.prompt_completion
    table = own and layout.container != "jsonl"
    if table:
        yield encode_record(layout.columns, layout.delimiter)
    for number, row in enumerate(rows, start=1):
        prompt, completion = exchange(row, number, layout.instruction, "prompt_completion")
        values = {"prompt": prompt, "completion": completion} | (row.get("metadata", {}) if own else {})
        if table:
            yield encode_record(cells(values, layout.columns, number), layout.delimiter)
        else:
            yield encode_object(values)


def cells(values: dict[str, Any], columns: Iterable[str], number: int) -> list[str]:
    """A record's cells in the order of the columns; a value that no column had is empty."""
    found = [values.get(column, "") for column in columns]
    if not all(isinstance(value, str) for value in found):
        raise NotExpressible(row=number, format="a table", reason="a value is not text")
    return found


def _row(line: int, values: dict[str, Any], layout: Layout) -> Row | RowError:
    for name in FIELDS:
        value = values.get(name)
        if not isinstance(value, str):
            return RowError(line, name, f"missing_{name}", f"`{name}` must be text")
        if not value.strip():
            return RowError(line, name, f"empty_{name}", f"`{name}` is empty")
    row = exchange_row(values["prompt"], values["completion"], layout.instruction)
    if rest := {name: value for name, value in values.items() if name not in FIELDS}:
        row["metadata"] = rest
    return row


_Values = tuple[int, dict[str, Any]]


def _from_json(source: BinaryIO, max_bytes: int) -> Iterator[_Values | RowError]:
    for item in read_objects(source, max_bytes):
        yield item if isinstance(item, RowError) else (item.line, item.value)


def _from_table(source: BinaryIO, layout: Layout, max_bytes: int) -> Iterator[_Values | RowError]:
    for item in read_table(source, layout.delimiter, max_bytes):
        if isinstance(item, RowError):
            yield item
        elif isinstance(item, Record):
            yield item.line, dict(zip(layout.columns, item.fields, strict=True))
