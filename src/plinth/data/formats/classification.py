"""A table with a text column and a label column.

A row becomes a chat row whose answer is the label exactly as written, so one trainer serves all
formats; the label is also kept under `label`, other columns under `metadata`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from plinth.data.errors import NotExpressible, RowError
from plinth.data.formats.chat import exchange, exchange_row
from plinth.data.formats.prompt_completion import cells
from plinth.data.formats.tables import Record, encode_record, read_table
from plinth.data.model import Kind, Layout, Row

TEXT_COLUMNS = (
    *("text", "content", "message", "utterance", "sentence", "query", "question", "input", "prompt"),
    *("文本", "内容", "问题", "句子"),
)
LABEL_COLUMNS = ("label", "category", "intent", "class", "target", "标签", "类别", "意图", "分类")


def read(source: BinaryIO, layout: Layout, max_bytes: int) -> Iterator[Row | RowError]:
    for item in read_table(source, layout.delimiter, max_bytes):
        if isinstance(item, RowError):
            yield item
        elif isinstance(item, Record):
            yield _row(item, layout)


def write(rows: Iterable[Row], layout: Layout) -> Iterator[str]:
    table = layout.kind is Kind.classification
    text_column = layout.text_column if table else "text"
    label_column = layout.label_column if table else "label"
    columns = layout.columns if table else (text_column, label_column)
    yield encode_record(columns, layout.delimiter)
    for number, row in enumerate(rows, start=1):
        text, answer = exchange(row, number, layout.instruction, "classification")
        if table and row["label"] != answer:
            raise NotExpressible(row=number, format="classification", reason="its answer is not its label")
        values = {**(row.get("metadata", {}) if table else {}), text_column: text, label_column: answer}
        yield encode_record(cells(values, columns, number), layout.delimiter)


def choose_column(columns: Iterable[str], wanted: str | None, known: tuple[str, ...]) -> str | None:
    """The column the caller named, or the only one with a usual name (the most usual name wins)."""
    names = list(columns)
    if wanted is not None:
        return wanted if wanted in names else None
    usual = [name for name in names if name.strip().lower() in known]
    plain = [name for name in usual if name.strip().lower() == known[0]]
    chosen = plain or usual
    return chosen[0] if len(chosen) == 1 else None


def _row(record: Record, layout: Layout) -> Row | RowError:
    values = dict(zip(layout.columns, record.fields, strict=True))
    text, label = values.pop(layout.text_column), values.pop(layout.label_column)
    if not text.strip():
        return RowError(record.line, layout.text_column, "empty_text", "the text is empty")
    if not label.strip():
        return RowError(record.line, layout.label_column, "empty_label", "the label is empty")
    row = exchange_row(text, label, layout.instruction) | {"label": label}
    if values:
        row["metadata"] = values
    return row
