"""How blob writers write: temporary files, locked while their writer lives, removed when it is dead."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from plinth.kit.blobs import BlobRef
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


class SpoolWriter:
    """Hashes and counts into a locked temporary file in `folder`; `deliver(spool, digest, size)` makes
    it visible, while the lock still keeps a starting process from removing the file.

    Args: `volume` is what a full disk's error names.
    """

    def __init__(self, folder: Path, deliver: Callable[[Path, str, int], None], volume: Path) -> None:
        self._volume, self._deliver = volume, deliver
        descriptor, self._path = locked_file(folder)
        self._file = os.fdopen(descriptor, "wb")
        self._hash, self._size = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise translate(error, self._volume) from error
        self._hash.update(data)
        self._size += len(data)

    def commit(self) -> BlobRef:
        try:
            self._file.flush()
            digest = self._hash.hexdigest()
            self._deliver(self._path, digest, self._size)
        except OSError as error:
            raise translate(error, self._volume) from error
        finally:
            self.abort()
        return BlobRef(digest, self._size)

    def abort(self) -> None:
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # the buffered tail could not be flushed (full disk); the file is gone anyway
            self._file.close()
