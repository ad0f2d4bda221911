"""Usage records on their way out of the data plane, so that no bill is lost (see `kit.journal`).

Only when the journal cannot be written (a full disk) are records held in memory, up to a bound; at
the bound requests wait: slower, never lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from pathlib import Path
from typing import Protocol, TypeVar

import orjson

from plinth.gateway.completions import CompletionRecord
from plinth.gateway.dataplane.ports import UsageStore
from plinth.gateway.model import UsageRecord
from plinth.kit.journal import Journal, Mover

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.05
Record = TypeVar("Record", UsageRecord, CompletionRecord)


class UsageJournal:
    """Args: `folder` for the segments; `flush_seconds` until a record may be moved; `held_records`
    bounds memory. Belongs to one event loop."""

    def __init__(self, folder: Path, flush_seconds: float, held_records: int) -> None:
        self._journal = Journal(folder, "usage")
        self._flush_seconds, self._held_records = flush_seconds, held_records
        self._held: deque[bytes] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """Leave everything to the mover; what the disk does not take is lost and said."""
        if self._timer is not None:
            self._timer.cancel()
        self._flush()
        if self._held:
            log.error("usage records could not be written", extra={"records": len(self._held)})

    async def add(self, record: UsageRecord) -> None:
        """Returns once the record is in the journal, or held within the bound."""
        while len(self._held) >= self._held_records:
            await asyncio.sleep(_RETRY_SECONDS)
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        try:
            if self._held:
                raise OSError("earlier records wait")
            self._journal.append(line)
        except OSError:
            self._held.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._flush_seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        self._flush()
        if self._held:
            self._timer = asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._due)

    def _flush(self) -> None:
        try:
            while self._held:
                self._journal.append(self._held[0])
                self._held.popleft()
        except OSError:
            log.exception("the usage journal cannot be written; records are held in memory")
        self._journal.rotate()


class CompletionJournal:
    """Answers to keep. A full disk costs the copy, not the answer: it is logged and counted. Belongs to
    one event loop."""

    def __init__(self, folder: Path, flush_seconds: float) -> None:
        self._journal, self._flush_seconds = Journal(folder, "completions"), flush_seconds
        self._timer: asyncio.TimerHandle | None = None
        self.lost = 0

    def add(self, record: CompletionRecord) -> None:
        try:
            self._journal.append(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        except OSError:
            self.lost += 1
            log.exception("an answer could not be kept", extra={"completion": record.id})
            return
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._flush_seconds, self._due)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._journal.rotate()

    def _due(self) -> None:
        self._timer = None
        self._journal.rotate()


class CompletionStore(Protocol):
    def add(self, records: list[CompletionRecord]) -> object: ...


def completion_mover(folder: Path, store: CompletionStore) -> Mover:
    """Moves answers to keep into the store; adding twice must change nothing."""
    return Mover(folder, "completions", lambda lines: store.add(_decoded(lines, CompletionRecord)))


def usage_mover(folder: Path, store: UsageStore) -> Mover:
    """Moves what the gateways of this machine wrote into the store; adding twice must change nothing."""
    return Mover(folder, "usage", lambda lines: store.add(_decoded(lines, UsageRecord)))


def _decoded(lines: list[bytes], kind: type[Record]) -> list[Record]:
    """Records from journal lines; a damaged line (its writer was killed) is skipped and logged."""
    records = []
    for line in lines:
        try:
            records.append(kind(**orjson.loads(line)))
        except (orjson.JSONDecodeError, TypeError):
            log.error("a damaged line of a journal was skipped", extra={"kind": kind.__name__})
    return records
