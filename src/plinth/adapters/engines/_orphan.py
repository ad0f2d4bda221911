"""An engine child process that outlives the platform ends itself.

The platform holds an exclusive `flock` on one file for as long as it lives; the kernel drops the
lock however the platform dies. A child that can take a shared lock on that file `PATIENCE` times
in a row (a minute, so that a platform restart does not cost its engines) is an orphan.
The shared lock is held only for an instant: a platform that starts should retry its exclusive
lock for a second before it believes that another platform is running.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

INTERVAL_SECONDS = 5.0
PATIENCE = 12


def watch(
    lock_file: Path,
    *,
    on_orphan: Callable[[], None] | None = None,
    interval_seconds: float = INTERVAL_SECONDS,
    patience: int = PATIENCE,
) -> threading.Thread:
    """Start the watcher (a daemon thread). `on_orphan` runs once, in that thread; the default
    sends this process SIGTERM, so that an engine with a signal handler stops in order."""

    def loop() -> None:
        free = 0
        pause = threading.Event()
        while free < patience:
            pause.wait(interval_seconds)
            free = free + 1 if is_free(lock_file) else 0
        (on_orphan or _terminate)()

    thread = threading.Thread(target=loop, name="orphan-watch", daemon=True)
    thread.start()
    return thread


def is_free(lock_file: Path) -> bool:
    """Whether no process holds `lock_file` exclusively. A missing file counts as free: the
    platform's home is gone, so nobody can be running there."""
    try:
        descriptor = os.open(lock_file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # cannot tell (out of descriptors, for example): never a reason to stop serving
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
