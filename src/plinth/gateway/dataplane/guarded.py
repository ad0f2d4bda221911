"""What leaves the machine is looked at first: the texts of a request on their way out, and the
answer's on their way back (masked values are restored, a policy may forbid what the model wrote).

Only for targets with egress. Everything that can go wrong in here ends in a refusal, not in a request
that is sent after all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from plinth.gateway.errors import Unsupported
from plinth.gateway.model import ModelRequest
from plinth.privacy import AnswerFilter, DataClass, Masked, Policy, PrivacyGuard

_TEXTS = ("content", "reasoning_content", "refusal")


class Guarded:
    """A request as it may leave. `request` has masked texts; `answers` is None when nothing in the
    answer needs a look, so that it can be passed on as it comes."""

    def __init__(self, request: ModelRequest, answers: AnswerGuard | None) -> None:
        self.request, self.answers = request, answers


async def guard_request(
    guard: PrivacyGuard,
    policy: Policy,
    data_class: DataClass | None,
    request: ModelRequest,
    found: Callable[[Mapping[str, int]], None],
) -> Guarded:
    """`found` is told how many findings of which kinds there were. Raises `BlockedByPolicy`,
    `GuardUnavailable`, and `Unsupported` for token ids, which nobody can look into."""
    for name in ("prompt", "input"):
        value = request.fields.get(name)
        if isinstance(value, list) and value and not isinstance(value[0], str):
            raise Unsupported(field=name, supported="text, because it leaves this machine", param=name)
    texts: list[str] = []
    _walk(request.fields, texts.append)
    masked = await guard.outgoing(texts, policy, data_class)
    found(masked.found)
    masked.require_allowed()
    changed = list(masked.texts) != texts
    answers = AnswerGuard(guard, masked) if changed or policy.answers else None
    if not changed:
        return Guarded(request, answers)
    sent = iter(masked.texts)
    return Guarded(replace(request, fields=_walk(request.fields, lambda _: next(sent))), answers)


class AnswerGuard:
    """Looks at every text of one answer, each choice and each tool call by itself."""

    def __init__(self, guard: PrivacyGuard, masked: Masked) -> None:
        self._guard, self._masked = guard, masked
        self._filters: dict[tuple[int, str, int], AnswerFilter] = {}

    def whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        """A complete chat or text answer. Raises `AnswerBlocked`, `GuardUnavailable`."""
        for choice in answer["choices"]:
            if isinstance(choice.get("text"), str):
                choice["text"] = self._all(choice["text"])
            message = choice.get("message") or {}
            for name in _TEXTS:
                if isinstance(message.get(name), str):
                    message[name] = self._all(message[name])
            for call in message.get("tool_calls") or ():
                function = call.get("function") or {}
                if isinstance(function.get("arguments"), str):
                    function["arguments"] = self._all(function["arguments"], json_text=True)
            choice["logprobs"] = None  # its tokens spell what the text no longer says
        return answer

    def piece(self, chunk: dict[str, Any]) -> dict[str, Any]:
        """A shaped chunk of a stream. Raises `AnswerBlocked`, `GuardUnavailable`."""
        for choice in chunk["choices"]:
            index = choice["index"]
            delta = choice.get("delta", choice)
            for name in ("text",) if delta is choice else _TEXTS:
                if isinstance(delta.get(name), str):
                    delta[name] = self._filter((index, name, 0)).feed(delta[name])
            for call in delta.get("tool_calls") or ():
                function = call.get("function") or {}
                if isinstance(function.get("arguments"), str):
                    key = (index, "arguments", call.get("index", 0))
                    function["arguments"] = self._filter(key, json_text=True).feed(function["arguments"])
            choice["logprobs"] = None
            if choice.get("finish_reason"):
                self._flush(index, delta)
        return chunk

    def _flush(self, index: int, delta: dict[str, Any]) -> None:
        """Add what was held back of this choice to its last chunk."""
        for key in [key for key in self._filters if key[0] == index]:
            rest = self._filters.pop(key).finish()
            if not rest:
                continue
            if key[1] == "arguments":
                delta.setdefault("tool_calls", []).append({"index": key[2], "function": {"arguments": rest}})
            else:
                delta[key[1]] = (delta.get(key[1]) or "") + rest

    def _all(self, text: str, json_text: bool = False) -> str:
        answer = self._guard.answer(self._masked, json_text=json_text)
        return answer.feed(text) + answer.finish()

    def _filter(self, key: tuple[int, str, int], json_text: bool = False) -> AnswerFilter:
        found = self._filters.get(key)
        if found is None:
            found = self._filters[key] = self._guard.answer(self._masked, json_text=json_text)
        return found


# words of the protocol: checked against lists, or names that the other side must recognise
_STRUCTURAL = frozenset({"role", "type", "tool_choice"})


def _walk(value: Any, visit: Callable[[str], Any], key: Any = None) -> Any:
    """A copy of the fields in which every text is what `visit` returned for it, in a fixed order.

    Everything is a text that a person or an application may have put personal data into: messages,
    tool calls and their results, prompts, inputs, names, descriptions of tools and schemas, stop words.
    """
    if isinstance(value, str):
        return value if key in _STRUCTURAL else visit(value)
    if isinstance(value, dict):
        return {name: _walk(item, visit, name) for name, item in value.items()}
    return [_walk(item, visit) for item in value] if isinstance(value, list) else value


PolicyOf = Callable[[], Policy]
"""The policy of a request; raises `GuardUnavailable` when its route names one that is gone."""
