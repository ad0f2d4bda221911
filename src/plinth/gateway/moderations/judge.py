"""A chat model as moderator: asked yes or no for each category, and scored by the probabilities of its first token.

A score is P(yes) / (P(yes) + P(no)) as the model's own log-probabilities give it. It is the
model's opinion and is not calibrated: 0.9 does not mean that nine of ten such texts are harmful.
Set the threshold on texts of your own. A text may try to talk to the model; the prompt
(`judge.yaml`) tells it not to listen, which helps and proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from plinth.evaluation import Completer, Question
from plinth.gateway.moderations.errors import NoClearAnswer, NoProbabilities
from plinth.gateway.moderations.model import CATEGORIES, Verdict

YES, NO = frozenset({"yes", "y", "是", "是的"}), frozenset({"no", "n", "否", "不", "不是"})
LEAST_MASS = 0.5
"""Yes and no together must be at least this likely, or the model was not answering the question."""


class ModelModerator:
    """Asks one question a category, `concurrency` of them side by side.

    Args: `completer` speaks to the public port, so that permissions, limits and metering apply;
        `name` is the chat model or route.
    """

    def __init__(self, completer: Completer, name: str, threshold: float, concurrency: int = 4) -> None:
        self._completer, self._name = completer, name
        self._threshold, self._concurrency = threshold, concurrency
        self.model = f"plinth-judge-1:{name}"
        self.method = (
            f"The model {name} was asked yes or no for each category. A score is the probability it gave to yes "
            f"against no, uncalibrated; from {threshold:g} on a category counts as found."
        )

    def moderate(self, project_id: str, texts: Sequence[str]) -> list[Verdict]:
        """Raises `NoProbabilities`, `NoClearAnswer`, and what the completer raises."""
        asked = [(text, category) for text in texts for category in CATEGORIES]
        with ThreadPoolExecutor(self._concurrency) as threads:
            scores = list(threads.map(lambda pair: self._score(project_id, *pair), asked))
        verdicts = []
        for start in range(0, len(scores), len(CATEGORIES)):
            own = dict(zip(CATEGORIES, scores[start : start + len(CATEGORIES)], strict=True))
            verdicts.append(Verdict(own, frozenset(name for name, score in own.items() if score >= self._threshold)))
        return verdicts

    def _score(self, project_id: str, text: str, category: str) -> float:
        prompt = _prompt()
        question = prompt["question"].replace("{what}", prompt["categories"][category]).replace("{text}", text)
        messages = [{"role": "system", "content": prompt["system"]}, {"role": "user", "content": question}]
        sampling = {"temperature": 0, "max_completion_tokens": 1, "logprobs": True, "top_logprobs": 20}
        answer = self._completer.complete(project_id, Question(self._name, messages, sampling))
        score = yes_probability(answer.choices)
        if score is None:
            raise NoProbabilities(model=self._name, param="model")
        if math.isnan(score):
            raise NoClearAnswer(model=self._name, category=category)
        return score


def yes_probability(choices: Sequence[Mapping[str, Any]]) -> float | None:
    """P(yes) / (P(yes) + P(no)) of the first token; None without log-probabilities, NaN when the
    model had something else in mind."""
    try:
        listed = choices[0]["logprobs"]["content"][0]["top_logprobs"]
        likely = [(str(entry["token"]).strip().casefold(), math.exp(float(entry["logprob"]))) for entry in listed]
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return None
    yes = sum(probability for token, probability in likely if token in YES)
    no = sum(probability for token, probability in likely if token in NO)
    return yes / (yes + no) if yes + no >= LEAST_MASS else math.nan


@cache
def _prompt() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "judge.yaml").read_text("utf-8"))
    return loaded
