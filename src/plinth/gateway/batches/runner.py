"""Running a batch: `work` asks what is not answered yet, `finish` makes the files. Both may be repeated
after a crash: what the spool holds is never asked again, and the end is written in one transaction.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.exc import DBAPIError

from plinth.gateway.batches import lines, output, store
from plinth.gateway.batches.asking import Asker
from plinth.gateway.batches.model import Batch, BatchStatus, Counts, Ending, Line, LineProblem
from plinth.gateway.batches.ports import Callers, KeepOutput, NewOutput
from plinth.gateway.batches.settings import BatchSettings
from plinth.gateway.batches.spool import Record, Spool
from plinth.kit import events
from plinth.kit.blobs import Blobs
from plinth.kit.clock import Clock
from plinth.kit.db import Database
from plinth.kit.errors import StorageFull

log = logging.getLogger(__name__)

FULL_DISK_SECONDS = 5.0
KEPT_SECONDS = 7 * 86_400.0
_RUNNING = (BatchStatus.in_progress, BatchStatus.finalizing, BatchStatus.cancelling)
_ENDS = {
    Ending.done: (BatchStatus.completed, "completed_at"),
    Ending.cancelled: (BatchStatus.cancelled, "cancelled_at"),
    Ending.expired: (BatchStatus.expired, "expired_at"),
}


@dataclass(frozen=True)
class BatchParts:
    """What the worker gives the runner. `folder` holds a folder for each running batch."""

    db: Database
    clock: Clock
    blobs: Blobs
    callers: Callers
    keep: KeepOutput
    folder: Path
    settings: BatchSettings


class BatchRunner:
    """Emits `gateway.batch.completed`, `.cancelled`, `.expired` and `.failed` {batch_id}."""

    def __init__(self, parts: BatchParts) -> None:
        self._parts, self._db, self._clock = parts, parts.db, parts.clock

    def work(self, batch_id: str) -> Ending | None:
        """Ask what is left to ask. Returns how the asking ended, None when there is nothing to do."""
        with self._db.write() as session:
            store.start(session, batch_id, self._clock.unix())
            batch = store.batch_by_id(session, batch_id)
        if batch is None or batch.status not in _RUNNING:
            return None
        if batch.status is BatchStatus.cancelling:
            return Ending.cancelled
        if self._clock.unix() >= batch.expires_at:
            return Ending.expired
        with self._spool(batch) as spool, self._input(batch) as stream:
            return asyncio.run(_Run(self._parts, batch, spool).run(stream))

    def finish(self, batch_id: str, ending: Ending) -> bool:
        """Write the output and error file in the order of the input, and end the batch. False when the disk
        with the answers was lost since: there is work to do again."""
        with self._db.write() as session:
            if ending is Ending.done:
                now = self._clock.unix()
                store.move(session, batch_id, [BatchStatus.in_progress], BatchStatus.finalizing, finalizing_at=now)
            batch = store.batch_by_id(session, batch_id)
        if batch is None or batch.is_final:
            self._forget(batch_id)
            return True
        if batch.status is BatchStatus.cancelling:  # it was cancelled while the last answers came in
            ending = Ending.cancelled
        with self._spool(batch) as spool, self._input(batch) as stream:
            if ending is Ending.done and spool.completed + spool.failed < batch.counts.total:
                log.error("answers of a batch were lost with a disk; asking again", extra={"batch_id": batch_id})
                return False
            checked = lines.read(stream, batch.endpoint, self._parts.settings.max_line_bytes)
            made = output.write(spool, checked, ending, self._parts.blobs)
            counts = _counts(batch, spool)
        self._end(batch, ending, counts, made)
        self._forget(batch_id)
        return True

    def give_up(self, batch_id: str) -> None:
        """The run broke off inside Plinth: the batch fails, and its answers stay on the worker's disk."""
        problem = LineProblem("internal_error", "The batch broke off inside Plinth; see the worker's log.")
        values = {"failed_at": self._clock.unix(), "problems": store.problems_as_rows([problem])}
        with self._db.write() as session:
            batch = store.batch_by_id(session, batch_id)
            if batch and store.move(session, batch_id, _RUNNING, BatchStatus.failed, **values):
                events.emit(session, self._clock, "gateway.batch.failed", {"batch_id": batch_id}, batch.project_id)

    def tidy(self) -> int:
        """Remove what failed batches left on this disk a week ago; returns how many folders went."""
        before, gone = self._clock.unix() - KEPT_SECONDS, 0
        if not self._parts.folder.is_dir():
            return 0
        old = [place for place in self._parts.folder.iterdir() if place.is_dir() and place.stat().st_mtime < before]
        with self._db.read() as session:
            still_open = store.open_ids(session, [place.name for place in old])
        for place in old:
            if place.name not in still_open:
                shutil.rmtree(place, ignore_errors=True)
                gone += 1
        return gone

    def _end(self, batch: Batch, ending: Ending, counts: Counts, made: output.Made) -> None:
        status, column = _ENDS[ending]
        files = (("output_file_id", "output", made.answers), ("error_file_id", "error", made.errors))
        with self._db.write() as session:
            values: dict[str, Any] = {column: self._clock.unix()}
            for name, kind, blob in files:
                if blob is not None:
                    new = NewOutput(batch.project_id, f"{batch.id}_{kind}.jsonl", blob, batch.output_seconds)
                    values[name] = self._parts.keep(session, new)
            if not store.move(session, batch.id, _RUNNING, status, **values):
                raise RuntimeError(f"{batch.id} was ended by somebody else")
            store.set_counts(session, batch.id, counts)
            events.emit(session, self._clock, f"gateway.batch.{status}", {"batch_id": batch.id}, batch.project_id)

    def _spool(self, batch: Batch) -> Spool:
        return Spool(self._parts.folder / batch.id)

    def _input(self, batch: Batch) -> BinaryIO:
        return self._parts.blobs.local_path(batch.input_digest).open("rb")

    def _forget(self, batch_id: str) -> None:
        shutil.rmtree(self._parts.folder / batch_id, ignore_errors=True)


