"""One grader on one sample, outside any run: the Graders API's `run`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plinth.evaluation import graders, specs
from plinth.evaluation.errors import (
    CompletionFailed,
    MissingValue,
    ModelGraderUnclear,
    ModelUnreachable,
    ScriptFailed,
)
from plinth.evaluation.graders import Case, Grade, Toolbox
from plinth.evaluation.model import Json, ModelUsage, Tally
from plinth.evaluation.ports import Completer
from plinth.evaluation.sandbox import PythonSandbox
from plinth.evaluation.settings import EvaluationSettings
from plinth.evaluation.specs import GraderSpec
from plinth.kit.clock import Clock
from plinth.kit.errors import PlinthError

_FLAGS: tuple[tuple[type[PlinthError], str], ...] = (
    (ScriptFailed, "python_grader_runtime_error"),
    (ModelGraderUnclear, "model_grader_parse_error"),
    (CompletionFailed, "model_grader_server_error"),
    (MissingValue, "invalid_variable_error"),
)


@dataclass(frozen=True)
class GraderRun:
    """`error` is why there is no score, with the Graders API's flag for it."""

    reward: float
    sub_rewards: dict[str, float]
    seconds: float
    used: tuple[ModelUsage, ...]
    error: PlinthError | None = None
    flag: str | None = None

    @property
    def usage_per_model(self) -> dict[str, dict[str, int]]:
        tally = Tally()
        for entry in self.used:
            tally.count_usage(entry)
        return tally.models


class GraderRunner:
    """Grades at once, on the caller's thread."""

    def __init__(
        self, clock: Clock, completer: Completer, sandbox: PythonSandbox, settings: EvaluationSettings
    ) -> None:
        self._clock, self._completer, self._sandbox, self._settings = clock, completer, sandbox, settings

    def run(self, project_id: str, spec: GraderSpec, model_sample: str, item: Json) -> GraderRun:
        """Raises `SandboxUnavailable`; everything else is told in the result."""
        sample: Json = {"output_text": model_sample}
        value = graders.output_json(model_sample)
        if value is not None:
            sample["output_json"] = value
        tools = Toolbox(self._completer, project_id, self._sandbox, self._settings.embedding_model)
        started = self._clock.monotonic()
        try:
            outcome: Any = graders.grade(spec, [Case(item, sample)], tools)[0]
        except ModelUnreachable as error:
            outcome = error
        seconds = self._clock.monotonic() - started
        if isinstance(outcome, Grade):
            flag = "sample_parse_error" if value is None and _wants_json(spec) else None
            return GraderRun(outcome.score, dict(outcome.sub_scores), seconds, outcome.used, None, flag)
        flag = next((name for kind, name in _FLAGS if isinstance(outcome, kind)), "other_error")
        return GraderRun(0.0, {}, seconds, (), outcome, flag)


def _wants_json(spec: GraderSpec) -> bool:
    return any("output_json" in text for part in specs.parts(spec) for text in part.texts())
