"""Tuning jobs: their states, recipes, what a trainer is told, and how long the rest will take.

Knows no database, no web framework and no torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any, Literal

Auto = Literal["auto"]
Json = dict[str, Any]


class JobStatus(StrEnum):
    validating_files = "validating_files"
    queued = "queued"
    running = "running"
    paused = "paused"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"


ACTIVE = frozenset({JobStatus.validating_files, JobStatus.queued, JobStatus.running})
ENDED = frozenset({JobStatus.succeeded, JobStatus.failed, JobStatus.cancelled})


@dataclass(frozen=True)
class Hyperparameters:
    """As asked for; "auto" is decided from the rows (`recipes.resolve`)."""

    n_epochs: int | Auto = "auto"
    batch_size: int | Auto = "auto"
    learning_rate_multiplier: float | Auto = "auto"


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes the result, resolved to numbers.

    Args:
        last_layers: only the last so many layers get adapters; 0 means all of them.
        targets: names of the linear layers that get an adapter.
        learning_rate: the peak, after the multiplier.
        validate_every: steps between two looks at a sample of the validation rows.
    """

    name: str
    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    learning_rate: float
    rank: int
    alpha: int
    last_layers: int
    targets: tuple[str, ...]
    warmup_fraction: float
    final_rate_fraction: float
    weight_decay: float
    clip_norm: float
    validate_every: int

    @classmethod
    def from_dict(cls, fields: Json) -> Recipe:
        return cls(**{**fields, "targets": tuple(fields["targets"])})


@dataclass(frozen=True)
class Limits:
    """What a run may use.

    Args:
        row_tokens: a longer row ends the job before training.
        batch_tokens: padded tokens that go through the network at once.
        cache_bytes: ceiling for stored activations of the frozen layers; above it they are recomputed.
        checkpoint_seconds: time between checkpoints; `checkpoint_steps` > 0 counts steps instead.
        keep_checkpoints: of those between epochs; the ends of the last epochs are kept as well.
        free_bytes: disk space that must stay free.
    """

    row_tokens: int = 2048
    batch_tokens: int = 4096
    cache_bytes: int = 2 << 30
    checkpoint_seconds: float = 30.0
    checkpoint_steps: int = 0
    keep_checkpoints: int = 3
    free_bytes: int = 256 << 20
    answers: int = 24
    answer_tokens: int = 48


@dataclass(frozen=True)
class TrainingSpec:
    """The whole order for one run. Paths are absolute; rows are JSON lines `{"messages": […]}`.

    `special_tokens` are not given: they come with the tokenizer in `base_folder`.
    """

    job_id: str
    base_id: str
    base_folder: str
    chat_template: str
    rows: str
    recipe: Recipe
    seed: int
    validation_rows: str | None = None
    threads: int = 1
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    limits: Limits = field(default_factory=Limits)

    def to_dict(self) -> Json:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Json) -> TrainingSpec:
        return cls(
            **{**fields, "recipe": Recipe.from_dict(fields["recipe"]), "limits": Limits(**fields["limits"])},
        )


class StopMode(StrEnum):
    pause = "pause"
    cancel = "cancel"


class OutcomeKind(StrEnum):
    """How a trainer ended: `stopped` because it was told to, `failed` and it would fail again,
    `died` and it may be started again, `busy` because another trainer works in the folder."""

    finished = "finished"
    stopped = "stopped"
    failed = "failed"
    died = "died"
    busy = "busy"
    storage_full = "storage_full"


@dataclass(frozen=True)
class Outcome:
    """`error` is `{code, message, param}` when `kind` is failed; `detail` is for the event log."""

    kind: OutcomeKind
    error: Json | None = None
    detail: str = ""


@dataclass(frozen=True)
class Cost:
    """Machine time of a job so far, and its price in minor units of `currency` (None: no price set)."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    amount: int | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Job:
    """`stop` is what the user asked of a running job; `attempt` counts starts and resumes: only
    the workflow run that carries the current number may touch the job."""

    id: str
    project_id: str
    organization_id: str
    created_at: float
    status: JobStatus
    model: str
    base_id: str
    training_file: str
    validation_file: str | None
    dataset_version_id: str
    validation_version_id: str | None
    rows: int
    suffix: str | None
    seed: int
    recipe: Recipe
    metadata: dict[str, str] | None
    attempt: int = 1
    usage: Json = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    progress: Json | None = None
    eta_low: float | None = None
    eta_high: float | None = None
    estimated_finish: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    error: Json | None = None
    fine_tuned_model: str | None = None
    trained_tokens: int | None = None
    result_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobEvent:
    """`key` is the natural name of what happened (`step:12`): the same fact is recorded once,
    however often a restarted trainer repeats it."""

    id: str
    job_id: str
    key: str
    created_at: float
    level: Literal["info", "warn", "error"]
    type: Literal["message", "metrics"]
    message: str
    data: Json | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A kept and registered state of a job. `version_id` is its model name."""

    id: str
    job_id: str
    step: int
    version_id: str
    metrics: Json
    created_at: float


@dataclass(frozen=True)
class Sample:
    """A trainer's clock at one moment. `work` is in layer-tokens (one token through one layer)."""

    wall_seconds: float
    cpu_seconds: float
    work: float


@dataclass(frozen=True)
class Estimate:
    """Seconds that are left: likely, and the range it should fall into."""

    low: float
    likely: float
    high: float


def estimate(samples: list[Sample], work_total: float, threads: int) -> Estimate | None:
    """How long the rest takes, from the work done so far; None until there is something to go by.

    The likely figure follows the wall clock. The low end is what the CPU time still needed would
    take on an idle machine (CPU time per token is steady within 10 %); the high end is the
    slowest stretch seen, because a busy machine more than doubled the wall time in trials.
    """
    if len(samples) < 2 or samples[-1].work <= samples[0].work:
        return None
    first, last = samples[0], samples[-1]
    left = max(0.0, work_total - last.work)
    likely = left * (last.wall_seconds - first.wall_seconds) / (last.work - first.work)
    on_idle = left * (last.cpu_seconds - first.cpu_seconds) / (last.work - first.work) / max(1, threads)
    slowest = max(
        (b.wall_seconds - a.wall_seconds) / (b.work - a.work) for a, b in pairwise(samples) if b.work > a.work
    )
    low = min(0.9 * on_idle, 0.9 * likely) if on_idle > 0 else 0.5 * likely
    return Estimate(low=low, likely=likely, high=max(1.15 * likely, min(slowest * left, 3 * likely)))


def thin(samples: list[Sample], keep: int = 32) -> list[Sample]:
    """The last `keep` samples: an estimate follows a machine whose load changes."""
    return samples[-keep:]


def with_price(cost: Cost, hourly_price: int, currency: str) -> Cost:
    """`hourly_price`: minor units per CPU hour; 0 means no price is known."""
    if hourly_price <= 0:
        return replace(cost, amount=None, currency=None)
    return replace(cost, amount=round(cost.cpu_seconds * hourly_price / 3600), currency=currency)
