"""Requests: what is accepted, what is refused and how, and what the model gets to read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.gateway.responses.errors import NoToolCall, NoToolOutput
from plinth.gateway.responses.model import ResponseRequest
from plinth.gateway.responses.parse import parse_request
from plinth.gateway.responses.translate import chat_body, messages, question, shortened
from plinth.kit.errors import BadInput

FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
OTHER = {"type": "function", "name": "g"}


def parsed(**body: Any) -> ResponseRequest:
    return parse_request({"model": "m", "input": "hi", **body})


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"model": None}, "missing_required_parameter", "model"),
        ({"model": 3}, "invalid_type", "model"),
        ({"input": None}, "missing_required_parameter", "input"),
        ({"input": []}, "missing_required_parameter", "input"),
        ({"input": 3}, "invalid_type", "input"),
        ({"input": ["hi"]}, "invalid_type", "input.0"),
        ({"input": [{}]}, "missing_required_parameter", "input.0.type"),
        ({"input": [{"type": "web_search_call"}]}, "invalid_value", "input.0.type"),
        ({"input": [{"type": {}}]}, "invalid_value", "input.0.type"),
        ({"input": [{"role": "robot", "content": "x"}]}, "invalid_value", "input.0.role"),
        ({"input": [{"role": "user"}]}, "missing_required_parameter", "input.0.content"),
        ({"input": [{"role": "user", "content": 1}]}, "invalid_type", "input.0.content"),
        (
            {"input": [{"role": "user", "content": [{"type": "output_text"}]}]},
            "invalid_value",
            "input.0.content.0.type",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "unsupported_parameter",
            "input.0.content.0.type",
        ),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "missing_required_parameter", "input.0.call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": 3}]}, "invalid_type", "input.0.output"),
        ({"temperature": 3}, "value_out_of_range", "temperature"),
        ({"temperature": True}, "invalid_type", "temperature"),
        ({"temperature": float("nan")}, "value_out_of_range", "temperature"),
        ({"max_output_tokens": 0}, "value_out_of_range", "max_output_tokens"),
        ({"stream": "yes"}, "invalid_type", "stream"),
        ({"truncation": "middle"}, "invalid_value", "truncation"),
        ({"include": ["everything"]}, "invalid_value", "include"),
        ({"include": [3]}, "invalid_type", "include"),
        ({"metadata": {"a": 1}}, "invalid_type", "metadata.a"),
        ({"metadata": {"a": "x" * 513}}, "too_many_items", "metadata.a"),
        ({"metadata": {str(i): "x" for i in range(17)}}, "too_many_items", "metadata"),
        (
            {"text": {"format": {"type": "json_schema", "name": "x"}}},
            "missing_required_parameter",
            "text.format.schema",
        ),
        ({"text": {"format": {"type": "xml"}}}, "invalid_value", "text.format.type"),
        ({"tools": [{"type": "web_search"}]}, "invalid_value", "tools.0.type"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "tools.0.name"),
        ({"tools": [{"type": "file_search"}]}, "missing_required_parameter", "tools.0.vector_store_ids"),
        ({"tool_choice": {"type": "function", "name": "h"}, "tools": [FUNCTION]}, "invalid_value", "tool_choice.name"),
        ({"tool_choice": "sometimes"}, "invalid_value", "tool_choice"),
        ({"tool_choice": {}}, "invalid_type", "tool_choice"),
        ({"max_tokens": 5}, "moved_parameter", "max_tokens"),
        ({"messages": []}, "moved_parameter", "messages"),
        ({"temprature": 1}, "unknown_parameter", "temprature"),
        ({"moderation": {"model": "x"}}, "unsupported_parameter", "moderation"),
        ({"background": True, "store": False}, "background_needs_store", "store"),
        (
            {"previous_response_id": "resp_1", "conversation": "conv_1"},
            "mutually_exclusive_parameters",
            "previous_response_id",
        ),
        ({"conversation": {}}, "missing_required_parameter", "conversation.id"),
    ],
)
def test_a_wrong_request_is_refused_by_field(body: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_request({"model": "m", "input": "hi", **body})
    assert (refused.value.code, refused.value.param) == (code, param)


def test_null_is_absent_and_hints_are_accepted() -> None:
    nothing = dict.fromkeys(
        (
            "instructions",
            "previous_response_id",
            "conversation",
            "tools",
            "tool_choice",
            "text",
            "metadata",
            "include",
            "temperature",
            "truncation",
            "store",
            "stream",
            "background",
            "prompt",
            "moderation",
            "reasoning",
            "user",
        )
    )
    request = parsed(**nothing)
    assert request.store
    assert request == ResponseRequest("m", request.items)
    hinted = parsed(user="u", service_tier="flex", prompt_cache_key="k", prompt_cache_options={"mode": "explicit"})
    assert hinted.echo == {"user": "u", "service_tier": "default", "prompt_cache_key": "k"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
known = ("input", "tools", "tool_choice", "text", "metadata", "include", "conversation", "reasoning", "instructions")


@given(st.dictionaries(st.sampled_from(known), json_values))
def test_no_json_breaks_the_checks(body: dict[str, Any]) -> None:
    try:
        request = parsed(**body)
    except BadInput:
        return
    stored = json.loads(json.dumps(request.to_json()))
    assert ResponseRequest.from_json(stored, [*request.items]) == request


def test_every_form_of_input_is_brought_into_one() -> None:
    request = parsed(
        input=[
            {"role": "user", "content": "text"},
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "id": "msg_1"},
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "data:x"}],
            },
            {"id": "msg_2"},
        ]
    )
    assert [item["type"] for item in request.items] == ["message", "message", "message", "item_reference"]
    assert [item["id"] for item in request.items[:3]] != ["msg_1"] * 3
    assert request.items[0]["content"] == [{"type": "input_text", "text": "text"}]
    assert messages(None, request.items[:3]) == [
        {"role": "user", "content": "text"},
        {"role": "assistant", "content": "no"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:x", "detail": "auto"}},
            ],
        },
    ]


def test_system_messages_that_lead_become_one() -> None:
    items = parsed(
        input=[
            {"role": "developer", "content": "d"},
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u"},
            {"role": "system", "content": "later"},
        ]
    ).items
    assert messages("i", items, found="f") == [
        {"role": "system", "content": "i\n\nd\n\ns\n\nf"},
        {"role": "user", "content": "u"},
        {"role": "system", "content": "later"},
    ]
    assert messages(None, items[2:3]) == [{"role": "user", "content": "u"}]


def test_parallel_calls_are_one_assistant_turn_and_old_thoughts_are_left_out() -> None:
    def call(name: str) -> dict[str, Any]:
        return {"type": "function_call", "call_id": name, "name": name, "arguments": "{}"}

    def output(name: str) -> dict[str, Any]:
        return {"type": "function_call_output", "call_id": name, "output": [{"type": "input_text", "text": name}]}

    def thought(text: str) -> dict[str, Any]:
        return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}

    items = parsed(
        input=[
            {"role": "user", "content": "1"},
            thought("old"),
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": "2"},
            thought("new"),
            {"role": "assistant", "content": "let me see"},
            call("x"),
            call("y"),
            output("y"),
            output("x"),
        ]
    ).items
    written = messages(None, items)
    assert [message["role"] for message in written] == ["user", "assistant", "user", "assistant", "tool", "tool"]
    assert "reasoning_content" not in written[1]
    assert written[3]["reasoning_content"] == "new"
    assert written[3]["content"] == "let me see"
    assert [entry["id"] for entry in written[3]["tool_calls"]] == ["x", "y"]
    assert [(m["tool_call_id"], m["content"]) for m in written[4:]] == [("y", "y"), ("x", "x")]
    assert question(items) == "2"
    with pytest.raises(NoToolOutput, match="'x'"):
        messages(None, items[:-1])
    with pytest.raises(NoToolCall, match="'y'"):
        messages(None, items[8:])


def test_sampling_tools_and_format_are_translated() -> None:
    body = chat_body(
        parsed(
            temperature=0,
            top_p=0.5,
            max_output_tokens=7,
            top_logprobs=2,
            reasoning={"effort": "low"},
            tools=[FUNCTION, OTHER],
            tool_choice={"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]},
            parallel_tool_calls=False,
            text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
        ),
        (),
    )
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "top_p": 0.5,
        "max_completion_tokens": 7,
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {"name": "g"}}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
        },
    }
    forced = chat_body(parsed(tools=[FUNCTION], tool_choice={"type": "function", "name": "f"}), ())
    assert forced["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert "tools" not in chat_body(parsed(tool_choice="none"), ())
    assert chat_body(parsed(text={"format": {"type": "json_object"}}), ())["response_format"] == {"type": "json_object"}


@given(st.lists(st.sampled_from(["user", "assistant", "call"]), max_size=30), st.integers(0, 60))
def test_shortening_drops_whole_old_turns_until_one_is_left(kinds: list[str], size: int) -> None:
    turns: list[dict[str, Any]] = [{"role": "system", "content": "s"}]
    for number, kind in enumerate(kinds):
        if kind == "call":
            turns.append({"role": "assistant", "content": None, "tool_calls": [{"id": str(number)}]})
            turns.append({"role": "tool", "tool_call_id": str(number), "content": "x" * size})
        else:
            turns.append({"role": kind, "content": "x" * size})
    turns.append({"role": "user", "content": "last"})
    body: dict[str, Any] | None = {"messages": turns}
    steps = 0
    while body is not None:
        rest = body["messages"]
        assert rest[0]["role"] == "system"
        assert rest[-1] == {"role": "user", "content": "last"}
        calls = {call["id"] for message in rest for call in message.get("tool_calls", ())}
        assert {m["tool_call_id"] for m in rest if m["role"] == "tool"} == calls
        shorter = shortened(body)
        assert shorter is None or len(shorter["messages"]) < len(rest)
        body, steps = shorter, steps + 1
    assert rest[1]["role"] == "user"
    assert len([m for m in rest if m["role"] == "user"]) == 1
    assert steps <= 2 + len(kinds)
