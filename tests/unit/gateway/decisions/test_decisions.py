"""`/v1/decisions` with the official SDK, over a model whose distribution is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from fastapi.testclient import TestClient

from plinth.gateway.decisions import DecisionService
from plinth.gateway.decisions.http import decisions_router
from plinth.gateway.decisions.ports import InMemoryTargets
from plinth.gateway.decisions.settings import DecisionSettings
from plinth.identity import Role
from plinth.kit.db import Database
from support import Caller, actor, client_for
from unit.gateway.decisions.models import AnsweringModel

PREDICATE = {"type": "predicate", "name": "spam", "instructions": "The message is spam."}
CHOICE = {
    "type": "choice",
    "instructions": "What is it about?",
    "choices": [{"value": "billing", "description": "money"}, {"value": "technical"}, {"value": True}],
}
SCORE = {
    "type": "score",
    "name": "urgency",
    "instructions": "How urgent?",
    "levels": [{"label": "low"}, {"label": "middle"}, {"label": "high"}],
}


def opinion(prompt: str) -> dict[str, float]:
    if "Statement:" in prompt:
        return {"A": 0.4, " A": 0.2, "B": 0.2, "Maybe": 0.2}
    if "Levels" in prompt:
        return {"A": 0.1, " B": 0.1, "C": 0.6, "Hm": 0.2}
    return {"A": 0.2, "B": 0.5, "C": 0.1, "a": 0.2}


@pytest.fixture
def model() -> AnsweringModel:
    return AnsweringModel(opinion)


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
def web(db: Database, model: AnsweringModel, caller: Caller) -> Iterator[TestClient]:
    with client_for(web_router(db, model, caller)) as client:
        yield client


def web_router(db: Database, model: AnsweringModel, caller: Caller, **settings: Any) -> Any:
    chosen = DecisionSettings(**settings)
    service = DecisionService(lambda key, principal: model, InMemoryTargets(m="base:m"), chosen)
    return decisions_router(db, service, caller.guard)


@pytest.fixture
def sdk(web: TestClient) -> openai.OpenAI:
    def send(request: httpx.Request) -> httpx.Response:
        answer = web.request(request.method, str(request.url), content=request.content, headers=dict(request.headers))
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    client = httpx.Client(transport=httpx.MockTransport(send))
    return openai.OpenAI(base_url="http://testserver/v1", api_key="sk", max_retries=0, http_client=client)


def post(web: TestClient, **changes: Any) -> Any:
    return web.post("/v1/decisions", json={"model": "m", "input": "win a prize", "questions": [PREDICATE], **changes})


def test_the_official_client_reads_all_three_kinds_in_order(sdk: openai.OpenAI) -> None:
    if not hasattr(sdk, "decisions"):
        pytest.skip("this openai package has no decisions")
    questions: Any = [PREDICATE, CHOICE, SCORE]
    found: Any = sdk.decisions.create(model="m", input="win a prize", questions=questions)
    predicate, choice, score = found.answers
    assert (predicate.type, predicate.name) == ("predicate", "spam")
    assert predicate.probability == pytest.approx(0.75)
    assert (choice.choice, choice.name) == ("technical", None)
    assert choice.confidence == pytest.approx(0.5 / 0.8)
    assert [entry.value for entry in choice.probabilities] == ["billing", "technical", True]
    assert sum(entry.probability for entry in choice.probabilities) == pytest.approx(1)
    assert [(entry.label, entry.value) for entry in score.probabilities] == [("low", 0), ("middle", 1), ("high", 2)]
    assert score.score == pytest.approx((0.1 + 2 * 0.6) / 0.8)
    assert score.confidence == pytest.approx(0.75)
    assert found.model == "m"
    assert found.usage.input_tokens == 300
    assert found.usage.input_tokens_details.cached_tokens == 240
    assert found.usage.total_tokens == 303
    assert found.calibration is None
    assert {answer.calibration for answer in found.answers} == {None}
    assert predicate.mass == pytest.approx(0.8)


def test_what_the_letter_is_in_small_is_a_word_and_not_the_label(web: TestClient) -> None:
    answer = post(web, questions=[CHOICE]).json()["answers"][0]
    assert answer["mass"] == pytest.approx(0.8)


def test_the_input_comes_first_and_is_the_same_for_every_question(web: TestClient, model: AnsweringModel) -> None:
    post(web, input="the very input", questions=[PREDICATE, CHOICE, SCORE])
    prompts = [call.messages[-1]["content"] for _, call in model.asked]
    shared = prompts[0].split("Statement:")[0]
    assert "the very input" in shared
    assert all(prompt.startswith(shared) for prompt in prompts)
    assert {call.messages[0]["content"] for _, call in model.asked} == {model.asked[0][1].messages[0]["content"]}
    assert {project for project, _ in model.asked} == {"proj_a"}


def test_a_model_with_something_else_in_mind_refuses_that_question_only(web: TestClient, model: AnsweringModel) -> None:
    model.opinion = lambda prompt: {"I": 0.9, "A": 0.1} if "Statement:" in prompt else opinion(prompt)
    refused, answered = post(web, questions=[PREDICATE, CHOICE]).json()["answers"]
    assert refused == {"type": "refusal", "name": "spam", "calibration": None, "mass": pytest.approx(0.1)}
    assert answered["type"] == "choice"


def crowded(prompt: str) -> dict[str, float]:
    """B is the 30th likeliest token: outside the 20 that an API lists."""
    return {"A": 0.7, **{f"w{n}": 0.01 - n / 10_000 for n in range(28)}, "B": 0.003}


def test_a_label_outside_the_listed_twenty_is_asked_for(web: TestClient, model: AnsweringModel) -> None:
    model.opinion = crowded
    assert post(web).json()["answers"][0]["probability"] == pytest.approx(0.7 / 0.703)
    assert [call.sampling.get("logit_bias") for _, call in model.asked] == [None, {"B": 100}]


def test_where_the_engine_takes_no_text_bias_the_bound_stands_in(web: TestClient, model: AnsweringModel) -> None:
    model.opinion, model.takes_text_bias = crowded, False
    bound = 0.01 - 18 / 10_000
    assert post(web).json()["answers"][0]["probability"] == pytest.approx(0.7 / (0.7 + bound))


def test_a_sure_model_needs_one_call(web: TestClient, model: AnsweringModel) -> None:
    model.opinion = lambda prompt: {"A": 0.99999, **{f"w{n}": 1e-8 for n in range(30)}}
    assert post(web).json()["answers"][0]["probability"] > 0.9999
    assert len(model.asked) == 1


def test_255_choices_are_asked_in_groups_and_sum_to_one(web: TestClient, model: AnsweringModel) -> None:
    def of_many(prompt: str) -> dict[str, float]:
        """Knows the answer: the group, or the letter, whose line holds option 137."""
        for line in prompt.splitlines():
            if re.search(r"\boption 137\b", line):
                return {line[0]: 0.9, "A" if line[0] != "A" else "B": 0.1}
        return {"A": 1.0}

    model.opinion = of_many
    choices = [{"value": f"option {n}"} for n in range(255)]
    answer = post(web, questions=[{**CHOICE, "choices": choices}]).json()["answers"][0]
    assert answer["choice"] == "option 137"
    assert answer["confidence"] == pytest.approx(0.81, abs=1e-6)
    assert sum(entry["probability"] for entry in answer["probabilities"]) == pytest.approx(1)
    assert [entry["value"] for entry in answer["probabilities"]] == [f"option {n}" for n in range(255)]
    questions = [call for _, call in model.asked if "logit_bias" not in call.sampling]
    assert len(questions) == 3  # the groups, and the two that have a chance


def test_conversations_become_a_transcript(web: TestClient, model: AnsweringModel) -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "where is my card?"}]},
        {"type": "function_call", "name": "look_up", "arguments": '{"id":7}', "call_id": "c1"},
        {"type": "function_call_output", "call_id": "c1", "output": "sent"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It was sent."}]},
        {"role": "user", "content": [{"type": "input_json", "data": {"rating": 1}}]},
    ]
    assert post(web, input=items).status_code == 200
    prompt = model.asked[0][1].messages[-1]["content"]
    for piece in ("user: where is my card?", 'call of look_up: {"id":7}', "result: sent", "assistant: It was sent."):
        assert piece in prompt
    assert '{"rating":1}' in prompt


IMAGE = {"type": "input_image", "image_url": "data:"}
MANY = [{"value": f"{n}"} for n in range(255)]


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels else {}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"input": "  "}, "invalid_decision_input"),
        ({"input": [{"role": "user", "content": [IMAGE]}]}, "decision_text_only"),
        ({"input": [{"type": "function_call_output", "call_id": "x", "output": "?"}]}, "invalid_decision_input"),
        ({"input": [{"role": "ghost", "content": "boo"}]}, "invalid_decision_input"),
        ({"input": [{"role": "user", "content": [{"type": "input_json", "data": 7}]}]}, "invalid_decision_input"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_json", "data": nested(40)}]}]},
            "invalid_decision_input",
        ),
        ({"questions": []}, "invalid_request"),
        ({"questions": [PREDICATE] * 401}, "invalid_request"),
        ({"questions": [{**PREDICATE, "instructions": " "}]}, "invalid_decision_question"),
        ({"questions": [{**CHOICE, "choices": [{"value": "a"}]}]}, "invalid_request"),
        ({"questions": [{**CHOICE, "choices": [{"value": 7}, {"value": "b"}]}]}, "invalid_request"),
        ({"questions": [{**CHOICE, "choices": [{"value": "a"}, {"value": "a"}]}]}, "invalid_decision_question"),
        ({"questions": [{"type": "riddle", "instructions": "?"}]}, "invalid_request"),
        ({"questions": [{**CHOICE, "choices": MANY}] * 100}, "invalid_decision_input"),
        ({"model": "nobody"}, "decision_model_unusable"),
        ({"model": ""}, "invalid_request"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_400_that_says_why(web: TestClient, changes: dict[str, Any], code: str) -> None:
    answer = post(web, **changes)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), answer.text


def test_the_same_text_and_boolean_are_two_choices(web: TestClient) -> None:
    choices = [{"value": "true"}, {"value": True}]
    answer = post(web, questions=[{**CHOICE, "choices": choices}]).json()["answers"][0]
    assert answer["choice"] is True


def test_no_probabilities_and_a_failing_model_are_errors_never_guesses(web: TestClient, model: AnsweringModel) -> None:
    model.silent = True
    assert post(web).json()["error"]["code"] == "decision_no_probabilities"
    model.silent, model.failing = False, lambda prompt: "Levels" in prompt
    answer = post(web, questions=[PREDICATE, SCORE])
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "completion_failed")


def test_a_viewer_and_an_admin_key_may_not(web: TestClient, caller: Caller) -> None:
    caller.actor = actor(role=Role.viewer)
    assert post(web).status_code == 403
    caller.actor = actor(project_id="")
    assert post(web).status_code == 400


def test_placeholders_in_what_a_client_wrote_stay_as_they_are(web: TestClient, model: AnsweringModel) -> None:
    odd = {**CHOICE, "instructions": "{options} {input}", "choices": [{"value": "{instructions}"}, {"value": "b"}]}
    post(web, input="{instructions}", questions=[odd])
    prompt = model.asked[0][1].messages[-1]["content"]
    assert "<input>\n{instructions}\n</input>" in prompt
    assert "{options} {input}\nOptions:\nA. {instructions}\nB. b" in prompt
