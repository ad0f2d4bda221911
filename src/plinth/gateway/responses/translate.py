"""A Responses request and its earlier items -> one chat-completions request. Pure.

Instructions and leading system messages become one system message, because many chat templates
allow no second one. An assistant turn (its text, its function calls, the reasoning of a turn that
still goes on) becomes one message, because that is what templates were trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from plinth.gateway.responses.errors import NoToolCall, NoToolOutput
from plinth.gateway.responses.model import LOGPROBS, Item, ResponseRequest

Message = dict[str, Any]

_KEPT_SHARE = 0.75
_SYSTEM = ("system", "developer")


def chat_body(request: ResponseRequest, context: Sequence[Item], found: str | None = None) -> dict[str, Any]:
    """The chat-completions body: a stream that reports its usage.

    Args: `context` is what was said before, oldest first; `found` is the text of a file search.
    Raises `NoToolCall`, `NoToolOutput` when calls and outputs do not match.
    """
    body: dict[str, Any] = {
        "model": request.model,
        "messages": messages(request.instructions, (*context, *request.items), found),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    optional = {
        "max_completion_tokens": request.max_output_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "reasoning_effort": request.reasoning.get("effort"),
        "user": request.echo.get("user"),
        "response_format": _response_format(request.text["format"]),
        **_logprobs(request),
        **_tools(request),
    }
    return {**body, **{name: value for name, value in optional.items() if value is not None}}


def messages(instructions: str | None, items: Sequence[Item], found: str | None = None) -> list[Message]:
    _check_calls(items)
    turn_start = max((i for i, item in enumerate(items) if item.get("role") == "user"), default=-1)
    written: list[Message] = []
    thoughts = ""
    for position, item in enumerate(items):
        if item["type"] == "reasoning":
            # earlier turns' reasoning is left out, as reasoning models expect
            thoughts += _reasoning_text(item) if position > turn_start else ""
        elif message := _message(item):
            if thoughts and message["role"] == "assistant":
                message["reasoning_content"], thoughts = thoughts, ""
            _append(written, message)
    leading = [instructions] if instructions else []
    while written and written[0]["role"] in _SYSTEM and isinstance(written[0]["content"], str):
        leading.append(written.pop(0)["content"])
    if found:
        leading.append(found)
    return [{"role": "system", "content": "\n\n".join(leading)}, *written] if leading else written


def question(items: Iterable[Item]) -> str:
    """The text of the newest user message: what a file search looks for."""
    for item in reversed([*items]):
        if item.get("role") == "user":
            return "\n".join(part["text"] for part in item["content"] if part["type"] == "input_text")
    return ""


def shortened(body: dict[str, Any]) -> dict[str, Any] | None:
    """The same request without its oldest turns: about a quarter of the text goes, whole turns only, so that
    no call loses its output. None when only system messages and the newest turn are left."""
    every: list[Message] = body["messages"]
    head = [message for message in every if message["role"] in _SYSTEM]
    rest = [message for message in every if message["role"] not in _SYSTEM]
    starts = [i for i, message in enumerate(rest) if message["role"] == "user" and i > 0]
    if not starts:
        return None
    goal = _KEPT_SHARE * sum(_size(message) for message in rest)
    keep_from = next((i for i in starts if sum(_size(message) for message in rest[i:]) <= goal), starts[-1])
    return {**body, "messages": [*head, *rest[keep_from:]]}


def _message(item: Item) -> Message | None:
    """The chat message of one item; None for items that only the Responses API knows."""
    kind = item["type"]
    if kind == "message":
        return {"role": item["role"], "content": _content(item)}
    if kind == "function_call":
        function = {"name": item["name"], "arguments": item["arguments"]}
        call = {"id": item["call_id"], "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if kind == "function_call_output":
        output = item["output"]
        text = output if isinstance(output, str) else "\n".join(part.get("text", "") for part in output)
        return {"role": "tool", "tool_call_id": item["call_id"], "content": text}
    return None


def _append(written: list[Message], message: Message) -> None:
    """Add a message; an assistant's function calls join the message before them."""
    last = written[-1] if written else None
    if last and last["role"] == message["role"] == "assistant" and message.get("tool_calls"):
        last.setdefault("tool_calls", []).extend(message["tool_calls"])
    else:
        written.append(message)


def _content(item: Item) -> Any:
    parts = item["content"]
    if item["role"] == "assistant":
        return "".join(part.get("text") or part.get("refusal") or "" for part in parts)
    if all(part["type"] == "input_text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return [
        {"type": "text", "text": part["text"]}
        if part["type"] == "input_text"
        else {"type": "image_url", "image_url": {"url": part["image_url"], "detail": part["detail"]}}
        for part in parts
    ]


def _reasoning_text(item: Item) -> str:
    return "".join(part["text"] for part in item.get("content") or ())


def _check_calls(items: Sequence[Item]) -> None:
    waiting: dict[str, None] = {}
    for item in items:
        if item["type"] == "function_call":
            waiting[item["call_id"]] = None
        elif item["type"] == "function_call_output":
            if item["call_id"] not in waiting:
                raise NoToolCall(call_id=item["call_id"], param="input")
            del waiting[item["call_id"]]
    if waiting:
        raise NoToolOutput(call_id=next(iter(waiting)), param="input")


def _response_format(layout: dict[str, Any]) -> dict[str, Any] | None:
    if layout["type"] == "text":
        return None
    if layout["type"] == "json_object":
        return {"type": "json_object"}
    schema = {name: layout[name] for name in ("name", "description", "schema", "strict") if layout[name] is not None}
    return {"type": "json_schema", "json_schema": schema}


def _logprobs(request: ResponseRequest) -> dict[str, Any]:
    if LOGPROBS not in request.include and not request.top_logprobs:
        return {}
    return {"logprobs": True, "top_logprobs": request.top_logprobs or 0}


def _tools(request: ResponseRequest) -> dict[str, Any]:
    functions, choice = [tool for tool in request.tools if tool["type"] == "function"], request.tool_choice
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        # engines know no such choice: the others are simply not offered
        allowed = {tool["name"] for tool in choice["tools"]}
        functions = [tool for tool in functions if tool["name"] in allowed]
        choice = choice["mode"]
    if not functions:
        return {}
    if isinstance(choice, dict):
        choice = {"type": "function", "function": {"name": choice["name"]}} if choice["type"] == "function" else "auto"
    names = ("name", "description", "parameters", "strict")
    tools = [
        {"type": "function", "function": {name: tool[name] for name in names if tool[name] is not None}}
        for tool in functions
    ]
    return {"tools": tools, "tool_choice": choice, "parallel_tool_calls": request.parallel_tool_calls}


def _size(message: Message) -> int:
    return len(str(message["content"] or "")) + sum(len(str(call)) for call in message.get("tool_calls") or ()) + 8
