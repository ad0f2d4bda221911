"""Grading a batch of cases with one grader.

Every grader takes all cases at once, so that a python grader needs one child process, embeddings
one request and model graders run side by side. One case's trouble is one `PlinthError` in the
result; it never spoils its neighbours. Only what no case can survive is raised: `ModelUnreachable`
and `SandboxUnavailable`.

Where a template asks for something the *model's answer* lacks (`sample.output_json` of an answer
that is no JSON), the model has failed: score 0. Where the *item* lacks it, the case is errored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from plinth.evaluation import formula, specs, templates
from plinth.evaluation.errors import GradingFailed, InvalidGrader, MissingValue, ModelGraderUnclear, ModelUnreachable
from plinth.evaluation.model import Json, ModelUsage
from plinth.evaluation.ports import Answer, Completer, Question, usage_of
from plinth.evaluation.sandbox import PythonSandbox
from plinth.evaluation.similarity import cosine, similarity
from plinth.evaluation.specs import GraderSpec
from plinth.evaluation.tokens import normalise_label
from plinth.kit.errors import PlinthError

DEFAULT_THRESHOLD = 0.5
MAX_SIMILARITY_CHARACTERS = 100_000
MODEL_GRADER_TOKENS = 256
EMBED_BATCH = 32

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Case:
    """`sample` is the model's answer as templates see it: output_text, output_json, choices, …"""

    item: Json
    sample: Json

    @property
    def namespace(self) -> Json:
        return {"item": self.item, "sample": self.sample}


@dataclass(frozen=True)
class Grade:
    """`detail` is what a reader wants to see beside the score; `used` are the grader's own requests."""

    score: float
    passed: bool
    detail: Json | None = None
    used: tuple[ModelUsage, ...] = ()
    sub_scores: Mapping[str, float] = field(default_factory=dict)


Outcome = Grade | PlinthError


@dataclass(frozen=True)
class Toolbox:
    """What graders may use. `concurrency` bounds the requests to models in flight."""

    completer: Completer
    project_id: str
    sandbox: PythonSandbox
    embedding_model: str = ""
    concurrency: int = 4

    def ask(self, question: Question) -> Answer:
        return self.completer.complete(self.project_id, question)

    def map(self, work: Callable[[T], R], inputs: Sequence[T]) -> list[R | PlinthError]:
        """Side by side; expected errors become results, `ModelUnreachable` is raised."""

        def guarded(value: T) -> R | PlinthError:
            try:
                return work(value)
            except ModelUnreachable:
                raise
            except PlinthError as error:
                return error

        if len(inputs) < 2 or self.concurrency == 1:
            return [guarded(value) for value in inputs]
        with ThreadPoolExecutor(min(self.concurrency, len(inputs))) as pool:
            return list(pool.map(guarded, inputs))


def grade(spec: GraderSpec, cases: Sequence[Case], tools: Toolbox) -> list[Outcome]:
    """One outcome per case, in order. Raises `ModelUnreachable` and `SandboxUnavailable`."""
    outcomes = _GRADERS[spec.type](spec, cases, tools)
    return [
        Grade(0.0, False, {"reason": outcome.message})
        if isinstance(outcome, MissingValue) and str(outcome.fields["path"]).startswith("sample")
        else outcome
        for outcome in outcomes
    ]


def threshold(spec: GraderSpec) -> float | None:
    """The score from which a case passes; None where the grader answers yes or no by itself."""
    if isinstance(spec, specs.ScoreModel):
        return sum(spec.bounds) / 2 if spec.pass_threshold is None else spec.pass_threshold
    if isinstance(spec, specs.TextSimilarity | specs.PythonCode | specs.Multi):
        return DEFAULT_THRESHOLD if spec.pass_threshold is None else spec.pass_threshold
    return None


def find_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that the whole text is, apart from decoration; None if it is none of them."""
    wanted = normalise_label(text)
    return next((label for label in labels if normalise_label(label) == wanted), None)


def output_json(text: str) -> Any:
    """The JSON object or array that the text is, else None."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


# one function per grader type


