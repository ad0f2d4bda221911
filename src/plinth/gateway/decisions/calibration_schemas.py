"""Wire types of `/api/calibrations`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO

from pydantic import Field, StrictBool, StrictInt, StrictStr, ValidationError

from plinth.gateway.decisions.errors import BadCalibrationRows
from plinth.gateway.decisions.model import Calibration, Draft, Kind, Method, Question, Status
from plinth.gateway.decisions.reading_input import input_text
from plinth.gateway.decisions.schemas import NO_NUL, Input, ModelName, QuestionParam, question_from
from plinth.gateway.decisions.thresholds import Costs, Rule
from plinth.kit.errors import BadInput
from plinth.kit.http import Wire

MAX_LINE_BYTES = 4 << 20
MAX_COST = 10**15


class RowParam(Wire):
    """One labelled example. `answer` is true or false for a predicate, a choice's value, or a level's label or
    number (0 for the lowest)."""

    input: Input
    question: QuestionParam
    answer: StrictBool | StrictInt | StrictStr

    def parsed(self, number: int) -> tuple[str, Question, int]:
        """Input, question, index of the right option. Raises `BadCalibrationRows`."""
        try:
            question = question_from(self.question, number, f"rows.{number - 1}.question")
            text = input_text(self.input)
        except BadInput as error:
            raise BadCalibrationRows(number=number, reason=error.message, param=f"rows.{number - 1}") from error
        if "\0" in text or "\0" in question.instructions:
            reason = "it has a NUL character, which cannot be stored."
            raise BadCalibrationRows(number=number, reason=reason, param=f"rows.{number - 1}")
        for index, option in enumerate(question.options):
            if type(option.value) is type(self.answer) and option.value == self.answer:
                return text, question, index
        by_number = question.kind is Kind.score and type(self.answer) is int
        if by_number and 0 <= int(self.answer) < len(question.options):
            return text, question, int(self.answer)
        reason = f"its answer {json.dumps(self.answer, ensure_ascii=False)[:80]} is none of the question's options."
        raise BadCalibrationRows(number=number, reason=reason, param=f"rows.{number - 1}.answer")


class CalibrationRequest(Wire):
    """Give `rows`, or `file_id` of a JSON Lines file of such rows."""

    model: ModelName
    method: Method = Method.temperature
    rows: Annotated[list[RowParam], Field(max_length=20_000)] | None = None
    file_id: Annotated[str, Field(max_length=64, pattern=NO_NUL)] | None = None
    name: Annotated[str, Field(max_length=256, pattern=NO_NUL)] = ""
    seed: Annotated[int, Field(ge=0, lt=1 << 31)] = 0
    held_out_share: Annotated[float, Field(ge=0.2, le=0.8)] = 0.5

    def draft(self, rows: list[tuple[str, Question, int]], source: str) -> Draft:
        return Draft(self.model, self.method, rows, self.seed, self.held_out_share, self.name, source)

    def inline(self) -> list[tuple[str, Question, int]]:
        """Raises `BadCalibrationRows`."""
        return [row.parsed(number) for number, row in enumerate(self.rows or [], 1)]


def rows_of(file: BinaryIO, most_rows: int, most_bytes: int) -> list[tuple[str, Question, int]]:
    """The rows of a JSON Lines file. Raises `BadCalibrationRows`."""
    found = []
    for number, line in _lines(file, most_bytes):
        if number > most_rows:
            raise BadCalibrationRows(number=number, reason=f"{most_rows} rows are the most.", param="file_id")
        try:
            row = RowParam.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            reason = f"'{where}': {first['msg']}." if where else f"{first['msg']}."
            raise BadCalibrationRows(number=number, reason=reason[:300], param="file_id") from error
        found.append(row.parsed(number))
    return found


def _lines(file: BinaryIO, most_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Non-empty lines with their numbers from 1."""
    size, number = 0, 0
    reader = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
    while line := reader.readline(MAX_LINE_BYTES + 1):
        size += len(line)
        if line.strip():
            number += 1
            if len(line) > MAX_LINE_BYTES or size > most_bytes:
                reason = f"a line may have {MAX_LINE_BYTES} bytes, and the file {most_bytes}."
                raise BadCalibrationRows(number=number, reason=reason, param="file_id")
            yield number, line.removeprefix(b"\xef\xbb\xbf")


