"""Answers of a running batch, on the worker's disk: an append-only file that survives `kill -9`.

One line a record:

    <crc32, 8 hex digits> <input line> <o|e> <input> <cached> <output> <reasoning tokens> <JSON>

`o` goes to the output file, `e` to the error file. A record is written in one piece, so a killed
process leaves at most a torn last line; it is cut off, and whatever the checksum does not confirm is
as if it had never been: its line is asked again. The first record of a line counts. In memory is
one number (8 bytes) for every line of the input.

One process holds a spool; a second one waits for its lock.
"""

from __future__ import annotations

import fcntl
import os
import time
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

LOCK_SECONDS = 60.0
_HEAD_PARTS = 7


class SpoolBusy(Exception):
    """Another process works on this batch."""


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one input line. `tokens`: input, cached, output, reasoning. `content` is one JSON object."""

    number: int
    good: bool
    tokens: tuple[int, int, int, int]
    content: bytes


class Spool:
    """Use as a context manager. Args: `folder` belongs to one batch and is made if it is missing."""

    def __init__(self, folder: Path, lock_seconds: float = LOCK_SECONDS) -> None:
        self._folder, self._lock_seconds = folder, lock_seconds
        self._offsets = array("q")
        self._end = self._synced_to = 0
        self.completed = self.failed = 0
        self.tokens = [0, 0, 0, 0]
        self._descriptor = -1
        self._reader: BinaryIO

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / "answers"
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._lock()
            self._reader = path.open("rb")
            self._load()
            os.ftruncate(self._descriptor, self._end)
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.sync()
        finally:
            self._reader.close()
            os.close(self._descriptor)

    def __contains__(self, number: int) -> bool:
        return number < len(self._offsets) and self._offsets[number] >= 0

    def append(self, record: Record) -> None:
        """Raises `OSError` (a full disk) and then has changed nothing."""
        if record.number in self:
            return
        line = _encode(record)
        try:
            written = 0
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._note(record.number, record.good, record.tokens, self._end)
        self._end += len(line)

    def get(self, number: int) -> Record | None:
        if number not in self:
            return None
        self._reader.seek(self._offsets[number])
        return _decode(self._reader.readline())

    def sync(self) -> None:
        """Past this, a record also survives a power cut."""
        if self._synced_to != self._end:
            os.fdatasync(self._descriptor)
            self._synced_to = self._end

    def _lock(self) -> None:
        deadline = time.monotonic() + self._lock_seconds
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise SpoolBusy from None
                time.sleep(0.1)

    def _load(self) -> None:
        while (line := self._reader.readline()).endswith(b"\n"):
            record = _decode(line)
            if record is not None and record.number not in self:
                self._note(record.number, record.good, record.tokens, self._end)
            self._end += len(line)

    def _note(self, number: int, good: bool, tokens: Sequence[int], offset: int) -> None:
        missing = number + 1 - len(self._offsets)
        if missing > 0:
            self._offsets.extend([-1] * (missing + 1024))
        self._offsets[number] = offset
        self.completed += good
        self.failed += not good
        self.tokens = [have + more for have, more in zip(self.tokens, tokens, strict=True)]


def _encode(record: Record) -> bytes:
    head = f"{record.number} {'o' if record.good else 'e'} {' '.join(map(str, record.tokens))} ".encode()
    return b"%08x %b%b\n" % (zlib.crc32(head + record.content), head, record.content)


def _decode(line: bytes) -> Record | None:
    checksum, _, rest = line.rstrip(b"\n").partition(b" ")
    if b"%08x" % zlib.crc32(rest) != checksum:
        return None
    number, flag, *tokens, content = rest.split(b" ", _HEAD_PARTS - 1)
    first, second, third, fourth = map(int, tokens)
    return Record(int(number), flag == b"o", (first, second, third, fourth), content)
