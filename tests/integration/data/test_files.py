"""`client.files` of the real SDK against a real server."""

from __future__ import annotations

import errno
import io
import socket
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from plinth.adapters.blobs import folder as folder_module
from plinth.kit.blobs import put_bytes
from support import actor

from .conftest import SMALL, Platform, serving

CHAT = b'{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}\n'


def test_create_retrieve_content_delete(platform: Platform) -> None:
    files = platform.client.files
    made = files.create(file=("训练 数据.jsonl", CHAT), purpose="fine-tune")
    assert (made.filename, made.bytes, made.purpose, made.status) == (
        "训练 数据.jsonl",
        len(CHAT),
        "fine-tune",
        "processed",
    )
    assert made.created_at == int(platform.clock.unix())
    assert made.expires_at is None
    assert files.retrieve(made.id) == made
    assert files.wait_for_processing(made.id, poll_interval=0.01).status == "processed"
    response = files.content(made.id)
    assert response.content == CHAT
    assert response.response.headers["content-disposition"].startswith("attachment;")
    assert len(platform.stored()) == 1
    gone = files.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "file")
    assert platform.stored() == []
    with pytest.raises(openai.NotFoundError):
        files.retrieve(made.id)


def test_a_large_file_streams_through_and_comes_back_whole(platform: Platform, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    content = bytes(range(256)) * ((SMALL.max_file_bytes // 256) - 1)
    path.write_bytes(content)
    made = platform.client.files.create(file=path, purpose="user_data")
    with platform.client.files.with_streaming_response.content(made.id) as response:
        assert b"".join(response.iter_bytes()) == content


def test_list_pages_filters_and_orders(platform: Platform) -> None:
    files = platform.client.files
    ids = [files.create(file=(f"{n}.txt", b"text"), purpose="user_data").id for n in range(5)]
    other = files.create(file=("x.jsonl", CHAT), purpose="evals").id
    assert [f.id for f in files.list(limit=2)] == [other, *reversed(ids)]
    assert [f.id for f in files.list(purpose="user_data", order="asc", limit=2)] == ids
    assert [f.id for f in files.list(after=ids[1], order="asc", limit=2).data] == ids[2:4]
    assert list(files.list(purpose="vision")) == []
    with pytest.raises(openai.BadRequestError):
        files.list(limit=0)


def test_another_project_sees_nothing(platform: Platform) -> None:
    files = platform.client.files
    made = files.create(file=("a.txt", b"secret"), purpose="user_data")
    platform.caller.actor = actor("proj_b")
    assert list(files.list()) == []
    for call in (files.retrieve, files.content, files.delete):
        with pytest.raises(openai.NotFoundError) as caught:
            call(made.id)
        assert caught.value.code == "not_found"
    platform.caller.actor = actor("proj_a")
    assert files.content(made.id).content == b"secret"


def test_expiry(platform: Platform) -> None:
    files = platform.client.files
    kept = {"anchor": "created_at", "seconds": 3600}
    made = files.create(file=("a.txt", b"a"), purpose="user_data", expires_after=kept)
    batch = files.create(file=("b.jsonl", CHAT), purpose="batch")
    assert made.expires_at == made.created_at + 3600
    assert batch.expires_at == batch.created_at + 30 * 24 * 3600
    platform.clock.advance(3601)
    with pytest.raises(openai.NotFoundError):
        files.retrieve(made.id)
    assert platform.service.tidy(platform.db) >= 1
    platform.service.tidy(platform.db)
    assert len(platform.stored()) == 1
    for wrong in ({"anchor": "created_at", "seconds": 10}, {"anchor": "last_active_at", "seconds": 3600}):
        with pytest.raises(openai.BadRequestError) as caught:
            files.create(file=("a.txt", b"a"), purpose="user_data", expires_after=wrong)
        assert caught.value.code == "invalid_expires_after"


@pytest.mark.parametrize(
    ("content", "purpose", "status", "code"),
    [
        (b"", "fine-tune", 400, "empty_file"),
        (b"x", "fine-tuning", 400, "invalid_purpose"),
        ("文本".encode("gb18030"), "fine-tune", 400, "invalid_encoding"),
        (b"x" * (SMALL.max_file_bytes + 1), "user_data", 413, "request_too_large"),
        (b"x" * (SMALL.max_file_bytes + (5 << 20)), "user_data", 413, "request_too_large"),
    ],
)
def test_what_is_refused_leaves_nothing(
    platform: Platform, content: bytes, purpose: str, status: int, code: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        platform.client.files.create(file=("a.jsonl", content), purpose=purpose)  # type: ignore[arg-type]
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert platform.stored() == []
    assert list(platform.client.files.list()) == []


def test_the_refusal_names_offset_and_encoding_in_the_callers_language(platform: Platform) -> None:
    content = ("标题\n".encode() * 3) + "退款什么时候到账".encode("gb18030")
    chinese = platform.client.with_options(default_headers={"Accept-Language": "zh-CN"})
    with pytest.raises(openai.BadRequestError) as caught:
        chinese.files.create(file=("a.jsonl", content), purpose="evals")
    assert "偏移 21" in caught.value.body["message"]  # type: ignore[index]
    assert "GB18030" in caught.value.body["message"]  # type: ignore[index]


def test_missing_purpose_missing_file_and_no_form(platform: Platform) -> None:
    with httpx.Client(base_url=platform.url) as client:
        for request, code in (
            ({"files": {"file": ("a.txt", b"x")}}, "invalid_purpose"),
            ({"files": {"other": ("a.txt", b"x")}, "data": {"purpose": "user_data"}}, "missing_file"),
            ({"json": {"purpose": "user_data"}}, "invalid_multipart"),
            ({"content": b"junk", "headers": {"content-type": "multipart/form-data"}}, "invalid_multipart"),
            ({"content": b"junk", "headers": {"content-type": "multipart/form-data; boundary=b"}}, "invalid_multipart"),
        ):
            answer = client.post("/v1/files", **request)  # type: ignore[arg-type]
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert platform.stored() == []


def test_the_purpose_may_follow_the_file(platform: Platform) -> None:
    body = (
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\ncontent\r\n'
        b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--b--\r\n'
    )
    answer = httpx.post(
        f"{platform.url}/v1/files", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 200
    assert (answer.json()["filename"], answer.json()["bytes"]) == ("a.txt", 7)


HALF = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n' + b"x" * 200_000
)


def test_a_body_without_its_end_is_truncated(platform: Platform) -> None:
    answer = httpx.post(
        f"{platform.url}/v1/files", content=HALF, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "upload_truncated")
    assert platform.stored() == []


def test_a_client_that_hangs_up_leaves_nothing(platform: Platform) -> None:
    with socket.create_connection(("127.0.0.1", platform.port)) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 2000000\r\n\r\n" + HALF
        )
        wait_until(lambda: len(platform.stored()) == 1)
    wait_until(lambda: platform.stored() == [])
    assert list(platform.client.files.list()) == []


def wait_until(condition: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_a_client_that_sends_everything_before_it_reads_gets_the_refusal(platform: Platform) -> None:
    size = SMALL.max_file_bytes + (3 << 20)
    with socket.create_connection(("127.0.0.1", platform.port)) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n" % size
        )
        for _ in range(size // 65_536):
            time.sleep(0.001)  # slower than the server: it has answered long before the end
            connection.sendall(bytes(65_536))
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"request_too_large" in answer


class FullDisk(io.BytesIO):
    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_507_and_leaves_nothing(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    fdopen = folder_module.os.fdopen

    def full(descriptor: int, mode: str) -> FullDisk:
        fdopen(descriptor, mode).close()
        return FullDisk()

    monkeypatch.setattr(folder_module.os, "fdopen", full)
    with pytest.raises(openai.InternalServerError) as caught:
        platform.client.files.create(file=("a.bin", b"x" * 2_000_000), purpose="user_data")
    assert (caught.value.status_code, caught.value.code) == (507, "storage_full")
    monkeypatch.undo()
    assert platform.stored() == []
    assert list(platform.client.files.list()) == []


def test_bytes_stay_while_somebody_refers_to_them(platform: Platform) -> None:
    files = platform.client.files
    first = files.create(file=("a.txt", b"same"), purpose="user_data")
    second = files.create(file=("b.txt", b"same"), purpose="user_data")
    assert len(platform.stored()) == 1
    files.delete(first.id)
    assert files.content(second.id).content == b"same"
    files.delete(second.id)
    assert platform.stored() == []


def test_the_platform_stores_its_own_files(platform: Platform) -> None:
    blob = put_bytes(platform.service.files._blobs, b"step,loss\n")
    with platform.db.write() as session:
        made = platform.service.store_file(session, actor(), "metrics.csv", "fine-tune-results", blob)
    assert platform.client.files.retrieve(made.id).purpose == "fine-tune-results"
    assert platform.client.files.content(made.id).content == b"step,loss\n"


def test_reading_needs_permission(platform: Platform) -> None:
    from plinth.identity import Role

    platform.caller.actor = actor(role=Role.viewer)
    with pytest.raises(openai.PermissionDeniedError):
        platform.client.files.create(file=("a.txt", b"x"), purpose="user_data")
    assert list(platform.client.files.list()) == []


def test_the_body_is_never_in_memory_as_a_whole(platform: Platform) -> None:
    size = 32 << 20

    def body() -> Iterator[bytes]:
        yield HALF
        for _ in range(size // 65_536 - 8):
            yield bytes(65_536)
        yield b"\r\n--b--\r\n"

    large = SMALL.model_copy(update={"max_file_bytes": size})
    with serving(platform.db, platform.clock, platform.folder, large) as roomy:
        headers = {"content-type": "multipart/form-data; boundary=b"}
        tracemalloc.start()
        try:
            answer = httpx.post(f"{roomy.url}/v1/files", content=body(), headers=headers, timeout=60)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert answer.status_code == 200
    assert answer.json()["bytes"] > size - (1 << 20)
    assert peak < 12 << 20


def test_many_clients_with_the_same_content_lose_nothing(platform: Platform) -> None:
    files = platform.client.files

    def come_and_go(number: int) -> None:
        for _ in range(6):
            made = files.create(file=(f"{number}.txt", b"shared"), purpose="user_data")
            assert files.content(made.id).content == b"shared"
            files.delete(made.id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
    assert platform.stored() == []
