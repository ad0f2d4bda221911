"""Which format a file has, from its name and its first line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from plinth.data.errors import RowError
from plinth.data.formats.classification import LABEL_COLUMNS, TEXT_COLUMNS, choose_column
from plinth.data.formats.lines import Line, read_lines
from plinth.data.formats.prompt_completion import FIELDS
from plinth.data.formats.tables import Header, read_table
from plinth.data.model import Kind, Layout

_JSON_ENDINGS = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class Reading:
    """What the caller knows about a file; everything else is detected.

    `instruction` becomes the system message of rows that have none of their own (tables and
    prompt/completion pairs).
    """

    kind: Kind | None = None
    text_column: str | None = None
    label_column: str | None = None
    instruction: str | None = None


def detect(source: BinaryIO, filename: str, reading: Reading, max_bytes: int) -> Layout | RowError | None:
    """The layout, the error that explains why there is none, or None for a file without rows.

    Reads the source's beginning only.
    """
    first = _first_line(source, max_bytes)
    if first is None:
        return None
    if first.problem and first.problem.code == "corrupt_gzip":
        return first.problem
    container = _container(filename, first.text)
    if container == "jsonl":
        kind = reading.kind or _kind_of_object(first.text)
        if kind is Kind.classification:
            reason = "classification data must be a CSV or TSV table"
            return RowError(1, None, "unsupported_container", reason)
        return Layout(kind, container, instruction=reading.instruction if kind is not Kind.chat else None)
    source.seek(0)
    header = next(iter(read_table(source, "\t" if container == "tsv" else ",", max_bytes)), None)
    if isinstance(header, Header):
        return _table_layout(header, container, reading)
    return header if isinstance(header, RowError) else None


def _first_line(source: BinaryIO, max_bytes: int) -> Line | None:
    return next((line for line in read_lines(source, max_bytes) if line.problem or line.text.strip()), None)


def _container(filename: str, first: str) -> str:
    name = filename.lower().removesuffix(".gz")
    if name.endswith(_JSON_ENDINGS):
        return "jsonl"
    if name.endswith((".csv", ".tsv")):
        return name[-3:]
    if first.lstrip().startswith("{"):
        return "jsonl"
    return "tsv" if "\t" in first else "csv"


def _kind_of_object(first: str) -> Kind:
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return Kind.chat
    is_pair = isinstance(value, dict) and "messages" not in value and any(name in value for name in FIELDS)
    return Kind.prompt_completion if is_pair else Kind.chat


def _table_layout(header: Header, container: str, reading: Reading) -> Layout | RowError:
    columns = header.columns
    pairs = all(name in columns for name in FIELDS)
    named = reading.text_column or reading.label_column
    if reading.kind is Kind.chat:
        return RowError(1, None, "unsupported_container", "chat data must be JSON lines")
    if reading.kind is Kind.prompt_completion or (reading.kind is None and pairs and not named):
        if not pairs:
            return _no_columns("`prompt` and `completion`", columns)
        return Layout(Kind.prompt_completion, container, columns, instruction=reading.instruction)
    text = choose_column(columns, reading.text_column, TEXT_COLUMNS)
    label = choose_column([c for c in columns if c != text], reading.label_column, LABEL_COLUMNS)
    if text is None:
        return _no_columns("one text column (name it in `text_column`)", columns)
    if label is None:
        return _no_columns("one label column (name it in `label_column`)", columns)
    return Layout(Kind.classification, container, columns, text, label, reading.instruction)


def _no_columns(wanted: str, columns: Iterable[str]) -> RowError:
    listed = ", ".join(f"'{name[:60]}'" for name in list(columns)[:20])
    return RowError(1, None, "columns_not_found", f"the header must have {wanted}; it has {listed}")
