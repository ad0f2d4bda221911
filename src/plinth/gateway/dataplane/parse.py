"""From body bytes to a `ModelRequest`: every field checked, unknown fields dropped.

Only fields named here reach an engine: engines have switches of their own (adapter choice, slots,
cache files) that no client may touch. Field meanings: OpenAI API reference, "Create chat
completion", "Create completion", "Create embeddings".
"""

from __future__ import annotations

from typing import Any

import orjson

from plinth.gateway.dataplane import rules
from plinth.gateway.dataplane.rules import Rule
from plinth.gateway.errors import MalformedJson, MissingField, Unsupported, WrongType
from plinth.gateway.model import ModelRequest, Operation

_MANY = 100_000_000  # characters: the body limit is the real bound
_MAX_MESSAGES = 10_000
_MAX_INPUTS = 2048
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_PLAIN_ROLES = ("user", "assistant", "system")
_LONG = 2**63 - 1

_SAMPLING: dict[str, Rule] = {
    "temperature": rules.number(0, 2),
    "top_p": rules.number(0, 1),
    "max_tokens": rules.integer(1, 10_000_000),
    "frequency_penalty": rules.number(-2, 2),
    "presence_penalty": rules.number(-2, 2),
    "seed": rules.integer(-_LONG - 1, _LONG),
    "stop": rules.text_or_texts(4, 1024),
    "logit_bias": rules.mapping(1024, rules.number(-100, 100)),
}
_DELIVERY: dict[str, Rule] = {
    "stream": rules.boolean,
    "stream_options": rules.mapping(8, rules.anything),
    "n": rules.only(1),
    "user": rules.text(512),
}
_CHAT_FORWARDED: dict[str, Rule] = {
    **_SAMPLING,
    "max_completion_tokens": rules.integer(1, 10_000_000),
    "logprobs": rules.boolean,
    "top_logprobs": rules.integer(0, 20),
    "tools": lambda field, value: rules.list_of(_tool, 128)(field, value),
    "tool_choice": lambda field, value: _tool_choice(field, value),
    "parallel_tool_calls": rules.boolean,
    "response_format": lambda field, value: _response_format(field, value),
}
_CHAT_ACCEPTED: dict[str, Rule] = {
    **_DELIVERY,
    "store": rules.boolean,
    "metadata": rules.mapping(16, rules.text(512)),
    "modalities": rules.only(["text"]),
}
_COMPLETION_FORWARDED: dict[str, Rule] = {**_SAMPLING, "logprobs": rules.integer(0, 5)}
_COMPLETION_ACCEPTED: dict[str, Rule] = {
    **_DELIVERY,
    "best_of": rules.only(1),
    "echo": rules.only(False),
    "suffix": rules.only(""),
}
_EMBEDDING_ACCEPTED: dict[str, Rule] = {
    "encoding_format": rules.one_of("float", "base64"),
    "dimensions": rules.integer(1, 65_536),
    "user": rules.text(512),
}


