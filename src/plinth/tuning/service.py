"""Decisions about fine-tuning jobs. Methods take the session first, except `submit`, which reads a
whole file and therefore opens short transactions of its own.

Emits `tuning.job.queued` {job_id, attempt}, and `tuning.job.succeeded`, `.failed`, `.cancelled`
and `.paused` {job_id, …}.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from plinth.data import DataService, DatasetVersion, File
from plinth.identity import Actor
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session
from plinth.kit.errors import BadInput, NotFound
from plinth.kit.events import Event, emit
from plinth.kit.ids import new_id
from plinth.registry import ModelVersion, RegistryService, Share, UnknownModel
from plinth.tuning import store
from plinth.tuning.errors import (
    BaseRetired,
    NoSuchProject,
    NotTunable,
    NotYourModel,
    RowTooLong,
    TooManyRows,
    WrongPurpose,
    WrongState,
)
from plinth.tuning.model import ACTIVE, Checkpoint, Hyperparameters, Job, JobEvent, JobStatus
from plinth.tuning.ports import BaseLike, Bases, Projects
from plinth.tuning.recipes import Shape, resolve

if TYPE_CHECKING:
    from plinth.tuning.settings import TuningSettings

PURPOSE = "fine-tune"
# No tokenizer here: a row is refused at once only when even tokens of this many bytes could not
# hold it. The trainer counts exactly before it trains.
LONGEST_TOKEN_BYTES = 16


@dataclass(frozen=True)
class Order:
    """What a user asked for, already checked for its form."""

    model: str
    training_file: str
    validation_file: str | None = None
    suffix: str | None = None
    seed: int | None = None
    recipe: str | None = None
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    metadata: dict[str, str] | None = None


class TuningService:
    """Args: `bases` is the catalogue, `versions` the registry; `projects` maps every active
    project's id to its organization's."""

    def __init__(
        self,
        clock: Clock,
        bases: Bases,
        data: DataService,
        versions: RegistryService,
        settings: TuningSettings,
        projects: Projects,
    ) -> None:
        self._clock, self.bases, self.data, self.versions = clock, bases, data, versions
        self.settings, self._projects = settings, projects

    # --- creating

    def submit(self, db: Database, actor: Actor, order: Order) -> Job:
        """Check everything that can be checked without a tokenizer, then make the job.

        Raises: NotFound (file), UnknownModel, NotTunable, BaseRetired, WrongPurpose, the data
        slice's InvalidRows, TooManyRows, RowTooLong, UnknownRecipe, BadHyperparameter.
        """
        resolve(order.recipe, order.hyperparameters, Shape(rows=1, answers=1))
        with db.read() as session:
            base = self._base(session, actor.project_id, order.model)
            training = self._file(session, actor.project_id, order.training_file, "training_file")
            held = order.validation_file
            validation = self._file(session, actor.project_id, held, "validation_file") if held else None
        version, shape = self._rows(db, training, base, "training_file")
        held_version = self._rows(db, validation, base, "validation_file")[0] if validation else None
        job = Job(
            id=new_id("ftjob-"),
            project_id=actor.project_id,
            organization_id=actor.organization_id,
            created_at=self._clock.unix(),
            status=JobStatus.validating_files,
            model=order.model,
            base_id=base.id,
            training_file=training.id,
            validation_file=validation.id if validation else None,
            dataset_version_id=version.id,
            validation_version_id=held_version.id if held_version else None,
            rows=shape.rows,
            suffix=order.suffix,
            seed=secrets.randbelow(2**31) if order.seed is None else order.seed,
            recipe=resolve(order.recipe, order.hyperparameters, shape),
            metadata=order.metadata,
        )
        with db.write() as session:
            store.insert_job(session, job)
            self.note(session, job.id, "created", f"Created fine-tuning job: {job.id}")
            self._queue(session, job)
        return job

    def _base(self, session: Session, project_id: str, model: str) -> BaseLike:
        try:
            base = self.bases.get(session, project_id, model)
        except NotFound:
            self._refuse_tuned(session, project_id, model)
            raise UnknownModel(id=model, param="model") from None
        if "tune" not in base.capabilities or not base.chat_template:
            self._refuse_untunable(session, project_id, model)
        if base.shutdown_date and date.fromisoformat(base.shutdown_date) < self._today():
            raise BaseRetired(id=model, shutdown_date=base.shutdown_date, param="model")
        return base

    def _refuse_tuned(self, session: Session, project_id: str, model: str) -> None:
        try:
            self.versions.version(session, project_id, model)
        except NotFound:
            return
        self._refuse_untunable(session, project_id, model)

    def _refuse_untunable(self, session: Session, project_id: str, model: str) -> None:
        tunable = [base.id for base in self.bases.list(session, project_id) if "tune" in base.capabilities]
        raise NotTunable(id=model, tunable=", ".join(tunable) or "none", param="model")

    def _file(self, session: Session, project_id: str, file_id: str, param: str) -> File:
        try:
            file = self.data.file(session, project_id, file_id)
        except NotFound as error:
            error.param = param
            raise
        if file.purpose != PURPOSE:
            raise WrongPurpose(id=file_id, purpose=file.purpose, param=param)
        return file

    def _rows(self, db: Database, file: File, base: BaseLike, param: str) -> tuple[DatasetVersion, Shape]:
        """Import the file and look once at every row."""
        try:
            version = self.data.import_file(db, file)
        except BadInput as error:
            error.param = param
            raise
        if version.rows > self.settings.max_rows:
            raise TooManyRows(limit=self.settings.max_rows, param=param)
        tokens = min(base.context_tokens, self.settings.max_row_tokens)
        answers = set()
        for number, row in enumerate(self.data.rows(version), start=1):
            size = sum(len(text.encode()) for text in _texts(row["messages"]))
            if size > tokens * LONGEST_TOKEN_BYTES:
                raise RowTooLong(row=number, size=size, limit=tokens, param=param)
            answers.add(str(row["messages"][-1].get("content")))
        return version, Shape(version.rows, len(answers))

    # --- reading

    def job(self, session: Session, project_id: str, job_id: str) -> Job:
        """Raises `NotFound`."""
        found = store.job_by_id(session, job_id, project_id)
        if found is None:
            raise NotFound(what="fine-tuning job", id=job_id)
        return found

    def jobs(
        self,
        session: Session,
        project_id: str,
        after: str | None = None,
        limit: int = 20,
        metadata: Mapping[str, str] | None = None,
    ) -> list[Job]:
        """Up to `limit` + 1, newest first. `metadata`: pairs a job must have; None for jobs without any."""
        return store.list_jobs(session, project_id, after, limit + 1, metadata)

    def job_events(self, session: Session, job: Job, after: str | None, limit: int) -> list[JobEvent]:
        """Up to `limit` + 1, newest first."""
        return store.list_events(session, job.id, after, limit + 1)

    def checkpoints(self, session: Session, job: Job, after: str | None, limit: int) -> list[Checkpoint]:
        """Up to `limit` + 1, newest first."""
        return store.list_checkpoints(session, job.id, after, limit + 1)

    # --- steering

    def cancel(self, session: Session, actor: Actor, job_id: str) -> Job:
        """Cancelled at once; a trainer at work ends within a step. Again: no change. Raises `WrongState`."""
        job = self.job(session, actor.project_id, job_id)
        if job.status is JobStatus.cancelled:
            return job
        if job.status not in ACTIVE | {JobStatus.paused}:
            raise WrongState(id=job_id, status=job.status, wanted="cancelled")
        now = self._clock.unix()
        store.change_job(session, job_id, status=JobStatus.cancelled, finished_at=now, **_NO_ESTIMATE)
        self.note(session, job_id, f"cancelled:{job.attempt}", "The job was cancelled.")
        self._emit(session, "tuning.job.cancelled", job)
        return self.job(session, actor.project_id, job_id)

    def pause(self, session: Session, actor: Actor, job_id: str) -> Job:
        """Paused at once; the trainer keeps a checkpoint and ends. Again: no change. Raises `WrongState`."""
        job = self.job(session, actor.project_id, job_id)
        if job.status is JobStatus.paused:
            return job
        if job.status not in ACTIVE:
            raise WrongState(id=job_id, status=job.status, wanted="paused")
        self.set_paused(session, job, "The job was paused.")
        return self.job(session, actor.project_id, job_id)

    def resume(self, session: Session, actor: Actor, job_id: str) -> Job:
        """Queue a paused job again. Again: no change. Raises `WrongState`."""
        job = self.job(session, actor.project_id, job_id)
        if job.status in ACTIVE:
            return job
        if job.status is not JobStatus.paused:
            raise WrongState(id=job_id, status=job.status, wanted="resumed")
        store.change_job(session, job_id, status=JobStatus.queued, attempt=job.attempt + 1)
        job = self.job(session, actor.project_id, job_id)
        self.note(session, job_id, f"resumed:{job.attempt}", "The job was resumed and waits for its turn.")
        self._queue(session, job)
        return job

    def on_job_queued(self, session: Session, event: Event) -> None:
        """For `tuning.job.queued`: show that a job whose files are fine waits for its turn."""
        job_id = event.payload["job_id"]
        if store.change_job(session, job_id, [JobStatus.validating_files], status=JobStatus.queued):
            self.note(session, job_id, "queued", "Files validated, job queued.")

    # --- for the worker (plinth.tuning.jobs)

    def set_paused(self, session: Session, job: Job, why: str, level: str = "info") -> None:
        if store.change_job(session, job.id, ACTIVE, status=JobStatus.paused, **_NO_ESTIMATE):
            self.note(session, job.id, f"paused:{job.attempt}", why, level)
            self._emit(session, "tuning.job.paused", job)

    def set_failed(self, session: Session, job: Job, error: dict[str, Any]) -> None:
        now = self._clock.unix()
        values = {"status": JobStatus.failed, "error": error, "finished_at": now, **_NO_ESTIMATE}
        if store.change_job(session, job.id, ACTIVE, **values):
            self.note(session, job.id, "failed", f"The job failed. {error['message']}", "error")
            self._emit(session, "tuning.job.failed", job, error=error)

    def set_succeeded(self, session: Session, job: Job, model: str, trained_tokens: int, files: list[str]) -> None:
        """Not when the job was cancelled or paused meanwhile."""
        values = {
            "status": JobStatus.succeeded,
            "fine_tuned_model": model,
            "trained_tokens": trained_tokens,
            "result_files": files,
            "finished_at": self._clock.unix(),
            **_NO_ESTIMATE,
        }
        if store.change_job(session, job.id, ACTIVE, **values):
            self.note(session, job.id, "model", f"New fine-tuned model created: {model}")
            self.note(session, job.id, "succeeded", "The job has successfully completed.")
            self._emit(session, "tuning.job.succeeded", job, fine_tuned_model=model)

    def note(self, session: Session, job_id: str, key: str, message: str, level: str = "info") -> None:
        """Add a message to the job's events, once per key."""
        store.add_events(
            session,
            [JobEvent(new_id("ftevent-"), job_id, key, self._clock.unix(), level, "message", message)],  # type: ignore[arg-type]
        )

    # --- checkpoint permissions

    def share(self, session: Session, actor: Actor, model: str, project_ids: Sequence[str]) -> list[Share]:
        """Let other projects of the organization use a tuned model. Raises `NotYourModel`, `NoSuchProject`."""
        self._own_model(session, actor, model)
        projects = self._projects(session)
        for project_id in project_ids:
            if projects.get(project_id) != actor.organization_id or project_id == actor.project_id:
                raise NoSuchProject(id=project_id, param="project_ids")
        return [self.versions.share(session, model, project_id) for project_id in project_ids]

    def shares(self, session: Session, actor: Actor, model: str) -> list[Share]:
        self._own_model(session, actor, model)
        return self.versions.shares(session, model)

    def unshare(self, session: Session, actor: Actor, model: str, share_id: str) -> None:
        """Raises `NotFound`."""
        self._own_model(session, actor, model)
        self.versions.unshare(session, model, share_id)

    def _own_model(self, session: Session, actor: Actor, model: str) -> ModelVersion:
        version = self.versions.version(session, actor.project_id, model)
        if version.project_id != actor.project_id:
            raise NotYourModel(id=model)
        return version

    # --- helpers

    def _queue(self, session: Session, job: Job) -> None:
        emit(session, self._clock, "tuning.job.queued", {"job_id": job.id, "attempt": job.attempt}, job.project_id)

    def _emit(self, session: Session, kind: str, job: Job, **payload: Any) -> None:
        emit(session, self._clock, kind, {"job_id": job.id, **payload}, job.project_id)

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock.unix(), UTC).date()


_NO_ESTIMATE: dict[str, None] = {"eta_low": None, "eta_high": None, "estimated_finish": None}


def _texts(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Every text in the messages, also inside content parts."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            yield content
        elif isinstance(content, list):
            yield from (str(part.get("text", "")) for part in content if isinstance(part, dict))
