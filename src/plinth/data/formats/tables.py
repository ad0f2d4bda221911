"""Records of a CSV or TSV file (RFC 4180: quotes around fields with separators, quotes or line breaks)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from plinth.data.errors import RowError
from plinth.data.formats.lines import Line, read_lines

# The library's own limit is a process-wide 128 KiB a field; `_Feed` bounds every record instead.
csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class Record:
    line: int
    fields: list[str]


@dataclass(frozen=True)
class Header:
    columns: tuple[str, ...]


def read_records(source: BinaryIO, delimiter: str, max_bytes: int) -> Iterator[Record | RowError]:
    """Every record, the header too; what cannot be read is a `RowError`. Blank lines are skipped."""
    feed = _Feed(read_lines(source, max_bytes), max_bytes)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin()
        fields, problem, ended = _next_fields(reader, feed)
        if feed.problem or problem:
            yield feed.problem or problem  # type: ignore[misc]  # one of them is set
        elif fields and not (len(fields) == 1 and not fields[0].strip()):
            yield Record(feed.line, fields)
        if ended:
            return


def read_table(source: BinaryIO, delimiter: str, max_bytes: int) -> Iterator[Header | Record | RowError]:
    """The header first (or the one error that explains why there is none), then records as long as it."""
    records = read_records(source, delimiter, max_bytes)
    first = next(records, None)
    if first is None:
        return
    header = _header(first)
    yield header
    if isinstance(header, RowError):
        return
    width = len(header.columns)
    for record in records:
        if isinstance(record, Record) and len(record.fields) != width:
            reason = (
                f"the row has {len(record.fields)} fields where the header has {width};"
                " a field that contains the separator needs quotes"
            )
            yield RowError(record.line, None, "ragged_row", reason)
        else:
            yield record


def encode_record(fields: Iterable[str], delimiter: str) -> str:
    """One record with its terminator; quotes only where they are needed."""
    cells = []
    for field in fields:
        special = any(character in field for character in (delimiter, '"', "\r", "\n"))
        cells.append('"' + field.replace('"', '""') + '"' if special else field)
    return delimiter.join(cells) + "\n"


def _header(first: Record | RowError) -> Header | RowError:
    if isinstance(first, RowError):
        return first
    names = [name.strip() for name in first.fields]
    repeated = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if repeated is not None:
        return RowError(first.line, repeated, "duplicate_column", f"the header names the column '{repeated}' twice")
    return Header(tuple(first.fields))


def _next_fields(reader: Iterator[list[str]], feed: _Feed) -> tuple[list[str], RowError | None, bool]:
    """The next record's fields, what is wrong with it, and whether the file has ended."""
    try:
        return next(reader), None, False
    except StopIteration:
        return [], None, True
    except _RecordTooLong:
        reason = f"the row is longer than {feed.max_bytes} bytes; a quote opened here may never be closed"
        return [], RowError(feed.line, None, "line_too_long", reason), False
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return [], RowError(feed.line, None, "open_quote", "a quote opened in this row is never closed"), True
        if "new-line" in str(error):
            reason = "a carriage return stands alone outside quotes; end lines with LF or CRLF"
            return [], RowError(feed.line, None, "bare_carriage_return", reason), False
        reason = "a quote inside a quoted field must be doubled, and quotes must surround the whole field"
        return [], RowError(feed.line, None, "bad_quoting", reason), False


class _RecordTooLong(Exception):
    pass


class _Feed:
    """Hands lines to the csv module and remembers what was wrong with those of the current record."""

    def __init__(self, lines: Iterator[Line], max_bytes: int) -> None:
        self._lines, self.max_bytes = lines, max_bytes
        self.problem: RowError | None = None
        self.line, self._characters, self._next_line = 1, 0, 1

    def begin(self) -> None:
        self.problem, self._characters, self.line = None, 0, self._next_line

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._next_line = line.number + 1
        self.problem = self.problem or line.problem
        self._characters += len(line.text)
        if self._characters > self.max_bytes:
            raise _RecordTooLong
        return line.text
