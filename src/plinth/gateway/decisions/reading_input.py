"""From what a client sends as `input` and `instructions` to the text that the model is shown.

A list of messages and tool calls becomes a transcript, one block an item. JSON is written compactly. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from plinth.gateway.decisions.errors import BadDecisionInput, DecisionTextOnly

ROLES = ("user", "assistant", "system", "developer")
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
OUTPUTS = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}
MAX_ITEMS = 10_000
MAX_LEVELS, MAX_VALUES, MAX_JSON_BYTES = 32, 10_000, 256 * 1024

Item = Mapping[str, Any]


def input_text(given: str | Sequence[Item]) -> str:
    """Raises `BadDecisionInput`, `DecisionTextOnly`."""
    if isinstance(given, str):
        text = given
    else:
        if len(given) > MAX_ITEMS:
            raise BadDecisionInput(reason=f"{MAX_ITEMS} items are the most.", param="input")
        calls: dict[tuple[str, str], bool] = {}
        text = "\n\n".join(_item(number, item, calls) for number, item in enumerate(given))
    if not text.strip():
        raise BadDecisionInput(reason="it is empty.", param="input")
    return text


def content_text(content: Any, param: str) -> str:
    """A text, or a list of parts: `input_text`, `output_text`, `refusal`, `input_json`.

    Raises `BadDecisionInput`, `DecisionTextOnly`.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadDecisionInput(reason="content must be a text or a list of parts.", param=param)
    return "\n".join(_part(part, param) for part in content)


def _item(number: int, item: Item, calls: dict[tuple[str, str], bool]) -> str:
    param = f"input.{number}"
    kind = item.get("type", "message")
    if kind == "message" and item.get("role") in ROLES:
        return f"{item['role']}: {content_text(item.get('content'), param)}"
    if kind in CALLS:
        name, sent, call_id = item.get("name"), item.get(CALLS[kind]), item.get("call_id")
        if not all(isinstance(value, str) for value in (name, sent, call_id)):
            reason = f"a {kind} needs the texts 'name', '{CALLS[kind]}' and 'call_id'."
            raise BadDecisionInput(reason=reason, param=param)
        calls[kind, str(call_id)] = True
        return f"call of {name}: {sent}"
    if kind in OUTPUTS:
        if (OUTPUTS[kind], str(item.get("call_id"))) not in calls:
            reason = f"the {kind} number {number + 1} answers no call before it; check its 'call_id'."
            raise BadDecisionInput(reason=reason, param=param)
        return f"result: {content_text(item.get('output'), param)}"
    shown = str(item.get("role") if kind == "message" else kind)[:40]
    raise BadDecisionInput(reason=f"the item number {number + 1} is a '{shown}', which is not known.", param=param)


def _part(part: Any, param: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("input_text", "output_text") and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return str(part["refusal"])
    if kind == "input_json":
        return _json(part.get("data"), param)
    if kind in ("input_image", "input_file", "input_audio"):
        raise DecisionTextOnly(kind=kind, param=param)
    raise BadDecisionInput(reason=f"a part of type '{str(kind)[:40]}' is not known.", param=param)


def _json(data: Any, param: str) -> str:
    fits = isinstance(data, dict) or (isinstance(data, list) and all(isinstance(entry, dict) for entry in data))
    if not fits:
        raise BadDecisionInput(reason="'data' must be a JSON object or a list of objects.", param=param)
    level, values = [data], 0
    for _ in range(MAX_LEVELS):
        inner = [value for entry in level for value in (entry.values() if isinstance(entry, dict) else entry)]
        values += len(inner)
        level = [value for value in inner if isinstance(value, (dict, list))]
        if not level or values > MAX_VALUES:
            break
    if level or values > MAX_VALUES:
        reason = f"'data' may have {MAX_LEVELS} levels and {MAX_VALUES} values."
        raise BadDecisionInput(reason=reason, param=param)
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode("utf-8", "surrogatepass")) > MAX_JSON_BYTES:
        raise BadDecisionInput(reason=f"'data' may have {MAX_JSON_BYTES} bytes.", param=param)
    return text
