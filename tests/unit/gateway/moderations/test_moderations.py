"""`/v1/moderations` with the official SDK, by word list and by asking a model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from fastapi.testclient import TestClient

from plinth.evaluation import Answer, Completer, Embeddings, Question
from plinth.evaluation.errors import ModelUnreachable
from plinth.evaluation.model import Usage
from plinth.gateway.moderations import CATEGORIES, ModelModerator, ModerationService, ScriptedModerator
from plinth.gateway.moderations.errors import NoClearAnswer, NoProbabilities
from plinth.gateway.moderations.http import router
from plinth.gateway.moderations.judge import yes_probability
from plinth.gateway.moderations.settings import ModerationSettings
from plinth.identity import Role
from support import Caller, actor, client_for


class Judge:
    """A completer whose first token is yes with the probability that `opinion(text, question)` gives."""

    def __init__(self, opinion: Any = lambda question: 0.02) -> None:
        self.opinion, self.asked = opinion, []

    def complete(self, project_id: str, question: Question) -> Answer:
        self.asked.append((project_id, question))
        if question.model == "nobody":
            raise ModelUnreachable(model="nobody", reason="there is no such model.")
        yes = self.opinion(str(question.messages[-1]["content"]))
        logprobs = None if yes is None else {"content": [{"top_logprobs": tokens(yes)}]}
        choice = {"index": 0, "message": {"role": "assistant", "content": "?"}, "logprobs": logprobs}
        return Answer("?", "length", [choice], Usage(), 0.0)

    def embed(self, project_id: str, model: str, texts: Any) -> Embeddings:
        raise NotImplementedError


def tokens(yes: float) -> list[dict[str, Any]]:
    """Yes in two spellings, no in one, and a little of something else."""
    shares = {"Yes": yes * 0.45, " yes": yes * 0.45, "No": (1 - yes) * 0.9, "Maybe": 0.1}
    return [{"token": token, "logprob": math.log(share)} for token, share in shares.items() if share > 0]


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def caller() -> Caller:
    return Caller()


def made(judge: Completer, **settings: Any) -> ModerationService:
    return ModerationService(judge, ModerationSettings(**settings))


@pytest.fixture
def web(judge: Judge, caller: Caller) -> Iterator[TestClient]:
    with client_for(router(made(judge), caller.guard)) as client:
        yield client


@pytest.fixture
def sdk(web: TestClient) -> openai.OpenAI:
    def send(request: httpx.Request) -> httpx.Response:
        answer = web.request(request.method, str(request.url), content=request.content, headers=dict(request.headers))
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    client = httpx.Client(transport=httpx.MockTransport(send))
    return openai.OpenAI(base_url="http://testserver/v1", api_key="sk", max_retries=0, http_client=client)


def test_the_hosted_model_name_means_this_servers_own_choice(sdk: openai.OpenAI, judge: Judge) -> None:
    found: Any = sdk.moderations.create(model="omni-moderation-latest", input="我真的不想活了")
    assert found.id.startswith("modr-")
    assert found.model == "plinth-lexicon-1"
    assert "not a probability" in found.method
    (result,) = found.results
    assert result.flagged
    assert result.categories.self_harm_intent
    assert not result.categories.violence
    assert result.category_scores.self_harm_intent == 1.0
    assert result.category_scores.harassment_threatening == 0.0
    assert result.category_applied_input_types.sexual_minors == ["text"]
    assert judge.asked == []


def test_a_list_of_texts_gets_a_result_each_in_order(sdk: openai.OpenAI) -> None:
    found = sdk.moderations.create(input=["hello", "fuck you", "你好"])
    assert [result.flagged for result in found.results] == [False, True, False]


def test_parts_are_one_input(sdk: openai.OpenAI) -> None:
    parts: Any = [{"type": "text", "text": "fuck"}, {"type": "text", "text": "you"}]
    assert [result.flagged for result in sdk.moderations.create(input=parts).results] == [True]


def test_what_cannot_be_looked_at_is_refused_never_called_harmless(web: TestClient) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
    for given, code in (
        ([image], "moderation_text_only"),
        ([{"type": "text", "text": "hi"}, image], "moderation_text_only"),
        ([], "empty_moderation_input"),
        (["x"] * 65, "empty_moderation_input"),
        (["fine", "x" * 100_001], "moderation_text_too_long"),
        (7, "invalid_request"),
        (None, "invalid_request"),
    ):
        answer = web.post("/v1/moderations", json={"input": given})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), given


def test_a_viewer_may_not(web: TestClient, caller: Caller) -> None:
    caller.actor = actor(role=Role.viewer)
    assert web.post("/v1/moderations", json={"input": "x"}).status_code == 403


# asking a model


def test_a_named_model_is_asked_thirteen_questions_a_text(sdk: openai.OpenAI, judge: Judge) -> None:
    judge.opinion = lambda question: 0.9 if "<text>\nbad" in question and "insults" in question else 0.1
    found: Any = sdk.moderations.create(model="my-chat", input=["bad", "good"])
    assert found.model == "plinth-judge-1:my-chat"
    assert "uncalibrated" in found.method
    assert [result.flagged for result in found.results] == [True, False]
    assert found.results[0].category_scores.harassment == pytest.approx(0.9)
    assert found.results[0].category_scores.hate == pytest.approx(0.1)
    assert found.results[0].categories.harassment
    assert not found.results[0].categories.hate
    assert len(judge.asked) == 2 * len(CATEGORIES)
    project_id, question = judge.asked[0]
    assert (project_id, question.model) == ("proj_a", "my-chat")
    assert question.sampling == {"temperature": 0, "max_completion_tokens": 1, "logprobs": True, "top_logprobs": 20}


def test_the_questions_differ_and_share_their_beginning(judge: Judge) -> None:
    ModelModerator(judge, "m", 0.5).moderate("proj_a", ["{what} {text}"])
    asked = [str(question.messages[-1]["content"]) for _, question in judge.asked]
    assert len(set(asked)) == len(CATEGORIES)
    assert all(content.startswith("<text>\n{what} {text}\n</text>\n") for content in asked)


def test_the_installations_model_and_threshold(judge: Judge) -> None:
    judge.opinion = lambda question: 0.6
    service = made(judge, model="guard-route", threshold=0.7)
    found = service.moderate(actor(), ["x"], "text-moderation-stable")
    assert (found.model, found.verdicts[0].flagged) == ("plinth-judge-1:guard-route", False)
    assert made(judge, model="guard-route", threshold=0.6).moderate(actor(), ["x"], None).verdicts[0].flagged
    assert service.moderate(actor(), ["x"], "plinth-lexicon-1").model == "plinth-lexicon-1"


def test_a_model_without_probabilities_gets_no_invented_ones(judge: Judge) -> None:
    judge.opinion = lambda question: None
    with pytest.raises(NoProbabilities):
        made(judge).moderate(actor(), ["x"], "m")


def test_a_model_that_talks_about_something_else_is_no_judge(judge: Judge) -> None:
    answers = [{"token": "Sure", "logprob": math.log(0.8)}, {"token": "yes", "logprob": math.log(0.2)}]
    assert math.isnan(yes_probability([{"logprobs": {"content": [{"top_logprobs": answers}]}}]) or 0.0)
    judge.complete = lambda project_id, question: Answer(  # type: ignore[method-assign]
        "Sure", "length", [{"logprobs": {"content": [{"top_logprobs": answers}]}}], Usage(), 0.0
    )
    with pytest.raises(NoClearAnswer):
        made(judge).moderate(actor(), ["x"], "m")


def test_an_unknown_model_is_an_error(web: TestClient) -> None:
    answer = web.post("/v1/moderations", json={"input": "x", "model": "nobody"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_unreachable")


@pytest.mark.parametrize(
    "choices",
    [
        [],
        [{}],
        [{"logprobs": None}],
        [{"logprobs": {"content": []}}],
        [{"logprobs": {"content": [{"top_logprobs": [{"token": "yes", "logprob": "x"}]}]}}],
        [{"logprobs": {"content": [{"top_logprobs": [{"token": "yes", "logprob": 1e9}]}]}}],
    ],
)
def test_odd_answers_have_no_probability(choices: Any) -> None:
    assert yes_probability(choices) is None


def test_another_moderator_takes_the_place_of_the_lists(judge: Judge) -> None:
    other = ScriptedModerator(lambda text: {"violence": 0.7} if "war" in text else {})
    service = ModerationService(judge, ModerationSettings(), other)
    found = service.moderate(actor(), ["war", "peace"], None)
    assert [verdict.found for verdict in found.verdicts] == [{"violence"}, frozenset()]
    assert other.asked == [("proj_a", ["war", "peace"])]
