"""OpenAI's chat format for supervised fine-tuning: `{"messages": [...], "tools": [...]}` a line.

Source: https://platform.openai.com/docs/guides/supervised-fine-tuning (training data format).
A canonical row *is* such an object: fields that we do not know pass through unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from plinth.data.errors import NotExpressible, RowError
from plinth.data.formats.json_lines import JsonLine, encode_object, read_objects
from plinth.data.model import Kind, Layout, Row

ROLES = ("system", "user", "assistant", "tool")
_PASSED_ON = ("messages", "tools", "parallel_tool_calls")


def read(source: BinaryIO, layout: Layout, max_bytes: int) -> Iterator[Row | RowError]:
    for item in read_objects(source, max_bytes):
        yield item if isinstance(item, RowError) else (problem(item) or item.value)


def write(rows: Iterable[Row], layout: Layout) -> Iterator[str]:
    """Rows that were chat rows come back unchanged; of others only what a chat trainer reads is written."""
    for row in rows:
        whole = layout.kind is Kind.chat
        yield encode_object(row if whole else {key: row[key] for key in _PASSED_ON if key in row})


def problem(item: JsonLine) -> RowError | None:
    """What keeps this object from being a training row."""
    found = _in_messages(item.value) or _in_tools(item.value)
    return RowError(item.line, *found) if found else None


_Found = tuple[str, str, str] | None


def _in_messages(row: Row) -> _Found:
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages", "missing_messages", "`messages` must be a list of at least one message"
    for position, message in enumerate(messages):
        if found := _in_message(message):
            column, code, reason = found
            return f"messages[{position}]" + (f".{column}" if column else ""), code, reason
    last = f"messages[{len(messages) - 1}]"
    if messages[-1]["role"] != "assistant":
        return f"{last}.role", "no_answer", "the last message must be the assistant's"
    if not (messages[-1].get("content") or messages[-1].get("tool_calls")):
        return f"{last}.content", "empty_answer", "the assistant's answer is empty"
    answers = [m for m in messages if m["role"] == "assistant"]
    if all(m.get("weight") == 0 for m in answers):
        return "messages", "nothing_to_learn", "every assistant message has the weight 0"
    return None


def _in_message(message: Any) -> _Found:
    if not isinstance(message, dict):
        return "", "not_an_object", "a message must be an object with `role` and `content`"
    role = message.get("role")
    if role not in ROLES:
        return "role", "unknown_role", f"the role must be one of {', '.join(ROLES)}"
    calls = message.get("tool_calls")
    if calls is not None and (role != "assistant" or not _objects(calls)):
        return "tool_calls", "invalid_tool_calls", "only the assistant has `tool_calls`, a list of objects"
    content = message.get("content")
    if not (isinstance(content, str) or (content is None and calls)):
        return "content", "invalid_content", "`content` must be text"
    weight = message.get("weight", 1)
    if weight not in (0, 1) or isinstance(weight, bool) or ("weight" in message and role != "assistant"):
        return "weight", "invalid_weight", "`weight` must be 0 or 1, on an assistant message"
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        return "tool_call_id", "missing_tool_call_id", "a tool message needs the `tool_call_id` it answers"
    return None


def _in_tools(row: Row) -> _Found:
    if "tools" in row and not _objects(row["tools"]):
        return "tools", "invalid_tools", "`tools` must be a list of objects"
    return None


def _objects(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(item, dict) for item in value)


def exchange(row: Row, number: int, instruction: str | None, as_format: str) -> tuple[str, str]:
    """Question and answer of a row that is nothing but that (and the instruction). Raises `NotExpressible`."""
    messages = row["messages"]
    if instruction is not None and messages[0] == {"role": "system", "content": instruction}:
        messages = messages[1:]
    plain = all(set(m) == {"role", "content"} for m in messages)
    if [m["role"] for m in messages] != ["user", "assistant"] or not plain or "tools" in row:
        raise NotExpressible(row=number, format=as_format, reason="it is more than one question and its answer")
    return messages[0]["content"], messages[1]["content"]


def exchange_row(question: str, answer: str, instruction: str | None) -> Row:
    """The canonical row of one question and its answer."""
    system = [] if instruction is None else [{"role": "system", "content": instruction}]
    return {
        "messages": [*system, {"role": "user", "content": question}, {"role": "assistant", "content": answer}],
    }
