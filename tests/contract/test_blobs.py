"""Every blob store keeps the same promises: the twin, a folder, and S3 (moto's server on loopback)."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plinth.adapters.blobs.folder import FolderBlobs
from plinth.adapters.blobs.s3 import S3Blobs, connect
from plinth.kit.blobs import Blobs, InMemoryBlobs, get_bytes, put_bytes, put_file, writing
from plinth.kit.errors import NotFound, StorageFull, TooLarge, Unavailable

BUCKET = "plinth"
NOWHERE = hashlib.sha256(b"nowhere").hexdigest()


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def make_s3(s3_url: str, tmp_path: Path) -> Iterator[Callable[[], S3Blobs]]:
    client = connect(endpoint_url=s3_url, region="us-east-1", access_key="test", secret="test")
    client.create_bucket(Bucket=BUCKET)
    yield lambda: S3Blobs(client, BUCKET, tmp_path / "cache")
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    client.delete_bucket(Bucket=BUCKET)
    client.close()


@pytest.fixture(params=["memory", "folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "memory":
        return InMemoryBlobs(tmp_path)
    if request.param == "folder":
        return FolderBlobs(tmp_path / "blobs")
    made: Blobs = request.getfixturevalue("make_s3")()
    return made


def test_what_is_written_comes_back(blobs: Blobs) -> None:
    with writing(blobs) as writer:
        writer.write(b"hello ")
        writer.write(b"world")
        ref = writer.commit()
    assert (ref.digest, ref.size) == (hashlib.sha256(b"hello world").hexdigest(), 11)
    assert blobs.exists(ref.digest)
    assert get_bytes(blobs, ref.digest) == b"hello world"


def test_reading_seeks_and_reads_lines(blobs: Blobs) -> None:
    ref = put_bytes(blobs, b"one\ntwo\nthree")
    with blobs.open(ref.digest) as source:
        assert source.read(2) == b"on"
        assert source.tell() == 2
        assert source.seek(4) == 4
        assert source.readline() == b"two\n"
        assert source.read() == b"three"
        assert source.read() == b""
        source.seek(-5, io.SEEK_END)
        assert list(source) == [b"three"]


def test_nothing_is_visible_before_commit_or_after_abort(blobs: Blobs) -> None:
    digest = hashlib.sha256(b"half").hexdigest()
    writer = blobs.writer()
    writer.write(b"half")
    assert not blobs.exists(digest)
    writer.abort()
    writer.abort()
    assert not blobs.exists(digest)
    with writing(blobs) as writer:
        writer.write(b"half")
    assert not blobs.exists(digest)


def test_the_same_content_twice_is_one_blob(blobs: Blobs) -> None:
    first, second = put_bytes(blobs, b"same"), put_bytes(blobs, b"same")
    assert first == second
    blobs.delete(first.digest)
    assert not blobs.exists(second.digest)


def test_an_empty_blob(blobs: Blobs) -> None:
    ref = put_bytes(blobs, b"")
    assert ref.size == 0
    assert get_bytes(blobs, ref.digest) == b""


def test_a_large_blob_from_a_file(blobs: Blobs, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 9 + b"end"  # more than one part of an S3 multipart upload
    source = tmp_path / "large"
    source.write_bytes(content)
    ref = put_file(blobs, source)
    assert ref.size == len(content)
    assert get_bytes(blobs, ref.digest) == content
    with pytest.raises(TooLarge):
        get_bytes(blobs, ref.digest, limit=100)


def test_what_is_not_there(blobs: Blobs) -> None:
    for digest in (NOWHERE, "", "../../etc/passwd", NOWHERE.upper()):
        assert not blobs_exists(blobs, digest)
        with pytest.raises(NotFound):
            blobs.open(digest)
    with pytest.raises(NotFound):
        blobs.local_path(NOWHERE)
    blobs.delete(NOWHERE)


def blobs_exists(blobs: Blobs, digest: str) -> bool:
    """The folder refuses names that are no digests with `NotFound`; the others say no."""
    try:
        return blobs.exists(digest)
    except NotFound:
        return False


def test_local_path_is_a_file_with_the_content(blobs: Blobs) -> None:
    ref = put_bytes(blobs, b"weights")
    path = blobs.local_path(ref.digest)
    assert path.read_bytes() == b"weights"
    assert blobs.local_path(ref.digest) == path


def test_writers_do_not_disturb_each_other(blobs: Blobs) -> None:
    with writing(blobs) as one, writing(blobs) as two:
        one.write(b"a")
        two.write(b"b")
        one.write(b"a")
        first, second = one.commit(), two.commit()
    assert get_bytes(blobs, first.digest) == b"aa"
    assert get_bytes(blobs, second.digest) == b"b"


# --- what only stores with a disk can get wrong


class FullDisk(io.BytesIO):
    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_full_disk_is_said_so_and_leaves_nothing(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Blobs = FolderBlobs(tmp_path / "cache") if kind == "folder" else request.getfixturevalue("make_s3")()
    fdopen = os.fdopen

    def full(descriptor: int, mode: str) -> FullDisk:
        fdopen(descriptor, mode).close()
        return FullDisk()

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", full)
        with pytest.raises(StorageFull), writing(store) as writer:
            writer.write(b"x")
    assert not store.exists(hashlib.sha256(b"x").hexdigest())
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


KILLED = """
import sys, time
from pathlib import Path
sys.path[:0] = {path!r}
from plinth.adapters.blobs.{module} import {name}
store = {make}
writer = store.writer()
writer.write(b"x" * 3_000_000)
print("writing", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_killed_writer_makes_nothing_visible(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    make, name = {
        "folder": (f"FolderBlobs(Path({str(folder)!r}))", "FolderBlobs"),
        "s3": (f"S3Blobs(None, 'unused', Path({str(folder)!r}))", "S3Blobs"),
    }[kind]
    script = KILLED.format(path=sys.path, module=kind, name=name, make=make)
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"writing\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    store: Blobs = FolderBlobs(folder) if kind == "folder" else request.getfixturevalue("make_s3")()
    assert not store.exists(hashlib.sha256(b"x" * 3_000_000).hexdigest())
    assert put_bytes(store, b"after").size == 5


def test_s3_removes_spools_of_dead_writers_only(make_s3: Callable[[], S3Blobs], tmp_path: Path) -> None:
    alive = make_s3().writer()
    alive.write(b"alive")
    abandoned = tmp_path / "cache" / "incoming" / "tmpdead"
    abandoned.write_bytes(b"half a blob")
    store = make_s3()
    assert not abandoned.exists()
    assert store.exists(alive.commit().digest)


def test_s3_checks_what_it_fetches(make_s3: Callable[[], S3Blobs], tmp_path: Path) -> None:
    store = make_s3()
    ref = put_bytes(store, b"right")
    store._client.put_object(Bucket=BUCKET, Key=store._key(ref.digest), Body=b"wrong")
    with pytest.raises(Unavailable, match="damaged"):
        store.local_path(ref.digest)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_s3_sends_known_content_once(make_s3: Callable[[], S3Blobs], monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_s3()
    put_bytes(store, b"same")
    monkeypatch.setattr(store._client, "upload_file", lambda *_, **__: pytest.fail("sent again"))
    put_bytes(store, b"same")


def test_s3_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    client = connect(endpoint_url="http://127.0.0.1:9", region="us-east-1", access_key="a", secret="SECRET")
    with pytest.raises(Unavailable) as caught:
        S3Blobs(client, BUCKET, tmp_path).exists(NOWHERE)
    assert "SECRET" not in str(caught.value)
    client.close()
