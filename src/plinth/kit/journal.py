"""Lines that must not be lost, on their way from a process in a hurry to a store that may be away.

`Journal` writes each line into a segment: a file reserved on disk and mapped into memory, so a line
costs a copy and no system call, and survives a killed process (the pages are the kernel's; a power
cut may cost the last seconds). `Mover`, in any process of the same machine, hands the lines of closed
segments to a function in batches and deletes them; while that function fails they pile up on disk.
A line may be handed over twice after a crash: give it an id.

A segment is locked (flock) while its writer lives, so nobody needs to be told which ones are closed.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from plinth.kit.ids import new_id

log = logging.getLogger(__name__)

SEGMENT_BYTES = 1024 * 1024
_BATCH = 1000
_LONGEST_PAUSE_SECONDS = 5.0
_STILLBORN_SECONDS = 60.0
_SUFFIX = ".jsonl"


class Journal:
    """Appends to segments named `<name>-<id>.jsonl`. Not thread-safe; any number of processes may
    have one for the same folder and name."""

    def __init__(self, folder: Path, name: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder, self._name, self._segment_bytes = folder, name, segment_bytes
        self._segment: _Segment | None = None

    def append(self, line: bytes) -> None:
        """`line` ends with a line feed and holds no zero byte. Raises `OSError` when the disk is full."""
        if self._segment is not None:
            if self._segment.append(line):
                return
            self.rotate()
        self._segment = _Segment(self._folder, self._name, max(self._segment_bytes, len(line)))
        self._segment.append(line)

    def rotate(self) -> None:
        """Let a mover have what was written so far."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()


class _Segment:
    def __init__(self, folder: Path, name: str, size: int) -> None:
        self._size, self._used = size, 0
        hidden = folder / f".{new_id(f'{name}-')}"
        self._descriptor = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            os.posix_fallocate(self._descriptor, 0, size)  # a write into a hole of a full disk would kill us
            self._memory = mmap.mmap(self._descriptor, size)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            hidden.rename(folder / f"{hidden.name[1:]}{_SUFFIX}")  # from now on a mover may see it
        except OSError:
            os.close(self._descriptor)
            hidden.unlink(missing_ok=True)
            raise

    def append(self, line: bytes) -> bool:
        end = self._used + len(line)
        if end > self._size:
            return False
        self._memory[self._used : end] = line
        self._used = end
        return True

    def close(self) -> None:
        self._memory.close()
        os.ftruncate(self._descriptor, self._used)
        os.close(self._descriptor)


class Mover:
    """Args: `deliver` gets up to 1000 lines at a time and raises when it cannot take them."""

    def __init__(self, folder: Path, name: str, deliver: Callable[[list[bytes]], object]) -> None:
        self._folder, self._name, self._deliver = folder, name, deliver
        self._failing = False

    def run_once(self) -> int:
        """Move what is there; returns how many lines. Raises what `deliver` raises."""
        for hidden in self._folder.glob(f".{self._name}-*"):
            # its maker was killed before anything was in it; a living one needs it for microseconds
            with suppress(FileNotFoundError):
                if time.time() - hidden.stat().st_mtime > _STILLBORN_SECONDS:
                    hidden.unlink()
        return sum(map(self._move, sorted(self._folder.glob(f"{self._name}-*{_SUFFIX}"))))

    def run(self, stop: threading.Event, poll_seconds: float) -> None:
        """Move until told to stop, and once more then."""
        pause = poll_seconds
        while not stop.wait(pause):
            pause = poll_seconds if self._try() else min(_LONGEST_PAUSE_SECONDS, pause * 2)
        self._try()

    def _try(self) -> bool:
        try:
            self.run_once()
        except Exception:  # whatever keeps lines from being taken: they stay, it is tried again
            if not self._failing:
                log.exception("journal lines cannot be stored; they stay on disk", extra={"journal": self._name})
            self._failing = True
            return False
        if self._failing:
            log.warning("journal lines are stored again", extra={"journal": self._name})
        self._failing = False
        return True

    def _move(self, path: Path) -> int:
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:  # another mover was faster
            return 0
        with os.fdopen(descriptor, "rb") as file:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # its writer lives, or another mover works on it
                return 0
            # what was reserved and not written is zeros
            lines = file.read().rstrip(b"\0").splitlines()
            for start in range(0, len(lines), _BATCH):
                self._deliver(lines[start : start + _BATCH])
            path.unlink(missing_ok=True)
        return len(lines)
