from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plinth.evaluation.errors import InvalidItemSchema
from plinth.evaluation.json_schema import Schema

ITEM = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1},
        "label": {"enum": ["退款", "查询"]},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "turns": {"type": "array", "items": {"$ref": "#/$defs/turn"}, "minItems": 1},
    },
    "required": ["text", "label"],
    "additionalProperties": False,
    "$defs": {"turn": {"type": "object", "properties": {"role": {"const": "user"}}, "required": ["role"]}},
}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"text": "a", "label": "退款"}, None),
        ({"text": "a"}, "'label' is required."),
        ({"text": "", "label": "退款"}, "'text' must have at least 1 characters."),
        ({"text": "a", "label": "其他"}, '\'label\' must be one of "退款", "查询".'),
        ({"text": "a", "label": "退款", "score": 1.5}, "'score' must be at most 1."),
        ({"text": "a", "label": "退款", "score": True}, "'score' must be of type number."),
        ({"text": "a", "label": "退款", "more": 1}, "'more' is not allowed."),
        ({"text": "a", "label": "退款", "turns": [{"role": "user"}, {}]}, "'turns[1].role' is required."),
        ([], "The value must be of type object."),
    ],
)
def test_it_says_what_is_wrong(value: Any, complaint: str | None) -> None:
    assert next(Schema(ITEM).errors(value), None) == complaint


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "text"},
        {"properties": []},
        {"pattern": "(a+)+$"},
        {"$ref": "https://example.org/schema.json"},
        {"$ref": "#/$defs/none"},
        {"required": "text"},
        {"minimum": "1"},
        {"unknownKeyword": 1},
        {"anyOf": []},
        {"properties": {"a": 3}},
        [],
        None,
    ],
)
def test_a_schema_that_would_not_be_obeyed_is_refused(schema: Any) -> None:
    with pytest.raises(InvalidItemSchema):
        Schema(schema)


def test_depth_has_an_end() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"items": deep}
    with pytest.raises(InvalidItemSchema):
        Schema(deep)
    loop = Schema({"$ref": "#"})
    assert "nested" in next(loop.errors(1))


leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2.0]) | st.text("ab中", max_size=3)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=6,
)
names = st.lists(st.sampled_from(["a", "b"]), unique=True)
types = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
small = st.integers(0, 2)


def with_keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": types | st.lists(types, min_size=1, max_size=2, unique=True),
            "properties": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
            "required": names,
            "additionalProperties": inner,
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "enum": st.lists(values, min_size=1, max_size=3),
            "const": values,
            "minLength": small,
            "maxLength": small,
            "minItems": small,
            "maxItems": small,
            "minProperties": small,
            "maxProperties": small,
            "minimum": st.integers(-2, 2),
            "maximum": st.integers(-2, 2),
            "exclusiveMinimum": st.integers(-2, 2),
            "exclusiveMaximum": st.integers(-2, 2),
            "uniqueItems": st.booleans(),
            "title": st.just("t"),
        },
    )


schemas = st.recursive(st.booleans() | with_keywords(st.booleans()), with_keywords, max_leaves=4)


@settings(max_examples=300, deadline=None)
@given(schemas, values)
def test_it_agrees_with_the_reference_implementation(schema: Any, value: Any) -> None:
    expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (next(Schema(schema).errors(value), None) is None) == expected
