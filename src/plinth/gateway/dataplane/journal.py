"""Usage records on their way to the database, so that no bill is lost.

Each record is appended at once to a local journal (one `write` to a file, microseconds), so it
survives a killed process. A thread moves closed journal segments into the database in batches and
deletes them; while the database is away they pile up on disk and are replayed later. A record's id
makes the replay harmless. Only when the journal itself cannot be written (a full disk) are records
held in memory, up to a bound; at the bound requests wait: slower, never lost.

One process owns the folder.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from pathlib import Path

import orjson

from plinth.gateway.dataplane.ports import UsageStore
from plinth.gateway.model import UsageRecord
from plinth.kit.ids import new_id

log = logging.getLogger(__name__)

_BATCH = 1000
_LONGEST_PAUSE_SECONDS = 5.0


class UsageJournal:
    """Args: `folder` for the journal; `flush_seconds` between moves; `held_records` bounds memory."""

    def __init__(self, store: UsageStore, folder: Path, flush_seconds: float, held_records: int) -> None:
        self._store, self._folder = store, folder
        self._flush_seconds, self._held_records = flush_seconds, held_records
        self._held: deque[UsageRecord] = deque()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._descriptor: int | None = None
        self._active: Path | None = None
        self._failing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._run, name="gateway-usage", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Move what is there; what the database does not take stays in the journal."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._move()

    async def add(self, record: UsageRecord) -> None:
        """Returns once the record is in the journal, or held within the bound."""
        while len(self._held) >= self._held_records:
            await asyncio.sleep(0.05)
        try:
            self._append(record)
        except OSError:
            self._held.append(record)

    def _append(self, record: UsageRecord) -> None:
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        with self._lock:
            if self._descriptor is None:
                self._active = self._folder / f"{new_id('usage-')}.jsonl"
                self._descriptor = os.open(self._active, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
            if os.write(self._descriptor, line) != len(line):
                # a torn line may only be the last of its segment
                os.close(self._descriptor)
                self._descriptor, self._active = None, None
                raise OSError("the journal took only a part of the record")

    def _run(self) -> None:
        pause = self._flush_seconds
        while not self._stop.wait(pause):
            pause = self._flush_seconds if self._move() else min(_LONGEST_PAUSE_SECONDS, pause * 2)

    def _move(self) -> bool:
        """Move everything into the store; False when it did not take it."""
        self._close_segment()
        try:
            while self._held:
                batch = [self._held[position] for position in range(min(_BATCH, len(self._held)))]
                self._store.add(batch)
                for _ in batch:
                    self._held.popleft()
            for segment in sorted(self._folder.glob("usage-*.jsonl")):
                if segment != self._active:
                    self._move_segment(segment)
        except Exception:  # whatever keeps the database from taking records: they stay, it is tried again
            if not self._failing:
                log.exception("usage records cannot be stored; they stay in the journal")
            self._failing = True
            return False
        if self._failing:
            log.warning("usage records are stored again")
        self._failing = False
        return True

    def _move_segment(self, segment: Path) -> None:
        records = []
        for line in segment.read_bytes().splitlines():
            try:
                records.append(UsageRecord(**orjson.loads(line)))
            except (orjson.JSONDecodeError, TypeError):
                log.error("a damaged line of the usage journal was skipped", extra={"segment": segment.name})
        for start in range(0, len(records), _BATCH):
            self._store.add(records[start : start + _BATCH])
        segment.unlink()

    def _close_segment(self) -> None:
        with self._lock:
            descriptor, self._descriptor, self._active = self._descriptor, None, None
        if descriptor is not None:
            if self._failing:
                os.fsync(descriptor)  # it may stay on disk for long
            os.close(descriptor)
