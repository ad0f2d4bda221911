"""Wire types of `/v1/fine_tuning` as the OpenAI SDK knows them, with our additions marked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from plinth.kit.http import Wire
from plinth.registry import Share
from plinth.tuning.errors import IntegrationsNotSupported, MethodNotSupported
from plinth.tuning.model import Checkpoint, Hyperparameters, Job, JobEvent
from plinth.tuning.service import Order

Auto = Literal["auto"]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=255)]
MetadataKey = Annotated[str, StringConstraints(max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)]


class HyperparametersBody(Wire):
    n_epochs: int | Auto = "auto"
    batch_size: int | Auto = "auto"
    learning_rate_multiplier: Annotated[float, Field(allow_inf_nan=False)] | Auto = "auto"


class SupervisedBody(Wire):
    hyperparameters: HyperparametersBody | None = None


class MethodBody(Wire):
    type: str = "supervised"
    supervised: SupervisedBody | None = None


class CreateJob(Wire):
    """`recipe` is our addition: quick, good (default) or best; see `recipes.yaml`."""

    model: Identifier
    training_file: Identifier
    validation_file: Identifier | None = None
    hyperparameters: HyperparametersBody | None = None
    method: MethodBody | None = None
    integrations: list[Any] | None = None
    suffix: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    seed: int | None = Field(default=None, ge=-(2**31), lt=2**31)
    metadata: Metadata | None = None
    recipe: Annotated[str, StringConstraints(max_length=64)] | None = None

    def order(self) -> Order:
        """Raises: MethodNotSupported, IntegrationsNotSupported."""
        if self.method is not None and self.method.type != "supervised":
            raise MethodNotSupported(method=self.method.type[:40], param="method.type")
        if self.integrations:
            raise IntegrationsNotSupported(param="integrations")
        nested = self.method.supervised.hyperparameters if self.method and self.method.supervised else None
        asked = nested or self.hyperparameters or HyperparametersBody()
        return Order(
            model=self.model,
            training_file=self.training_file,
            validation_file=self.validation_file,
            suffix=self.suffix,
            seed=self.seed,
            recipe=self.recipe,
            hyperparameters=Hyperparameters(**asked.model_dump()),
            metadata=self.metadata or None,
        )


class HyperparametersObject(Wire):
    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float


class SupervisedObject(Wire):
    hyperparameters: HyperparametersObject


class MethodObject(Wire):
    type: Literal["supervised"] = "supervised"
    supervised: SupervisedObject


class ErrorObject(Wire):
    code: str
    message: str
    param: str | None = None


class ProgressObject(Wire):
    """Our addition."""

    step: int
    total_steps: int
    examples_per_second: float | None = None


class AmountObject(Wire):
    """`value` in minor units of `currency` (ISO 4217)."""

    value: int
    currency: str


class CostObject(Wire):
    """Our addition: machine time so far; `amount` is null until a price per CPU hour is set."""

    wall_seconds: float
    cpu_seconds: float
    amount: AmountObject | None = None


class JobObject(Wire):
    """`progress`, `eta_range` (seconds left: [low, high]), `cost`, `recipe` and
    `dataset_version_id` are our additions."""

    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    error: ErrorObject | None = None
    fine_tuned_model: str | None = None
    finished_at: int | None = None
    hyperparameters: HyperparametersObject
    model: str
    organization_id: str
    result_files: list[str]
    seed: int
    status: str
    trained_tokens: int | None = None
    training_file: str
    validation_file: str | None = None
    estimated_finish: int | None = None
    integrations: tuple[()] = ()
    metadata: dict[str, str] | None = None
    method: MethodObject
    progress: ProgressObject | None = None
    eta_range: tuple[float, float] | None = None
    cost: CostObject
    recipe: str
    dataset_version_id: str

    @classmethod
    def of(cls, job: Job) -> JobObject:
        recipe, cost = job.recipe, job.cost
        numbers = HyperparametersObject(
            n_epochs=recipe.n_epochs,
            batch_size=recipe.batch_size,
            learning_rate_multiplier=recipe.learning_rate_multiplier,
        )
        known = cost.amount is not None and cost.currency is not None
        return cls(
            id=job.id,
            created_at=int(job.created_at),
            error=ErrorObject(**job.error) if job.error else None,
            fine_tuned_model=job.fine_tuned_model,
            finished_at=_whole(job.finished_at),
            hyperparameters=numbers,
            model=job.model,
            organization_id=job.organization_id,
            result_files=list(job.result_files),
            seed=job.seed,
            status=job.status,
            trained_tokens=job.trained_tokens,
            training_file=job.training_file,
            validation_file=job.validation_file,
            estimated_finish=_whole(job.estimated_finish),
            metadata=job.metadata,
            method=MethodObject(supervised=SupervisedObject(hyperparameters=numbers)),
            progress=ProgressObject(**job.progress) if job.progress else None,
            eta_range=(job.eta_low, job.eta_high) if job.eta_low is not None and job.eta_high is not None else None,
            cost=CostObject(
                wall_seconds=round(cost.wall_seconds, 1),
                cpu_seconds=round(cost.cpu_seconds, 1),
                amount=AmountObject(value=cost.amount or 0, currency=cost.currency or "") if known else None,
            ),
            recipe=recipe.name,
            dataset_version_id=job.dataset_version_id,
        )


class EventObject(Wire):
    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: str
    message: str
    type: str
    data: dict[str, Any] | None = None

    @classmethod
    def of(cls, event: JobEvent) -> EventObject:
        return cls(
            id=event.id,
            created_at=int(event.created_at),
            level=event.level,
            message=event.message,
            type=event.type,
            data=event.data,
        )


class CheckpointMetrics(Wire):
    step: int
    train_loss: float | None = None
    train_mean_token_accuracy: float | None = None
    valid_loss: float | None = None
    valid_mean_token_accuracy: float | None = None
    full_valid_loss: float | None = None
    full_valid_mean_token_accuracy: float | None = None


class CheckpointObject(Wire):
    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    metrics: CheckpointMetrics
    step_number: int

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> CheckpointObject:
        return cls(
            id=checkpoint.id,
            created_at=int(checkpoint.created_at),
            fine_tuned_model_checkpoint=checkpoint.version_id,
            fine_tuning_job_id=checkpoint.job_id,
            metrics=CheckpointMetrics(step=checkpoint.step, **checkpoint.metrics),
            step_number=checkpoint.step,
        )


class CreatePermissions(Wire):
    project_ids: Annotated[list[Identifier], Field(min_length=1, max_length=100)]


class PermissionObject(Wire):
    id: str
    object: Literal["checkpoint.permission"] = "checkpoint.permission"
    created_at: int
    project_id: str

    @classmethod
    def of(cls, share: Share) -> PermissionObject:
        return cls(id=share.id, created_at=int(share.created_at), project_id=share.project_id)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
