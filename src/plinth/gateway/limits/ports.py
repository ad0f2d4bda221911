"""What limits need from others: shared counters, what was spent, who exists, which models there are."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from struct import Struct
from typing import Any, Protocol

from plinth.gateway.limits.model import Subject
from plinth.identity import Actor
from plinth.kit.db import Session
from plinth.kit.errors import NotFound

# One line of counters: what one worker knows about one row. 64 bytes, so that no two workers
# share a cache line; native 8-byte integers, so that no read is torn.
CELLS = 8
CELL_BYTES = 8
LINE_BYTES = CELLS * CELL_BYTES

# a rate row: two slots of (minute, requests, tokens), used in turn, then the requests that are running
SLOT = 3
RUNNING = 6
# a money row: nanos settled since the file was made, nanos reserved by running requests
SETTLED = 0
RESERVED = 6
# what ends with its worker stands at one position in both kinds of row
PASSING = 6

Audit = Callable[[Session, Actor, str, str, dict[str, Any]], object]
"""`audit(session, actor, action, target, detail)`: identity's audit trail."""

Models = Callable[[Session, str], Sequence[str]]
"""Every model name of a project, for the list of its rate limits."""


class Counters(Protocol):
    """Rows of lines, one line a worker. A worker writes only its own line and sums all.

    `cells` are all cells; row `r` and column `c` begin at `r + c * CELLS`. `lines(r * CELL_BYTES)`
    gives the cells of row `r` for every column in use, one line after the other.
    """

    cells: memoryview
    column: int
    lines: Callable[[int], tuple[int, ...]]
    closed: bool

    def row(self, name: str) -> int:
        """The row of that name in every worker of the host; made on first use. Not for the hot path.
        Raises `OSError` when there is no room for another one."""
        ...

    def look(self) -> None:
        """Notice workers that came and went. Cheap; called about once a second."""
        ...

    def close(self) -> None:
        """Give the column back. What still runs no longer counts."""
        ...


class InMemoryCounters:
    """The twin, for one process. `InMemoryCounters(first)` is another worker on the same counters."""

    def __init__(self, first: InMemoryCounters | None = None, columns: int = 4, rows: int = 1024) -> None:
        self._names: dict[str, int] = first._names if first else {}
        self._taken: list[InMemoryCounters] = first._taken if first else []
        self._row_cells: int = first._row_cells if first else columns * CELLS
        self._max_rows: int = first._max_rows if first else rows
        self.cells: memoryview = first.cells if first else memoryview(bytearray(rows * columns * LINE_BYTES)).cast("q")
        self.column = len(self._taken)
        self.closed = False
        self._taken.append(self)
        for worker in self._taken:
            worker.look()

    def row(self, name: str) -> int:
        if name not in self._names and len(self._names) == self._max_rows:
            raise OSError(errno.ENOSPC, f"All {self._max_rows} rows are taken")
        return self._names.setdefault(name, len(self._names) * self._row_cells)

    def look(self) -> None:
        unpack = Struct(f"@{CELLS * len(self._taken)}q").unpack_from
        self.lines: Callable[[int], tuple[int, ...]] = partial(unpack, self.cells)

    def close(self) -> None:
        self.closed = True
        for row in self._names.values():
            self.cells[row + self.column * CELLS + PASSING] = 0


class Spending(Protocol):
    def spent(self, session: Session, period_start: float) -> Mapping[tuple[str, str], int]:
        """Nanos booked since `period_start` (unix seconds) per ("key" | "project" | "organization", id),
        in the currency of the books: remote prices, settled shares, a provisional share of the running hour."""
        ...


class InMemorySpending:
    """The twin: bookings that a test makes with `book`."""

    def __init__(self) -> None:
        self.bookings: list[tuple[float, tuple[str, str], int]] = []

    def book(self, unix: float, scope: str, id: str, nanos: int) -> None:
        self.bookings.append((unix, (scope, id), nanos))

    def spent(self, session: Session, period_start: float) -> Mapping[tuple[str, str], int]:
        total: dict[tuple[str, str], int] = {}
        for unix, key, nanos in self.bookings:
            if unix >= period_start:
                total[key] = total.get(key, 0) + nanos
        return total


class Subjects(Protocol):
    """Who can be limited, as far as the actor can see them."""

    def find(self, session: Session, actor: Actor, scope: str, id: str) -> Subject:
        """Raises `NotFound`, also for other organizations' and, to a project's key, other projects' ids."""
        ...


class InMemorySubjects:
    """The twin."""

    def __init__(self, *subjects: Subject) -> None:
        self.subjects = {(s.scope.value, s.id): s for s in subjects}

    def find(self, session: Session, actor: Actor, scope: str, id: str) -> Subject:
        found = self.subjects.get((scope, id))
        if (
            found is None
            or found.organization_id != actor.organization_id
            or actor.project_id not in ("", found.project_id)
        ):
            raise NotFound(what=scope, id=id)
        return found
