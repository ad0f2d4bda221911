"""Blobs in a folder: `blobs/ab/abcdef…`, written beside, fsynced, renamed into place."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from plinth.kit.blobs import BlobRef, BlobWriter
from plinth.kit.errors import NotFound, StorageFull


class FolderBlobs:
    """Args: `root` is created on first use; it must be on one file system (renames are atomic)."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def writer(self) -> BlobWriter:
        return _FolderWriter(self._root)

    def open(self, digest: str) -> BinaryIO:
        try:
            return self._path(digest).open("rb")
        except FileNotFoundError:
            raise NotFound(what="blob", id=digest) from None

    def exists(self, digest: str) -> bool:
        return self._path(digest).exists()

    def delete(self, digest: str) -> None:
        self._path(digest).unlink(missing_ok=True)

    def local_path(self, digest: str) -> Path:
        path = self._path(digest)
        if not path.exists():
            raise NotFound(what="blob", id=digest)
        return path

    def _path(self, digest: str) -> Path:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise NotFound(what="blob", id=digest)
        return self._root / digest[:2] / digest


class _FolderWriter:
    def __init__(self, root: Path) -> None:
        self._root = root
        incoming = root / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=incoming)
        self._file, self._path = os.fdopen(descriptor, "wb"), Path(name)
        self._hash, self._size = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._full(error) from error
        self._hash.update(data)
        self._size += len(data)

    def commit(self) -> BlobRef:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._full(error) from error
        self._file.close()
        digest = self._hash.hexdigest()
        target = self._root / digest[:2] / digest
        target.parent.mkdir(exist_ok=True)
        self._path.chmod(0o440)
        self._path.replace(target)
        _fsync_folder(target.parent)
        return BlobRef(digest, self._size)

    def abort(self) -> None:
        try:
            self._file.close()
        except OSError:
            pass  # the buffered tail could not be flushed (full disk); the file goes away anyway
        self._path.unlink(missing_ok=True)

    def _full(self, error: OSError) -> Exception:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StorageFull(path=self._root)
        return error


def _fsync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
