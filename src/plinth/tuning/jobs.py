"""The durable workflow `tuning.run`: prepare, train, register, finish. Runs in the worker.

Payload: `{job_id, attempt}`, the payload of `tuning.job.queued`; start it under the id
`<job_id>:<attempt>`. The job's row is the desired state: a run looks at it every second, stops its
trainer when the job was cancelled or paused, and gives way when a newer attempt exists. Every
step may be repeated.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from plinth import __version__
from plinth.kit.blobs import Blobs, put_file
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session
from plinth.kit.errors import PlinthError, StorageFull
from plinth.kit.ids import new_id
from plinth.kit.jobs import JobContext, Workflow
from plinth.registry import Artefact, ArtefactFile, ArtefactKind, VersionDraft
from plinth.tuning import store
from plinth.tuning.folder import Busy, RunFolder, read_json, write_json
from plinth.tuning.model import (
    ACTIVE,
    Checkpoint,
    Job,
    JobStatus,
    Limits,
    Outcome,
    OutcomeKind,
    StopMode,
    TrainingSpec,
)
from plinth.tuning.ports import Trainer, TrainerHandle
from plinth.tuning.relay import Relay, wire_metrics
from plinth.tuning.service import TuningService

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
STOP_GRACE_SECONDS = 120.0
BUSY_SECONDS = 300.0
DATABASE_TRIES = 600
MAX_CHECKPOINTS = 3


@dataclass(frozen=True)
class TuningParts:
    """What the worker gives the workflow. `runs` is the folder that holds a folder per job."""

    db: Database
    clock: Clock
    blobs: Blobs
    trainer: Trainer
    service: TuningService
    runs: Path


def workflows(parts: TuningParts) -> list[Workflow]:
    return [Workflow(name="tuning.run", queue="tuning", run=TuningRunner(parts).run)]


class TuningRunner:
    def __init__(self, parts: TuningParts) -> None:
        self._parts, self._db, self._service = parts, parts.db, parts.service
        self._settings = parts.service.settings

    def run(self, context: JobContext, payload: Any) -> None:
        job_id, attempt = str(payload["job_id"]), int(payload["attempt"])
        for name, stage in (
            ("prepare", self._prepare),
            ("train", self._train),
            ("register", self._register),
            ("finish", self._finish),
        ):
            if not context.step(name, lambda stage=stage: self._guarded(stage, job_id, attempt)):  # type: ignore[misc]
                return

    def _guarded(self, stage: Callable[[Job], bool], job_id: str, attempt: int) -> bool:
        """Run a stage if this attempt is still wanted; says whether the next one should run."""
        for tries in range(DATABASE_TRIES):
            try:
                job = self._wanted(job_id, attempt)
                if job is None:
                    self._clear_if_cancelled(job_id)
                    return False
                return self._run_stage(stage, job)
            except OperationalError:
                log.exception("the database failed; trying again", extra={"job_id": job_id, "tries": tries})
                time.sleep(POLL_SECONDS)
        raise RuntimeError("the database did not come back")

    def _run_stage(self, stage: Callable[[Job], bool], job: Job) -> bool:
        try:
            return stage(job)
        except OperationalError:
            raise
        except StorageFull as error:
            self._pause_full(job, error.message)
        except PlinthError as error:
            self._fail(job, {"code": error.code, "message": error.message, "param": error.param})
        except Exception:  # whatever went wrong, the user's job must end and say so
            log.exception("tuning failed", extra={"job_id": job.id})
            message = "Something went wrong inside Plinth. Look at the worker's log for this job's id."
            self._fail(job, {"code": "internal_error", "message": message, "param": None})
        return False

    # --- stages

    def _prepare(self, job: Job) -> bool:
        """Rows and spec into the run folder, the base model onto this machine."""
        folder = self._folder(job.id)
        folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sweep()
        self._check_space(folder)
        self._note(job, "files", "Validating training file and preparing the base model.")
        with self._db.read() as session:
            base = self._service.bases.get(session, job.project_id, job.base_id)
        rows = self._write_rows(job, job.dataset_version_id, folder.root / "rows.jsonl")
        held = job.validation_version_id
        validation = self._write_rows(job, held, folder.root / "validation.jsonl") if held else None
        before = read_json(folder.spec) or {}
        spec = TrainingSpec(
            job_id=job.id,
            base_id=job.base_id,
            base_folder=str(self._service.bases.materialise(job.base_id, "huggingface")),
            chat_template=base.chat_template or "",
            rows=str(rows),
            validation_rows=str(validation) if validation else None,
            recipe=job.recipe,
            seed=job.seed,
            # a resumed run must compute as the first did, or its bits would differ
            threads=before.get("threads") or self._settings.threads or len(os.sched_getaffinity(0)),
            limits=Limits(
                row_tokens=min(base.context_tokens, self._settings.max_row_tokens),
                batch_tokens=self._settings.max_batch_tokens,
                cache_bytes=self._settings.cache_bytes,
                checkpoint_seconds=self._settings.checkpoint_seconds,
                free_bytes=self._settings.min_free_bytes,
            ),
        )
        write_json(folder.spec, spec.to_dict())
        return True

    def _train(self, job: Job) -> bool:
        folder = self._folder(job.id)
        spec = TrainingSpec.from_dict(read_json(folder.spec) or {})
        relay = Relay(self._db, self._parts.clock, self._settings, job.id, spec.threads)
        outcome = self._start_until_done(job, folder, spec, relay)
        if outcome.kind is OutcomeKind.finished:
            return True
        if outcome.kind is OutcomeKind.storage_full:
            self._pause_full(job, StorageFull(path=folder.root).message)
        elif outcome.kind is OutcomeKind.failed:
            self._fail(job, outcome.error or {"code": "trainer_failed", "message": outcome.detail, "param": None})
        elif outcome.kind is not OutcomeKind.stopped:
            self._fail(job, {"code": "trainer_died", "message": outcome.detail, "param": None})
        self._clear_if_cancelled(job.id)
        return False

    def _register(self, job: Job) -> bool:
        """The final model and the last checkpoints, as versions with their lineage."""
        folder = self._folder(job.id)
        done = read_json(folder.done) or {}
        final = self._draft(job, done, self._final_artefacts(folder), None)
        kept = [entry for entry in done["checkpoints"] if entry["step"] != done["steps"]][-MAX_CHECKPOINTS:]
        drafts = [(e, self._draft(job, done, self._checkpoint_artefacts(folder, e["step"]), e["step"])) for e in kept]
        with self._db.write() as session:
            if self._still_wanted(session, job.id, job.attempt) is None:
                return False
            now = self._parts.clock.unix()
            for entry, draft in drafts:
                version = self._service.versions.register(session, draft)
                metrics = wire_metrics(entry["metrics"])
                store.add_checkpoint(
                    session, Checkpoint(new_id("ftckpt_"), job.id, entry["step"], version.id, metrics, now)
                )
            version = self._service.versions.register(session, final)
            last: dict[str, Any] = next((e["metrics"] for e in done["checkpoints"] if e["step"] == done["steps"]), {})
            store.add_checkpoint(
                session, Checkpoint(new_id("ftckpt_"), job.id, done["steps"], version.id, wire_metrics(last), now)
            )
            store.change_job(session, job.id, fine_tuned_model=version.id)
        return True

    def _finish(self, job: Job) -> bool:
        folder = self._folder(job.id)
        done = read_json(folder.done) or {}
        blob = put_file(self._parts.blobs, folder.results)
        with self._db.write() as session:
            if self._still_wanted(session, job.id, job.attempt) is None:
                return False
            name = f"step_metrics_{job.id}.csv"
            file = self._service.data.store_file(session, job.project_id, name, "fine-tune-results", blob)
            model, tokens = str(job.fine_tuned_model), int(done["trained_tokens"])
            self._service.set_succeeded(session, job, model, tokens, [file.id])
        shutil.rmtree(folder.root, ignore_errors=True)
        return True

    # --- training

    def _start_until_done(self, job: Job, folder: RunFolder, spec: TrainingSpec, relay: Relay) -> Outcome:
        """Start the trainer, again when it died, until it ends in a way that counts."""
        restarts, waited = 0, 0.0
        while True:
            handle = self._parts.trainer.start(folder.root, spec)
            try:
                outcome = self._supervise(job, folder, handle, relay)
            except BaseException:
                handle.kill()  # nobody would look after it; its checkpoints stay
                raise
            if outcome.kind is OutcomeKind.busy and waited < BUSY_SECONDS:
                # a trainer of an earlier worker or attempt keeps its checkpoint and ends
                waited += POLL_SECONDS
                time.sleep(POLL_SECONDS)
                continue
            unasked = outcome.kind is OutcomeKind.stopped and self._wanted(job.id, job.attempt) is not None
            if not (outcome.kind is OutcomeKind.died or unasked) or restarts >= self._settings.max_restarts:
                return outcome
            restarts += 1
            text = f"The trainer stopped unexpectedly and goes on from its last checkpoint. {outcome.detail}"
            self._note(job, f"restart:{job.attempt}:{new_id('')}", text.strip(), "warn")

    def _supervise(self, job: Job, folder: RunFolder, handle: TrainerHandle, relay: Relay) -> Outcome:
        asked_at: float | None = None
        while True:
            outcome = handle.wait(POLL_SECONDS)
            relay.pass_on(folder)
            if outcome is not None:
                return outcome
            if asked_at is None and self._wanted(job.id, job.attempt) is None:
                handle.request_stop(self._stop_mode(job.id))
                asked_at = time.monotonic()
            elif asked_at is not None and time.monotonic() - asked_at > STOP_GRACE_SECONDS:
                handle.kill()

    def _stop_mode(self, job_id: str) -> StopMode:
        with self._db.read() as session:
            job = store.job_by_id(session, job_id)
        return StopMode.cancel if job is None or job.status is JobStatus.cancelled else StopMode.pause

    def _wanted(self, job_id: str, attempt: int) -> Job | None:
        """The job, if this attempt is still what the user wants."""
        with self._db.read() as session:
            return self._still_wanted(session, job_id, attempt)

    def _still_wanted(self, session: Session, job_id: str, attempt: int) -> Job | None:
        job = store.job_by_id(session, job_id)
        return job if job is not None and job.status in ACTIVE and job.attempt == attempt else None

    # --- artefacts

    def _draft(self, job: Job, done: dict[str, Any], artefacts: tuple[Artefact, ...], step: int | None) -> VersionDraft:
        recipe = {**vars(job.recipe), "targets": list(job.recipe.targets)}
        return VersionDraft(
            project_id=job.project_id,
            organization=job.organization_id,
            base_id=job.base_id,
            suffix=job.suffix or "",
            recipe={
                "method": "supervised",
                "trainer": "lora",
                "seed": job.seed,
                "hyperparameters": recipe,
                "training_file": job.training_file,
                "validation_file": job.validation_file,
                "validation_version_id": job.validation_version_id,
                "environment": done["environment"],
            },
            code_version=__version__,
            artefacts=artefacts,
            dataset_version_id=job.dataset_version_id,
            job_id=job.id,
            checkpoint_step=step,
        )

    def _final_artefacts(self, folder: RunFolder) -> tuple[Artefact, ...]:
        return (
            *self._adapter_artefacts(folder.peft, folder.gguf),
            Artefact(ArtefactKind.parity_reference, (self._stored(folder.parity),)),
        )

    def _checkpoint_artefacts(self, folder: RunFolder, step: int) -> tuple[Artefact, ...]:
        kept = folder.checkpoints / f"checkpoint-{step}"
        return self._adapter_artefacts(kept, kept / folder.gguf.name)

    def _adapter_artefacts(self, peft: Path, gguf: Path) -> tuple[Artefact, ...]:
        names = ("adapter_config.json", "adapter_model.safetensors")
        return (
            Artefact(ArtefactKind.peft_adapter, tuple(self._stored(peft / name) for name in names)),
            Artefact(ArtefactKind.gguf_adapter, (self._stored(gguf),)),
        )

    def _stored(self, path: Path) -> ArtefactFile:
        blob = put_file(self._parts.blobs, path)
        return ArtefactFile(path=path.name, digest=blob.digest, size=blob.size)

    # --- the run folder

    def _folder(self, job_id: str) -> RunFolder:
        return RunFolder(self._parts.runs / job_id)

    def _write_rows(self, job: Job, version_id: str, target: Path) -> Path:
        if target.exists():
            return target
        with self._db.read() as session:
            version = self._service.data.version(session, job.project_id, version_id)
        part = target.with_suffix(".part")
        with part.open("w", encoding="utf-8") as out:
            for row in self._service.data.rows(version):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)
        return target

    def _check_space(self, folder: RunFolder) -> None:
        if shutil.disk_usage(folder.root).free < self._settings.min_free_bytes:
            raise StorageFull(path=folder.root)

    def _clear_if_cancelled(self, job_id: str) -> None:
        with self._db.read() as session:
            job = store.job_by_id(session, job_id)
        if job is not None and job.status is JobStatus.cancelled:
            _remove(self._folder(job_id))

    def _sweep(self) -> None:
        """Remove run folders of jobs that ended; a failed job's stays for a while."""
        folders = {path.name: RunFolder(path) for path in self._parts.runs.iterdir() if path.is_dir()}
        with self._db.read() as session:
            ended = store.ended_jobs(session, folders)
        for job_id, status in ended.items():
            age = time.time() - folders[job_id].root.stat().st_mtime
            if status is not JobStatus.failed or age > self._settings.keep_failed_seconds:
                _remove(folders[job_id])

    # --- telling

    def _note(self, job: Job, key: str, message: str, level: str = "info") -> None:
        with self._db.write() as session:
            self._service.note(session, job.id, key, message, level)

    def _fail(self, job: Job, error: dict[str, Any]) -> None:
        with self._db.write() as session:
            if self._still_wanted(session, job.id, job.attempt):
                self._service.set_failed(session, job, error)

    def _pause_full(self, job: Job, reason: str) -> None:
        with self._db.write() as session:
            if self._still_wanted(session, job.id, job.attempt):
                self._service.set_paused(session, job, f"{reason} Then resume the job; nothing is lost.", "error")


def _remove(folder: RunFolder) -> None:
    try:
        with folder.locked():
            shutil.rmtree(folder.root, ignore_errors=True)
    except (Busy, FileNotFoundError):
        pass  # a trainer is still ending there; the next sweep takes it
