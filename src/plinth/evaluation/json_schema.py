"""A strict subset of JSON Schema (2020-12) for `item_schema`, checked without any network or regex.

A keyword outside the subset is refused when the eval is made, never ignored: a schema that is
accepted means what it says. `pattern` is left out because a hostile expression can take forever.
`$ref` reaches only into the same document (`#/$defs/…`). `format` is an annotation, as the
standard has it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from plinth.evaluation.errors import InvalidItemSchema

MAX_DEPTH = 32
MAX_NODES = 2000

ANNOTATIONS = frozenset(
    {"$schema", "$id", "$comment", "$anchor", "title", "description", "default", "examples"}
    | {"deprecated", "readOnly", "writeOnly", "format"}
)
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
}
_COUNTS = frozenset(["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"])
_BOUNDS = frozenset(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
_LISTS_OF_SCHEMAS = frozenset(["anyOf", "oneOf", "allOf", "prefixItems"])
_MAPS_OF_SCHEMAS = frozenset(["properties", "$defs", "definitions"])
_SCHEMAS = frozenset(["items", "additionalProperties", "not"])


class Schema:
    """A checked schema. `Schema(document)` raises `InvalidItemSchema`; `errors(value)` explains."""

    def __init__(self, document: Any) -> None:
        self._root = document
        self._nodes = 0
        self._check(document, "#", 0)

    def errors(self, value: Any) -> Iterator[str]:
        """Sentences such as "'label' is required." in document order; nothing when it fits."""
        return self._validate(self._root, value, "", 0)

    # the schema itself

    def _check(self, schema: Any, path: str, depth: int) -> None:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise InvalidItemSchema(path=path, reason=f"more than {MAX_DEPTH} levels or {MAX_NODES} parts.")
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            raise InvalidItemSchema(path=path, reason="a schema is an object, true or false.")
        for keyword, argument in schema.items():
            self._check_keyword(keyword, argument, f"{path}/{keyword}", depth)

    def _check_keyword(self, keyword: str, argument: Any, path: str, depth: int) -> None:
        if keyword in _SCHEMAS:
            self._check(argument, path, depth + 1)
        elif keyword in _LISTS_OF_SCHEMAS:
            for index, part in enumerate(_expect(bool(argument) and isinstance(argument, list), argument, path)):
                self._check(part, f"{path}/{index}", depth + 1)
        elif keyword in _MAPS_OF_SCHEMAS:
            for name, part in _expect(isinstance(argument, dict), argument, path).items():
                self._check(part, f"{path}/{name}", depth + 1)
        elif keyword == "$ref":
            _expect(isinstance(argument, str), argument, path)
            self._resolve(argument, path)
        elif keyword not in ANNOTATIONS:
            _check_argument(keyword, argument, path)

    def _resolve(self, reference: str, path: str) -> Any:
        if not reference.startswith("#"):
            raise InvalidItemSchema(path=path, reason="a $ref must start with '#': other documents are not fetched.")
        node = self._root
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isdecimal() and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, dict) and key in node:
                node = node[key]
            else:
                raise InvalidItemSchema(path=path, reason=f"'{reference}' points at nothing.")
        if not isinstance(node, dict | bool):
            raise InvalidItemSchema(path=path, reason=f"'{reference}' is not a schema.")
        return node

    # a value against it

    def _validate(self, schema: Any, value: Any, where: str, depth: int) -> Iterator[str]:
        if isinstance(schema, bool):
            if not schema:
                yield f"{_name(where)} is not allowed."
            return
        if depth > MAX_DEPTH:
            yield f"{_name(where)} is nested more than {MAX_DEPTH} levels deep."
            return
        if "$ref" in schema:
            yield from self._validate(self._resolve(schema["$ref"], "#"), value, where, depth + 1)
        yield from _plain(schema, value, where)
        yield from self._combined(schema, value, where, depth)
        if isinstance(value, dict):
            yield from self._object(schema, value, where, depth)
        elif isinstance(value, list):
            yield from self._array(schema, value, where, depth)

    def _combined(self, schema: dict[str, Any], value: Any, where: str, depth: int) -> Iterator[str]:
        for part in schema.get("allOf", ()):
            yield from self._validate(part, value, where, depth + 1)
        if "anyOf" in schema and not any(self._fits(part, value, depth) for part in schema["anyOf"]):
            yield f"{_name(where)} fits none of the alternatives."
        if "oneOf" in schema and sum(self._fits(part, value, depth) for part in schema["oneOf"]) != 1:
            yield f"{_name(where)} must fit exactly one of the alternatives."
        if "not" in schema and self._fits(schema["not"], value, depth):
            yield f"{_name(where)} has a form that is ruled out."

    def _fits(self, schema: Any, value: Any, depth: int) -> bool:
        return next(self._validate(schema, value, "", depth + 1), None) is None

    def _object(self, schema: dict[str, Any], value: dict[str, Any], where: str, depth: int) -> Iterator[str]:
        properties = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{_name(_join(where, name))} is required."
        for name, part in value.items():
            if name in properties:
                yield from self._validate(properties[name], part, _join(where, name), depth + 1)
            elif "additionalProperties" in schema:
                yield from self._validate(schema["additionalProperties"], part, _join(where, name), depth + 1)

    def _array(self, schema: dict[str, Any], value: list[Any], where: str, depth: int) -> Iterator[str]:
        prefix = schema.get("prefixItems", ())
        for index, part in enumerate(value):
            inner = prefix[index] if index < len(prefix) else schema.get("items", True)
            yield from self._validate(inner, part, f"{where}[{index}]", depth + 1)


def _plain(schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
    """The keywords that look at one value and not into it."""
    if "type" in schema:
        wanted = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(_TYPES[name](value) for name in wanted):
            yield f"{_name(where)} must be of type {' or '.join(wanted)}."
    if "enum" in schema and not any(_same(value, option) for option in schema["enum"]):
        options = ", ".join(json.dumps(option, ensure_ascii=False) for option in schema["enum"][:10])
        yield f"{_name(where)} must be one of {options}{', …' if len(schema['enum']) > 10 else ''}."
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{_name(where)} must be {json.dumps(schema['const'], ensure_ascii=False)}."
    if _TYPES["number"](value):
        yield from _bounds(schema, value, where)
    elif isinstance(value, str):
        yield from _counts(schema, len(value), where, "Length", "characters")
    elif isinstance(value, list):
        yield from _counts(schema, len(value), where, "Items", "entries")
        if schema.get("uniqueItems") and len({_canonical(part) for part in value}) < len(value):
            yield f"{_name(where)} must not contain an entry twice."
    elif isinstance(value, dict):
        yield from _counts(schema, len(value), where, "Properties", "entries")


def _bounds(schema: dict[str, Any], value: float, where: str) -> Iterator[str]:
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{_name(where)} must be at least {schema['minimum']}."
    if "maximum" in schema and value > schema["maximum"]:
        yield f"{_name(where)} must be at most {schema['maximum']}."
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield f"{_name(where)} must be more than {schema['exclusiveMinimum']}."
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield f"{_name(where)} must be less than {schema['exclusiveMaximum']}."


def _counts(schema: dict[str, Any], count: int, where: str, suffix: str, unit: str) -> Iterator[str]:
    if count < schema.get(f"min{suffix}", 0):
        yield f"{_name(where)} must have at least {schema[f'min{suffix}']} {unit}."
    if count > schema.get(f"max{suffix}", count):
        yield f"{_name(where)} must have at most {schema[f'max{suffix}']} {unit}."


def _check_argument(keyword: str, argument: Any, path: str) -> None:
    number = isinstance(argument, int | float) and not isinstance(argument, bool)
    names = isinstance(argument, list) and all(isinstance(name, str) for name in argument)
    if keyword == "type":
        listed = argument if isinstance(argument, list) else [argument]
        _expect(bool(listed) and all(isinstance(name, str) and name in _TYPES for name in listed), argument, path)
    elif keyword == "required":
        _expect(names, argument, path)
    elif keyword == "enum":
        _expect(isinstance(argument, list) and bool(argument), argument, path)
    elif keyword in _COUNTS:
        _expect(isinstance(argument, int) and number and argument >= 0, argument, path)
    elif keyword in _BOUNDS:
        _expect(number, argument, path)
    elif keyword == "uniqueItems":
        _expect(isinstance(argument, bool), argument, path)
    elif keyword != "const":
        raise InvalidItemSchema(path=path, reason=f"the keyword '{keyword}' is not supported.")


def _expect(fits: bool, argument: Any, path: str) -> Any:
    if not fits:
        raise InvalidItemSchema(path=path, reason="the value of this keyword has the wrong form.")
    return argument


def _same(left: Any, right: Any) -> bool:
    """JSON equality: 1 is 1.0, but true is not 1."""
    return bool(_canonical(left) == _canonical(right))


def _canonical(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, list):
        return ("array", tuple(_canonical(part) for part in value))
    return ("object", frozenset((name, _canonical(part)) for name, part in value.items()))


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _name(where: str) -> str:
    return f"'{where}'" if where else "The value"
