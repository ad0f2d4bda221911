"""Counters that the gateway workers of one host share: a memory-mapped file, no lock on the hot path.

    header | who has which column | the names of the rows | row 0: one 64-byte line a column | row 1 …

A column belongs to one process, known by its id and start time. A process writes only its own lines;
8-byte aligned writes are never seen half done. Taking a column, adding a row and clearing what a
dead process was still "running" happen under a lock file, never while a request is answered. A dead
process's counts of the last minutes stay until they are too old; only its column is used again.

The file is good for one boot of the machine (minutes are counted from the boot) and for processes
that see each other's ids: gateways in separate containers need a file each.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import mmap
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from struct import Struct

from plinth.gateway.limits.ports import CELL_BYTES, CELLS, LINE_BYTES, PASSING, Counters, InMemoryCounters

log = logging.getLogger(__name__)

COLUMNS = 64
ROWS = 16_384
_PAGE = 4096
_ROWS_AT_ONCE = 32  # disk space is claimed for so many
_VERSION = 1
# header cells
_USED = 4  # how many rows; the four before it say what kind of file this is
_HEADER = 8
_OWNER = 2  # cells a column: process id, start time
_IDENTITY = Struct("@4q")


def open_counters(path: Path, workers: int = 1) -> Counters:
    """The shared counters; when they cannot be had, this process's own, with a warning: a limit
    then holds for each worker by itself."""
    try:
        return MappedCounters(path, workers)
    except OSError as error:
        log.warning("limits are counted by each gateway worker for itself: %s", error)
        return InMemoryCounters()


class MappedCounters:
    """Opens the file, making it when it is missing or from before the last boot, and takes a column.

    Args:
        path: on a local disk or in memory; 64 MB long with holes, 4 kB of it used a limit.
        workers: how many are expected. They see each other from the first request on; one more than
            that is noticed within a second.
        columns, rows: how many fit at most.

    Raises `OSError` when the file cannot be made or every column is taken.
    """

    def __init__(self, path: Path, workers: int = 1, columns: int = COLUMNS, rows: int = ROWS) -> None:
        self._path, self._columns, self._max_rows = path, columns, rows
        self._names_at = _HEADER + columns * _OWNER
        head_bytes = (self._names_at + rows) * CELL_BYTES
        self._rows_at = -(-head_bytes // _PAGE) * _PAGE // CELL_BYTES
        self._row_cells = columns * CELLS
        self._row_of: dict[int, int] = {}
        self.closed = False
        self._me = (os.getpid(), _start_time(os.getpid()) or 0)
        with self._lock():
            self._map = self._open()
            self.cells = memoryview(self._map).cast("q")
            self._bury()
            self.column = self._take_column()
        self.lines: Callable[[int], tuple[int, ...]]
        self._width = 0
        self._widen(max(self.column + 1, min(workers, columns)))
        self.look()

    def row(self, name: str) -> int:
        """Raises `OSError` when the file or its disk is full."""
        digest = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)
        if digest in self._row_of:
            return self._row_of[digest]
        with self._lock():
            self._read_names()
            if digest not in self._row_of:
                self._add_row(digest)
        return self._row_of[digest]

    def look(self) -> None:
        """See which columns are in use, and bury the dead."""
        owners = list(self._owners())
        if any(owner != self._me and not _alive(*owner) for _, owner in owners):
            with self._lock():
                self._bury()
        self._widen(owners[-1][0] + 1 if owners else 1)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        with self._lock():
            self._clear(self.column)
        os.close(self._descriptor)

    def _widen(self, width: int) -> None:
        # a column that was given back keeps its counts of the last minutes: never look at fewer
        if width > self._width:
            self._width = width
            self.lines = partial(Struct(f"@{CELLS * width}q").unpack_from, self._map)

    def _open(self) -> mmap.mmap:
        size = (self._rows_at + self._max_rows * self._row_cells) * CELL_BYTES
        wanted = (_VERSION, _boot(), self._columns, self._max_rows)
        for _ in range(2):
            with contextlib.suppress(FileNotFoundError):
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
                if os.fstat(self._descriptor).st_size == size:
                    found = mmap.mmap(self._descriptor, size)
                    if _IDENTITY.unpack_from(found) == wanted:
                        return found
                    found.close()
                os.close(self._descriptor)
            self._create(size, wanted)
        raise OSError(errno.EIO, "The file of the shared counters changed while it was opened", str(self._path))

    def _create(self, size: int, header: tuple[int, ...]) -> None:
        """Put a new file in place. Whoever still uses an old one keeps it: never shorten a mapped file."""
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, size)
            # a write to a hole on a full disk kills the process, so the space is claimed beforehand
            os.posix_fallocate(descriptor, 0, self._rows_at * CELL_BYTES)
            os.pwrite(descriptor, _IDENTITY.pack(*header), 0)
        finally:
            os.close(descriptor)
        fresh.replace(self._path)

    def _take_column(self) -> int:
        taken = {column for column, _ in self._owners()}
        column = next((c for c in range(self._columns) if c not in taken), None)
        if column is None:
            raise OSError(errno.EUSERS, f"All {self._columns} columns are taken; run fewer workers", str(self._path))
        self._clear(column)
        at = _HEADER + column * _OWNER
        self.cells[at + 1] = self._me[1]
        self.cells[at] = self._me[0]
        return column

    def _owners(self) -> Iterator[tuple[int, tuple[int, int]]]:
        cells = self.cells[_HEADER : self._names_at].tolist()
        for at in range(0, len(cells), _OWNER):
            if cells[at]:
                yield at // _OWNER, (cells[at], cells[at + 1])

    def _bury(self) -> None:
        """Clear what dead processes were running. Needs the lock."""
        for column, owner in list(self._owners()):
            if not _alive(*owner):
                log.warning("a gateway worker died; its running requests no longer count", extra={"pid": owner[0]})
                self._clear(column)

    def _clear(self, column: int) -> None:
        for row in range(self.cells[_USED]):
            self.cells[self._rows_at + row * self._row_cells + column * CELLS + PASSING] = 0
        at = _HEADER + column * _OWNER
        self.cells[at] = self.cells[at + 1] = 0

    def _read_names(self) -> None:
        # names are only ever added, so those that are known need no second look
        for position in range(len(self._row_of), self.cells[_USED]):
            self._row_of[self.cells[self._names_at + position]] = self._rows_at + position * self._row_cells

    def _add_row(self, digest: int) -> None:
        used = self.cells[_USED]
        if used >= self._max_rows:
            raise OSError(errno.ENOSPC, f"All {used} rows are taken; delete some limits and restart", str(self._path))
        row = self._rows_at + used * self._row_cells
        if used % _ROWS_AT_ONCE == 0:
            ahead = min(_ROWS_AT_ONCE, self._max_rows - used)
            os.posix_fallocate(self._descriptor, row * CELL_BYTES, ahead * self._columns * LINE_BYTES)
        self.cells[self._names_at + used] = digest
        self.cells[_USED] = used + 1
        self._row_of[digest] = row

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)  # and so unlocks


def _boot() -> int:
    """Another number after every start of the machine."""
    text = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


def _alive(process: int, start_time: int) -> bool:
    return _start_time(process) == start_time


def _start_time(process: int) -> int | None:
    """When the process started, in clock ticks since the boot; None when it is gone or only a zombie.

    Source: proc(5), fields 3 and 22 of `/proc/<pid>/stat`.
    """
    try:
        with Path(f"/proc/{process}/stat").open("rb", buffering=0) as file:
            text = file.read()
    except OSError:
        return None
    fields = text.rpartition(b")")[2].split()  # the name before it may contain anything
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
