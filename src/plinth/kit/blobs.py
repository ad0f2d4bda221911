"""Content-addressed storage for bytes: a blob's name is the SHA-256 of its content.

Writing is all or nothing: bytes stream into a private temporary place while they are hashed and
counted; `commit` makes them visible under their digest, `abort` (or leaving the `with`) removes
them. The same content is stored once. `tests/contract/test_blobs.py` runs on every adapter.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from plinth.kit.errors import NotFound, TooLarge

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class BlobRef:
    """`digest` is 64 lower-case hex digits; `size` is in bytes."""

    digest: str
    size: int


class BlobWriter(Protocol):
    """One upload in progress."""

    def write(self, data: bytes) -> None: ...
    def commit(self) -> BlobRef: ...
    def abort(self) -> None: ...


class Blobs(Protocol):
    def writer(self) -> BlobWriter: ...
    def open(self, digest: str) -> BinaryIO:
        """A seekable binary reader. Raises `NotFound`."""
        ...

    def exists(self, digest: str) -> bool: ...
    def delete(self, digest: str) -> None:
        """Remove the bytes; removing what is not there is fine."""
        ...

    def local_path(self, digest: str) -> Path:
        """A read-only file on this machine with the content (an adapter may have to fetch it)."""
        ...


@contextmanager
def writing(blobs: Blobs) -> Iterator[BlobWriter]:
    """A writer that is aborted unless it was committed."""
    writer = blobs.writer()
    try:
        yield writer
    finally:
        writer.abort()


def put_bytes(blobs: Blobs, data: bytes) -> BlobRef:
    with writing(blobs) as writer:
        writer.write(data)
        return writer.commit()


def put_file(blobs: Blobs, path: Path) -> BlobRef:
    with path.open("rb") as source, writing(blobs) as writer:
        while chunk := source.read(CHUNK_BYTES):
            writer.write(chunk)
        return writer.commit()


def get_bytes(blobs: Blobs, digest: str, limit: int | None = None) -> bytes:
    """The whole content; `limit` (bytes) guards against loading something huge by mistake."""
    with blobs.open(digest) as source:
        data = source.read() if limit is None else source.read(limit + 1)
    if limit is not None and len(data) > limit:
        raise TooLarge(limit_bytes=limit, setting="the caller's limit")
    return data


class InMemoryBlobs:
    """The twin: a dictionary. `local_path` spills into the folder it was given."""

    def __init__(self, folder: Path | None = None) -> None:
        self.content: dict[str, bytes] = {}
        self._folder = folder

    def writer(self) -> BlobWriter:
        return _MemoryWriter(self.content)

    def open(self, digest: str) -> BinaryIO:
        if digest not in self.content:
            raise NotFound(what="blob", id=digest)
        return io.BytesIO(self.content[digest])

    def exists(self, digest: str) -> bool:
        return digest in self.content

    def delete(self, digest: str) -> None:
        self.content.pop(digest, None)

    def local_path(self, digest: str) -> Path:
        if self._folder is None:
            raise ValueError("InMemoryBlobs was made without a folder for local_path")
        with self.open(digest) as source:
            path = self._folder / digest
            if not path.exists():
                path.write_bytes(source.read())
        return path


class _MemoryWriter:
    def __init__(self, content: dict[str, bytes]) -> None:
        self._content, self._buffer = content, io.BytesIO()

    def write(self, data: bytes) -> None:
        self._buffer.write(data)

    def commit(self) -> BlobRef:
        data = self._buffer.getvalue()
        digest = hashlib.sha256(data).hexdigest()
        self._content[digest] = data
        return BlobRef(digest, len(data))

    def abort(self) -> None:
        self._buffer = io.BytesIO()