class Figure(Wire):
    """A measured number with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Change(Wire):
    """`change` is after minus before on the same rows: below 0 is better, and an interval below 0 is certain of it."""

    before: Figure
    after: Figure
    change: Figure


class Point(Wire):
    """One bin of the reliability curve, with Wilson's 95 % interval of `observed`."""

    from_: float = Field(alias="from", serialization_alias="from")
    to: float
    n: int
    stated: float
    observed: float
    low: float
    high: float


class Curves(Wire):
    before: list[Point]
    after: list[Point]


class ReportObject(Wire):
    """Measured on `n` held-out rows. `refused` and `unanswered` rows are in no part."""

    n: int
    bins: int
    resamples: int
    level: float
    seed: int
    ece: Change
    brier: Change
    curve: Curves
    refused: int
    unanswered: int


class ProblemObject(Wire):
    code: str
    message: str


class CalibrationObject(Wire):
    id: str
    object: str = "calibration"
    name: str
    model: str
    version: int
    kind: Kind
    method: Method
    status: Status
    default: bool
    created_at: int
    created_by: str
    finished_at: int | None
    seed: int
    held_out_share: float
    source: str = Field(description="`inline`, or the file that the rows came from")
    rows: int
    fitted: int
    held_out: int
    questions: list[dict[str, Any]]
    map: dict[str, Any] | None = Field(description="the fitted map; `identity` when none made the fitted rows better")
    report: ReportObject | None
    error: ProblemObject | None

    @classmethod
    def of(cls, found: Calibration, defaults: set[str]) -> CalibrationObject:
        return cls(
            id=found.id,
            name=found.name,
            model=found.model,
            version=found.version,
            kind=found.kind,
            method=found.method,
            status=found.status,
            default=found.id in defaults,
            created_at=int(found.created_at),
            created_by=found.created_by,
            finished_at=None if found.finished_at is None else int(found.finished_at),
            seed=found.seed,
            held_out_share=found.held_out_share,
            source=found.source,
            rows=found.rows,
            fitted=found.fitted,
            held_out=found.held_out,
            questions=found.questions,
            map=found.mapping,
            report=ReportObject.model_validate(found.report) if found.report else None,
            error=ProblemObject.model_validate(found.problem) if found.problem else None,
        )


Cost = Annotated[int, Field(ge=0, le=MAX_COST)]


class ThresholdRequest(Wire):
    """What one mistake costs, in whole numbers of any one unit; `review` is what it costs to have a person look."""

    false_positive: Cost
    false_negative: Cost
    review: Cost | None = None

    def costs(self) -> Costs:
        return Costs(self.false_positive, self.false_negative, self.review)


class ThresholdObject(Wire):
    """Act from `threshold` on. Between `reject_from` and `reject_to` a person is the cheapest; null when never.
    The mean costs are of one decision on the `n` held-out rows, `reviewed` is the share that a person sees."""

    object: str = "calibration.threshold"
    calibration: str
    threshold: float
    reject_from: float | None
    reject_to: float | None
    n: int
    mean_cost: Figure
    mean_cost_always: Figure
    mean_cost_never: Figure
    reviewed: float

    @classmethod
    def of(cls, id: str, rule: Rule, measured: dict[str, Any]) -> ThresholdObject:
        rule_fields = {"threshold": rule.threshold, "reject_from": rule.reject_from, "reject_to": rule.reject_to}
        return cls(calibration=id, **rule_fields, **measured)
