from __future__ import annotations

import json
from typing import Any

import pytest

from plinth.evaluation import graders, specs
from plinth.evaluation.errors import (
    GradingFailed,
    InvalidFormula,
    InvalidGrader,
    InvalidTemplate,
    MissingValue,
    ModelGraderUnclear,
    ModelUnreachable,
)
from plinth.evaluation.graders import Case, Grade, Toolbox
from plinth.evaluation.ports import Question, ScriptedCompleter
from plinth.evaluation.sandbox import PythonSandbox
from plinth.kit.errors import PlinthError


def no_model(question: Question) -> str:
    raise AssertionError("no model should be asked")


def tools(script: Any = no_model, models: frozenset[str] | None = None) -> Toolbox:
    return Toolbox(ScriptedCompleter(script, models), "proj_a", PythonSandbox(), "embedder")


def case(text: str, **item: Any) -> Case:
    sample: dict[str, Any] = {"output_text": text}
    if (value := graders.output_json(text)) is not None:
        sample["output_json"] = value
    return Case(item, sample)


def outcome_of(spec: dict[str, Any], *cases: Case, box: Toolbox | None = None) -> list[Any]:
    return graders.grade(specs.parse({"name": "g", **spec}), cases, box or tools())


def check(operation: str, **more: str) -> dict[str, Any]:
    given = {"input": "{{ sample.output_text }}", "reference": "{{ item.answer }}", **more}
    return {"type": "string_check", "operation": operation, **given}


@pytest.mark.parametrize(
    ("operation", "text", "reference", "passed"),
    [
        ("eq", "退款", "退款", True),
        ("eq", "Refund", "refund", False),
        ("ne", "a", "b", True),
        ("ne", "a", "a", False),
        ("like", "您的退款已受理", "退款", True),
        ("like", "Your REFUND", "refund", False),
        ("ilike", "Your REFUND", "refund", True),
        ("ilike", "STRASSE", "straße", True),
        ("ilike", "nothing", "refund", False),
    ],
)
def test_string_check(operation: str, text: str, reference: str, passed: bool) -> None:
    (found,) = outcome_of(check(operation), case(text, answer=reference))
    assert (found.passed, found.score) == (passed, float(passed))


def test_one_bad_row_does_not_spoil_its_neighbours() -> None:
    good, bad = outcome_of(check("eq"), case("a", answer="a"), case("a"))
    assert good.passed
    assert isinstance(bad, MissingValue)


def test_an_answer_without_the_json_that_was_asked_for_has_failed() -> None:
    spec = check("eq", input="{{ sample.output_json.label }}")
    right, wrong, babble, scalar = outcome_of(
        spec,
        case('{"label": "退款"}', answer="退款"),
        case('{"label": "查询"}', answer="退款"),
        case("the label is 退款", answer="退款"),
        case("3", answer="3"),
    )
    assert right.passed
    assert not wrong.passed
    assert isinstance(babble, Grade)
    assert not babble.passed
    assert "output_json" in babble.detail["reason"]
    assert not scalar.passed


def test_text_similarity_has_a_threshold() -> None:
    spec = {
        "type": "text_similarity",
        "evaluation_metric": "rouge_l",
        "input": "{{ sample.output_text }}",
        "reference": "{{ item.answer }}",
        "pass_threshold": 0.6,
    }
    close, far, same = outcome_of(
        spec, case("请重置网银密码", answer="请重置密码"), case("天气", answer="密码"), case("x", answer="x")
    )
    assert close.passed
    assert 0.6 < close.score < 1
    assert (far.score, far.passed) == (0.0, False)
    assert same.score == 1.0


def test_cosine_asks_for_each_text_once() -> None:
    spec = {
        "type": "text_similarity",
        "evaluation_metric": "cosine",
        "input": "{{ sample.output_text }}",
        "reference": "{{ item.answer }}",
    }
    box = tools()
    same, near, far, empty, broken = outcome_of(
        spec,
        case("退款 到账", answer="退款 到账"),
        case("退款 到账", answer="退款 失败"),
        case("天气", answer="退款 到账"),
        case("", answer="退款 到账"),
        Case({}, {"output_text": "x"}),
        box=box,
    )
    assert same.score == pytest.approx(1.0)
    assert 0 < near.score < 1
    assert far.score < near.score
    assert empty.score == 0.0
    assert isinstance(broken, MissingValue)
    used = [entry for found in (same, near, far, empty) for entry in found.used]
    assert [entry.model for entry in used] == ["embedder"]


LABELS = {"type": "label_match", "input": "{{ sample.output_text }}", "reference": "{{ item.label }}"}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("card_arrival", "card_arrival"),
        ("**Card Arrival**.", "card_arrival"),
        ("标签：查询余额", "查询余额"),
        ("This is not card_arrival", None),
        ("card_arrival 查询余额", None),
        ("", None),
    ],
)
def test_label_match(answer: str, found: str | None) -> None:
    spec = {**LABELS, "labels": ["card_arrival", "查询余额"]}
    (outcome,) = outcome_of(spec, case(answer, label="card arrival"))
    assert outcome.detail == {"label": found, "reference": "card_arrival"}
    assert outcome.passed == (found == "card_arrival")


def test_label_match_with_a_reference_outside_the_labels_is_errored() -> None:
    (outcome,) = outcome_of({**LABELS, "labels": ["a", "b"]}, case("a", label="c"))
    assert isinstance(outcome, GradingFailed)


LABEL_MODEL = {
    "type": "label_model",
    "model": "judge",
    "input": [
        {"role": "developer", "content": "Grade."},
        {"role": "user", "content": {"type": "input_text", "text": "{{ sample.output_text }} / {{ item.answer }}"}},
    ],
    "labels": ["good", "bad"],
    "passing_labels": ["good"],
}


