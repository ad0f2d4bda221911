"""Small checks for one field each: a rule takes (field name, value) and returns the value or raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from plinth.gateway.errors import MissingField, NotOneOf, OutOfRange, TooDeep, TooMany, Unsupported, WrongType

Rule = Callable[[str, Any], Any]


def apply(rules: Mapping[str, Rule], body: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The fields of `body` that have a rule, checked. `null` counts as absent; the rest is dropped."""
    checked = {}
    for name, value in body.items():
        if value is not None and (rule := rules.get(name)) is not None:
            checked[name] = rule(prefix + name, value)
    return checked


def number(low: float, high: float) -> Rule:
    def rule(field: str, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise WrongType(field=field, expected="number", param=field)
        return _between(field, value, low, high)

    return rule


def integer(low: int, high: int) -> Rule:
    def rule(field: str, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongType(field=field, expected="integer", param=field)
        return _between(field, value, low, high)

    return rule


def boolean(field: str, value: Any) -> Any:
    return typed(field, value, bool, "boolean")


def text(limit: int) -> Rule:
    def rule(field: str, value: Any) -> Any:
        return _at_most(field, typed(field, value, str, "string"), limit)

    return rule


def name(field: str, value: Any) -> str:
    """A non-empty short string."""
    if value is None or value == "":
        raise MissingField(field=field, param=field)
    checked: str = text(256)(field, value)
    return checked


def one_of(*choices: str) -> Rule:
    def rule(field: str, value: Any) -> Any:
        if value not in choices:
            raise NotOneOf(field=field, choices=", ".join(choices), param=field)
        return value

    return rule


def only(supported: Any) -> Rule:
    """A field that must keep its default here, so that nobody believes that it had an effect."""

    def rule(field: str, value: Any) -> Any:
        if value != supported:
            raise Unsupported(field=field, supported=supported, param=field)
        return value

    return rule


def list_of(rule_of_item: Rule, limit: int) -> Rule:
    def rule(field: str, value: Any) -> Any:
        items = _at_most(field, typed(field, value, list, "array"), limit)
        return [rule_of_item(f"{field}.{position}", item) for position, item in enumerate(items)]

    return rule


def text_or_texts(limit_items: int, limit: int) -> Rule:
    one, many = text(limit), list_of(text(limit), limit_items)

    def rule(field: str, value: Any) -> Any:
        return many(field, value) if isinstance(value, list) else one(field, value)

    return rule


def mapping(limit: int, rule_of_value: Rule) -> Rule:
    def rule(field: str, value: Any) -> Any:
        items = _at_most(field, typed(field, value, dict, "object"), limit)
        return {key: rule_of_value(f"{field}.{key[:64]}", item) for key, item in items.items()}

    return rule


def anything(field: str, value: Any) -> Any:
    return value


def typed(field: str, value: Any, kind: type, expected: str) -> Any:
    if not isinstance(value, kind):
        raise WrongType(field=field, expected=expected, param=field)
    return value


def check_depth(value: Any, limit: int) -> None:
    """Raises `TooDeep`. Walks level by level, so no input can exhaust the stack."""
    level = [value]
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise TooDeep(limit=limit)


def _between(field: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise OutOfRange(field=field, low=low, high=high, param=field)
    return value


def _at_most(field: str, value: Any, limit: int) -> Any:
    if len(value) > limit:
        raise TooMany(field=field, limit=limit, param=field)
    return value