def parse(operation: Operation, body: bytes, max_depth: int) -> ModelRequest:
    """Raises `BadInput` in one of its forms."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedJson(problem=str(error)[:200]) from None
    if not isinstance(content, dict):
        raise MalformedJson(problem="the outermost value is not an object")
    # what has no more opening brackets than that cannot nest deeper: spares most bodies the walk
    if body.count(b"{") + body.count(b"[") > max_depth:
        rules.check_depth(content, max_depth)
    return _PARSERS[operation](content)


def _chat(body: dict[str, Any]) -> ModelRequest:
    model = rules.name("model", body.get("model"))
    fields = rules.apply(_CHAT_FORWARDED, body)
    accepted = rules.apply(_CHAT_ACCEPTED, body)
    fields["messages"] = _messages(body.get("messages"))
    if "max_completion_tokens" in fields:
        fields["max_tokens"] = fields.pop("max_completion_tokens")
    if "top_logprobs" in fields and not fields.get("logprobs"):
        raise MissingField(field="logprobs", param="logprobs")
    return _streaming(Operation.chat, model, fields, accepted)


def _completion(body: dict[str, Any]) -> ModelRequest:
    model = rules.name("model", body.get("model"))
    fields = rules.apply(_COMPLETION_FORWARDED, body)
    accepted = rules.apply(_COMPLETION_ACCEPTED, body)
    fields["prompt"] = _texts_or_tokens("prompt", body.get("prompt"), 64)
    return _streaming(Operation.completion, model, fields, accepted)


def _embedding(body: dict[str, Any]) -> ModelRequest:
    model = rules.name("model", body.get("model"))
    accepted = rules.apply(_EMBEDDING_ACCEPTED, body)
    return ModelRequest(
        Operation.embedding,
        model,
        {"input": _texts_or_tokens("input", body.get("input"), _MAX_INPUTS)},
        base64=accepted.get("encoding_format") == "base64",
        dimensions=accepted.get("dimensions"),
        user=accepted.get("user", ""),
    )


_PARSERS = {Operation.chat: _chat, Operation.completion: _completion, Operation.embedding: _embedding}


def _streaming(operation: Operation, model: str, fields: dict[str, Any], accepted: dict[str, Any]) -> ModelRequest:
    stream = accepted.get("stream", False)
    options = accepted.get("stream_options")
    if options is not None and not stream:
        raise Unsupported(field="stream_options", supported="null unless stream is true", param="stream_options")
    include_usage = rules.boolean("stream_options.include_usage", (options or {}).get("include_usage") or False)
    return ModelRequest(
        operation,
        model,
        fields,
        stream,
        include_usage,
        user=accepted.get("user", ""),
        store=accepted.get("store", False),
        metadata=accepted.get("metadata") or {},
    )


def _messages(value: Any) -> list[dict[str, Any]]:
    if not value:
        raise MissingField(field="messages", param="messages")
    if not isinstance(value, list) or len(value) > _MAX_MESSAGES:
        rules.list_of(rules.anything, _MAX_MESSAGES)("messages", value)
    return [_plain(message) or _message(f"messages.{position}", message) for position, message in enumerate(value)]


def _plain(message: Any) -> dict[str, Any] | None:
    """The usual message, a role and a text, without the care that the others need."""
    if type(message) is not dict or len(message) != 2:
        return None
    role, content = message.get("role"), message.get("content")
    return {"role": role, "content": content} if type(content) is str and role in _PLAIN_ROLES else None


_MESSAGE: dict[str, Rule] = {
    "name": rules.text(256),
    "tool_call_id": rules.text(256),
    "tool_calls": rules.list_of(lambda field, value: rules.typed(field, value, dict, "object"), 128),
    "reasoning_content": rules.text(_MANY),
}


def _message(field: str, value: Any) -> dict[str, Any]:
    message = rules.typed(field, value, dict, "object")
    role = rules.one_of(*_ROLES)(f"{field}.role", message.get("role"))
    content = message.get("content")
    more = rules.apply(_MESSAGE, message, f"{field}.")
    if content is None and not (role == "assistant" and more.get("tool_calls")):
        raise MissingField(field=f"{field}.content", param=f"{field}.content")
    # templates know the older name of the developer role only
    return {"role": "system" if role == "developer" else role, "content": _content(f"{field}.content", content), **more}


def _content(field: str, content: Any) -> Any:
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise WrongType(field=field, expected="string or array", param=field)
    return rules.list_of(_part, 2048)(field, content)


def _part(field: str, value: Any) -> dict[str, Any]:
    part = rules.typed(field, value, dict, "object")
    rules.only("text")(f"{field}.type", part.get("type"))
    return {"type": "text", "text": rules.text(_MANY)(f"{field}.text", part.get("text"))}


def _tool(field: str, value: Any) -> Any:
    tool = rules.typed(field, value, dict, "object")
    rules.only("function")(f"{field}.type", tool.get("type"))
    function = rules.typed(f"{field}.function", tool.get("function"), dict, "object")
    rules.name(f"{field}.function.name", function.get("name"))
    return tool


def _tool_choice(field: str, value: Any) -> Any:
    if isinstance(value, dict):
        return value
    return rules.one_of("none", "auto", "required")(field, value)


def _response_format(field: str, value: Any) -> Any:
    wanted = rules.typed(field, value, dict, "object")
    kind = rules.one_of("text", "json_object", "json_schema")(f"{field}.type", wanted.get("type"))
    if kind != "json_schema":
        return {"type": kind}
    schema = rules.typed(f"{field}.json_schema", wanted.get("json_schema"), dict, "object")
    rules.typed(f"{field}.json_schema.schema", schema.get("schema"), dict, "object")
    return {"type": kind, "json_schema": schema}


def _texts_or_tokens(field: str, value: Any, limit: int) -> Any:
    """A text, a list of texts, a list of token ids, or a list of lists of token ids."""
    if value is None or value in ("", []):
        raise MissingField(field=field, param=field)
    if isinstance(value, str):
        return value
    tokens = rules.list_of(rules.integer(0, 2**31 - 1), 10_000_000)
    first = rules.typed(field, value, list, "string or array")[0]
    if isinstance(first, int):
        return tokens(field, value)
    return rules.list_of(tokens if isinstance(first, list) else _filled, limit)(field, value)


def _filled(field: str, value: Any) -> Any:
    if value == "":
        raise MissingField(field=field, param=field)
    return rules.text(_MANY)(field, value)
