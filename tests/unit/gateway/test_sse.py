from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.gateway.dataplane import sse

LINE = st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b""))


@given(st.lists(LINE.filter(bool), max_size=8), st.lists(st.integers(1, 7), min_size=1), st.booleans())
def test_events_arrive_however_the_bytes_are_cut(payloads: list[bytes], cuts: list[int], crlf: bool) -> None:
    end = b"\r\n" if crlf else b"\n"
    data = b"".join(b"data: " + payload + end + b": comment" + end + end for payload in payloads)
    parser, received, position = sse.EventParser(), [], 0
    while position < len(data):
        size = cuts[position % len(cuts)]
        received += parser.feed(data[position : position + size])
        position += size
    assert received == payloads


def test_data_over_several_lines_is_joined_and_other_fields_are_skipped() -> None:
    assert sse.EventParser().feed(b"event: x\nid: 7\ndata: a\ndata:b\n\n\n\n") == [b"a\nb"]


@pytest.mark.parametrize("data", [b"data: " + b"x" * 200, b"data: xxxxxxxxx\n" * 20])
def test_an_endless_event_is_refused(data: bytes) -> None:
    with pytest.raises(sse.EventTooLong):
        sse.EventParser(limit_bytes=100).feed(data)
