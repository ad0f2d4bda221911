"""Physical lines of a text file: the first thing every format reads.

A line ends at LF only (a CR before it belongs to the terminator), so Unicode line separators inside
JSON strings are text. Compressed files are opened transparently, with a limit.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from plinth.data.errors import DecompressedTooLarge, RowError
from plinth.data.formats.encoding import BOM, is_utf16, likely_encoding

GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Line:
    """`text` keeps its terminator. When `problem` is set the text is only good for finding the next line."""

    number: int
    text: str
    problem: RowError | None = None


def open_text(source: BinaryIO, max_bytes: int) -> BinaryIO:
    """The file's bytes, decompressed when it is gzip. Raises `DecompressedTooLarge` while being read."""
    magic = source.read(len(GZIP_MAGIC))
    source.seek(0)
    if magic != GZIP_MAGIC:
        return source
    return io.BufferedReader(_Decompressed(source, max_bytes), 1 << 16)


def read_lines(source: BinaryIO, max_bytes: int) -> Iterator[Line]:
    """Every line of at most `max_bytes`; longer, damaged and undecodable ones carry a `problem`."""
    number = offset = 0
    while True:
        number += 1
        try:
            raw = source.readline(max_bytes + 1)
            if len(raw) > max_bytes and not raw.endswith(b"\n"):
                skipped = _skip_line(source, max_bytes)
                reason = f"the line is longer than {max_bytes} bytes"
                yield Line(number, "\n", RowError(number, None, "line_too_long", reason))
                offset += len(raw) + skipped
                continue
        except (OSError, EOFError, zlib.error):
            # gzip reports damage with any of the three
            yield Line(
                number,
                "\n",
                RowError(number, None, "corrupt_gzip", "the compressed file is damaged at this line or after it"),
            )
            return
        if not raw:
            return
        if number == 1 and is_utf16(raw):
            reason = "the file is UTF-16; save it as UTF-8"
            yield Line(number, "\n", RowError(number, None, "invalid_utf8", reason))
            return
        yield _decode(raw, number, offset)
        offset += len(raw)


def _decode(raw: bytes, number: int, offset: int) -> Line:
    body = raw.removeprefix(BOM) if number == 1 else raw
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        at = offset + len(raw) - len(body) + error.start
        reason = f"the byte at offset {at} of the file is not UTF-8, the line looks like {likely_encoding(raw)}"
        return Line(number, body.decode("utf-8", "replace"), RowError(number, None, "invalid_utf8", reason))
    if "\0" in text:
        return Line(number, text, RowError(number, None, "nul_byte", "the line contains a NUL byte"))
    return Line(number, text)


def _skip_line(source: BinaryIO, step: int) -> int:
    skipped = 0
    while raw := source.readline(step):
        skipped += len(raw)
        if raw.endswith(b"\n"):
            break
    return skipped


class _Decompressed(io.RawIOBase):
    """A gzip stream that refuses to grow past a limit (a small file can hold terabytes)."""

    def __init__(self, source: BinaryIO, max_bytes: int) -> None:
        self._source, self._gzip = source, gzip.GzipFile(fileobj=source)
        self._max, self._seen = max_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            self._seen = self._gzip.seek(offset)
        return self._seen

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._gzip.read1(len(buffer))  # what comes before a damaged place is still handed out
        self._seen += len(data)
        if self._seen > self._max:
            raise DecompressedTooLarge(limit_bytes=self._max, setting="data.max_decompressed_bytes")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._gzip.close()
            self._source.close()
        super().close()
