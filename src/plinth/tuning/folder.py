"""The run folder: how a trainer's process and its parent talk. Standard library only.

    spec.json          the order (`TrainingSpec`)
    lock               held by the process that works here; two never do
    control            `pause <pid>` or `cancel <pid>`, written by the parent for that one process
    progress.jsonl     what happened, one JSON object a line, appended by the trainer
    state.json         facts a resumed run must share (precision, caching, threads)
    checkpoints/checkpoint-<step>/     adapter, optimizer, state; complete or absent
    peft/ adapter.gguf parity.json results.csv     the artefacts, then
    done.json          the run is finished        error.json   the run failed for good

A progress line with a `key` is a fact that is told once; without a key it is a reading of the
clock. After a crash a resumed trainer repeats some keyed lines: readers keep the first.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class ExitStatus(IntEnum):
    finished = 0
    failed = 1
    stopped = 3
    busy = 4
    storage_full = 5


class RunFailed(Exception):
    """The run cannot succeed however often it is repeated. Becomes the job's `error`."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        self.code, self.message, self.param = code, message, param
        super().__init__(message)

    def to_dict(self) -> Json:
        return {"code": self.code, "message": self.message, "param": self.param}


class Busy(Exception):
    """Another process works in this folder."""


class RunFolder:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.spec = root / "spec.json"
        self.lock = root / "lock"
        self.control = root / "control"
        self.progress = root / "progress.jsonl"
        self.state = root / "state.json"
        self.checkpoints = root / "checkpoints"
        self.peft = root / "peft"
        self.gguf = root / "adapter.gguf"
        self.parity = root / "parity.json"
        self.results = root / "results.csv"
        self.done = root / "done.json"
        self.error = root / "error.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Raises: Busy. The kernel drops the lock when the process dies, however it dies."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy from None
            yield
        finally:
            os.close(descriptor)

    def wanted_stop(self) -> str | None:
        """What the parent asked this very process to do: "pause", "cancel" or nothing."""
        try:
            mode, _, pid = self.control.read_text(encoding="ascii").partition(" ")
        except FileNotFoundError:
            return None
        return mode if pid == str(os.getpid()) else None

    def ask_to_stop(self, mode: str, pid: int) -> None:
        part = self.control.with_suffix(".part")
        part.write_text(f"{mode} {pid}", encoding="ascii")
        part.replace(self.control)


def write_json(path: Path, value: Any) -> None:
    """All or nothing, and on disk when it returns."""
    write_bytes(path, json.dumps(value, ensure_ascii=False).encode())


def write_bytes(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as target:
            target.write(data)
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> Json | None:
    try:
        value: Json = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return value


class ProgressLog:
    """Appends lines to `progress.jsonl`; repairs a line that a crash cut short."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        self._file.seek(0)
        torn = False
        self.starts = 0
        for line in self._file:
            torn = not line.endswith(b"\n")
            self.starts += line.startswith(b'{"start"')
        if torn:
            self._file.write(b"\n")
        self.write({"start": self.starts + 1, "pid": os.getpid()})
        self.starts += 1

    def write(self, line: Json) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_progress(path: Path, offset: int) -> tuple[list[Json], int]:
    """The complete lines from byte `offset` on, and the offset after them. Torn lines are skipped."""
    try:
        with path.open("rb") as source:
            source.seek(offset)
            data = source.read()
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    lines = []
    for line in data[:end].splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            lines.append(value)
    return lines, offset + end
