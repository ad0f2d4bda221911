"""Blobs in an S3-compatible store (AWS S3, MinIO, Ceph, …): one object a blob, `<prefix>ab/abcdef…`.

Bytes are spooled to the local cache folder until their digest is known, then sent once under their
final key (in parallel parts when they are large). An object is therefore complete or absent, content
that is there already is not sent again, and a crash leaves at most a spool file, which the next
start removes, and parts of an unfinished multipart upload, which a life-cycle rule of the bucket
should abort. Needs the extra `s3`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from plinth.adapters.blobs._spool import SpoolWriter, is_digest, remove_abandoned
from plinth.kit.blobs import CHUNK_BYTES, BlobWriter
from plinth.kit.errors import MissingExtra, NotFound, Unavailable

PART_BYTES = 8 << 20
READ_AHEAD_BYTES = 4 << 20
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})


def connect(
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    access_key: str | None = None,
    secret: str | None = None,
) -> Any:
    """A boto3 client. What is None comes from the environment, as boto3 looks it up. Raises `MissingExtra`."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise MissingExtra(extra="s3") from error
    # stores other than AWS often refuse the checksum trailers that boto3 sends unasked
    config = Config(
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "max_attempts": 4},
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        config=config,
    )


class S3Blobs:
    """Args: `client` from `connect`; `cache` is a local folder for spools and fetched copies."""

    def __init__(self, client: Any, bucket: str, cache: Path, prefix: str = "blobs/") -> None:
        self._client, self._bucket, self._prefix, self._cache = client, bucket, prefix, cache
        self._spools = cache / "incoming"
        self._spools.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self._spools)

    def writer(self) -> BlobWriter:
        return SpoolWriter(self._spools, self._send, self._spools)

    def open(self, digest: str) -> BinaryIO:
        size = self._size(digest)
        if size is None:
            raise NotFound(what="blob", id=digest)
        return io.BufferedReader(_ObjectReader(self._client, self._bucket, self._key(digest), size), READ_AHEAD_BYTES)

    def exists(self, digest: str) -> bool:
        return self._size(digest) is not None

    def delete(self, digest: str) -> None:
        if not is_digest(digest):
            return
        with _reaching_the_store():
            self._client.delete_object(Bucket=self._bucket, Key=self._key(digest))
        self._cached(digest).unlink(missing_ok=True)

    def local_path(self, digest: str) -> Path:
        """A cached copy; fetched when it is missing, and its hash checked before it gets its name."""
        if not is_digest(digest):
            raise NotFound(what="blob", id=digest)
        path = self._cached(digest)
        if not path.exists():
            with self.open(digest) as source:
                writer = SpoolWriter(
                    self._spools, lambda spool, found, _: _keep(spool, path, digest, found), self._spools
                )
                try:
                    while chunk := source.read(CHUNK_BYTES):
                        writer.write(chunk)
                    writer.commit()
                finally:
                    writer.abort()
        return path

    def _send(self, spool: Path, digest: str, size: int) -> None:
        from boto3.s3.transfer import TransferConfig

        if self._size(digest) == size:
            return
        config = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4)
        with _reaching_the_store():
            self._client.upload_file(str(spool), self._bucket, self._key(digest), Config=config)

    def _size(self, digest: str) -> int | None:
        from botocore.exceptions import ClientError

        if not is_digest(digest):
            return None
        with _reaching_the_store():
            try:
                return int(self._client.head_object(Bucket=self._bucket, Key=self._key(digest))["ContentLength"])
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _ABSENT:
                    return None
                raise

    def _key(self, digest: str) -> str:
        return f"{self._prefix}{digest[:2]}/{digest}"

    def _cached(self, digest: str) -> Path:
        return self._cache / digest[:2] / digest


class _ObjectReader(io.RawIOBase):
    """Ranged reads of one object; wrapped in a buffer, each request fetches `READ_AHEAD_BYTES`."""

    def __init__(self, client: Any, bucket: str, key: str, size: int) -> None:
        self._client, self._bucket, self._key = client, bucket, key
        self._size, self._position = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(origin + offset, 0)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._fetch(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._fetch(self._size)  # the default asks again and again for a few kilobytes

    def _fetch(self, wanted: int) -> bytes:
        wanted = min(wanted, self._size - self._position)
        if wanted <= 0:
            return b""
        span = f"bytes={self._position}-{self._position + wanted - 1}"
        with _reaching_the_store():
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key, Range=span)
            data: bytes = answer["Body"].read()
        self._position += len(data)
        return data


@contextmanager
def _reaching_the_store() -> Iterator[None]:
    """What goes wrong between us and the store is `Unavailable`, without the request (it may hold secrets)."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise Unavailable(
            reason="The object store did not do what was asked. Check its address, bucket and credentials."
        ) from error


def _keep(spool: Path, path: Path, digest: str, found: str) -> None:
    if found != digest:
        raise Unavailable(reason=f"The object store returned damaged content for blob {digest}. Check the store.")
    path.parent.mkdir(exist_ok=True)
    spool.chmod(0o440)
    spool.replace(path)