def test_label_model_asks_for_constrained_json() -> None:
    asked: list[Question] = []

    def judge(question: Question) -> str:
        asked.append(question)
        return json.dumps({"label": "good" if "退款" in question.messages[1]["content"] else "bad"})

    good, bad = outcome_of(LABEL_MODEL, case("退款", answer="x"), case("天气", answer="x"), box=tools(judge))
    assert (good.passed, bad.passed) == (True, False)
    assert good.detail == {"label": "good", "model": "judge"}
    assert good.used[0].usage.total_tokens > 0
    assert [message["role"] for message in asked[0].messages] == ["system", "user"]
    schema = asked[0].sampling["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == ["good", "bad"]
    assert asked[0].sampling["temperature"] == 0


@pytest.mark.parametrize("answer", ["good", '{"label": "great"}', "[1]", '{"lab', '{"other": 1}'])
def test_a_judge_that_does_not_answer_in_form_is_an_error_not_a_fail(answer: str) -> None:
    (outcome,) = outcome_of(LABEL_MODEL, case("x", answer="x"), box=tools(lambda _question: answer))
    assert isinstance(outcome, ModelGraderUnclear)


def test_a_judge_that_does_not_exist_is_raised() -> None:
    with pytest.raises(ModelUnreachable):
        outcome_of(LABEL_MODEL, case("x", answer="x"), box=tools(models=frozenset({"other"})))


@pytest.mark.parametrize(("score", "passed"), [(1, False), (3, True), (5, True)])
def test_score_model_passes_from_the_middle_of_its_range(score: int, passed: bool) -> None:
    spec = {
        "type": "score_model",
        "model": "judge",
        "input": [{"role": "user", "content": "{{ sample.output_text }}"}],
        "range": [1, 5],
        "sampling_params": {"seed": 3, "max_completions_tokens": 9},
    }
    box = tools(lambda _question: json.dumps({"score": score}))
    (outcome,) = outcome_of(spec, case("x"), box=box)
    assert (outcome.score, outcome.passed) == (score, passed)
    completer = box.completer
    assert isinstance(completer, ScriptedCompleter)
    sampling = completer.asked[0][1].sampling
    assert (sampling["seed"], sampling["max_completion_tokens"]) == (3, 9)
    outside = tools(lambda _question: '{"score": 9}')
    assert isinstance(outcome_of(spec, case("x"), box=outside)[0], ModelGraderUnclear)


def test_python_grades_a_batch() -> None:
    source = (
        "import re\n"
        "def grade(sample, item):\n"
        "    found = re.findall(r'\\d+', sample['output_text'])\n"
        "    return 1.0 if found and int(found[-1]) == item['answer'] else 0.25\n"
    )
    right, wrong, broken = outcome_of(
        {"type": "python", "source": source, "pass_threshold": 0.5},
        case("答案是 42", answer=42),
        case("41", answer=42),
        Case({}, {"output_text": "7"}),
    )
    assert (right.score, right.passed) == (1.0, True)
    assert (wrong.score, wrong.passed) == (0.25, False)
    assert isinstance(broken, PlinthError)
    assert "KeyError: 'answer' (line 4)" in broken.message


def test_multi_weighs_its_parts() -> None:
    spec = {
        "type": "multi",
        "graders": {"exact": {"name": "e", **check("eq")}, "near": {"name": "n", **check("ilike")}},
        "calculate_output": "0.25 * exact + 0.75 * near",
        "pass_threshold": 0.75,
    }
    both, one, broken = outcome_of(spec, case("a", answer="a"), case("xAx", answer="a"), case("a"))
    assert (both.score, one.score) == (1.0, 0.75)
    assert one.passed
    assert one.sub_scores == {"exact": 0.0, "near": 1.0}
    assert isinstance(broken, MissingValue)


IMAGE = {"type": "input_image", "image_url": "x"}
SCORE_MODEL = {"type": "score_model", "model": "m", "input": [{"role": "user", "content": ""}]}


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"type": "nothing"}, InvalidGrader),
        ({**check("eq"), "name": ""}, InvalidGrader),
        (check("equals"), InvalidGrader),
        (check("eq", input="{{ secrets.key }}"), InvalidTemplate),
        ({**LABEL_MODEL, "passing_labels": ["great"]}, InvalidGrader),
        ({**LABEL_MODEL, "input": [{"role": "user", "content": IMAGE}]}, InvalidGrader),
        ({**LABEL_MODEL, "input": []}, InvalidGrader),
        ({**LABELS, "labels": ["a b", "A_B"]}, InvalidGrader),
        ({**SCORE_MODEL, "range": [1, 1]}, InvalidGrader),
        ({"type": "multi", "graders": {"a": {"name": "a", **check("eq")}}, "calculate_output": "a + b"}, InvalidGrader),
        ({"type": "multi", "graders": {"a": {"name": "a", **check("eq")}}, "calculate_output": "a +"}, InvalidFormula),
        ({"type": "multi", "graders": [check("eq"), check("eq")], "calculate_output": "1"}, InvalidGrader),
        ({"type": "multi", "graders": {}, "calculate_output": "1"}, InvalidGrader),
    ],
)  # fmt: skip
def test_a_grader_that_cannot_work_is_refused(spec: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        specs.parse({"name": "g", **spec})


def test_a_multi_grader_may_be_written_with_one_grader_or_a_list() -> None:
    one = specs.parse({"type": "multi", "name": "m", "graders": {"name": "a", **check("eq")}, "calculate_output": "a"})
    many = specs.parse(
        {"type": "multi", "name": "m", "graders": [{"name": "a", **check("eq")}], "calculate_output": "a"}
    )
    assert one == many
    assert specs.parse(specs.dump(one)) == one
