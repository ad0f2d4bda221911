"""The shared counters and their twin keep the same promises."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plinth.gateway.limits import (
    Counters,
    InMemoryCounters,
    Limit,
    Limiter,
    LimitTable,
    MappedCounters,
    Scope,
    Subject,
    open_counters,
)
from plinth.gateway.limits.errors import ConcurrencyReached, RequestRateReached
from plinth.gateway.limits.ports import CELL_BYTES, CELLS, PASSING
from plinth.identity import Actor
from plinth.kit.clock import FixedClock

ME = Actor("org_1", "proj_1", "key_1", "user:u")
KEY = Subject(Scope.key, "key_1", "org_1", "proj_1")
Join = Callable[[], Counters]


@pytest.fixture(params=["file", "memory"])
def join(request: pytest.FixtureRequest, tmp_path: Path) -> Join:
    """Another worker on the same counters."""
    workers: list[Counters] = []

    def add() -> Counters:
        if request.param == "file":
            made: Counters = MappedCounters(tmp_path / "limits.counters", workers=3)
        else:
            made = InMemoryCounters(workers[0] if workers else None)  # type: ignore[arg-type]
        workers.append(made)
        return made

    return add


def workers(join: Join, clock: FixedClock, count: int, limit: Limit) -> list[Limiter]:
    made = [Limiter(join(), clock) for _ in range(count)]
    for one in made:
        one.update(LimitTable.of([limit]))
    return made


def test_a_name_is_the_same_row_for_everybody(join: Join) -> None:
    first, second = join(), join()
    rows = [first.row("a"), first.row("b"), second.row("b"), second.row("a"), second.row("c"), first.row("c")]
    assert rows[0] == rows[3]
    assert rows[1] == rows[2]
    assert rows[4] == rows[5]
    assert len(set(rows)) == 3
    assert first.column != second.column


def test_everybody_sees_what_one_writes(join: Join) -> None:
    first, second = join(), join()
    row = first.row("a")
    second.row("a")
    second.cells[row + second.column * CELLS + 3] = 2**62
    line = first.lines(row * CELL_BYTES)[second.column * CELLS :][:CELLS]
    assert line == (0, 0, 0, 2**62, 0, 0, 0, 0)


def test_several_workers_share_one_limit(join: Join) -> None:
    clock = FixedClock()
    one, two, three = workers(join, clock, 3, Limit("l", KEY, requests_per_minute=7))
    for made in [one, two, three, one, two, three, one]:
        made.admit(ME, "m", 1)
    for made in (one, two, three):
        with pytest.raises(RequestRateReached):
            made.admit(ME, "m", 1)


def test_a_worker_that_leaves_stops_running_but_its_minute_counts(join: Join) -> None:
    clock = FixedClock()
    limit = Limit("l", KEY, requests_per_minute=3, concurrent_requests=1)
    one, two = workers(join, clock, 2, limit)
    leaving = one.admit(ME, "m", 1)
    with pytest.raises(ConcurrencyReached):
        two.admit(ME, "m", 1)
    one.close()
    leaving.settle(1, 0)  # after the column was given back: must not be written any more
    two.admit(ME, "m", 1).release()
    two.admit(ME, "m", 1).release()
    with pytest.raises(RequestRateReached):
        two.admit(ME, "m", 1)


def test_a_full_table_is_an_error_that_the_limiter_survives(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counters = MappedCounters(tmp_path / "c", rows=1)
    counters.row("taken")
    with pytest.raises(OSError, match="rows are taken"):
        counters.row("another")
    made = Limiter(counters, FixedClock())
    made.update(LimitTable.of([Limit("l", KEY, requests_per_minute=1)]))
    made.admit(ME, "m", 1)
    with pytest.raises(RequestRateReached):
        made.admit(ME, "m", 1)
    assert "by this worker for itself" in caplog.text


def test_without_a_column_left_a_worker_counts_for_itself(tmp_path: Path) -> None:
    MappedCounters(tmp_path / "c", columns=1)
    with pytest.raises(OSError, match="columns are taken"):
        MappedCounters(tmp_path / "c", columns=1)
    assert isinstance(open_counters(tmp_path / "missing" / "c"), InMemoryCounters)


def test_a_column_is_taken_over_from_a_process_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "c"
    child = os.fork()
    if child == 0:
        counters = MappedCounters(path)
        counters.cells[counters.row("a") + PASSING] = 5
        os._exit(counters.column)
    survivor_row = 0
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    counters = MappedCounters(path)
    survivor_row = counters.row("a")
    assert counters.column == 0
    assert counters.lines(survivor_row * CELL_BYTES)[PASSING] == 0


def test_another_process_with_the_same_number_is_not_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "c"
    first = MappedCounters(path)
    owner = 8  # the first column's process id stands after the header, its start time next
    assert first.cells[owner] == os.getpid()
    first.cells[owner + 1] -= 1
    assert MappedCounters(path).column == 0


def test_a_file_of_another_boot_or_shape_is_replaced_not_reused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    first = MappedCounters(path)
    row = first.row("a")
    first.cells[row + PASSING] = 3
    first.cells[1] += 1  # as if from another boot
    second = MappedCounters(path)
    assert second.lines(second.row("a") * CELL_BYTES)[PASSING] == 0
    assert first.cells[row + PASSING] == 3  # who still uses the old file keeps it
    path.write_bytes(b"garbage")
    MappedCounters(path)


def test_the_file_is_the_users_own_and_mostly_holes(tmp_path: Path) -> None:
    path = tmp_path / "c"
    counters = MappedCounters(path)
    for number in range(10):
        counters.row(str(number))
    found = path.stat()
    assert found.st_mode & 0o777 == 0o600
    assert found.st_blocks * 512 < 1_000_000
