"""Questions, answers, and calibrations: the shapes, and the rules that need no database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MAX_QUESTIONS = 400
MIN_OPTIONS, MAX_CHOICES, MAX_LEVELS = 2, 255, 20
RAW = "none"
"""What a request gives as `calibration` to get the model's own probabilities whatever the default is."""

Value = str | bool


class Kind(StrEnum):
    predicate = "predicate"
    choice = "choice"
    score = "score"


@dataclass(frozen=True)
class Option:
    """One possible answer. `value` is what the client named it: a typed value, or a level's label."""

    value: Value
    description: str = ""


TRUE_FALSE = (Option(True), Option(False))


@dataclass(frozen=True)
class Question:
    """One question about the input. `options` are in the client's order; a predicate's are true and false."""

    kind: Kind
    instructions: str
    options: tuple[Option, ...] = TRUE_FALSE
    name: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for the same question to the model, whatever its name: 32 hex digits of a SHA-256."""
        options = [[option.value, option.description] for option in self.options]
        return digest_of([self.kind, self.instructions, options])

    @property
    def document(self) -> dict[str, Any]:
        """As it is stored and shown; `question_of` is the way back."""
        options = [{"value": option.value, "description": option.description} for option in self.options]
        return {"type": str(self.kind), "instructions": self.instructions, "options": options}


def question_of(document: Mapping[str, Any]) -> Question:
    options = tuple(Option(entry["value"], entry["description"]) for entry in document["options"])
    return Question(Kind(document["type"]), document["instructions"], options)


def digest_of(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True)
class Tokens:
    """What the model calls behind an answer took."""

    input: int = 0
    cached: int = 0
    output: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.input + other.input, self.cached + other.cached, self.output + other.output)


@dataclass(frozen=True)
class Reading:
    """What the model's log-probabilities say about one question.

    `probabilities` has one number an option, in order, and sums to 1; it is empty for a refusal.
    `mass` is the share of the model's next-token probability that was on the labels at all.
    """

    probabilities: tuple[float, ...]
    mass: float
    tokens: Tokens = Tokens()

    @property
    def refused(self) -> bool:
        return not self.probabilities


@dataclass(frozen=True)
class Decided:
    """One answer. `calibration` is the id of the calibration that its probabilities went through, None when
    they are the model's own."""

    question: Question
    reading: Reading
    calibration: str | None = None


@dataclass(frozen=True)
class Decision:
    """All answers of one request, in question order."""

    model: str
    answers: list[Decided]
    tokens: Tokens

    @property
    def calibration(self) -> str | None:
        return next((answer.calibration for answer in self.answers if answer.calibration), None)


@dataclass(frozen=True)
class Ask:
    """One request. `calibration` is an id, `RAW`, or None for the project's default of that model."""

    model: str
    input: str
    questions: Sequence[Question]
    calibration: str | None = None


class Method(StrEnum):
    temperature = "temperature"
    isotonic = "isotonic"


LEAST_FIT_ROWS = {Method.temperature: 50, Method.isotonic: 200}
"""How many answered rows each part (fitted and held out) needs at least. One parameter can be had from 50
rows; a free monotone curve from fewer than 200 mostly follows the noise."""


class Status(StrEnum):
    queued = "queued"
    running = "running"
    ready = "ready"
    failed = "failed"

    @property
    def is_final(self) -> bool:
        return self in (Status.ready, Status.failed)


@dataclass(frozen=True)
class Row:
    """One labelled example: `answer` is the index of the right option. `question` is the position in the
    calibration's list. `input` is None once the calibration is final; `reading` is None until asked."""

    position: int
    question: int
    answer: int
    held_out: bool
    input: str | None
    reading: Reading | None = None


@dataclass(frozen=True)
class Draft:
    """What a new calibration is asked for with. `rows` are (input, question, index of the right option)."""

    model: str
    method: Method
    rows: Sequence[tuple[str, Question, int]]
    seed: int
    held_out_share: float = 0.5
    name: str = ""
    source: str = "inline"


@dataclass(frozen=True)
class Calibration:
    """A map from the model's probabilities to calibrated ones. Nothing of it changes once it is ready.

    Args:
        model: the name that was asked; target: what that name meant then (`ports.Target`).
        kind: what all its questions are; questions: their documents; version: counts per project and model.
        rows: how many were given; fitted, held_out: how many of them were used (answered, not refused).
        seed: of the split and of the bootstrap; source: "inline" or a file's id.
        mapping: the fitted map (`calibration.Mapping.document`); report: what it is worth on the held-out rows.
    """

    id: str
    project_id: str
    model: str
    version: int
    target: str
    name: str
    kind: Kind
    method: Method
    questions: list[dict[str, Any]]
    seed: int
    held_out_share: float
    source: str
    rows: int
    status: Status
    created_at: float
    created_by: str
    key_id: str
    finished_at: float | None = None
    fitted: int = 0
    held_out: int = 0
    mapping: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    problem: dict[str, str] | None = None
    fingerprints: list[str] = field(default_factory=list)

    def covers(self, question: Question) -> bool:
        return question.fingerprint in self.fingerprints


def split(inputs: Sequence[str], seed: int, held_out_share: float) -> list[bool]:
    """Whether each row is held out. Rows with the same input are on the same side, or the report would be
    about what was fitted; which side depends on the seed and the inputs alone."""
    digests = [digest_of([seed, text]) for text in inputs]
    counts: dict[str, int] = {}
    for digest in digests:
        counts[digest] = counts.get(digest, 0) + 1
    wanted, held, chosen = round(len(inputs) * held_out_share), 0, set()
    for digest in sorted(counts):
        if held >= wanted:
            break
        chosen.add(digest)
        held += counts[digest]
    return [digest in chosen for digest in digests]
