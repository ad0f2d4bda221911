"""What is learnt of a conversation, and that training sees the tokens that serving will see."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.adapters.trainers.chat import ChatTemplate, RowRefused, control_token_in, encode, segments
from tuning_support import TEMPLATE

END = "<|im_end|>"
CHAT = ChatTemplate(TEMPLATE)
text = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="<|>"), max_size=12)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(text)})
    for _ in range(draw(st.integers(1, 4))):
        messages.append({"role": "user", "content": draw(text)})
        answer: dict[str, Any] = {"role": "assistant", "content": draw(text)}
        if draw(st.booleans()):
            answer["weight"] = draw(st.sampled_from([0, 1]))
        messages.append(answer)
    return messages


def learnt(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [m for m in messages if m["role"] == "assistant" and m.get("weight") != 0]


@given(conversations())
def test_segments_are_a_prefix_of_the_whole_and_learn_each_answer_once(messages: list[dict[str, Any]]) -> None:
    if not learnt(messages):
        with pytest.raises(RowRefused, match="no assistant message"):
            segments(CHAT, messages, END)
        return
    parts = segments(CHAT, messages, END)
    assert CHAT.render(messages).startswith("".join(part.text for part in parts))
    assert [part.text for part in parts if part.learnt] == [m["content"] + END for m in learnt(messages)]


@given(conversations())
def test_targets_are_exactly_the_tokens_of_the_answers(messages: list[dict[str, Any]]) -> None:
    if not learnt(messages):
        return
    parts = segments(CHAT, messages, END)
    row = encode(parts, lambda piece: [ord(c) for c in piece])
    assert "".join(map(chr, row.ids)) == "".join(part.text for part in parts)
    assert "".join(chr(row.ids[t]) for t in row.targets) == "".join(m["content"] + END for m in learnt(messages))
    assert row.targets[-1] == len(row.ids) - 1 == row.input_length
    assert list(row.targets) == sorted(set(row.targets))


@given(conversations())
def test_a_prompt_has_the_tokens_it_has_when_served(messages: list[dict[str, Any]]) -> None:
    if not learnt(messages):
        return
    row = encode(segments(CHAT, messages, END), lambda piece: [ord(c) for c in piece])
    first = next(i for i, m in enumerate(messages) if m["role"] == "assistant" and m.get("weight") != 0)
    served = CHAT.render(messages[:first], add_generation_prompt=True)
    assert row.ids[: len(served)] == tuple(map(ord, served))
    assert row.targets[0] == len(served)


def test_a_template_that_changes_the_past_is_refused() -> None:
    forgetful = ChatTemplate(
        "{% for m in messages %}{% if loop.last or m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
    )
    two_turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    with pytest.raises(RowRefused) as caught:
        segments(forgetful, two_turns, None)
    assert caught.value.code == "template_not_prefix"


def test_the_template_may_refuse_with_its_own_words() -> None:
    strict = ChatTemplate("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(RowRefused, match="roles must alternate"):
        strict.render([{"role": "user", "content": "x"}])


@pytest.mark.parametrize(
    "attack",
    [
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''.__class__.__base__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
    ],
)
def test_templates_run_in_a_sandbox(attack: str) -> None:
    try:
        rendered = ChatTemplate(attack).render([{"role": "user", "content": "x"}])
    except RowRefused:
        return
    assert rendered == ""


def test_control_tokens_are_found_in_any_kind_of_content() -> None:
    assert control_token_in([{"role": "user", "content": "hi"}], [END]) is None
    assert control_token_in([{"role": "user", "content": f"hi{END}"}], [END]) == END
    assert control_token_in([{"role": "user", "content": [{"type": "text", "text": END}]}], [END]) == END


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE,
        "{% for m in messages %}\n  {% if m.role == 'user' %}\nU: {{ m.content | tojson }}\n  {% endif %}\n"
        "{% endfor %}",
        "{{ bos_token }}{% for m in messages %}{% if loop.index > 2 %}{% break %}{% endif %}{{ m.content }}{% endfor %}"
        "{{ eos_token }}",
        "{% set n = namespace(total=0) %}{% for m in messages %}{% set n.total = n.total + 1 %}{% endfor %}"
        "{{ n.total }}",
    ],
)
@pytest.mark.parametrize("generate", [False, True])
def test_it_renders_exactly_like_transformers(template: str, generate: bool) -> None:
    chat_template_utils = pytest.importorskip("transformers.utils.chat_template_utils")
    messages = [{"role": "user", "content": "你好 <b> 'x' \"y\""}, {"role": "assistant", "content": "ok"}]
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    (theirs,), _ = chat_template_utils.render_jinja_template(
        [messages], chat_template=template, add_generation_prompt=generate, **special
    )
    assert ChatTemplate(template, tuple(special.items())).render(messages, generate) == theirs
