"""The first look at a batch's input: every line, before any model is asked."""

from __future__ import annotations

from plinth.gateway.batches import store
from plinth.gateway.batches.lines import Findings, Limits, inspect
from plinth.gateway.batches.model import Batch, BatchStatus, Counts, LineProblem
from plinth.gateway.batches.service import BATCH_VALIDATED
from plinth.gateway.batches.settings import BatchSettings
from plinth.kit import events
from plinth.kit.blobs import Blobs
from plinth.kit.clock import Clock
from plinth.kit.db import Database
from plinth.kit.errors import NotFound


class InputChecker:
    """Emits `gateway.batch.validated` or `gateway.batch.failed` {batch_id}."""

    def __init__(self, db: Database, clock: Clock, blobs: Blobs, settings: BatchSettings) -> None:
        self._db, self._clock, self._blobs, self._settings = db, clock, blobs, settings

    def check(self, batch_id: str) -> None:
        """Validate the whole file and move the batch on. Safe to repeat."""
        with self._db.read() as session:
            batch = store.batch_by_id(session, batch_id)
        if batch is None or batch.status is not BatchStatus.validating:
            return
        findings = self._inspect(batch)
        now = self._clock.unix()
        with self._db.write() as session:
            if findings.problems:
                values = {"failed_at": now, "problems": store.problems_as_rows(findings.problems)}
                moved = store.move(session, batch_id, [BatchStatus.validating], BatchStatus.failed, **values)
                kind = "gateway.batch.failed"
            else:
                values = {"in_progress_at": now, "model": findings.model}
                moved = store.move(session, batch_id, [BatchStatus.validating], BatchStatus.in_progress, **values)
                kind = BATCH_VALIDATED
            if moved:
                store.set_counts(session, batch_id, Counts(total=findings.total))
                events.emit(session, self._clock, kind, {"batch_id": batch_id}, batch.project_id)

    def give_up(self, batch_id: str) -> None:
        """The check broke off for a reason that is not in the file."""
        problem = LineProblem("internal_error", "The file could not be checked; see the worker's log.")
        with self._db.write() as session:
            batch = store.batch_by_id(session, batch_id)
            values = {"failed_at": self._clock.unix(), "problems": store.problems_as_rows([problem])}
            if batch and store.move(session, batch_id, [BatchStatus.validating], BatchStatus.failed, **values):
                events.emit(session, self._clock, "gateway.batch.failed", {"batch_id": batch_id}, batch.project_id)

    def _inspect(self, batch: Batch) -> Findings:
        limits = Limits(self._settings.max_lines, self._settings.max_line_bytes)
        try:
            with self._blobs.open(batch.input_digest) as stream:
                return inspect(stream, batch.endpoint, limits)
        except NotFound:
            problem = LineProblem("input_file_gone", "The input file was deleted before it was read.")
            return Findings(0, None, (problem,))
