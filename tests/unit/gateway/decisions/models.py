"""A model with a next-token distribution, for tests of decisions."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

from plinth.evaluation import Answer, Embeddings, Question
from plinth.evaluation.errors import CompletionFailed, ModelUnreachable
from plinth.evaluation.model import Usage

Opinion = Callable[[str], Mapping[str, float]]


class AnsweringModel:
    """A `Completer` with an engine's manners: it lists at most `top_logprobs` tokens, and a bias of 100 makes it
    say that token without changing the probabilities it reports. `asked` keeps every question.

    Args: `opinion(prompt)` gives {token: probability} for the last message; `takes_text_bias` says whether
        the engine understands a bias by text, as llama.cpp does; `failing(prompt)` says which calls fail.
    """

    def __init__(self, opinion: Opinion, takes_text_bias: bool = True) -> None:
        self.opinion, self.takes_text_bias = opinion, takes_text_bias
        self.failing: Callable[[str], bool] = lambda prompt: False
        self.silent = False
        self.asked: list[tuple[str, Question]] = []
        self._lock = threading.Lock()

    def complete(self, project_id: str, question: Question) -> Answer:
        with self._lock:
            self.asked.append((project_id, question))
        prompt = str(question.messages[-1]["content"])
        if question.model == "nobody":
            raise ModelUnreachable(model="nobody", reason="there is no such model.")
        bias = question.sampling.get("logit_bias") or {}
        if self.failing(prompt) or (bias and not self.takes_text_bias):
            raise CompletionFailed(model=question.model, reason="not today.")
        shares = dict(self.opinion(prompt))
        ranked = sorted(shares.items(), key=lambda pair: -pair[1])
        said = next(iter(bias), ranked[0][0])
        listed = [_entry(token, share) for token, share in ranked]
        content = {**_entry(said, shares.get(said, 0.0)), "top_logprobs": listed[: question.sampling["top_logprobs"]]}
        logprobs = None if self.silent else {"content": [content]}
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "finish_reason": "length", "message": message, "logprobs": logprobs}
        return Answer(said, "length", [choice], Usage(100, 1, 80), 0.01)

    def embed(self, project_id: str, model: str, texts: Any) -> Embeddings:
        raise NotImplementedError


def _entry(token: str, share: float) -> dict[str, Any]:
    return {"token": token, "logprob": math.log(share) if share > 0 else -9999.0, "bytes": list(token.encode())}