class _Run:
    """One stretch of asking, from here to the end, to a cancel, or to the death of the process."""

    def __init__(self, parts: BatchParts, batch: Batch, spool: Spool) -> None:
        self._parts, self._batch, self._spool = parts, batch, spool
        self._shown: Counts | None = None

    async def run(self, stream: BinaryIO) -> Ending | None:
        waiting = self._waiting(stream)
        async with self._parts.callers() as caller:
            asker = Asker(caller, self._batch, self._parts.settings)
            workers = [asyncio.create_task(self._work(asker, waiting)) for _ in range(self._parts.settings.concurrency)]
            watcher = asyncio.create_task(self._watch())
            everything = asyncio.ensure_future(_all(workers))
            try:
                await asyncio.wait({everything, watcher}, return_when=asyncio.FIRST_COMPLETED)
                return everything.result() if everything.done() else watcher.result()
            finally:
                for task in (*workers, everything, watcher):
                    task.cancel()
                await asyncio.gather(*workers, everything, watcher, return_exceptions=True)
                await self._look()

    def _waiting(self, stream: BinaryIO) -> Iterator[Line]:
        for line in lines.read(stream, self._batch.endpoint, self._parts.settings.max_line_bytes):
            if isinstance(line, Line) and line.number not in self._spool:
                yield line

    async def _work(self, asker: Asker, waiting: Iterator[Line]) -> None:
        for line in waiting:
            await self._keep(await asker.ask(line))

    async def _keep(self, record: Record) -> None:
        """An answer that was paid for is not thrown away because the disk is full."""
        while True:
            try:
                self._spool.append(record)
                return
            except OSError as error:
                log.error("an answer of a batch cannot be stored; trying again", extra={"reason": str(error)})
                await asyncio.sleep(FULL_DISK_SECONDS)

    async def _watch(self) -> Ending | None:
        """Returns when the asking must stop."""
        while True:
            await asyncio.sleep(self._parts.settings.poll_seconds)
            status = await self._look()
            if status is BatchStatus.cancelling:
                return Ending.cancelled
            if status is not None and status not in _RUNNING:
                return None
            if self._parts.clock.unix() >= self._batch.expires_at:
                return Ending.expired

    async def _look(self) -> BatchStatus | None:
        """Show the progress, and see what is wanted; None while the database is away."""
        counts = _counts(self._batch, self._spool)
        try:
            return await asyncio.to_thread(self._exchange, counts)
        except (DBAPIError, StorageFull, OSError):
            log.warning(
                "a batch goes on although its progress cannot be stored",
                exc_info=True,
                extra={"batch_id": self._batch.id},
            )
            return None

    def _exchange(self, counts: Counts) -> BatchStatus:
        self._spool.sync()
        if counts != self._shown:
            with self._parts.db.write() as session:
                store.set_counts(session, self._batch.id, counts)
            self._shown = counts
        with self._parts.db.read() as session:
            batch = store.batch_by_id(session, self._batch.id)
        return batch.status if batch else BatchStatus.cancelled


async def _all(workers: Sequence[asyncio.Task[None]]) -> Ending:
    await asyncio.gather(*workers)
    return Ending.done


def _counts(batch: Batch, spool: Spool) -> Counts:
    return Counts(batch.counts.total, spool.completed, spool.failed, *spool.tokens)
