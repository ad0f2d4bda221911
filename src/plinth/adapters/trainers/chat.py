"""One chat template for training and serving: rendering, and which tokens of a row are learnt.

The environment is the one of `transformers.PreTrainedTokenizerBase.apply_chat_template` (a test
holds the two equal); it lives here so that rendering needs neither torch nor transformers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

Message = dict[str, Any]
Tokenize = Callable[[str], list[int]]


class RowRefused(Exception):
    """A row that cannot be learnt from. `code` is stable; the text names the reason, not the row."""

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


@dataclass(frozen=True)
class ChatTemplate:
    """`text` is jinja; `special_tokens` are the tokenizer's (`bos_token`, `eos_token`, …)."""

    text: str
    special_tokens: tuple[tuple[str, str], ...] = ()

    def render(self, messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
        """Raises: RowRefused when the template rejects these messages."""
        try:
            return _compiled(self.text).render(
                messages=[dict(message) for message in messages],
                tools=None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **dict(self.special_tokens),
            )
        except TemplateError as error:
            raise RowRefused("template_refused", f"the chat template refuses it: {error}") from error


@dataclass(frozen=True)
class Segment:
    """A stretch of the rendered row; `learnt` stretches carry loss."""

    text: str
    learnt: bool


def segments(template: ChatTemplate, messages: Sequence[Message], end_of_turn: str | None) -> list[Segment]:
    """Cut a rendered conversation into what the model is given and what it must say.

    Every assistant message whose `weight` is not 0 is learnt, from where generation starts up to
    and including `end_of_turn`. What follows the last learnt stretch is dropped: nothing depends
    on it. Joined, the segments are a prefix of `template.render(messages)`.

    Raises:
        RowRefused: nothing to learn, or the template does not render a conversation as an
            extension of its own beginning, so that serving would see other tokens than training.
    """
    whole = template.render(messages)
    result: list[Segment] = []
    done = 0
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or message.get("weight") == 0:
            continue
        prompt = template.render(messages[:index], add_generation_prompt=True)
        answered = template.render(messages[: index + 1])
        if not (whole.startswith(answered) and answered.startswith(prompt) and len(prompt) >= done):
            raise RowRefused(
                "template_not_prefix",
                f"the chat template does not render messages 1-{index + 1} as a beginning of the whole conversation, "
                "so training and serving would differ",
            )
        answer = _until(answered[len(prompt) :], end_of_turn)
        result += [Segment(prompt[done:], learnt=False), Segment(answer, learnt=True)]
        done = len(prompt) + len(answer)
    if not result:
        raise RowRefused("nothing_to_learn", "it has no assistant message with a weight other than 0")
    return result


@dataclass(frozen=True)
class EncodedRow:
    """`ids` are the row's tokens; `targets` are the indices into `ids` (>= 1, rising) that carry
    loss, each predicted from the token before it. The last id is always a target."""

    ids: tuple[int, ...]
    targets: tuple[int, ...]

    @property
    def input_length(self) -> int:
        """Tokens that go through the network (the last one is only predicted)."""
        return len(self.ids) - 1


def encode(parts: Sequence[Segment], tokenize: Tokenize) -> EncodedRow:
    """Tokenize segment by segment: a prompt gets the very tokens that it gets when served."""
    ids: list[int] = []
    targets: list[int] = []
    for part in parts:
        tokens = tokenize(part.text)
        if part.learnt:
            targets += range(max(1, len(ids)), len(ids) + len(tokens))
        ids += tokens
    if not targets:
        raise RowRefused("nothing_to_learn", "its assistant messages are empty")
    return EncodedRow(tuple(ids[: targets[-1] + 1]), tuple(targets))


def control_token_in(messages: Sequence[Message], control_tokens: Sequence[str]) -> str | None:
    """The first control token that a message spells out, if any: it would end or forge a turn."""
    for message in messages:
        content = message.get("content")
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        for token in control_tokens:
            if token in text:
                return token
    return None


def refuse_tools(row: Mapping[str, Any], template: ChatTemplate) -> None:
    """Raises: RowRefused when the row needs tools that the template would leave out silently."""
    calls = any(message.get("tool_calls") or message["role"] == "tool" for message in row["messages"])
    if row.get("tools") or (calls and "tool_calls" not in template.text):
        raise RowRefused("tools_not_supported", "it uses tools, which this trainer does not teach yet")


def _until(text: str, end: str | None) -> str:
    found = text.rfind(end) if end else -1
    return text if found < 0 or end is None else text[: found + len(end)]


def _raise(message: str) -> None:
    raise TemplateError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@lru_cache(maxsize=8)
def _compiled(text: str) -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    # the template decides the form; a date in a prompt is the local one, as when it is served
    environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
    return environment.from_string(text)
