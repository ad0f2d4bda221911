"""`client.uploads` of the real SDK: parts in any order, over restarts, checked at the end."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import httpx
import openai
import pytest

from plinth.kit.db import Database
from support import actor

from .conftest import SMALL, Platform, serving


def begin(platform: Platform, size: int, **more: object) -> str:
    return platform.client.uploads.create(
        bytes=size,
        filename="big.bin",
        mime_type="application/octet-stream",
        purpose="user_data",
        **more,  # type: ignore[arg-type]
    ).id


def listed_parts(platform: Platform, upload: str) -> list[dict[str, object]]:
    return httpx.get(f"{platform.url}/v1/uploads/{upload}/parts").json()["data"]


def test_the_sdks_chunked_upload_from_disk_and_from_memory(platform: Platform, tmp_path: Path) -> None:
    content = os.urandom(2_500_000)
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    md5 = hashlib.md5(content).hexdigest()
    done = platform.client.uploads.upload_file_chunked(
        file=path, mime_type="application/octet-stream", purpose="user_data", part_size=1 << 20, md5=md5
    )
    assert (done.status, done.bytes, done.filename) == ("completed", len(content), "weights.bin")
    assert done.file is not None
    assert platform.client.files.content(done.file.id).content == content
    again = platform.client.uploads.upload_file_chunked(
        file=content, filename="copy.bin", bytes=len(content), mime_type="x/y", purpose="user_data", part_size=700_000
    )
    assert again.file is not None
    assert platform.client.files.content(again.file.id).content == content
    assert len(platform.stored()) == 1  # the parts are gone, and the same content is kept once


def test_parts_in_any_order_and_over_a_restart(platform: Platform) -> None:
    upload = begin(platform, 9)
    last = platform.client.uploads.parts.create(upload, data=b"ccc")
    first = platform.client.uploads.parts.create(upload, data=b"aaa")
    assert (last.object, last.upload_id) == ("upload.part", upload)
    # nothing but the database and the folder is carried over
    with serving(Database(platform.db.url), platform.clock, platform.folder) as reborn:
        listed = listed_parts(reborn, upload)
        assert [part["id"] for part in listed] == [last.id, first.id]
        assert listed[1]["bytes"] == 3
        assert listed[1]["sha256"] == hashlib.sha256(b"aaa").hexdigest()
        middle = reborn.client.uploads.parts.create(upload, data=b"bbb")
        done = reborn.client.uploads.complete(upload, part_ids=[first.id, middle.id, last.id])
        assert done.file is not None
        assert reborn.client.files.content(done.file.id).content == b"aaabbbccc"
        assert listed_parts(reborn, upload) == []
        reborn.db.close()


def test_completing_again_gives_the_same_file(platform: Platform) -> None:
    upload = begin(platform, 3)
    part = platform.client.uploads.parts.create(upload, data=b"abc")
    done = platform.client.uploads.complete(upload, part_ids=[part.id])
    assert platform.client.uploads.complete(upload, part_ids=[part.id]) == done
    assert len(list(platform.client.files.list())) == 1
    with pytest.raises(openai.BadRequestError) as caught:
        platform.client.uploads.complete(upload, part_ids=[])
    with pytest.raises(openai.BadRequestError) as caught:
        platform.client.uploads.parts.create(upload, data=b"late")
    assert caught.value.code == "upload_not_pending"


def test_complete_checks_bytes_parts_and_md5(platform: Platform) -> None:
    upload = begin(platform, 6)
    parts = platform.client.uploads.parts
    one, two = parts.create(upload, data=b"abc").id, parts.create(upload, data=b"def").id
    for part_ids, md5, code in (
        ([one], openai.omit, "upload_size_mismatch"),
        ([one, one], openai.omit, "unknown_part"),
        ([one, "part_nobody"], openai.omit, "unknown_part"),
        ([two, one], hashlib.md5(b"abcdef").hexdigest(), "checksum_mismatch"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            platform.client.uploads.complete(upload, part_ids=part_ids, md5=md5)
        assert caught.value.code == code
    done = platform.client.uploads.complete(upload, part_ids=[one, two], md5=hashlib.md5(b"abcdef").hexdigest().upper())
    assert done.status == "completed"


def test_cancel_frees_the_parts(platform: Platform) -> None:
    upload = begin(platform, 6)
    platform.client.uploads.parts.create(upload, data=b"abc")
    assert len(platform.stored()) == 1
    assert platform.client.uploads.cancel(upload).status == "cancelled"
    assert platform.client.uploads.cancel(upload).status == "cancelled"
    assert platform.stored() == []
    with pytest.raises(openai.BadRequestError) as caught:
        platform.client.uploads.parts.create(upload, data=b"abc")
    assert caught.value.code == "upload_not_pending"


def test_an_upload_expires_after_an_hour(platform: Platform) -> None:
    upload = begin(platform, 6)
    platform.client.uploads.parts.create(upload, data=b"abc")
    platform.clock.advance(3600)
    with pytest.raises(openai.BadRequestError, match="expired"):
        platform.client.uploads.parts.create(upload, data=b"def")
    assert httpx.get(f"{platform.url}/v1/uploads/{upload}").json()["status"] == "expired"
    platform.service.tidy(platform.db)
    assert platform.stored() == []


def test_limits(platform: Platform) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        begin(platform, SMALL.max_upload_bytes + 1)
    assert caught.value.status_code == 413
    upload = begin(platform, 10)
    with pytest.raises(openai.APIStatusError) as caught:
        platform.client.uploads.parts.create(upload, data=b"x" * (SMALL.max_part_bytes + 1))
    assert caught.value.status_code == 413
    with pytest.raises(openai.BadRequestError) as caught:
        platform.client.uploads.parts.create(upload, data=b"")
    assert caught.value.code == "empty_file"
    platform.client.uploads.parts.create(upload, data=b"x" * SMALL.max_part_bytes)
    with pytest.raises(openai.BadRequestError) as caught:
        platform.client.uploads.parts.create(upload, data=b"y" * SMALL.max_part_bytes)
    assert caught.value.code == "too_many_parts"
    assert len(platform.stored()) == 1  # what was refused is not kept


def test_another_projects_upload_is_not_found(platform: Platform) -> None:
    upload = begin(platform, 3)
    platform.caller.actor = actor("proj_b")
    for call in (
        lambda: platform.client.uploads.parts.create(upload, data=b"abc"),
        lambda: platform.client.uploads.complete(upload, part_ids=["part_x"]),
        lambda: platform.client.uploads.cancel(upload),
    ):
        with pytest.raises(openai.NotFoundError):
            call()
    assert httpx.get(f"{platform.url}/v1/uploads/{upload}/parts").status_code == 404


def test_the_finished_file_expires_as_asked(platform: Platform) -> None:
    upload = begin(platform, 3, expires_after={"anchor": "created_at", "seconds": 7200})
    part = platform.client.uploads.parts.create(upload, data=b"abc")
    platform.clock.advance(100)
    done = platform.client.uploads.complete(upload, part_ids=[part.id])
    assert done.file is not None
    assert done.file.expires_at == int(platform.clock.unix()) + 7200
    with pytest.raises(openai.BadRequestError):
        begin(platform, 3, expires_after={"anchor": "created_at", "seconds": 1})


def test_a_wrong_purpose_and_wrong_text_are_refused(platform: Platform) -> None:
    create = platform.client.uploads.create
    with pytest.raises(openai.BadRequestError) as caught:
        create(bytes=3, filename="a", mime_type="x/y", purpose="nonsense")  # type: ignore[arg-type]
    assert caught.value.code == "invalid_purpose"
    upload = create(bytes=2, filename="a.jsonl", mime_type="text/jsonl", purpose="fine-tune").id
    part = platform.client.uploads.parts.create(upload, data=b"\xff\xff")
    with pytest.raises(openai.BadRequestError) as caught:
        platform.client.uploads.complete(upload, part_ids=[part.id])
    assert caught.value.code == "invalid_encoding"
