"""Temporary files of blob writers: locked while their writer lives, removed when it is dead."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from plinth.kit.errors import StorageFull


def locked_file(folder: Path) -> tuple[int, Path]:
    """A new file whose lock is held while its writer lives."""
    while True:
        descriptor, name = tempfile.mkstemp(dir=folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)  # a process that starts removed it before it was locked


def remove_abandoned(folder: Path) -> None:
    """Remove files whose writer is dead: its lock went with it."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def is_digest(digest: str) -> bool:
    return len(digest) == 64 and set(digest) <= set("0123456789abcdef")


def translate(error: OSError, folder: Path) -> Exception:
    """`StorageFull` for a full disk or quota, everything else as it is."""
    return StorageFull(path=folder) if error.errno in (errno.ENOSPC, errno.EDQUOT) else error
