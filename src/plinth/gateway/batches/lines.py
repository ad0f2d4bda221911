"""The input file, one line after the other; never more than one line in memory.

A line ends at LF; a byte order mark at the start and blank lines do not count as requests, but
every line keeps its number in the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import orjson

from plinth.gateway.batches.model import Line, LineProblem, check_line

BOM = b"\xef\xbb\xbf"
MAX_PROBLEMS = 1000
DIGEST_BYTES = 16


@dataclass(frozen=True)
class Limits:
    """At most `lines` requests of at most `line_bytes` each."""

    lines: int
    line_bytes: int


@dataclass(frozen=True)
class Findings:
    """`model` is None when the lines name several. At most `MAX_PROBLEMS` problems are kept."""

    total: int
    model: str | None
    problems: tuple[LineProblem, ...]


def read(stream: BinaryIO, endpoint: str, line_bytes: int) -> Iterator[Line | LineProblem]:
    """Every request of the file, checked on its own."""
    number = 0
    while raw := stream.readline(line_bytes + 1):
        number += 1
        if len(raw) > line_bytes and not raw.endswith(b"\n"):
            _skip_line(stream, line_bytes)
            yield LineProblem("line_too_long", f"The line is longer than {line_bytes} bytes.", number)
            continue
        text = (raw.removeprefix(BOM) if number == 1 else raw).strip()
        if text:
            yield _parse(number, text, endpoint)


def inspect(stream: BinaryIO, endpoint: str, limits: Limits) -> Findings:
    """Check the whole file: every line, and that custom ids are unique. Remembers 16 bytes a line."""
    problems, models = _Problems(), set[str]()
    seen: dict[bytes, int] = {}
    total = 0
    for entry in read(stream, endpoint, limits.line_bytes):
        total += 1
        if total > limits.lines:
            message = f"The file has more than {limits.lines} requests. Split it into several batches."
            problems.add(LineProblem("too_many_requests", message))
            break
        if isinstance(entry, LineProblem):
            problems.add(entry)
            continue
        models.add(entry.model)
        key = hashlib.blake2b(entry.custom_id.encode(), digest_size=DIGEST_BYTES).digest()
        first = seen.setdefault(key, entry.number)
        if first != entry.number:
            message = f"The custom_id was already used in line {first}."
            problems.add(LineProblem("duplicate_custom_id", message, entry.number, "custom_id"))
    if not total:
        problems.add(LineProblem("empty_batch", "The file has no requests. Send one JSON object a line."))
    return Findings(total, models.pop() if len(models) == 1 else None, problems.listed())


class _Problems:
    def __init__(self) -> None:
        self._kept: list[LineProblem] = []
        self._dropped = 0

    def add(self, problem: LineProblem) -> None:
        if len(self._kept) < MAX_PROBLEMS:
            self._kept.append(problem)
        else:
            self._dropped += 1

    def listed(self) -> tuple[LineProblem, ...]:
        if not self._dropped:
            return tuple(self._kept)
        more = LineProblem("more_problems", f"{self._dropped} more problems are not listed.")
        return (*self._kept, more)


def _parse(number: int, text: bytes, endpoint: str) -> Line | LineProblem:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        message = f"The line is not valid JSON in UTF-8: {str(error)[:200]}."
        return LineProblem("invalid_json_line", message, number)
    return check_line(number, value, endpoint)


def _skip_line(stream: BinaryIO, step: int) -> None:
    while raw := stream.readline(step):
        if raw.endswith(b"\n"):
            return
