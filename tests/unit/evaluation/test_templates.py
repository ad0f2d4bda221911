from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.evaluation import templates
from plinth.evaluation.errors import InvalidTemplate, MissingValue

NAMESPACE: dict[str, Any] = {
    "item": {
        "question": "怎么退款？",
        "tags": ["a", {"deep": 2}],
        "n": 1.5,
        "empty": None,
        "evil": "{{ item.question }}",
    },
    "sample": {"output_text": "ok", "choices": [{"message": {"content": "hi"}}]},
}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("Q: {{ item.question }}", "Q: 怎么退款？"),
        ("{{item.tags.0}}{{ item.tags[1].deep }}", "a2"),
        ("{{ sample.choices[0].message.content }}", "hi"),
        ("{{item.n}} {{item.empty}} {{ item.tags }}", '1.5 null ["a", {"deep": 2}]'),
        ('{"a": {{item.n}}}', '{"a": 1.5}'),
        ("a {{ b", "a {{ b"),
        ("{{item.evil}}", "{{ item.question }}"),
        ("", ""),
    ],
)
def test_rendering(text: str, rendered: str) -> None:
    assert templates.parse(text).render(NAMESPACE) == rendered


@pytest.mark.parametrize(
    "expression",
    ["item.__class__.__mro__", "sample.missing", "item.tags.9", "item.n.real", "item.question.0", "item.tags.-1"],
)
def test_a_path_reaches_json_values_only(expression: str) -> None:
    with pytest.raises(MissingValue):
        templates.parse("{{ " + expression + " }}").render(NAMESPACE)


@pytest.mark.parametrize("expression", ["7*7", "user.name", "item.a | upper", "item.f()", "", "item..a", "item['x']"])
def test_what_is_no_path_is_refused(expression: str) -> None:
    with pytest.raises(InvalidTemplate):
        templates.parse("{{ " + expression + " }}")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.from_regex(r"[\w-]{1,8}", fullmatch=True)


@given(st.lists(keys, min_size=1, max_size=4), json_values)
def test_any_path_finds_what_was_put_there(path: list[str], value: Any) -> None:
    nested: Any = value
    for key in reversed(path):
        nested = {key: nested}
    rendered = templates.parse("<{{ item." + ".".join(path) + " }}>").render({"item": nested})
    assert rendered == "<" + (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) + ">"


@given(st.text())
def test_text_without_braces_is_itself(text: str) -> None:
    plain = text.replace("{{", "")
    assert templates.parse(plain).render({}) == plain


@given(st.text(alphabet="{} itemsample.[]0a", max_size=40))
def test_any_text_either_parses_or_is_refused(text: str) -> None:
    try:
        parsed = templates.parse(text)
    except InvalidTemplate:
        return
    assert all(str(templates.parse_path(str(path))) == str(path) for path in parsed.paths)
