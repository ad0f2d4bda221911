"""The request log: one JSON line for each model call, in files of bounded size.

A line holds ids, names that the operator gave, times, tokens and money. It never holds prompts,
answers, keys, header values or e-mail addresses; the client's `user` appears as a keyed hash, and
so does a request id that is not plainly an id. A name that no model has is left out (it is only the
client's text); the usage record of the same request id holds it.

The request path makes a line and leaves it in a queue: no lock and no system call. A thread writes
the queue out twice a second, so a killed process loses half a second of its log (usage records
have their own journal and lose nothing). Failed and slow calls are always wanted, others by a
share; above a rate of bytes nothing is, and a line says how many lines are missing.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import zlib
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from plinth.gateway.model import UsageRecord
from plinth.kit.clock import Clock

log = logging.getLogger(__name__)

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
# an id as programs make them: no address, no sentence, nothing that begins like one of the usual secrets
_PLAIN = re.compile(r"(?!sk-|pk-|gh[pousr]_|eyJ)[A-Za-z0-9_.:-]{1,64}").fullmatch
_SAMPLES = 1 << 32
# seconds of the permitted rate that may wait in memory for a disk that does not answer
_HELD_SECONDS = 8
_CLIENT_GONE = 499


@dataclass(frozen=True, slots=True)
class LogRules:
    """Which calls get a line.

    Args:
        sample: share of the ordinary calls, 0 to 1; all records of one call share its fate.
        slow_ms: from here on to the first token (or, where nothing was generated, to the end) a call is slow.
        bytes_per_second: bound on what is written; half of it is kept for failed and slow calls.
    """

    sample: float = 1.0
    slow_ms: float = 10_000.0
    bytes_per_second: int = 256 * 1024


class Pseudonyms:
    """Keyed hashes: the same value has the same name in every line, and only the key's owner can find
    out whose it is. Args: `key` of any length."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.sha256(key).digest()
        self.of = lru_cache(maxsize=4096)(self._of)

    def _of(self, value: str) -> str:
        """16 characters in hex."""
        return hashlib.blake2b(value.encode(errors="surrogatepass"), key=self._key, digest_size=8).hexdigest()

    def plain(self, identifier: str) -> str:
        """The identifier itself where it is plainly one, else `hash:` and its pseudonym."""
        return identifier if _PLAIN(identifier) else f"hash:{self.of(identifier)}"