def _string_check(spec: specs.StringCheck, cases: Sequence[Case], tools: Toolbox) -> list[Outcome]:
    checks: dict[str, Callable[[str, str], bool]] = {
        "eq": lambda text, reference: text == reference,
        "ne": lambda text, reference: text != reference,
        "like": lambda text, reference: reference in text,
        "ilike": lambda text, reference: reference.casefold() in text.casefold(),
    }
    check = checks[spec.operation]
    return _each(cases, lambda case: _yes_or_no(check(_render(spec.input, case), _render(spec.reference, case))))


def _label_match(spec: specs.LabelMatch, cases: Sequence[Case], tools: Toolbox) -> list[Outcome]:
    by_form = {normalise_label(label): label for label in spec.labels}

    def one(case: Case) -> Grade:
        reference = by_form.get(normalise_label(_render(spec.reference, case)))
        if reference is None:
            raise GradingFailed(
                reason=f"The reference '{_render(spec.reference, case)[:80]}' is not one of the labels."
            )
        found = by_form.get(normalise_label(_render(spec.input, case)))
        return _yes_or_no(found == reference, {"label": found, "reference": reference})

    return _each(cases, one)


def _text_similarity(spec: specs.TextSimilarity, cases: Sequence[Case], tools: Toolbox) -> list[Outcome]:
    if spec.evaluation_metric == "cosine":
        return _cosine(spec, cases, tools)

    def one(case: Case) -> Grade:
        candidate, reference = _pair(spec, case)
        return _scored(spec, similarity(spec.evaluation_metric, candidate, reference))

    return _each(cases, one)


def _cosine(spec: specs.TextSimilarity, cases: Sequence[Case], tools: Toolbox) -> list[Outcome]:
    model = spec.model or tools.embedding_model
    pairs = [_attempt(lambda case=case: _pair(spec, case)) for case in cases]  # type: ignore[misc]
    texts = list(dict.fromkeys(text for pair in pairs if not isinstance(pair, PlinthError) for text in pair if text))
    batches = [texts[start : start + EMBED_BATCH] for start in range(0, len(texts), EMBED_BATCH)]
    answers = tools.map(lambda batch: tools.completer.embed(tools.project_id, model, batch), batches)
    vectors: dict[str, list[float] | PlinthError] = {}
    used: dict[str, ModelUsage] = {}
    for batch, answer in zip(batches, answers, strict=True):
        if isinstance(answer, PlinthError):
            vectors.update(dict.fromkeys(batch, answer))
        else:
            vectors.update(zip(batch, answer.vectors, strict=True))
            used[batch[0]] = usage_of(model, answer)

    def one(pair: tuple[str, str] | PlinthError) -> Outcome:
        if isinstance(pair, PlinthError):
            return pair
        if not all(pair):
            return _scored(spec, float(pair[0] == pair[1]))
        left, right = vectors[pair[0]], vectors[pair[1]]
        if isinstance(left, PlinthError) or isinstance(right, PlinthError):
            return left if isinstance(left, PlinthError) else right  # type: ignore[return-value]
        # a batch's usage is told once, with the first case that has its first text
        told = tuple(used.pop(text) for text in dict.fromkeys(pair) if text in used)
        return _scored(spec, cosine(left, right), used=told)

    return [one(pair) for pair in pairs]


def _label_model(spec: specs.LabelModel, cases: Sequence[Case], tools: Toolbox) -> list[Outcome]:
    schema = {"type": "string", "enum": spec.labels}

    def one(case: Case) -> Grade:
        answer = tools.ask(_model_question(spec, case, "label", schema))
        label = _field_of(answer, "label")
        if label not in spec.labels:
            raise ModelGraderUnclear(text=answer.text[:200])
        used = (usage_of(spec.model, answer),)
        return _yes_or_no(label in spec.passing_labels, {"label": label, "model": spec.model}, used)

    return tools.map(one, cases)


def _score_model(spec: specs.ScoreModel, cases: Sequence[Case], tools: Toolbox) -> list[Outcome]:
    low, high = spec.bounds
    schema = {"type": "number", "minimum": low, "maximum": high}

    def one(case: Case) -> Grade:
        answer = tools.ask(_model_question(spec, case, "score", schema))
        score = _field_of(answer, "score")
        if isinstance(score, bool) or not isinstance(score, int | float) or not low <= score <= high:
            raise ModelGraderUnclear(text=answer.text[:200])
        return _scored(spec, float(score), {"model": spec.model}, (usage_of(spec.model, answer),))

    return tools.map(one, cases)


