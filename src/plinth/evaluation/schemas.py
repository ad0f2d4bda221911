"""Wire types: the Evals and Graders API's shapes (openai 3.54), plus documented extra fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from plinth.evaluation import reports, specs, statistics
from plinth.evaluation.grading import GraderRun
from plinth.evaluation.model import Eval, ItemStatus, Json, OutputItem
from plinth.evaluation.service import RunView
from plinth.evaluation.specs import GraderSpec
from plinth.kit.http import Wire

Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
Title = Annotated[str, Field(max_length=256)]

ITEM_STATUSES = {
    "pass": ItemStatus.passed,
    "passed": ItemStatus.passed,
    "fail": ItemStatus.failed,
    "failed": ItemStatus.failed,
    "error": ItemStatus.errored,
}


class EvalCreate(Wire):
    name: Title | None = None
    data_source_config: dict[str, Any]
    testing_criteria: list[Any]
    metadata: Metadata | None = None


class EvalUpdate(Wire):
    name: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    metadata: Metadata | None = None


class EvalObject(Wire):
    id: str
    object: Literal["eval"] = "eval"
    name: str
    created_at: int
    data_source_config: dict[str, Any]
    testing_criteria: list[dict[str, Any]]
    metadata: dict[str, str] | None

    @classmethod
    def of(cls, entry: Eval) -> EvalObject:
        properties: Json = {"item": entry.item_schema}
        if entry.include_sample_schema:
            properties["sample"] = SAMPLE_SCHEMA
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        return cls(
            id=entry.id,
            name=entry.name,
            created_at=int(entry.created_at),
            data_source_config={
                "type": "custom",
                "schema": schema,
                "include_sample_schema": entry.include_sample_schema,
            },
            testing_criteria=entry.testing_criteria,
            metadata=entry.metadata,
        )


class EvalDeleted(Wire):
    eval_id: str
    object: str = "eval.deleted"
    deleted: bool = True


class RunCreate(Wire):
    name: Title | None = None
    data_source: dict[str, Any]
    metadata: Metadata | None = None


class ApiError(Wire):
    code: str
    message: str


class ResultCounts(Wire):
    """`total` counts executed rows; `progress` on the run also knows those to come."""

    total: int
    passed: int
    failed: int
    errored: int


class CriterionResults(Wire):
    """`pass_rate` is over the `n` graded rows, with its 95 % interval; `mean_score` comes with the end."""

    testing_criteria: str
    passed: int
    failed: int
    errored: int
    pass_rate: float | None
    interval: dict[str, Any] | None
    n: int
    mean_score: dict[str, Any] | None


class PerModelUsage(Wire):
    model_name: str
    invocation_count: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int


class RunObject(Wire):
    """Added fields: `pass_rate`, `progress`, `cost`, `started_at`, `finished_at`. Lists leave the inline
    content of the data source out; retrieving one run gives it back."""

    id: str
    object: Literal["eval.run"] = "eval.run"
    eval_id: str
    name: str
    status: str
    model: str
    created_at: int
    data_source: dict[str, Any]
    metadata: dict[str, str] | None
    error: ApiError | None
    report_url: str
    result_counts: ResultCounts
    per_model_usage: list[PerModelUsage]
    per_testing_criteria_results: list[CriterionResults]
    pass_rate: dict[str, Any]
    progress: dict[str, int]
    cost: dict[str, Any] | None
    started_at: int | None
    finished_at: int | None

    @classmethod
    def of(cls, view: RunView, public_url: str = "") -> RunObject:
        run, tally = view.run, view.tally
        names = [criterion["name"] for criterion in view.parent.testing_criteria]
        report = run.report or {}
        return cls(
            id=run.id,
            eval_id=run.eval_id,
            name=run.name,
            status=run.status,
            model=run.model,
            created_at=int(run.created_at),
            data_source=_data_source(view),
            metadata=run.metadata,
            error=ApiError(**vars(run.error)) if run.error else None,
            report_url=f"{public_url.rstrip('/')}/api/evals/{run.eval_id}/runs/{run.id}/report",
            result_counts=ResultCounts(
                total=tally.finished, passed=tally.passed, failed=tally.failed, errored=tally.errored
            ),
            per_model_usage=[PerModelUsage(model_name=name, **usage) for name, usage in sorted(tally.models.items())],
            per_testing_criteria_results=[
                CriterionResults(**entry) for entry in reports.criteria(tally, names, report.get("mean_scores"))
            ],
            pass_rate=reports.estimate(statistics.rate(tally.passed, tally.passed + tally.failed)),
            progress={"finished": tally.finished, "total": run.total},
            cost=report.get("cost"),
            started_at=int(run.started_at) if run.started_at else None,
            finished_at=int(run.finished_at) if run.finished_at else None,
        )


class RunDeleted(Wire):
    run_id: str
    object: str = "eval.run.deleted"
    deleted: bool = True


class OutputItemObject(Wire):
    """A result that could not be graded has an `error` {code, message} and status "error"."""

    id: str
    object: Literal["eval.run.output_item"] = "eval.run.output_item"
    created_at: int
    run_id: str
    eval_id: str
    status: str
    datasource_item_id: int
    datasource_item: dict[str, Any]
    results: list[dict[str, Any]]
    sample: dict[str, Any]

    @classmethod
    def of(cls, item: OutputItem, eval_id: str) -> OutputItemObject:
        return cls(
            id=item.id,
            created_at=int(item.created_at),
            run_id=item.run_id,
            eval_id=eval_id,
            status=item.status,
            datasource_item_id=item.index,
            datasource_item=item.item,
            results=item.results,
            sample=item.sample or {},
        )


class GraderRunRequest(Wire):
    grader: dict[str, Any]
    model_sample: Annotated[str, Field(max_length=1 << 20)]
    item: dict[str, Any] = Field(default_factory=dict)


class GraderValidateRequest(Wire):
    grader: dict[str, Any]


class GraderValidated(Wire):
    grader: dict[str, Any]


class GraderRunErrors(Wire):
    formula_parse_error: bool = False
    invalid_variable_error: bool = False
    model_grader_parse_error: bool = False
    model_grader_refusal_error: bool = False
    model_grader_server_error: bool = False
    model_grader_server_error_details: str | None = None
    other_error: bool = False
    other_error_details: str | None = None
    python_grader_runtime_error: bool = False
    python_grader_runtime_error_details: str | None = None
    python_grader_server_error: bool = False
    python_grader_server_error_type: str | None = None
    sample_parse_error: bool = False
    truncated_observation_error: bool = False
    unresponsive_reward_error: bool = False

    @classmethod
    def of(cls, outcome: GraderRun) -> GraderRunErrors:
        flags: dict[str, Any] = {outcome.flag: True} if outcome.flag else {}
        details = f"{outcome.flag}_details"
        if outcome.error is not None and details in cls.model_fields:
            flags[details] = outcome.error.message
        return cls(**flags)


class GraderRunMetadata(Wire):
    errors: GraderRunErrors
    execution_time: float
    name: str
    sampled_model_name: str | None
    scores: dict[str, Any]
    token_usage: int | None
    type: str


class GraderRunObject(Wire):
    reward: float
    sub_rewards: dict[str, float]
    model_grader_token_usage_per_model: dict[str, Any]
    metadata: GraderRunMetadata

    @classmethod
    def of(cls, spec: GraderSpec, outcome: GraderRun) -> GraderRunObject:
        usage = outcome.usage_per_model
        models = [part.model for part in specs.parts(spec) if isinstance(part, specs.LabelModel | specs.ScoreModel)]
        return cls(
            reward=outcome.reward,
            sub_rewards=outcome.sub_rewards,
            model_grader_token_usage_per_model=usage,
            metadata=GraderRunMetadata(
                errors=GraderRunErrors.of(outcome),
                execution_time=outcome.seconds,
                name=spec.name,
                sampled_model_name=models[0] if models else None,
                scores=outcome.sub_rewards or {spec.name: outcome.reward},
                token_usage=sum(entry["total_tokens"] for entry in usage.values()) or None,
                type=spec.type,
            ),
        )


SAMPLE_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "output_text": {"type": "string"},
        "output_json": {"description": "the answer, if it is a JSON object or array"},
        "output_tools": {"type": "array"},
        "choices": {"type": "array"},
        "finish_reason": {"type": "string"},
    },
    "required": ["output_text"],
}


def _data_source(view: RunView) -> Json:
    source = view.run.data_source
    if source["source"]["type"] != "file_content":
        return source
    return {**source, "source": {**source["source"], "content": view.content or []}}
