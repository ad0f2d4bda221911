"""Makes a folder of derived model files exactly once, in a child process.

    <root>/<base id>-<8 hex>/<form>/            finished, with manifest.json
    <root>/<base id>-<8 hex>/.<form>.lock       flock: one maker at a time, over all processes
    <root>/<base id>-<8 hex>/.<form>.work       what the current maker is writing

The child inherits the locked descriptor, so the lock lives as long as either of the two: when the
caller is killed the child goes on undisturbed, and the next caller waits for it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plinth.adapters.sources._child import MANIFEST
from plinth.adapters.sources.files import sha256_file
from plinth.catalog.errors import ConversionFailed, HubUnreachable, SourceRefused
from plinth.catalog.ports import Progress
from plinth.kit.errors import PlinthError, StorageFull

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Task:
    """One thing to make.

    Args:
        folder: where it belongs, `<root>/<base id>-<8 hex>`.
        form: the name of the finished folder inside it.
        program: module of the child; it is given `--work` and `--out`.
        arguments: further flags of the child.
        files: small input files by flag; they are written beside the lock for the child to read.
        hub: the hub's name, for the error when it does not answer.
    """

    base_id: str
    folder: Path
    form: str
    program: str
    arguments: Sequence[str] = ()
    files: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    hub: str = ""

    @property
    def out(self) -> Path:
        return self.folder / self.form


class Workshop:
    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds

    def make(self, task: Task, progress: Progress | None = None) -> Path:
        """The finished folder. Raises: ConversionFailed, HubUnreachable, SourceRefused, StorageFull."""
        if is_complete(task.out):
            return task.out
        task.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + self._timeout_seconds
        with _locked(task, deadline) as descriptor:
            if not is_complete(task.out):
                self._run(task, descriptor, deadline, progress)
        return task.out

    def _run(self, task: Task, descriptor: int, deadline: float, progress: Progress | None) -> None:
        work = task.folder / f".{task.form}.work"
        shutil.rmtree(work, ignore_errors=True)  # of a maker that was killed: we hold its lock now
        flags = [*task.arguments, "--work", str(work), "--out", str(task.out)]
        for flag, text in task.files.items():
            path = task.folder / f".{task.form}{flag.replace('-', '_')}"
            path.write_text(text, encoding="utf-8")
            flags += [flag, str(path)]
        child = Child(task.program, flags, task.environment, descriptor)
        try:
            child.follow(deadline - time.monotonic(), progress)
        except ChildFailed as failure:
            shutil.rmtree(work, ignore_errors=True)
            raise _translate(task, failure) from None
        if not is_complete(task.out):
            raise ConversionFailed(form=task.form, id=task.base_id, reason="the result was not complete")


class ChildFailed(Exception):
    """Args: `kind` as in `_child`."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind, self.message = kind, message
        super().__init__(message)


class Child:
    """A running `python -m program`, its answers read line by line."""

    def __init__(self, program: str, flags: Sequence[str], environment: dict[str, str], keep_open: int | None) -> None:
        # none of our settings and secrets; nothing in there may fetch code or files by itself
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PLINTH_")}
        offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"}
        self._process = subprocess.Popen(  # noqa: S603 our own program with our own flags, no shell
            [sys.executable, "-m", program, *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # progress bars and warnings; a failure is told on stdout
            env={**inherited, **offline, **environment},
            pass_fds=() if keep_open is None else (keep_open,),
            text=True,
        )

    def follow(self, timeout_seconds: float, progress: Progress | None = None) -> dict[str, Any] | None:
        """Wait for the end; its `result`, if it gave one. Raises: ChildFailed."""
        too_late = threading.Event()

        def end() -> None:
            too_late.set()
            self._process.kill()

        timer = threading.Timer(max(timeout_seconds, 0.1), end)
        timer.start()
        result: dict[str, Any] | None = None
        try:
            for line in self._lines():
                if "error" in line:
                    raise ChildFailed(str(line.get("kind")), str(line["error"]))
                if "progress" in line and progress is not None:
                    progress(float(line["progress"]))
                result = line.get("result", result)
            code = self._process.wait()
            if code != 0:
                reason = "it took too long" if too_late.is_set() else f"the process ended with status {code}"
                raise ChildFailed("failed", reason)
            return result
        finally:
            timer.cancel()
            self._process.kill()
            self._process.wait()

    def _lines(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for text in output:
                yield json.loads(text)


def is_complete(folder: Path) -> bool:
    """Whether a finished folder holds every file of its manifest, in full length."""
    return all(path.is_file() and path.stat().st_size == entry["size"] for path, entry in _entries(folder)) and (
        (folder / MANIFEST).is_file()
    )


def damaged_file(folder: Path) -> Path | None:
    """The first file whose content is not what the manifest says (reads everything)."""
    for path, entry in _entries(folder):
        if not path.is_file() or sha256_file(path, fresh=True) != entry["sha256"]:
            return path
    return None


def _entries(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [(folder / name, entry) for name, entry in manifest["files"].items()]


@contextmanager
def _locked(task: Task, deadline: float) -> Iterator[int]:
    descriptor = os.open(task.folder / f".{task.form}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                reason = "another process is still making them"
                raise ConversionFailed(form=task.form, id=task.base_id, reason=reason)
            time.sleep(POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _translate(task: Task, failure: ChildFailed) -> PlinthError:
    log.error("preparing model files failed", extra={"base": task.base_id, "form": task.form, "kind": failure.kind})
    if failure.kind == "storage_full":
        return StorageFull(path=task.folder)
    return hub_failure(task.hub, failure) or ConversionFailed(form=task.form, id=task.base_id, reason=failure.message)


def hub_failure(hub: str, failure: ChildFailed) -> PlinthError | None:
    """The error for what a hub refused or did not answer; None when it was something else."""
    if failure.kind == "unreachable":
        return HubUnreachable(hub=hub, reason=failure.message)
    return SourceRefused(reason=failure.message) if failure.kind == "refused" else None