def _python(spec: specs.PythonCode, cases: Sequence[Case], tools: Toolbox) -> list[Outcome]:
    try:
        scores = tools.sandbox.grade(spec.source, [(case.sample, case.item) for case in cases])
    except InvalidGrader as error:
        return [error for _ in cases]
    return [score if isinstance(score, PlinthError) else _scored(spec, score) for score in scores]


def _multi(spec: specs.Multi, cases: Sequence[Case], tools: Toolbox) -> list[Outcome]:
    parsed = formula.parse(spec.calculate_output)
    columns = {name: grade(part, cases, tools) for name, part in spec.graders.items()}

    def one(index: int) -> Grade:
        grades: dict[str, Grade] = {}
        for name, column in columns.items():
            outcome = column[index]
            if isinstance(outcome, PlinthError):
                raise outcome
            grades[name] = outcome
        scores = {name: part.score for name, part in grades.items()}
        used = tuple(entry for part in grades.values() for entry in part.used)
        total = _scored(spec, parsed.evaluate(scores), {"scores": scores}, used)
        return Grade(total.score, total.passed, total.detail, used, scores)

    return [_attempt(lambda index=index: one(index)) for index in range(len(cases))]  # type: ignore[misc]


_GRADERS: dict[str, Callable[[Any, Sequence[Case], Toolbox], list[Outcome]]] = {
    "string_check": _string_check,
    "label_match": _label_match,
    "text_similarity": _text_similarity,
    "label_model": _label_model,
    "score_model": _score_model,
    "python": _python,
    "multi": _multi,
}


def _model_question(
    spec: specs.LabelModel | specs.ScoreModel, case: Case, name: str, schema: Mapping[str, Any]
) -> Question:
    """The rendered messages, constrained to a JSON object with the one field `name`."""
    messages = [
        {"role": "system" if message.role == "developer" else message.role, "content": _render(message.text, case)}
        for message in spec.input
    ]
    sampling: Json = {"temperature": 0, "max_completion_tokens": MODEL_GRADER_TOKENS}
    if isinstance(spec, specs.ScoreModel) and spec.sampling_params is not None:
        given = spec.sampling_params.model_dump(exclude_none=True)
        limit = given.pop("max_completions_tokens", None)
        sampling |= given | ({"max_completion_tokens": limit} if limit else {})
    form = {"type": "object", "properties": {name: dict(schema)}, "required": [name], "additionalProperties": False}
    sampling["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": True, "schema": form},
    }
    return Question(spec.model, messages, sampling)


def _field_of(answer: Answer, name: str) -> Any:
    value = output_json(answer.text)
    if not isinstance(value, dict) or name not in value:
        raise ModelGraderUnclear(text=answer.text[:200])
    return value[name]


def _pair(spec: specs.TextSimilarity, case: Case) -> tuple[str, str]:
    pair = _render(spec.input, case), _render(spec.reference, case)
    if max(map(len, pair)) > MAX_SIMILARITY_CHARACTERS:
        raise GradingFailed(reason=f"A text has more than {MAX_SIMILARITY_CHARACTERS} characters.")
    return pair


def _render(text: str, case: Case) -> str:
    return templates.parse(text).render(case.namespace)


def _yes_or_no(passed: bool, detail: Json | None = None, used: tuple[ModelUsage, ...] = ()) -> Grade:
    return Grade(float(passed), passed, detail, used)


def _scored(spec: GraderSpec, score: float, detail: Json | None = None, used: tuple[ModelUsage, ...] = ()) -> Grade:
    least = threshold(spec)
    assert least is not None
    # rounding in a metric must not fail a perfect score
    return Grade(score, score >= least or math.isclose(score, least, rel_tol=1e-9, abs_tol=1e-12), detail, used)


def _each(cases: Sequence[Case], work: Callable[[Case], Outcome]) -> list[Outcome]:
    return [_attempt(lambda case=case: work(case)) for case in cases]  # type: ignore[misc]


def _attempt(work: Callable[[], R]) -> R | PlinthError:
    try:
        return work()
    except PlinthError as error:
        return error
