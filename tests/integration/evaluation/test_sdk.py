"""The official SDK drives the whole life of an eval."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import OpenAI

from integration.evaluation.conftest import Site
from plinth.identity import Role
from support import actor

SCHEMA = {
    "type": "object",
    "properties": {"question": {"type": "string"}, "label": {"type": "string"}},
    "required": ["question", "label"],
}
ITEMS = [
    {"question": "怎么退款", "label": "退款"},
    {"question": "余额多少", "label": "查询"},
    {"question": "where is my card", "label": "card_arrival"},
    {"question": "weather", "label": "other"},
    {"question": "天气", "label": "unknown: 天气"},
]
EXACT = {
    "type": "string_check",
    "name": "exact",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.label }}",
    "operation": "eq",
}
NEAR = {
    "type": "text_similarity",
    "name": "near",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.label }}",
    "evaluation_metric": "fuzzy_match",
    "pass_threshold": 0.5,
}
TEMPLATE = {
    "type": "template",
    "template": [
        {"role": "developer", "content": "Answer with the label."},
        {"role": "user", "content": {"type": "input_text", "text": "{{ item.question }}"}},
    ],
}


def make_eval(client: OpenAI, *criteria: Any, **more: Any) -> Any:
    config = {"type": "custom", "item_schema": SCHEMA, "include_sample_schema": True}
    return client.evals.create(
        name="labels", data_source_config=config, testing_criteria=list(criteria) or [EXACT, NEAR], **more
    )


def source_of(kind: str = "completions", **more: Any) -> Any:
    content = [{"item": item} for item in ITEMS]
    return {
        "type": kind,
        "model": "m",
        "input_messages": TEMPLATE,
        "source": {"type": "file_content", "content": content},
        **more,
    }


def test_the_life_of_an_eval(client: OpenAI) -> None:
    first = make_eval(client, metadata={"team": "bank"})
    second = make_eval(client)
    assert first.object == "eval"
    assert first.data_source_config.type == "custom"
    assert first.data_source_config.schema_["properties"]["item"] == SCHEMA
    assert first.testing_criteria[0].to_dict() == EXACT
    assert first.testing_criteria[1].pass_threshold == 0.5
    renamed = client.evals.update(first.id, name="new name", metadata={"a": "b"})
    assert (renamed.name, renamed.metadata) == ("new name", {"a": "b"})
    assert client.evals.retrieve(first.id).to_dict() == renamed.to_dict()
    assert [entry.id for entry in client.evals.list(limit=1)] == [first.id, second.id]
    newest = client.evals.list(limit=1, order="desc", order_by="updated_at")
    assert [entry.id for entry in newest] == [first.id, second.id]
    gone = client.evals.delete(first.id)
    assert (gone.deleted, gone.eval_id, gone.object) == (True, first.id, "eval.deleted")
    with pytest.raises(openai.NotFoundError):
        client.evals.retrieve(first.id)


@pytest.mark.parametrize("kind", ["completions", "responses"])
def test_a_run_against_a_model(client: OpenAI, site: Site, kind: str) -> None:
    made = make_eval(client)
    sampling = {"temperature": 0.0, "seed": 7, "max_completion_tokens": 16}
    run = client.evals.runs.create(made.id, name="first", data_source=source_of(kind, sampling_params=sampling))
    assert (run.status, run.object, run.model, run.name) == ("queued", "eval.run", "m", "first")
    assert run.result_counts.total == 0
    assert run.to_dict()["progress"] == {"finished": 0, "total": 5}
    assert run.report_url == f"/api/evals/{made.id}/runs/{run.id}/report"
    site.work()

    done = client.evals.runs.retrieve(run.id, eval_id=made.id)
    assert (done.status, done.error) == ("completed", None)
    counts = done.result_counts
    assert (counts.total, counts.passed, counts.failed, counts.errored) == (5, 4, 1, 0)
    exact, near = done.per_testing_criteria_results
    assert (exact.testing_criteria, exact.passed, exact.failed) == ("exact", 4, 1)
    assert near.testing_criteria == "near"
    extra = exact.to_dict()
    assert extra["pass_rate"] == 0.8
    assert extra["n"] == 5
    assert extra["interval"]["low"] < 0.8 < extra["interval"]["high"]
    assert near.to_dict()["mean_score"]["n"] == 5
    (usage,) = done.per_model_usage
    assert (usage.run_model_name, usage.invocation_count) == ("m", 5)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0
    assert done.to_dict()["cost"]["answers"] == 5
    content = done.data_source.source.content
    assert [row.item for row in content] == ITEMS
    assert done.data_source.sampling_params.seed == 7
    asked = site.completer.asked
    assert {project for project, _ in asked} == {"proj_a"}
    assert asked[0][1].sampling == {"max_completion_tokens": 16, "seed": 7, "temperature": 0.0}
    assert [message["role"] for message in asked[0][1].messages] == ["system", "user"]
    assert site.kinds() == ["evaluation.run.queued", "evaluation.run.completed"]

    items = list(client.evals.runs.output_items.list(run.id, eval_id=made.id, limit=2))
    assert [item.datasource_item_id for item in items] == [0, 1, 2, 3, 4]
    assert [item.status for item in items] == ["pass", "pass", "pass", "fail", "pass"]
    (failed,) = client.evals.runs.output_items.list(run.id, eval_id=made.id, status="fail")
    assert failed.datasource_item == ITEMS[3]
    assert [(result.name, result.passed, result.type) for result in failed.results] == [
        ("exact", False, "string-check-grader"),
        ("near", False, "text-similarity-grader"),
    ]
    sample = failed.sample
    assert sample.output[0].content == "unknown: weather"
    assert [(message.role, message.content) for message in sample.input] == [
        ("system", "Answer with the label."),
        ("user", "weather"),
    ]
    assert (sample.model, sample.finish_reason, sample.seed, sample.error) == ("m", "stop", 7, None)
    assert sample.usage.total_tokens > 0
    again = client.evals.runs.output_items.retrieve(failed.id, eval_id=made.id, run_id=run.id)
    assert again.to_dict() == failed.to_dict()
    with pytest.raises(openai.NotFoundError):
        client.evals.runs.output_items.retrieve("outputitem_no", eval_id=made.id, run_id=run.id)
    report = client.get(f"{str(client.base_url).removesuffix('/v1/')}{run.report_url}", cast_to=object)
    assert [item["id"] for item in report["failed_items"]] == [failed.id]


def test_a_jsonl_run_grades_samples_it_was_given(client: OpenAI, site: Site) -> None:
    rows = [
        {"item": {"question": "a", "label": "x"}, "sample": {"output_text": '{"label": "x"}'}},
        {"item": {"question": "a", "label": "x"}, "sample": {"output_text": "no json"}},
    ]
    site.files.add("proj_a", "file-1", "\n".join(json.dumps(row) for row in rows).encode())
    made = make_eval(client, {**EXACT, "input": "{{ sample.output_json.label }}"})
    run = client.evals.runs.create(
        made.id, data_source={"type": "jsonl", "source": {"type": "file_id", "id": "file-1"}}
    )
    site.work()
    done = client.evals.runs.retrieve(run.id, eval_id=made.id)
    assert (done.status, done.model) == ("completed", "")
    assert (done.result_counts.passed, done.result_counts.failed) == (1, 1)
    assert done.data_source.source.to_dict() == {"type": "file_id", "id": "file-1"}
    assert site.completer.asked == []


def test_lists_and_deletes_of_runs(client: OpenAI, site: Site) -> None:
    made = make_eval(client)
    runs = [client.evals.runs.create(made.id, data_source=source_of(), name=f"r{i}") for i in range(3)]
    client.evals.runs.cancel(runs[1].id, eval_id=made.id)
    site.work()
    listed = list(client.evals.runs.list(made.id, limit=2))
    assert [run.id for run in listed] == [run.id for run in runs]
    assert [run.status for run in listed] == ["completed", "canceled", "completed"]
    assert listed[0].data_source.source.content == []
    assert [run.id for run in client.evals.runs.list(made.id, status="canceled")] == [runs[1].id]
    assert [run.id for run in client.evals.runs.list(made.id, order="desc")] == [run.id for run in reversed(runs)]
    gone = client.evals.runs.delete(runs[0].id, eval_id=made.id)
    assert (gone.deleted, gone.run_id, gone.object) == (True, runs[0].id, "eval.run.deleted")
    with pytest.raises(openai.NotFoundError):
        client.evals.runs.retrieve(runs[0].id, eval_id=made.id)
    with pytest.raises(openai.ConflictError):
        client.evals.runs.cancel(runs[2].id, eval_id=made.id)
    client.evals.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.evals.runs.list(made.id)


def test_older_clients_cancel_by_posting_to_the_run(client: OpenAI) -> None:
    made = make_eval(client)
    run = client.evals.runs.create(made.id, data_source=source_of())
    found: Any = client.post(f"/evals/{made.id}/runs/{run.id}", cast_to=object)
    assert found["status"] == "canceled"


def test_two_runs_are_compared_over_the_same_items(client: OpenAI, site: Site) -> None:
    made = make_eval(client, EXACT)
    a = client.evals.runs.create(made.id, data_source=source_of())
    site.work()
    site.completer._script = lambda question: "other" if question.messages[-1]["content"] == "weather" else "退款"
    b = client.evals.runs.create(made.id, data_source=source_of(model="n"))
    site.work()
    root = str(client.base_url).removesuffix("/v1/")
    found: Any = client.get(
        f"{root}/api/evals/{made.id}/compare", cast_to=object, options={"params": {"run_a": a.id, "run_b": b.id}}
    )
    overall = found["overall"]
    assert (overall["run_a"]["pass_rate"], overall["run_b"]["pass_rate"]) == (0.8, 0.4)
    agreement = {"both_passed": 1, "only_a": 3, "only_b": 1, "both_failed": 0, "share": 0.2}
    assert overall["agreement"] == agreement
    assert overall["mcnemar_p"] == 0.625
    assert overall["difference"]["value"] == -0.4
    ids = {item.id for item in client.evals.runs.output_items.list(b.id, eval_id=made.id)}
    assert {flip["run_b_item_id"] for flip in overall["flipped"]} <= ids
    other = make_eval(client, EXACT)
    empty = client.evals.runs.create(other.id, data_source=source_of())
    with pytest.raises(openai.BadRequestError, match="share no item"):
        client.get(
            f"{root}/api/evals/{other.id}/compare",
            cast_to=object,
            options={"params": {"run_a": empty.id, "run_b": empty.id}},
        )


def test_another_project_sees_nothing(client: OpenAI, site: Site) -> None:
    made = make_eval(client)
    run = client.evals.runs.create(made.id, data_source=source_of())
    site.files.add("proj_b", "file-b", b'{"item": {"question": "a", "label": "b"}}')
    with pytest.raises(openai.NotFoundError):
        client.evals.runs.create(made.id, data_source=source_of(source={"type": "file_id", "id": "file-b"}))
    site.caller.actor = actor("proj_b")
    assert list(client.evals.list()) == []
    for call in (
        lambda: client.evals.retrieve(made.id),
        lambda: client.evals.update(made.id, name="x"),
        lambda: client.evals.delete(made.id),
        lambda: client.evals.runs.list(made.id),
        lambda: client.evals.runs.create(made.id, data_source=source_of()),
        lambda: client.evals.runs.retrieve(run.id, eval_id=made.id),
        lambda: client.evals.runs.output_items.list(run.id, eval_id=made.id),
    ):
        with pytest.raises(openai.NotFoundError):
            call()


def test_a_viewer_only_reads(client: OpenAI, site: Site) -> None:
    made = make_eval(client)
    site.caller.actor = actor(role=Role.viewer)
    assert client.evals.retrieve(made.id).id == made.id
    with pytest.raises(openai.PermissionDeniedError):
        client.evals.delete(made.id)
    with pytest.raises(openai.PermissionDeniedError):
        client.fine_tuning.alpha.graders.validate(grader=EXACT)


REFUSED_EVALS: list[tuple[dict[str, Any], str]] = [
    ({"data_source_config": {"type": "logs"}}, "'logs' is not supported"),
    ({"data_source_config": {"type": "stored_completions"}}, "not supported here yet"),
    ({"data_source_config": {"type": "custom"}}, "item_schema"),
    ({"data_source_config": {"type": "custom", "item_schema": {"pattern": "x"}}}, "'pattern' is not supported"),
    ({"testing_criteria": []}, "between 1 and 20"),
    ({"testing_criteria": [EXACT, EXACT]}, "two testing criteria"),
    ({"testing_criteria": [{**EXACT, "reference": "{{ item.lable }}"}]}, "no property 'lable'"),
    ({"testing_criteria": [{**NEAR, "pass_threshold": None}]}, "pass_threshold"),
    ({"testing_criteria": [{"type": "python", "name": "p", "source": "def grade(:"}]}, "SyntaxError"),
    ({"testing_criteria": [{"type": "python", "name": "p", "source": "x = 1"}]}, "must define grade"),
    ({"testing_criteria": [{"type": "magic", "name": "p"}]}, "must be one of"),
    ({"testing_criteria": ["x"]}, "not valid"),
    ({"metadata": {"k": "v" * 600}}, "512"),
    ({"name": "n" * 300}, "256"),
]


@pytest.mark.parametrize(("change", "sentence"), REFUSED_EVALS)
def test_an_eval_that_cannot_work_is_refused(client: OpenAI, change: dict[str, Any], sentence: str) -> None:
    config = {"type": "custom", "item_schema": SCHEMA, "include_sample_schema": True}
    body: Any = {"data_source_config": config, "testing_criteria": [EXACT], **change}
    with pytest.raises(openai.BadRequestError, match=sentence):
        client.evals.create(**body)
    assert list(client.evals.list()) == []


def test_criteria_may_only_use_the_sample_if_there_will_be_one(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="include_sample_schema"):
        client.evals.create(data_source_config={"type": "custom", "item_schema": SCHEMA}, testing_criteria=[EXACT])


REFUSED_RUNS: list[tuple[dict[str, Any], str]] = [
    ({"source": {"type": "file_content", "content": [{"item": {"question": "a"}}]}}, "Line 1: 'label' is required"),
    ({"source": {"type": "file_content", "content": []}}, "no row"),
    ({"source": {"type": "stored_completions"}}, "not supported here yet"),
    ({"model": ""}, "data_source.model"),
    ({"input_messages": {"type": "template", "template": []}}, "template"),
    ({"type": "jsonl"}, "needs a 'sample'"),
    ({"type": "magic"}, "data_source"),
]


@pytest.mark.parametrize(("change", "sentence"), REFUSED_RUNS)
def test_a_run_that_cannot_work_never_exists(client: OpenAI, change: dict[str, Any], sentence: str) -> None:
    made = make_eval(client)
    with pytest.raises(openai.BadRequestError, match=sentence):
        client.evals.runs.create(made.id, data_source=source_of(**change))
    assert list(client.evals.runs.list(made.id)) == []


def test_errors_speak_chinese_too(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="暂不支持数据源类型“logs”"):
        client.evals.create(
            data_source_config={"type": "logs"},
            testing_criteria=[EXACT],
            extra_headers={"Accept-Language": "zh-CN"},
        )


def test_graders_run_and_validate(client: OpenAI, site: Site) -> None:
    graders = client.fine_tuning.alpha.graders
    assert graders.validate(grader=EXACT).grader.to_dict() == EXACT
    ran = graders.run(grader=EXACT, model_sample="退款", item={"label": "退款"})
    assert (ran.reward, ran.metadata.type, ran.metadata.name) == (1.0, "string_check", "exact")
    assert not any(value for value in ran.metadata.errors.to_dict().values())
    multi: Any = {
        "type": "multi",
        "name": "both",
        "graders": {"exact": EXACT, "near": NEAR},
        "calculate_output": "(exact + near) / 2",
    }
    both = graders.run(grader=multi, model_sample="退货", item={"label": "退款"})
    assert both.reward == 0.25
    assert both.sub_rewards == {"exact": 0.0, "near": 0.5}


def test_a_grader_that_fails_says_how(client: OpenAI, site: Site) -> None:
    graders = client.fine_tuning.alpha.graders
    source = "def grade(sample, item):\n    return 1 / 0\n"
    python: Any = {"type": "python", "name": "p", "source": source}
    failed = graders.run(grader=python, model_sample="x", item={})
    assert failed.reward == 0.0
    assert failed.metadata.errors.python_grader_runtime_error
    assert "ZeroDivisionError: division by zero (line 2)" in str(
        failed.metadata.errors.python_grader_runtime_error_details
    )
    missing = graders.run(grader=EXACT, model_sample="x", item={})
    assert missing.metadata.errors.invalid_variable_error
    judge: Any = {"type": "score_model", "name": "s", "model": "judge", "input": [{"role": "user", "content": "?"}]}
    unclear = graders.run(grader=judge, model_sample="x", item={})
    assert unclear.metadata.errors.api_model_grader_parse_error
    judge["model"] = "nobody"
    unknown = graders.run(grader=judge, model_sample="x", item={})
    assert unknown.metadata.errors.api_model_grader_server_error
    assert "nobody" in str(unknown.metadata.errors.api_model_grader_server_error_details)
    with pytest.raises(openai.BadRequestError):
        graders.validate(grader={**python, "source": "def grade("})
