"""Is it UTF-8, and if not, what does it look like?

Knows bytes only: nothing of lines, rows or formats.
"""

from __future__ import annotations

import codecs
import re

BOM = codecs.BOM_UTF8
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SAMPLE_BYTES = 4096


def is_utf16(head: bytes) -> bool:
    return head.startswith(_UTF16)


def likely_encoding(sample: bytes) -> str:
    """A guess to show to a person, from bytes that are not UTF-8.

    Chinese encodings write high bytes in pairs, Western ones mostly write them alone.
    """
    if is_utf16(sample):
        return "UTF-16"
    runs = re.findall(rb"[\x80-\xff]+", sample)
    if not runs:
        return "an unknown encoding"
    paired = sum(1 for run in runs if len(run) > 1)
    codec = codecs.getincrementaldecoder("gb18030")()  # incremental: the sample may end inside a character
    try:
        text = codec.decode(sample)
    except UnicodeDecodeError:
        text = ""
    chinese = any("\u4e00" <= character <= "\u9fff" for character in text)
    return "GB18030" if chinese and paired * 2 >= len(runs) else "Windows-1252"


class Utf8Check:
    """Watches a stream of bytes go by; remembers where it stopped being UTF-8.

    After `finish`, `bad_offset` is None or the offset (bytes) of the first byte that cannot be decoded.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._seen, self._sample = 0, b""
        self.bad_offset: int | None = None

    def feed(self, data: bytes) -> None:
        if self.bad_offset is not None:
            if len(self._sample) < _SAMPLE_BYTES:
                self._sample += data[: _SAMPLE_BYTES - len(self._sample)]
            return
        pending = self._decoder.getstate()[0]
        try:
            self._decoder.decode(data)
        except UnicodeDecodeError as error:
            # the decoder counts from the bytes it had kept of the chunk before
            self.bad_offset = self._seen - len(pending) + error.start
            self._sample = (pending + data)[max(error.start - 64, 0) :][:_SAMPLE_BYTES]
        self._seen += len(data)

    def finish(self) -> None:
        pending = self._decoder.getstate()[0]
        if self.bad_offset is None and pending:
            self.bad_offset, self._sample = self._seen - len(pending), pending

    @property
    def looks_like(self) -> str:
        return likely_encoding(self._sample)
