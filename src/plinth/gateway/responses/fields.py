"""Reads one JSON object field by field; a wrong field raises an error that names it.

`null` counts as absent everywhere, as the hosted API has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plinth.gateway.errors import MissingField, NotOneOf, OutOfRange, TooDeep, TooMany, WrongType

MAX_DEPTH = 64
MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE = 16, 64, 512


class Fields:
    """Args: `path` is where the object is, for messages: `input.3.` (empty for the body itself)."""

    def __init__(self, value: Any, path: str = "") -> None:
        if not isinstance(value, Mapping):
            where = path.rstrip(".") or "body"
            raise WrongType(field=where, expected="object", param=where)
        self._value, self.path = value, path

    def raw(self, name: str) -> Any:
        return self._value.get(name)

    def text(self, name: str, limit: int | None = None) -> str | None:
        value: str | None = self._typed(name, str, "string")
        if value is not None and limit is not None and len(value) > limit:
            raise TooMany(field=self.path + name, limit=limit, param=self.path + name)
        return value

    def needed(self, name: str, limit: int | None = None) -> str:
        """A text that must be there; it may be empty only when there is no limit."""
        value = self.text(name, limit)
        if value is None or (limit is not None and not value):
            raise self.missing(name)
        return value

    def flag(self, name: str, default: bool) -> bool:
        value: bool | None = self._typed(name, bool, "boolean")
        return default if value is None else value

    def number(self, name: str, low: float, high: float) -> float | None:
        value: float | None = self._between(name, self._numeric(name, (int, float), "number"), low, high)
        return value

    def integer(self, name: str, low: int, high: int) -> int | None:
        value: int | None = self._between(name, self._numeric(name, (int,), "integer"), low, high)
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        value = self.raw(name)
        if value is not None and value not in choices:
            raise NotOneOf(field=self.path + name, choices=", ".join(choices), param=self.path + name)
        return None if value is None else str(value)

    def object(self, name: str) -> dict[str, Any] | None:
        value: dict[str, Any] | None = self._typed(name, dict, "object")
        return value

    def inner(self, name: str) -> Fields:
        """The object in that field, which must be there."""
        if self.raw(name) is None:
            raise self.missing(name)
        return Fields(self.raw(name), f"{self.path}{name}.")

    def each(self, name: str, limit: int) -> list[Fields]:
        """The objects of the array in that field."""
        values: list[Any] = self._typed(name, list, "array") or []
        if len(values) > limit:
            raise TooMany(field=self.path + name, limit=limit, param=self.path + name)
        return [Fields(value, f"{self.path}{name}.{position}.") for position, value in enumerate(values)]

    def texts(self, name: str, limit: int) -> list[str]:
        values: list[Any] = self._typed(name, list, "array") or []
        if len(values) > limit:
            raise TooMany(field=self.path + name, limit=limit, param=self.path + name)
        if not all(isinstance(value, str) for value in values):
            raise WrongType(field=self.path + name, expected="array of strings", param=self.path + name)
        return values

    def metadata(self, name: str = "metadata") -> dict[str, str]:
        """Up to 16 pairs; keys up to 64 characters, values strings of up to 512."""
        values = self.object(name) or {}
        if len(values) > MAX_METADATA:
            raise TooMany(field=self.path + name, limit=MAX_METADATA, param=self.path + name)
        checked = Fields(values, f"{self.path}{name}.")
        for key in values:
            if len(key) > MAX_METADATA_KEY:
                where = f"{self.path}{name}.{key[:MAX_METADATA_KEY]}"
                raise TooMany(field=where, limit=MAX_METADATA_KEY, param=where)
        return {key: checked.text(key, MAX_METADATA_VALUE) or "" for key in values}

    def missing(self, name: str) -> MissingField:
        return MissingField(field=self.path + name, param=self.path + name)

    def _typed(self, name: str, kind: type, expected: str) -> Any:
        value = self.raw(name)
        if value is not None and not isinstance(value, kind):
            raise WrongType(field=self.path + name, expected=expected, param=self.path + name)
        return value

    def _numeric(self, name: str, kinds: tuple[type, ...], expected: str) -> Any:
        value = self.raw(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise WrongType(field=self.path + name, expected=expected, param=self.path + name)
        return value

    def _between(self, name: str, value: Any, low: float, high: float) -> Any:
        if value is not None and not low <= value <= high:
            raise OutOfRange(field=self.path + name, low=low, high=high, param=self.path + name)
        return value


def check_depth(value: Any) -> None:
    """Raises `TooDeep`. Walks level by level, so that no input can exhaust the stack."""
    level = [value]
    for _ in range(MAX_DEPTH):
        nodes = [node.values() if isinstance(node, Mapping) else node for node in level]
        level = [child for node in nodes for child in node if isinstance(child, Mapping | list)]
        if not level:
            return
    raise TooDeep(limit=MAX_DEPTH)
