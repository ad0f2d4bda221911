"""Blobs in a folder: `blobs/ab/abcdef…`, written beside, fsynced, renamed into place."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from plinth.adapters.blobs._spool import is_digest, locked_file, remove_abandoned, translate
from plinth.kit.blobs import BlobRef, BlobWriter
from plinth.kit.errors import NotFound


class FolderBlobs:
    """Args: `root` must be on one file system (renames are atomic). What writers that were killed
    left behind is removed here."""

    def __init__(self, root: Path) -> None:
        self._root, self._incoming = root, root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self._incoming)

    def writer(self) -> BlobWriter:
        return _FolderWriter(self._root, self._incoming)

    def open(self, digest: str) -> BinaryIO:
        return self.local_path(digest).open("rb")

    def exists(self, digest: str) -> bool:
        return is_digest(digest) and self._path(digest).exists()

    def delete(self, digest: str) -> None:
        if is_digest(digest):
            self._path(digest).unlink(missing_ok=True)

    def local_path(self, digest: str) -> Path:
        if not self.exists(digest):
            raise NotFound(what="blob", id=digest)
        return self._path(digest)

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest


class _FolderWriter:
    def __init__(self, root: Path, incoming: Path) -> None:
        self._root = root
        descriptor, self._path = locked_file(incoming)
        self._file = os.fdopen(descriptor, "wb")
        self._hash, self._size = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise translate(error, self._root) from error
        self._hash.update(data)
        self._size += len(data)

    def commit(self) -> BlobRef:
        digest = self._hash.hexdigest()
        target = self._root / digest[:2] / digest
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            target.parent.mkdir(exist_ok=True)
            self._path.chmod(0o440)
            # closed only after the rename: the lock keeps a starting process from removing the file
            self._path.replace(target)
        except OSError as error:
            raise translate(error, self._root) from error
        self._file.close()
        _fsync_folder(target.parent)
        return BlobRef(digest, self._size)

    def abort(self) -> None:
        try:
            self._file.close()
        except OSError:
            pass  # the buffered tail could not be flushed (full disk); the file goes away anyway
        self._path.unlink(missing_ok=True)


def _fsync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