class RequestLog:
    """Belongs to one event loop, but for `drain`, which one other thread may call."""

    def __init__(self, rules: LogRules, clock: Clock, pseudonyms: Pseudonyms, worker: str = "0") -> None:
        self._rules, self._clock, self._names, self._worker = rules, clock, pseudonyms, worker
        self._threshold = int(rules.sample * _SAMPLES)
        self._rate = float(rules.bytes_per_second)
        self._reserve = self._rate / 2
        self._left, self._filled_at = self._rate, clock.monotonic()
        self._lines: deque[bytes] = deque()
        # each of these has one writer: the loop or the thread
        self._bytes_in = self._bytes_out = 0
        self.dropped = self._dropped_wanted = 0
        self._told = self._told_wanted = 0

    def add(self, record: UsageRecord) -> None:
        slow_ms = record.total_ms if record.first_token_ms is None else record.first_token_ms
        wanted = record.status >= 400 or slow_ms >= self._rules.slow_ms
        if not wanted and self._threshold < _SAMPLES and not self._chosen(record.request_id):
            return
        if self._may_write(wanted):
            self._write(self._entry(record))

    def refused(self, request_id: str, operation: str, status: int, error_code: str) -> None:
        """A model call that was turned away before anybody knew whose it was."""
        if self._may_write(wanted=True):
            entry = {
                **self._head(_level(status), "model call"),
                "kind": "refused",
                "request_id": self._names.plain(request_id),
                "operation": operation,
                "status": status,
                "error": error_code,
            }
            self._write(entry)

    def drain(self) -> bytes:
        """Everything that waits to be written, and a line about what is missing."""
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        self._bytes_out += sum(map(len, lines))
        dropped, wanted = self.dropped, self._dropped_wanted
        if dropped > self._told:
            entry = {
                **self._head("warning", "lines were left out: above gateway.log_bytes_per_second, or a slow disk"),
                "kind": "dropped",
                "dropped": dropped - self._told,
                "dropped_failed_or_slow": wanted - self._told_wanted,
            }
            lines.append(orjson.dumps(entry, option=_OPTIONS))
            self._told, self._told_wanted = dropped, wanted
        return b"".join(lines)

    def _chosen(self, request_id: str) -> bool:
        return zlib.crc32(request_id.encode()) < self._threshold

    def _may_write(self, wanted: bool) -> bool:
        now = self._clock.monotonic()
        self._left = min(self._rate, self._left + (now - self._filled_at) * self._rate)
        self._filled_at = now
        held = self._bytes_in - self._bytes_out
        if self._left > (0 if wanted else self._reserve) and held < _HELD_SECONDS * self._rate:
            return True
        self.dropped += 1
        self._dropped_wanted += wanted
        return False

    def _write(self, entry: dict[str, Any]) -> None:
        line = orjson.dumps(entry, option=_OPTIONS)
        self._left -= len(line)
        self._bytes_in += len(line)
        self._lines.append(line)

    def _entry(self, record: UsageRecord) -> dict[str, Any]:
        first, status = record.first_token_ms, record.status
        entry = {
            "time": datetime.fromtimestamp(record.created_at + record.total_ms / 1000, UTC),
            "level": _level(status),
            "process": "gateway",
            "worker": self._worker,
            "message": "model call",
            "kind": record.kind,
            "request_id": self._names.plain(record.request_id),
            "organization": record.organization_id,
            "project": record.project_id,
            "key": record.key_id,
            "principal": record.principal,
            "operation": record.operation,
            "model": record.model if record.model_id else "",
            "route": record.route,
            "target": record.target,
            "model_id": record.model_id,
            "engine": record.engine,
            "engine_group": record.endpoint_group,
            "status": status,
            "error": record.error_code,
            "stream": record.streamed,
            "priority": record.priority,
            "first_token_ms": None if first is None else round(first, 3),
            "total_ms": round(record.total_ms, 3),
            "prompt_tokens": record.prompt_tokens,
            "cached_tokens": record.cached_tokens,
            "completion_tokens": record.completion_tokens,
            "cost_nanos": record.cost_nanos,
            "currency": record.currency,
        }
        if record.end_user:
            entry["user_hash"] = self._names.of(record.end_user)
        return entry

    def _head(self, level: str, message: str) -> dict[str, Any]:
        return {
            "time": datetime.fromtimestamp(self._clock.unix(), UTC),
            "level": level,
            "process": "gateway",
            "worker": self._worker,
            "message": message,
        }


def _level(status: int) -> str:
    return "info" if status < 400 or status == _CLIENT_GONE else "warning" if status < 500 else "error"


class LogFile:
    """A file that is moved aside when it is full: `name`, `name.1` (the newest of the old ones), …

    Args: `file_bytes` is a file's size at most, `files` how many there are at most, with the current one.
    """

    def __init__(self, path: Path, file_bytes: int, files: int) -> None:
        self._path, self._file_bytes, self._files = path, file_bytes, files
        self._descriptor: int | None = None

    def write(self, data: bytes) -> None:
        """`data` are whole lines. Raises `OSError`."""
        size = self._open()
        if size and size + len(data) > self._file_bytes:
            self._rotate()
            self._open()
        assert self._descriptor is not None
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int:
        """The current file's size. It is opened anew when somebody has moved or removed it."""
        if self._descriptor is not None:
            mine = os.fstat(self._descriptor)
            try:
                if os.path.samestat(mine, self._path.stat()):
                    return mine.st_size
            except FileNotFoundError:
                pass
            self.close()
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        return os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        self.close()
        if self._files == 1:
            self._path.unlink(missing_ok=True)
            return
        for number in range(self._files - 1, 1, -1):
            older = self._old(number - 1)
            if older.exists():
                older.replace(self._old(number))
        self._path.replace(self._old(1))

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class LogWriter:
    """The thread that empties a request log into its file."""

    def __init__(self, source: RequestLog, file: LogFile, every_seconds: float = 0.5) -> None:
        self._source, self._file, self._every_seconds = source, file, every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway-request-log", daemon=True)
        self._failing = False
        self.lost_lines = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Writes what is left."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._file.close()

    def _run(self) -> None:
        while not self._stop.wait(self._every_seconds):
            self._write()
        self._write()

    def _write(self) -> None:
        """A disk that takes nothing costs lines of the log and nothing else."""
        data = self._source.drain()
        if not data:
            return
        try:
            self._file.write(data)
        except OSError:
            self.lost_lines += data.count(b"\n")
            if not self._failing:
                log.exception("the request log cannot be written; its lines are lost")
            self._failing = True
            return
        if self._failing:
            log.warning("the request log is written again", extra={"lost_lines": self.lost_lines})
        self._failing = False
