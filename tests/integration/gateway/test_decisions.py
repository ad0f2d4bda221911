"""Label probabilities from a real llama.cpp against its own whole distribution."""

from __future__ import annotations

import fcntl
import math
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import Running, smollm2_spec
from plinth.adapters.engines.llamacpp import LlamaCpp
from plinth.evaluation import Answer, Embeddings, Question
from plinth.evaluation.model import Usage
from plinth.gateway.decisions.labels import LETTERS, LabelReader
from plinth.gateway.decisions.model import Kind, Option
from plinth.gateway.decisions.model import Question as Asked

pytestmark = pytest.mark.slow

VOCABULARY = 49_152


class Engine:
    """A `Completer` that speaks to the engine's socket; keeps what was asked."""

    def __init__(self, running: Running) -> None:
        self._running, self.asked = running, []

    def complete(self, project_id: str, question: Question) -> Answer:
        self.asked.append(question)
        found = self.post(question, question.sampling)
        usage = found["usage"]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        return Answer("", "length", found["choices"], Usage(usage["prompt_tokens"], 1, cached), 0.0)

    def post(self, question: Question, fields: Any) -> dict[str, Any]:
        request = {**fields, "messages": list(question.messages)}
        body = self._running.engine.translate(request, self._running.endpoint())
        answer = self._running.http.post("/v1/chat/completions", json={**body, "stream": False})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def embed(self, project_id: str, model: str, texts: Any) -> Embeddings:
        raise NotImplementedError


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    folder = Path(tempfile.mkdtemp(prefix="pl-"))  # a short path: unix sockets
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Running(LlamaCpp(folder, folder / "lock"), smollm2_spec(slots=1))
        yield made
        made.close()
    shutil.rmtree(folder)


def test_the_probabilities_are_the_softmax_over_the_labels(running: Running) -> None:
    engine = Engine(running)
    question = Asked(Kind.choice, "Which animal is it?", tuple(Option(f"animal {letter}") for letter in LETTERS))
    reader = LabelReader(engine, "", "m", 1e-6)
    # a 4-bit model says something else (by 0.03 here) when its prompt is computed in one batch than from
    # its cache, so that only warm calls can be compared exactly
    reader.read("It barks.", question)
    engine.asked.clear()
    reading = reader.read("It barks.", question)
    forced = [call for call in engine.asked if "logit_bias" in call.sampling]
    assert forced, "every letter was listed: this says nothing about the others"

    whole = {**engine.asked[0].sampling, "top_logprobs": VOCABULARY}
    listed = engine.post(engine.asked[0], whole)["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    shares = dict.fromkeys(LETTERS, 0.0)
    for entry in listed:
        # a spelling with a blank in front is too rare here to be listed among twenty
        if entry["token"] in shares:
            shares[entry["token"]] += math.exp(entry["logprob"])
    total = sum(shares.values())
    assert reading.mass == pytest.approx(total, rel=0.01)
    assert list(reading.probabilities) == pytest.approx([share / total for share in shares.values()], rel=0.01)


def test_the_second_question_finds_the_input_in_the_cache(running: Running) -> None:
    reader = LabelReader(Engine(running), "", "m", 1e-6)
    text = "The customer says that the parcel came late and that the box was wet. " * 8
    first = reader.read(text, Asked(Kind.predicate, "The customer is angry."))
    second = reader.read(text, Asked(Kind.predicate, "The parcel was early."))
    # a reading may take more than one call, the later ones wholly cached
    assert first.tokens.cached < first.tokens.input
    assert second.tokens.cached / second.tokens.input > 0.7
