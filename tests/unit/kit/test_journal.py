from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.kit.journal import Journal, Mover

LINES = st.lists(st.binary(min_size=1, max_size=40).map(lambda b: b.replace(b"\0", b"0").replace(b"\n", b"n") + b"\n"))


def move(folder: Path) -> list[bytes]:
    found: list[bytes] = []
    Mover(folder, "x", found.extend).run_once()
    return found


@given(lines=LINES, segment_bytes=st.integers(1, 100))
def test_lines_arrive_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], segment_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder, "x", segment_bytes)
    for line in lines:
        journal.append(line)
    journal.rotate()
    assert move(folder) == [part for line in lines for part in line.splitlines()]
    assert list(folder.iterdir()) == []


def test_what_a_living_writer_writes_is_left_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "x")
    journal.append(b"1\n")
    assert move(tmp_path) == []
    journal.rotate()
    assert move(tmp_path) == [b"1"]


def test_other_journals_of_the_folder_are_not_touched(tmp_path: Path) -> None:
    other = Journal(tmp_path, "y")
    other.append(b"1\n")
    other.rotate()
    assert move(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 1


def test_lines_stay_while_nobody_takes_them(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "x")
    journal.append(b"1\n")
    journal.rotate()

    def away(_: list[bytes]) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        Mover(tmp_path, "x", away).run_once()
    assert move(tmp_path) == [b"1"]


def test_a_mover_goes_on_after_an_outage_and_moves_the_rest_at_its_end(tmp_path: Path) -> None:
    away, stop, found = threading.Event(), threading.Event(), []

    def deliver(lines: list[bytes]) -> None:
        if away.is_set():
            raise ConnectionError
        found.extend(lines)

    away.set()
    journal = Journal(tmp_path, "x")
    journal.append(b"1\n")
    journal.rotate()
    thread = threading.Thread(target=Mover(tmp_path, "x", deliver).run, args=(stop, 0.01))
    thread.start()
    away.clear()
    while not found:
        stop.wait(0.01)
    journal.append(b"2\n")
    journal.rotate()
    stop.set()
    thread.join()
    assert found == [b"1", b"2"]


KILLED = """
import sys
from pathlib import Path
from plinth.kit.journal import Journal

journal = Journal(Path(sys.argv[1]), "x", 50_000)
for number in range(10**9):
    journal.append(b"%d %s\\n" % (number, b"x" * 300))
    print(number, flush=True)
"""


def test_kill_9_loses_no_line_that_was_taken(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(2000):
        child.stdout.readline()
    child.kill()
    told = 2000 + child.stdout.read().count(b"\n")
    child.wait()
    child.stdout.close()
    numbers = [int(line.split()[0]) for line in move(tmp_path) if line.endswith(b"x" * 300)]
    assert numbers == list(range(len(numbers)))
    assert told <= len(numbers) <= told + 1
    assert list(tmp_path.glob("x-*")) == []


def test_a_segment_whose_maker_was_killed_at_birth_is_swept_away(tmp_path: Path) -> None:
    old, young = tmp_path / ".x-old", tmp_path / ".x-young"
    for path in (old, young):
        path.write_bytes(b"\0" * 10)
    os.utime(old, (1, 1))
    assert move(tmp_path) == []
    assert list(tmp_path.iterdir()) == [young]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system that fills up")
def test_a_full_disk_is_an_error_and_not_a_death(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=False).returncode:
        pytest.skip("this machine does not let us mount a small file system")
    try:
        journal = Journal(small, "x", 48 * 1024)
        journal.append(b"1\n")
        journal.rotate()
        (small / "filler").write_bytes(b"x" * 40_000)
        with pytest.raises(OSError, match="No space"):
            journal.append(b"2\n")
        assert move(small) == [b"1"]
        (small / "filler").unlink()
        journal.append(b"3\n")
        journal.rotate()
        assert move(small) == [b"3"]
    finally:
        subprocess.run(["umount", str(small)], check=True)
