"""Readers and writers for the formats people have. Reading streams and never stops at a bad row.

with open_text(source, limit) as text:
    layout = detect(text, filename, Reading(), max_row_bytes)
    text.seek(0)
    for row in read(text, layout, max_row_bytes):    # canonical rows and RowErrors, in file order
        ...
for text in write(rows, layout, Kind.chat):          # the other way round
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from plinth.data.errors import RowError
from plinth.data.formats import chat, classification, prompt_completion
from plinth.data.formats.detect import Reading, detect
from plinth.data.formats.encoding import Utf8Check
from plinth.data.formats.lines import open_text
from plinth.data.model import Kind, Layout, Row

__all__ = ["Reading", "Utf8Check", "detect", "open_text", "read", "write"]

_FORMATS = {
    Kind.chat: (chat.read, chat.write),
    Kind.prompt_completion: (prompt_completion.read, prompt_completion.write),
    Kind.classification: (classification.read, classification.write),
}


def read(source: BinaryIO, layout: Layout, max_bytes: int) -> Iterator[Row | RowError]:
    """Canonical rows, or what is wrong with them, in the order of the file."""
    reader, _ = _FORMATS[layout.kind]
    return reader(source, layout, max_bytes)


def write(rows: Iterable[Row], layout: Layout, kind: Kind) -> Iterator[str]:
    """The rows as text in another format, or their own. Raises `NotExpressible`."""
    _, writer = _FORMATS[kind]
    return writer(rows, layout)
