from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.gateway.dataplane.relay import Relay
from plinth.gateway.dataplane.restream import Restream
from plinth.gateway.dataplane.shape import ChunkShaper, Identity
from plinth.gateway.dataplane.sse import EventParser
from plinth.gateway.dataplane.translator import NotAStream, ProviderError, Translator
from plinth.gateway.model import ModelRequest, Operation, Tally

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}


def chunk(text: str, **more: Any) -> dict[str, Any]:
    return {"id": "c", "model": "theirs", "choices": [{"index": 0, "delta": {"content": text}}], "x": 1, **more}


def stream(*chunks: dict[str, Any], separators: tuple[str, str] | None = None) -> bytes:
    events = [json.dumps(one, ensure_ascii=False, separators=separators) for one in chunks]
    return "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()


def relayed(data: bytes, cuts: list[int], include_usage: bool = False) -> tuple[list[dict[str, Any]], Relay, Tally]:
    tally = Tally()
    relay = Relay("ours", include_usage, tally)
    out, last = b"", 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        out += relay.feed(data[last:cut])
        last = cut
    return [json.loads(event) for event in EventParser().feed(out)], relay, tally


WHOLE = [chunk("天", usage=None), chunk('say "model":"theirs"\n\n', usage=None), chunk("ok", usage=None)]


@pytest.mark.parametrize("separators", [None, (",", ":")])
@pytest.mark.parametrize("crlf", [False, True])
@given(cuts=st.lists(st.integers(0, 10_000), max_size=12), include_usage=st.booleans())
def test_any_split_gives_the_same_events(
    separators: tuple[str, str] | None, crlf: bool, cuts: list[int], include_usage: bool
) -> None:
    data = stream(*WHOLE, {**chunk(""), "choices": [], "usage": USAGE}, separators=separators)
    if crlf:
        data = data.replace(b"\n\n", b"\r\n\r\n")
    events, relay, tally = relayed(data, cuts, include_usage)
    texts = [e["choices"][0]["delta"]["content"] for e in events if e["choices"]]
    assert texts == ["天", 'say "model":"theirs"\n\n', "ok"]
    assert {event["model"] for event in events} == {"ours"}
    assert all(event["x"] == 1 for event in events)
    assert relay.finished
    assert (tally.prompt, tally.completion, tally.cached) == (9, 2, 4)
    assert (events[-1].get("usage") == USAGE) == include_usage
    if not include_usage:
        assert not any("usage" in event for event in events)


def test_usage_beside_choices_is_counted_and_removed() -> None:
    events, _, tally = relayed(stream(chunk("a"), chunk("b", usage=USAGE)), [])
    assert [event["choices"][0]["delta"]["content"] for event in events] == ["a", "b"]
    assert "usage" not in events[1]
    assert tally.completion == 2


def test_without_usage_pieces_are_counted() -> None:
    _, _, tally = relayed(stream(chunk("a"), chunk("b")), [3])
    assert (tally.pieces, tally.reported) == (2, False)


def test_a_stream_that_breaks_off_is_not_finished() -> None:
    tally = Tally()
    relay = Relay("ours", False, tally)
    relay.feed(stream(chunk("a"))[:-20])
    assert not relay.finished


def engines() -> Restream:
    request = ModelRequest(Operation.chat, "ours", {}, stream=True)
    return Restream(ChunkShaper(request, Identity("id", 1, "ours", "fp"), Tally()))


TRANSLATORS = pytest.mark.parametrize("make", [lambda: Relay("ours", False, Tally()), engines], ids=["relay", "engine"])


@TRANSLATORS
@given(cut=st.integers(0, 400))
def test_what_came_before_an_error_event_is_passed_on(make: Any, cut: int) -> None:
    translator: Translator = make()
    error = b'data: {"error":{"message":"boom","code":500}}\n\n'
    data = b"data: " + json.dumps(chunk("a")).encode() + b"\n\n" + error
    out = translator.feed(data[:cut]) + translator.feed(data[cut:])
    (event,) = EventParser().feed(out)
    assert json.loads(event)["choices"][0]["delta"]["content"] == "a"
    assert isinstance(translator.failure, ProviderError)
    assert translator.failure.body["error"]["message"] == "boom"


@TRANSLATORS
@pytest.mark.parametrize("event", [b"7", b"{", b'{"choices":7}', b"[]", b'"x"'])
def test_garbage_is_refused(make: Any, event: bytes) -> None:
    translator: Translator = make()
    assert translator.feed(b"data: " + event + b"\n\n") == b""
    assert isinstance(translator.failure, NotAStream)


@pytest.mark.parametrize("event", [b"null", b"{}"])
def test_a_provider_sends_chunks_only(event: bytes) -> None:
    relay = Relay("ours", False, Tally())
    relay.feed(b"data: " + event + b"\n\n")
    assert isinstance(relay.failure, NotAStream)


@TRANSLATORS
def test_an_endless_event_is_refused(make: Any) -> None:
    translator: Translator = make()
    for _ in range(8):
        translator.feed(b"x" * 1024 * 1024)
    assert translator.failure is None
    translator.feed(b"x")
    assert isinstance(translator.failure, NotAStream)


def test_an_engine_must_say_why_it_ended() -> None:
    engine = engines()
    engine.feed(stream(chunk("a")))
    assert isinstance(engine.failure, NotAStream)
    assert not engine.finished
    engine = engines()
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    engine.feed(stream(chunk("a"), last))
    assert engine.finished


def test_what_looks_at_a_chunk_sees_it_before_it_is_sent_and_may_stop_it() -> None:
    seen: list[str] = []

    def look(piece: dict[str, Any]) -> None:
        seen.append(piece["choices"][0]["delta"]["content"])
        if seen[-1] == "no":
            raise PermissionError
        piece["choices"][0]["delta"]["content"] = seen[-1].upper()

    request = ModelRequest(Operation.chat, "ours", {}, stream=True)
    engine = Restream(ChunkShaper(request, Identity("id", 1, "ours", "fp"), Tally()), [look])
    out = engine.feed(stream(chunk("a"), chunk("no"), chunk("never")))
    assert [json.loads(event)["choices"][0]["delta"]["content"] for event in EventParser().feed(out)] == ["A"]
    assert isinstance(engine.failure, PermissionError)
    assert seen == ["a", "no"]


def test_comments_and_other_fields_are_dropped() -> None:
    relay = Relay("ours", False, Tally())
    assert relay.feed(b": ping\n\n") == b""
    out = relay.feed(b"event: message\nid: 1\ndata: " + json.dumps(chunk("a")).encode() + b"\n\n")
    assert json.loads(out[6:])["model"] == "ours"
