"""Probabilities of a question's options, from the log-probabilities that a model gives to their labels.

An option is a capital letter in the prompt (A to T; a predicate's are A for true and B for false): single
tokens in every vocabulary we know. The model answers with one token, and its distribution over that token is read,
not the word. What this costs: small models favour some letters whatever these stand for (which a
calibration can undo on average, not for a single text), a model that thinks before it answers puts nothing
on the labels and refuses, and the tokenizer may split a label (then it is never seen, and the model refuses).

An API lists 20 tokens at most. A label that is not among them has at most the probability of the last one
listed. If that could matter, the label is forced by a bias, given by its text as llama.cpp takes it: engines
report the probability from before the bias, so the answer is the exact one. Where an engine does not take
that, the bound stands in. More than 20 options are asked in two steps, first for the group and then within
each group that has a chance: P(option) = P(group) x P(option | group), an order of asking that can favour
groups with many good options.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from plinth.evaluation import Completer
from plinth.evaluation import Question as Call
from plinth.gateway.decisions.errors import DecisionNoProbabilities, DecisionsNotPossible
from plinth.gateway.decisions.model import Option, Question, Reading, Tokens
from plinth.kit.errors import PlinthError

LISTED = 20
LETTERS = string.ascii_uppercase[:LISTED]
NEGLIGIBLE = 1e-4
"""A label that is not listed is only asked for when it could have more than this share of the labels' mass."""
LEAST_GROUP = 1e-3
"""Groups less likely than this are not looked into; their options share what there is."""
SMALLEST = 1e-12
"""No option has less, so that logarithms stay finite."""
UNREACHABLE, REFUSED_CALL = "model_unreachable", "completion_failed"


@dataclass(frozen=True)
class Shares:
    """Of the labels of one call: `values` sum to 1; `mass` is what they have of the model's whole distribution."""

    values: tuple[float, ...]
    mass: float
    tokens: Tokens


class LabelReader:
    """Reads one model. Thread-safe.

    Args: `completer` speaks to the public port; `least_mass` is the share of probability that must be on
        the labels for the reading to count as an answer.
    """

    def __init__(self, completer: Completer, project_id: str, model: str, least_mass: float) -> None:
        self._completer, self._project_id, self._model = completer, project_id, model
        self._least_mass = least_mass
        self._takes_bias = True

    def read(self, text: str, question: Question) -> Reading:
        """Raises `DecisionNoProbabilities`, `DecisionsNotPossible`, and what the completer raises."""
        groups = groups_of(question.options)
        if len(groups) == 1:
            shares = self._shares(text, _asked(question), LETTERS[: len(question.options)])
            return _reading(shares.values, shares, self._least_mass)
        first = self._shares(text, _asked_for_group(question, groups), LETTERS[: len(groups)])
        if first.mass < self._least_mass:
            return Reading((), first.mass, first.tokens)
        values: list[float] = []
        mass, tokens = 0.0, first.tokens
        for group, share in zip(groups, first.values, strict=True):
            inner = self._within(text, question, group) if share >= LEAST_GROUP else _even(len(group))
            values += [share * value for value in inner.values]
            mass, tokens = mass + share * inner.mass, tokens + inner.tokens
        return _reading(tuple(values), Shares((), first.mass * mass, tokens), self._least_mass)

    def _within(self, text: str, question: Question, group: Sequence[Option]) -> Shares:
        if len(group) == 1:
            return _even(1)
        narrowed = Question(question.kind, question.instructions, tuple(group))
        return self._shares(text, _asked(narrowed), LETTERS[: len(group)])

    def _shares(self, text: str, asked: str, labels: Sequence[str]) -> Shares:
        found, bound, tokens = self._listed(text, asked, labels)
        missing = [label for label in labels if label not in found]
        mass = sum(found.values())
        if mass + len(missing) * bound < self._least_mass:
            return _normalised([found.get(label, bound) for label in labels], mass, tokens)
        for label in missing:
            exact: float | None = None
            if bound > NEGLIGIBLE * mass and self._takes_bias:
                exact, used = self._forced(text, asked, label)
                tokens = tokens + used
            found[label] = bound if exact is None else min(exact, bound)
        return _normalised([found[label] for label in labels], min(1.0, sum(found.values())), tokens)

    def _listed(self, text: str, asked: str, labels: Sequence[str]) -> tuple[dict[str, float], float, Tokens]:
        """Probabilities of the labels among the listed tokens, and the most that any other token can have."""
        entry, tokens = self._call(text, asked, {})
        try:
            likely = [(str(other["token"]), _probability(other["logprob"])) for other in entry["top_logprobs"]]
        except (KeyError, TypeError, ValueError):
            likely = []
        if not likely:
            raise DecisionNoProbabilities(model=self._model, param="model")
        found: dict[str, float] = {}
        for token, probability in likely:
            label = _label(token, labels)
            if label is not None:
                found[label] = found.get(label, 0.0) + probability
        bound = min(probability for _, probability in likely)
        return found, min(bound, max(0.0, 1.0 - sum(probability for _, probability in likely))), tokens

    def _forced(self, text: str, asked: str, label: str) -> tuple[float | None, Tokens]:
        """The label's own probability; None when the engine would not say."""
        try:
            entry, tokens = self._call(text, asked, {"logit_bias": {label: 100}})
        except PlinthError as error:
            if error.code != REFUSED_CALL:
                raise
            self._takes_bias = False
            return None, Tokens()
        if _label(str(entry.get("token")), [label]) is None:
            self._takes_bias = False
            return None, tokens
        return _probability(entry.get("logprob")), tokens

    def _call(self, text: str, asked: str, extra: dict[str, Any]) -> tuple[dict[str, Any], Tokens]:
        """The first token's entry of the answer's log-probabilities."""
        prompt = _prompt()
        content = prompt["input"].replace("{input}", text) + "\n" + asked
        messages = [{"role": "system", "content": prompt["system"]}, {"role": "user", "content": content}]
        sampling = {"temperature": 0, "max_completion_tokens": 1, "logprobs": True, "top_logprobs": LISTED, **extra}
        try:
            answer = self._completer.complete(self._project_id, Call(self._model, messages, sampling))
        except PlinthError as error:
            if error.code == UNREACHABLE:
                reason = str(error.fields.get("reason", error.message))
                raise DecisionsNotPossible(model=self._model, reason=reason, param="model") from error
            raise
        used = answer.usage
        tokens = Tokens(used.prompt_tokens, used.cached_tokens, used.completion_tokens)
        try:
            entry = answer.choices[0]["logprobs"]["content"][0]
        except (IndexError, KeyError, TypeError):
            raise DecisionNoProbabilities(model=self._model, param="model") from None
        return (entry if isinstance(entry, dict) else {}), tokens


