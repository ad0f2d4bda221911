"""The multipart reader, cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plinth.data.errors import InvalidMultipart, MissingFilePart, UploadTruncated
from plinth.data.multipart import MOST_FIELD_BYTES, Form, FormReader

# a busy machine is not a defect: no deadline, and slow generation is no failure
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TYPE = "multipart/form-data; boundary=bound"


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    tail = "" if filename is None else f'; filename="{filename}"'
    head = f'--bound\r\nContent-Disposition: form-data; name="{name}"{tail}\r\nContent-Type: x/y\r\n\r\n'
    return head.encode() + content + b"\r\n"


def parse(body: bytes, *cuts: int) -> tuple[Form, bytes]:
    got = bytearray()
    reader, start = FormReader(TYPE, "file", got.extend), 0
    for cut in [*sorted(cuts), len(body)]:
        reader.feed(body[start : max(start, cut)])
        start = max(start, cut)
    return reader.finish(), bytes(got)


@calm
@given(st.binary(max_size=200), st.lists(st.integers(0, 500), max_size=6))
def test_content_survives_any_cut(content: bytes, cuts: list[int]) -> None:
    if b"\r\n--bound" in content:
        return
    body = part("purpose", "用途".encode()) + part("file", content, "数据.jsonl") + b"--bound--\r\n"
    form, got = parse(body, *cuts)
    assert got == content
    assert form.fields == {"purpose": "用途"}
    assert form.filename == "数据.jsonl"


@calm
@given(st.integers(0, 10_000))
def test_every_shorter_body_is_truncated_or_broken(length: int) -> None:
    body = part("purpose", b"batch") + part("file", b"content", "a") + b"--bound--"
    with pytest.raises((UploadTruncated, InvalidMultipart)):
        parse(body[: length % len(body)])


def test_bodies_that_are_refused() -> None:
    end = b"--bound--\r\n"
    for body, error in (
        (part("other", b"x", "a") + end, MissingFilePart),
        (part("file", b"x", "a") * 2 + end, InvalidMultipart),
        (part("", b"x") + end, InvalidMultipart),
        (b"".join(part(f"f{n}", b"x") for n in range(40)) + end, InvalidMultipart),
        (part("purpose", b"x" * (MOST_FIELD_BYTES + 1)) + end, InvalidMultipart),
        (b"--bound\r\nX: " + b"y" * 100_000, InvalidMultipart),
        (b"not a form", InvalidMultipart),
    ):
        with pytest.raises(error):
            parse(body)
    for content_type in ("", "application/json", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 5000):
        with pytest.raises(InvalidMultipart):
            FormReader(content_type, "file", lambda _: None)
