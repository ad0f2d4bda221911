"""Blobs in a folder: `blobs/ab/abcdef…`, written beside, fsynced, renamed into place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from plinth.adapters.blobs._spool import SpoolWriter, is_digest, remove_abandoned
from plinth.kit.blobs import BlobWriter
from plinth.kit.errors import NotFound


class FolderBlobs:
    """Args: `root` must be on one file system (renames are atomic). What writers that were killed
    left behind is removed here."""

    def __init__(self, root: Path) -> None:
        self._root, self._incoming = root, root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self._incoming)

    def writer(self) -> BlobWriter:
        return SpoolWriter(self._incoming, self._keep, self._root)

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

    def _keep(self, spool: Path, digest: str, _size: int) -> None:
        target = self._path(digest)
        _fsync(spool)
        target.parent.mkdir(exist_ok=True)
        spool.chmod(0o440)
        spool.replace(target)
        _fsync(target.parent)

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