def groups_of(options: Sequence[Option]) -> list[Sequence[Option]]:
    """As few groups as there can be with up to 20 options each, in order, of nearly the same size."""
    count = -(-len(options) // LISTED)
    bounds = [len(options) * number // count for number in range(count + 1)]
    return [options[start:end] for start, end in pairwise(bounds)]


def calls_of(question: Question) -> int:
    """Model calls that the question needs at least, forced labels left out."""
    groups = len(groups_of(question.options))
    return 1 if groups == 1 else 1 + groups


def _asked(question: Question) -> str:
    lines = [f"{letter}. {_shown(option)}" for letter, option in zip(LETTERS, question.options, strict=False)]
    return _filled(str(question.kind), question, lines)


def _asked_for_group(question: Question, groups: Sequence[Sequence[Option]]) -> str:
    lines = [
        f"{letter}. {'; '.join(_shown(option) for option in group)}"
        for letter, group in zip(LETTERS, groups, strict=False)
    ]
    return _filled("groups", question, lines)


def _filled(template: str, question: Question, lines: Sequence[str]) -> str:
    text: str = _prompt()[template]
    # the options first: what a client wrote is never searched for our placeholders
    before, _, after = text.partition("{instructions}")
    after = after.replace("{options}", "\n".join(lines))
    return (before + question.instructions + after).rstrip()


def _shown(option: Option) -> str:
    value = str(option.value).lower() if isinstance(option.value, bool) else option.value
    return f"{value} ({option.description})" if option.description else value


def _label(token: str, labels: Sequence[str]) -> str | None:
    """Which label the token is, with or without blanks around it; a small "a" is a word and not the label."""
    plain = token.strip()
    return plain if plain in labels else None


def _probability(logprob: Any) -> float:
    value = float(logprob)
    if math.isnan(value):
        raise ValueError(logprob)
    return math.exp(min(0.0, value))


def _normalised(given: Sequence[float], mass: float, tokens: Tokens) -> Shares:
    values = [max(SMALLEST, value) for value in given]
    total = math.fsum(values)
    return Shares(tuple(value / total for value in values), mass, tokens)


def _even(count: int) -> Shares:
    return Shares((1 / count,) * count, 1.0, Tokens())


def _reading(values: tuple[float, ...], shares: Shares, least_mass: float) -> Reading:
    return Reading(values if shares.mass >= least_mass else (), shares.mass, shares.tokens)


@cache
def _prompt() -> dict[str, str]:
    loaded: dict[str, str] = yaml.safe_load((Path(__file__).parent / "prompt.yaml").read_text("utf-8"))
    return loaded
