"""What an eval, a run and an output item are, and how results add up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = dict[str, Any]


class RunStatus(StrEnum):
    queued = "queued"
    in_progress = "in_progress"
    completed = "completed"
    failed = "failed"
    canceled = "canceled"

    @property
    def is_final(self) -> bool:
        return self not in (RunStatus.queued, RunStatus.in_progress)


class ItemStatus(StrEnum):
    """`pending` rows are not output items yet. `error` means that the platform could not grade."""

    pending = "pending"
    passed = "pass"
    failed = "fail"
    errored = "error"


@dataclass(frozen=True)
class Eval:
    """`testing_criteria` are validated grader specifications in their wire form."""

    id: str
    project_id: str
    name: str
    item_schema: Json
    include_sample_schema: bool
    testing_criteria: list[Json]
    metadata: dict[str, str] | None
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class Problem:
    """An error as the Eval API shows it."""

    code: str
    message: str


@dataclass(frozen=True)
class Run:
    """`data_source` is the wire form without inline content. `report` is None until the run ends."""

    id: str
    eval_id: str
    project_id: str
    name: str
    status: RunStatus
    model: str
    data_source: Json
    metadata: dict[str, str] | None
    error: Problem | None
    total: int
    cancel_requested: bool
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    report: Json | None = None


@dataclass(frozen=True)
class Row:
    """One input of a run: the item, and the sample it came with (jsonl runs only)."""

    item: Json
    sample: Json | None = None


@dataclass(frozen=True)
class OutputItem:
    """`index` counts the run's rows from 0; `digest` names the item's content, equal in every run."""

    id: str
    run_id: str
    index: int
    status: ItemStatus
    item: Json
    digest: str
    given_sample: Json | None
    sample: Json | None
    results: list[Json]
    created_at: float


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class ModelUsage:
    """What one request to one model used."""

    model: str
    usage: Usage


@dataclass
class CriterionTally:
    passed: int = 0
    failed: int = 0
    errored: int = 0


@dataclass
class Tally:
    """Counts of some rows of a run; tallies of disjoint rows add up.

    `occupied_seconds` is wall time during which requests of the run were in flight, `answer_seconds`
    the sum of the single answers' latencies, `answers` how many came from the model under test.
    """

    passed: int = 0
    failed: int = 0
    errored: int = 0
    answers: int = 0
    occupied_seconds: float = 0.0
    answer_seconds: float = 0.0
    criteria: dict[str, CriterionTally] = field(default_factory=dict)
    models: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        return self.passed + self.failed + self.errored

    def count_usage(self, used: ModelUsage) -> None:
        entry = self.models.setdefault(used.model, dict.fromkeys(_USAGE_FIELDS, 0))
        entry["invocation_count"] += 1
        for name in _USAGE_FIELDS[1:]:
            entry[name] += getattr(used.usage, name)

    def to_json(self) -> Json:
        return {**vars(self), "criteria": {name: vars(entry) for name, entry in self.criteria.items()}}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Tally:
        criteria = {name: CriterionTally(**entry) for name, entry in stored["criteria"].items()}
        return cls(**{**stored, "criteria": criteria})

    @classmethod
    def sum(cls, tallies: Iterable[Tally]) -> Tally:
        total = cls()
        for tally in tallies:
            for name in ("passed", "failed", "errored", "answers", "occupied_seconds", "answer_seconds"):
                setattr(total, name, getattr(total, name) + getattr(tally, name))
            for name, entry in tally.criteria.items():
                mine = total.criteria.setdefault(name, CriterionTally())
                for field_name, count in vars(entry).items():
                    setattr(mine, field_name, getattr(mine, field_name) + count)
            for model, usage in tally.models.items():
                known = total.models.setdefault(model, dict.fromkeys(_USAGE_FIELDS, 0))
                for name, count in usage.items():
                    known[name] += count
        return total


_USAGE_FIELDS = ("invocation_count", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")
