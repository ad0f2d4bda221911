"""Decisions about batches: create, look at, cancel. Nothing here asks a model."""

from __future__ import annotations

from dataclasses import replace

from plinth.gateway.batches import store
from plinth.gateway.batches.errors import BatchFinished, NotABatchFile, TooManyBatches, UnknownEndpoint
from plinth.gateway.batches.model import MAX_SHOWN_CHARACTERS, Batch, BatchDraft, BatchStatus, window_seconds
from plinth.gateway.batches.ports import Audit, Files
from plinth.gateway.batches.settings import BatchSettings
from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import BadInput, Forbidden, NotFound
from plinth.kit.ids import new_id

BATCH_CREATED, BATCH_VALIDATED = "gateway.batch.created", "gateway.batch.validated"


class BatchService:
    """Emits `gateway.batch.created` and `gateway.batch.cancelled` {batch_id}. Methods take the session first.

    Args: `files` is the data slice's service; `audit` identity's trail.
    """

    def __init__(self, clock: Clock, files: Files, audit: Audit, settings: BatchSettings) -> None:
        self._clock, self._files, self._audit, self._settings = clock, files, audit, settings

    def create(self, session: Session, actor: Actor, draft: BatchDraft) -> Batch:
        """Accept a batch; its lines are checked afterwards, by the worker.

        Raises `NotFound` for an unknown file, `NotABatchFile`, `UnknownEndpoint`, `BadWindow`,
        `TooManyBatches`, `Forbidden` for a key that may not use models.
        """
        if not actor.may("models:use"):
            raise Forbidden(permission="models:use")
        project_id, now = _project(actor), self._clock.unix()
        if draft.endpoint not in self._settings.endpoints:
            shown = draft.endpoint[:MAX_SHOWN_CHARACTERS]
            raise UnknownEndpoint(endpoint=shown, endpoints=", ".join(self._settings.endpoints), param="endpoint")
        window = window_seconds(draft.completion_window)
        file = self._files.file(session, project_id, draft.input_file_id)
        if file.purpose != "batch":
            raise NotABatchFile(id=file.id, purpose=file.purpose, param="input_file_id")
        if store.count_open(session, project_id) >= self._settings.max_open_per_project:
            raise TooManyBatches(limit=self._settings.max_open_per_project)
        batch = Batch(
            id=new_id("batch_"),
            project_id=project_id,
            key_id=actor.key_id,
            principal=actor.principal,
            endpoint=draft.endpoint,
            input_file_id=file.id,
            input_digest=file.digest,
            completion_window=draft.completion_window,
            status=BatchStatus.validating,
            created_at=now,
            expires_at=now + window,
            metadata=draft.metadata,
            output_seconds=draft.output_seconds,
        )
        store.insert_batch(session, batch)
        self._audit(session, actor, "batch.created", batch.id, {"endpoint": batch.endpoint, "file": file.id})
        events.emit(session, self._clock, BATCH_CREATED, {"batch_id": batch.id}, project_id)
        return batch

    def get(self, session: Session, actor: Actor, batch_id: str) -> Batch:
        """Raises `NotFound`, also for another project's."""
        found = store.batch_by_id(session, batch_id, _project(actor))
        if found is None:
            raise NotFound(what="batch", id=batch_id)
        return found

    def page(self, session: Session, actor: Actor, after: str | None, limit: int) -> list[Batch]:
        """Up to `limit + 1`, newest first, so that the caller sees whether there are more."""
        found = store.batches_of(session, _project(actor), after, limit + 1)
        return [replace(batch, problems=batch.problems[:1]) for batch in found]

    def cancel(self, session: Session, actor: Actor, batch_id: str) -> Batch:
        """A batch that no worker has begun ends at once; a running one stops within seconds, and what it has
        done is kept. Idempotent. Raises `BatchFinished`, `NotFound`."""
        batch = self.get(session, actor, batch_id)
        if batch.status in (BatchStatus.cancelling, BatchStatus.cancelled):
            return batch
        now = self._clock.unix()
        if store.cancel_unstarted(session, batch_id, now):
            events.emit(session, self._clock, "gateway.batch.cancelled", {"batch_id": batch_id}, batch.project_id)
        elif not store.move(session, batch_id, [BatchStatus.in_progress], BatchStatus.cancelling, cancelling_at=now):
            raise BatchFinished(id=batch_id, status=self.get(session, actor, batch_id).status)
        self._audit(session, actor, "batch.cancelled", batch_id, {})
        return self.get(session, actor, batch_id)


class ActiveInputs:
    """Keeps the bytes of input files while their batch is open (a `data.BlobUser`)."""

    def refers_to(self, session: Session, digest: str) -> bool:
        return store.is_input_of_open(session, digest)


def _project(actor: Actor) -> str:
    """The project of the caller; an organization key has none. Raises `BadInput`."""
    if not actor.project_id:
        raise BadInput(reason="Batches belong to a project: use a project key (sk-proj-…).")
    return actor.project_id
