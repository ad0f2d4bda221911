"""The composer: the result does not depend on how the answer was cut into chunks."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import BaseModel
from openai._models import validate_type
from openai.types.responses import Response, ResponseStreamEvent

from plinth.gateway.responses import Composer, ModelCallFailed, Prepared, Status, wire
from plinth.gateway.responses.events import dump
from plinth.gateway.responses.parse import parse_request
from plinth.kit.errors import Conflict, NotFound, RateLimited
from unit.gateway.responses.fakes import chunk, usage

NOW = 1_800_000_000.0
KINDS = ("reasoning_content", "content", "refusal")


def prepared(**body: Any) -> Prepared:
    request = parse_request({"model": "m", "input": "hi", **body})
    return Prepared("resp_01kb", "proj_a", "key_a", NOW, request, (), {})


def compose(chunks: list[dict[str, Any]], ready: Prepared | None = None) -> tuple[list[dict[str, Any]], Composer]:
    composer = Composer(ready or prepared())
    events = composer.start()
    for entry in chunks:
        events += composer.feed(entry)
    return events + composer.finish(NOW + 5), composer


def cut(text: str, draw: Any) -> list[str]:
    places = sorted(set(draw(st.lists(st.integers(0, len(text)), max_size=6))) | {0, len(text)})
    return [text[a:b] for a, b in pairwise(places)] or [text]


@st.composite
def answers(draw: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """An unsplit answer as one delta per run, and the same answer cut anywhere, with empty deltas in between."""
    texts = draw(st.lists(st.tuples(st.sampled_from(KINDS), st.text(min_size=1, max_size=40)), max_size=4))
    calls = draw(st.lists(st.tuples(st.text("abc", min_size=1, max_size=5), st.text(max_size=40)), max_size=3))
    whole, pieces = [], []
    for kind, text in texts:
        whole.append({kind: text})
        pieces += [{kind: piece} for piece in cut(text, draw)]
    opened = [
        {"index": i, "id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": ""}}
        for i, (name, _) in enumerate(calls)
    ]
    whole.append(
        {
            "tool_calls": [
                {**o, "function": {**o["function"], "arguments": c[1]}} for o, c in zip(opened, calls, strict=True)
            ]
        }
    )
    pieces += [{"tool_calls": [entry]} for entry in opened]
    # after they were opened, the calls' arguments may come interleaved
    left = {i: cut(arguments, draw) for i, (_, arguments) in enumerate(calls)}
    while waiting := [i for i, rest in left.items() if rest]:
        index = draw(st.sampled_from(waiting))
        piece = {"index": index, "function": {"arguments": left[index].pop(0)}}
        pieces.append({"tool_calls": [piece]})
    noise = draw(st.lists(st.sampled_from([{}, {"content": ""}, {"role": "assistant", "content": None}]), max_size=3))
    for entry in noise:
        pieces.insert(draw(st.integers(0, len(pieces))), entry)
    return whole, pieces


@given(answers(), st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))
def test_any_chunking_gives_the_unsplit_answers_response(
    answer: tuple[list[dict[str, Any]], list[dict[str, Any]]], reason: str
) -> None:
    whole, pieces = answer
    end = [chunk(reason=reason), usage(3, 4)]
    _, expected = compose([*map(chunk, whole), *end])
    events, composer = compose([*map(chunk, pieces), *end])
    assert composer.response == expected.response
    rebuilt_from(events, composer.response)


def rebuilt_from(events: list[dict[str, Any]], response: dict[str, Any]) -> None:
    """What a client builds from the events alone is the final response; every event has the SDK's own shape."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    texts: dict[tuple[int, int], str] = defaultdict(str)
    arguments: dict[int, str] = defaultdict(str)
    open_items: set[int] = set()
    done: dict[int, dict[str, Any]] = {}
    for event in events:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(open_items | set(done))
            open_items.add(event["output_index"])
        elif kind == "response.output_item.done":
            open_items.remove(event["output_index"])
            done[event["output_index"]] = event["item"]
        elif kind == "response.function_call_arguments.delta":
            arguments[event["output_index"]] += event["delta"]
        elif kind.endswith(".delta"):
            assert event["output_index"] in open_items
            texts[event["output_index"], event["content_index"]] += event["delta"]
    assert not open_items
    assert [done[index] for index in range(len(done))] == response["output"]
    for (output, content), text in texts.items():
        part = response["output"][output]["content"][content]
        assert part.get("text", part.get("refusal")) == text
    for output, text in arguments.items():
        assert response["output"][output]["arguments"] == text
    assert events[-1]["response"] == response


