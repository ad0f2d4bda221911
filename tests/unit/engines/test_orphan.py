"""An engine that nobody's platform needs any more ends itself, and only then."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

from plinth.adapters.engines import _orphan


def test_free_only_when_nobody_holds_it_exclusively(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert _orphan.is_free(path), "a home that is gone has no platform"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    assert _orphan.is_free(path)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    assert _orphan.is_free(path), "another engine is looking too"
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert not _orphan.is_free(path)
    os.close(descriptor)
    assert _orphan.is_free(path)


def test_a_short_absence_of_the_platform_is_forgiven(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    orphaned = threading.Event()
    looks: list[bool] = []

    def look(_path: Path) -> bool:
        """Twice free, then the platform is back for one look, then gone for good."""
        looks.append(len(looks) != 2)
        return looks[-1]

    original, _orphan.is_free = _orphan.is_free, look
    try:
        thread = _orphan.watch(path, on_orphan=orphaned.set, interval_seconds=0.001, patience=3)
        thread.join(30)
    finally:
        _orphan.is_free = original
        os.close(descriptor)
    assert orphaned.is_set()
    assert looks == [True, True, False, True, True, True]


def test_an_orphan_ends_by_sigterm(tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from plinth.adapters.engines import _orphan
_orphan.watch(Path({str(tmp_path / "lock")!r}), interval_seconds=0.01, patience=3)
time.sleep(60)
"""
    path = tmp_path / "lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    child = subprocess.Popen([sys.executable, "-c", program])
    try:
        child.wait(0.5)
        raise AssertionError("it ended although the platform lives")
    except subprocess.TimeoutExpired:
        pass
    os.close(descriptor)
    assert child.wait(30) == -15
