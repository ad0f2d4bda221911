"""Checks input items and brings them into the one form that is stored, listed and translated.

Every item gets a fresh id of ours: a client may send the same output back any number of times.
`item_reference` items are left for the service, which looks them up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plinth.gateway.errors import MissingField, NotOneOf, Unsupported, WrongType
from plinth.gateway.responses.fields import Fields
from plinth.gateway.responses.model import Item
from plinth.kit.ids import new_id

MAX_ITEMS = 10_000
MAX_PARTS = 2048
ROLES = ("user", "assistant", "system", "developer")
TYPES = ("message", "function_call", "function_call_output", "reasoning", "item_reference", "file_search_call")
_NAME = 256


def parse_input(body: Fields, field: str = "input") -> list[Item]:
    """The items of a text or an array of items; none when the field is absent or empty."""
    value = body.raw(field)
    if isinstance(value, str):
        return [_message_of("user", value)] if value else []
    if value is not None and not isinstance(value, list):
        raise WrongType(field=body.path + field, expected="string or array", param=body.path + field)
    return [_item(entry) for entry in body.each(field, MAX_ITEMS)]


def stored_item(prefix: str, kind: str, **fields: Any) -> Item:
    return {"id": new_id(prefix), "type": kind, "status": "completed", **fields}


def _item(entry: Fields) -> Item:
    kind = entry.raw("type")
    if kind is None:
        # the two short forms of the API: {role, content} and {id}
        kind = "message" if entry.raw("role") is not None else "item_reference" if entry.raw("id") else None
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        where = f"{entry.path}type"
        if kind is None:
            raise MissingField(field=where, param=where)
        raise NotOneOf(field=where, choices=", ".join(TYPES), param=where)
    return reader(entry)


def _message(entry: Fields) -> Item:
    role = entry.choice("role", ROLES)
    if role is None:
        raise entry.missing("role")
    content = entry.raw("content")
    if content is None:
        raise entry.missing("content")
    if isinstance(content, str):
        return _message_of(role, content)
    if not isinstance(content, list):
        raise WrongType(field=f"{entry.path}content", expected="string or array", param=f"{entry.path}content")
    parts = [_part(part, role) for part in entry.each("content", MAX_PARTS)]
    return stored_item("msg_", "message", role=role, content=parts)


def _message_of(role: str, text: str) -> Item:
    return stored_item("msg_", "message", role=role, content=[_text_part(role, text)])


def _text_part(role: str, text: str) -> dict[str, Any]:
    if role == "assistant":
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": text}


def _part(part: Fields, role: str) -> dict[str, Any]:
    if role == "assistant":
        kind = part.choice("type", ("output_text", "refusal"))
        if kind == "refusal":
            return {"type": "refusal", "refusal": part.needed("refusal")}
        return _text_part(role, part.needed("text"))
    kind = part.choice("type", ("input_text", "input_image", "input_file"))
    if kind is None:
        raise part.missing("type")
    if kind == "input_file":
        raise Unsupported(field=f"{part.path}type", supported="'input_text' or 'input_image'", param=f"{part.path}type")
    return _image(part) if kind == "input_image" else _text_part(role, part.needed("text"))


def _image(part: Fields) -> dict[str, Any]:
    if part.raw("file_id") is not None:
        raise Unsupported(field=f"{part.path}file_id", supported="null; send 'image_url'", param=f"{part.path}file_id")
    detail = part.choice("detail", ("auto", "low", "high", "original")) or "auto"
    return {"type": "input_image", "image_url": part.needed("image_url"), "file_id": None, "detail": detail}


def _function_call(entry: Fields) -> Item:
    fields = {name: entry.needed(name, _NAME) for name in ("call_id", "name")}
    return stored_item("fc_", "function_call", **fields, arguments=entry.needed("arguments"))


def _function_call_output(entry: Fields) -> Item:
    call_id, output = entry.needed("call_id", _NAME), entry.raw("output")
    if isinstance(output, list):
        output = [_part(part, "user") for part in entry.each("output", MAX_PARTS)]
    elif not isinstance(output, str):
        raise WrongType(field=f"{entry.path}output", expected="string or array", param=f"{entry.path}output")
    return stored_item("fco_", "function_call_output", call_id=call_id, output=output)


def _reasoning(entry: Fields) -> Item:
    """What a reasoning model said to itself; an encrypted one from elsewhere is kept but says nothing here."""
    summary = [{"type": "summary_text", "text": part.needed("text")} for part in entry.each("summary", MAX_PARTS)]
    content = [{"type": "reasoning_text", "text": part.needed("text")} for part in entry.each("content", MAX_PARTS)]
    return stored_item("rs_", "reasoning", summary=summary, content=content)


def _file_search_call(entry: Fields) -> Item:
    return stored_item("fs_", "file_search_call", queries=entry.texts("queries", MAX_PARTS), results=None)


def _reference(entry: Fields) -> Item:
    return {"type": "item_reference", "id": entry.needed("id", 64)}


_READERS: dict[str, Callable[[Fields], Item]] = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _function_call_output,
    "reasoning": _reasoning,
    "file_search_call": _file_search_call,
    "item_reference": _reference,
}
