"""Bytes on their way into a blob: counted, limited and checked while they stream by.

Knows neither HTTP nor the database. The digest is known before the blob becomes visible, so that a
reservation can be stored first and a crash in between leaves nothing behind (see `Content`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from plinth.data.errors import EmptyFile, InvalidEncoding
from plinth.data.formats import Utf8Check
from plinth.data.model import TEXT_PURPOSES
from plinth.kit.blobs import BlobRef, Blobs, BlobWriter, writing
from plinth.kit.errors import TooLarge

_GZIP_MAGIC = b"\x1f\x8b"


class Intake:
    """One stream of bytes. Args: `write` raises `error` beyond `limit_bytes`; `setting` is what moves the limit."""

    def __init__(self, writer: BlobWriter, limit_bytes: int, setting: str, error: type[TooLarge] = TooLarge) -> None:
        self._writer, self.limit_bytes, self.setting = writer, limit_bytes, setting
        self._error, self._sha256 = error, hashlib.sha256()
        self._utf8, self._head, self.size = Utf8Check(), b"", 0

    def write(self, data: bytes) -> None:
        """Raises `TooLarge`, `StorageFull`."""
        self.size += len(data)
        if self.size > self.limit_bytes:
            raise self._error(limit_bytes=self.limit_bytes, setting=self.setting, param="file")
        if len(self._head) < len(_GZIP_MAGIC):
            self._head = (self._head + data)[: len(_GZIP_MAGIC)]
        self._sha256.update(data)
        self._utf8.feed(data)
        self._writer.write(data)

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()

    def check(self, filename: str, purpose: str) -> None:
        """Raises `EmptyFile`; `InvalidEncoding` when the purpose needs text (compressed text is checked when read)."""
        if not self.size:
            raise EmptyFile(filename=filename, param="file")
        self._utf8.finish()
        if purpose in TEXT_PURPOSES and self._head != _GZIP_MAGIC and self._utf8.bad_offset is not None:
            raise InvalidEncoding(
                filename=filename, offset=self._utf8.bad_offset, encoding=self._utf8.looks_like, param="file"
            )

    def commit(self) -> BlobRef:
        return self._writer.commit()


@contextmanager
def taking_in(blobs: Blobs, limit_bytes: int, setting: str, error: type[TooLarge] = TooLarge) -> Iterator[Intake]:
    """An intake whose bytes vanish unless it was committed."""
    with writing(blobs) as writer:
        yield Intake(writer, limit_bytes, setting, error)
