from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.gateway.dataplane.parse import parse
from plinth.gateway.errors import (
    MalformedJson,
    MissingField,
    NotOneOf,
    OutOfRange,
    TooDeep,
    TooMany,
    Unsupported,
    WrongType,
)
from plinth.gateway.model import ModelRequest, Operation
from plinth.kit.errors import BadInput

USER = [{"role": "user", "content": "Hi"}]


def chat(**fields: Any) -> ModelRequest:
    return parse(Operation.chat, json.dumps({"model": "m", "messages": USER, **fields}).encode(), 64)


def completion(**fields: Any) -> ModelRequest:
    return parse(Operation.completion, json.dumps({"model": "m", "prompt": "Hi", **fields}).encode(), 64)


def embedding(**fields: Any) -> ModelRequest:
    return parse(Operation.embedding, json.dumps({"model": "m", **fields}).encode(), 64)


def test_only_named_fields_reach_an_engine() -> None:
    request = chat(lora=[{"id": 3, "scale": 1}], id_slot=2, grammar="root", user="u", store=True, unknown=1, seed=4)
    assert request.fields == {"messages": USER, "seed": 4}


def test_null_means_absent() -> None:
    assert chat(temperature=None, stop=None, stream=None, n=None, response_format=None).fields == {"messages": USER}


def test_max_completion_tokens_is_the_newer_name() -> None:
    assert chat(max_tokens=5, max_completion_tokens=7).fields["max_tokens"] == 7
    assert "max_completion_tokens" not in chat(max_completion_tokens=7).fields


def test_developer_becomes_system_and_parts_stay_parts() -> None:
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "a", "extra": 1}], "extra": 2},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "tool_call_id": "1", "content": "5"},
    ]
    assert chat(messages=messages).fields["messages"] == [
        {"role": "system", "content": [{"type": "text", "text": "a"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "5", "tool_call_id": "1"},
    ]


def test_stream_options() -> None:
    assert chat(stream=True, stream_options={"include_usage": True}).include_usage
    assert not chat(stream=True, stream_options={"include_usage": False}).include_usage
    assert not chat(stream=True).include_usage


def test_response_formats_pass() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}}}
    assert chat(response_format=schema).fields["response_format"] == schema
    assert chat(response_format={"type": "json_object"}).fields["response_format"] == {"type": "json_object"}


def test_tools_pass() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    request = chat(tools=tools, tool_choice="auto", parallel_tool_calls=False)
    assert (request.fields["tools"], request.fields["tool_choice"]) == (tools, "auto")


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"model": ""}, MissingField, "model"),
        ({"model": 5}, WrongType, "model"),
        ({"model": "x" * 257}, TooMany, "model"),
        ({"messages": []}, MissingField, "messages"),
        ({"messages": "Hi"}, WrongType, "messages"),
        ({"messages": ["Hi"]}, WrongType, "messages.0"),
        ({"messages": [{"role": "king", "content": "x"}]}, NotOneOf, "messages.0.role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, NotOneOf, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, MissingField, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 5}]}, WrongType, "messages.0.content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            Unsupported,
            "messages.0.content.0.type",
        ),
        ({"messages": USER * 10_001}, TooMany, "messages"),
        ({"temperature": 2.1}, OutOfRange, "temperature"),
        ({"temperature": True}, WrongType, "temperature"),
        ({"top_p": -0.1}, OutOfRange, "top_p"),
        ({"max_tokens": 0}, OutOfRange, "max_tokens"),
        ({"max_tokens": 1.5}, WrongType, "max_tokens"),
        ({"max_completion_tokens": -1}, OutOfRange, "max_completion_tokens"),
        ({"frequency_penalty": 3}, OutOfRange, "frequency_penalty"),
        ({"seed": "1"}, WrongType, "seed"),
        ({"stop": ["a"] * 5}, TooMany, "stop"),
        ({"stop": [1]}, WrongType, "stop.0"),
        ({"logit_bias": {"1": 101}}, OutOfRange, "logit_bias.1"),
        ({"top_logprobs": 2}, MissingField, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, OutOfRange, "top_logprobs"),
        ({"n": 2}, Unsupported, "n"),
        ({"stream": "yes"}, WrongType, "stream"),
        ({"stream_options": {"include_usage": True}}, Unsupported, "stream_options"),
        ({"response_format": {"type": "xml"}}, NotOneOf, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, WrongType, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {}}},
            WrongType,
            "response_format.json_schema.schema",
        ),
        ({"tools": [{"type": "web_search"}]}, Unsupported, "tools.0.type"),
        ({"tools": [{"type": "function", "function": {}}]}, MissingField, "tools.0.function.name"),
        ({"tool_choice": "maybe"}, NotOneOf, "tool_choice"),
        ({"metadata": {"k": 1}}, WrongType, "metadata.k"),
        ({"metadata": {str(i): "v" for i in range(17)}}, TooMany, "metadata"),
        ({"modalities": ["audio"]}, Unsupported, "modalities"),
    ],
)
def test_chat_refuses(fields: dict[str, Any], error: type[BadInput], param: str) -> None:
    with pytest.raises(error) as caught:
        chat(**fields)
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ""},
        {"prompt": None},
        {"prompt": [""]},
        {"prompt": {}},
        {"best_of": 2},
        {"echo": True},
        {"suffix": "x"},
    ],
)
def test_completion_refuses(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        completion(**fields)


@pytest.mark.parametrize("prompt", ["a", ["a", "b"], [1, 2], [[1], [2, 3]]])
def test_completion_prompts(prompt: Any) -> None:
    assert completion(prompt=prompt, echo=False).fields["prompt"] == prompt


@pytest.mark.parametrize("value", ["", [], [""], [-1], [["a"]], 5, ["a"] * 2049, [1, "a"], ["a", 1]])
def test_embedding_refuses(value: Any) -> None:
    with pytest.raises(BadInput):
        embedding(input=value)


def test_embedding_options() -> None:
    request = embedding(input="a", encoding_format="base64", dimensions=384, user="u")
    assert (request.base64, request.dimensions, request.fields) == (True, 384, {"input": "a"})
    with pytest.raises(NotOneOf):
        embedding(input="a", encoding_format="hex")


def test_depth_is_limited_on_both_kinds_of_nesting() -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        body = b'{"x":' + opening * 20 + b"1" + closing * 20 + b"}"
        with pytest.raises(TooDeep):
            parse(Operation.chat, body, 20)
        with pytest.raises(MissingField):
            parse(Operation.chat, body, 21)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "messages",
        "temperature",
        "stop",
        "tools",
        "tool_choice",
        "response_format",
        "stream_options",
        "logit_bias",
        "n",
        "metadata",
        "prompt",
        "input",
        "logprobs",
        "stream",
        "max_tokens",
        "modalities",
        "dimensions",
    ]
)


@given(st.sampled_from(list(Operation)), st.dictionaries(NAMES, json_values))
def test_any_json_is_a_request_or_a_bad_input(operation: Operation, fields: dict[str, Any]) -> None:
    defaults = {"model": "m", "messages": USER, "prompt": "x", "input": "x"}
    with contextlib.suppress(BadInput):
        assert parse(operation, json.dumps({**defaults, **fields}).encode(), 64).model == "m"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_bad_input(body: bytes) -> None:
    with pytest.raises((MalformedJson, MissingField)):
        parse(Operation.chat, body, 64)