@given(answers())
def test_every_event_and_the_response_have_the_sdk_s_shape(
    answer: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    events, composer = compose([*map(chunk, answer[1]), chunk(reason="stop"), usage(1, 2)])
    for event in events:
        read: BaseModel = validate_type(type_=ResponseStreamEvent, value=event)  # type: ignore[assignment]
        assert read.to_dict()["sequence_number"] == event["sequence_number"]
    validate_type(type_=Response, value=composer.response)


def test_items_are_closed_when_the_kind_changes_and_calls_at_the_end() -> None:
    call = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}
    events, composer = compose(
        [
            chunk({"reasoning_content": "hm"}),
            chunk({"content": "a"}),
            chunk({"tool_calls": [call]}),
            chunk(reason="stop"),
        ]
    )
    order = [
        (event["type"].removeprefix("response."), event.get("output_index"))
        for event in events
        if "output_item" in event["type"] or "arguments.d" in event["type"]
    ]
    assert order == [
        ("output_item.added", 0),
        ("output_item.done", 0),
        ("output_item.added", 1),
        ("output_item.done", 1),
        ("output_item.added", 2),
        ("function_call_arguments.delta", 2),
        ("function_call_arguments.done", 2),
        ("output_item.done", 2),
    ]
    ids = [item["id"].split("_")[0] for item in composer.response["output"]]
    assert ids == ["rs", "msg", "fc"]


def test_no_words_at_all_are_an_empty_message() -> None:
    _, composer = compose([chunk({"role": "assistant", "content": ""}), chunk(reason="stop")])
    (message,) = composer.response["output"]
    assert message["content"] == [{"type": "output_text", "text": "", "annotations": [], "logprobs": []}]
    assert composer.response["usage"] is None
    assert composer.response["completed_at"] == NOW + 5


def test_logprobs_reach_the_deltas_and_the_part() -> None:
    entry = {"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "b", "logprob": -1.0}]}
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [entry]}, "finish_reason": "stop"}
    events, composer = compose([{"choices": [choice]}])
    expected = [
        {"token": "a", "logprob": -0.5, "bytes": [], "top_logprobs": [{"token": "b", "logprob": -1.0, "bytes": []}]}
    ]
    assert composer.response["output"][0]["content"][0]["logprobs"] == expected
    assert next(e for e in events if e["type"] == "response.output_text.delta")["logprobs"] == expected


def test_a_call_without_an_id_gets_one_that_its_output_can_name() -> None:
    _, composer = compose([chunk({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}), chunk(reason="stop")])
    assert composer.response["output"][0]["call_id"].startswith("call_")


@pytest.mark.parametrize("garbage", [{"choices": 7}, {"choices": ["x"]}, {"choices": [{"delta": {"content": 3}}]}])
def test_what_is_no_chunk_is_refused(garbage: dict[str, Any]) -> None:
    with pytest.raises(ModelCallFailed, match="not a chat completion"):
        Composer(prepared()).feed(garbage)


def test_an_answer_without_an_end_is_broken_off() -> None:
    composer = Composer(prepared())
    composer.feed(chunk({"content": "Hel"}))
    with pytest.raises(ModelCallFailed, match="broke off"):
        composer.finish(NOW)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RateLimited(retry_after_seconds=1), "rate_limit_exceeded"),
        (NotFound(what="model", id="m"), "invalid_prompt"),
        (Conflict(reason="no"), "invalid_prompt"),
        (ModelCallFailed(reason="lost"), "server_error"),
    ],
)
def test_a_failure_keeps_what_had_arrived(error: Any, code: str) -> None:
    composer = Composer(prepared())
    composer.start()
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"half'}}
    composer.feed(chunk({"content": "Hel"}))
    composer.feed(chunk({"tool_calls": [call]}))
    events = composer.fail(error)
    assert [event["type"] for event in events] == ["response.output_item.done", "response.failed"]
    response = composer.response
    assert response["error"] == {"code": code, "message": error.message}
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    validate_type(type_=Response, value=response)


def test_cancelling_says_so_in_the_status() -> None:
    composer = Composer(prepared())
    (last,) = composer.cancel()
    assert (last["type"], last["response"]["status"]) == ("response.incomplete", "cancelled")
    assert composer.outcome.status is Status.cancelled


def test_the_wire_carries_what_clients_sent_even_half_a_surrogate_pair() -> None:
    event = Composer(prepared(metadata={"a": "\ud800"})).start()[0]
    name, data = wire(event).decode().rstrip("\n").split("\n")
    assert name == "event: response.created"
    assert json.loads(data.removeprefix("data: "))["response"]["metadata"] == {"a": "\ud800"}
    assert dump({"a": "é"}) == '{"a":"é"}'.encode()
