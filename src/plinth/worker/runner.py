"""Starts the loops, stops them together, and never runs twice under one name."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import threading
from typing import IO, Any

from plinth.bootstrap import schema, wiring
from plinth.bootstrap.gateway import parts_of
from plinth.bootstrap.platform import Platform
from plinth.kit.events import Dispatcher

log = logging.getLogger(__name__)
STOP_SECONDS = 10.0
CHORE_SECONDS = 60.0
JOURNAL_SECONDS = 0.25


class Runner:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stop = threading.Event()
        self._platform_stops = False

    def run(self) -> None:
        platform = self._platform
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        schema.wait(platform.db)
        # a predecessor that is still stopping would otherwise work on the same jobs
        lock = self._lock(f"worker-{platform.settings.worker.name}.lock")
        jobs = platform.jobs
        jobs.start(wiring.workflows(platform), wiring.queues(platform))
        dispatcher = Dispatcher(platform.db, platform.clock, wiring.subscriptions(platform))
        threads = [
            threading.Thread(target=dispatcher.run, args=(self._stop,), name="events"),
            threading.Thread(target=platform.reconciler.run, args=(self._stop,), name="reconciler"),
            threading.Thread(target=self._do_chores, name="chores"),
            *(
                threading.Thread(target=mover.run, args=(self._stop, JOURNAL_SECONDS), name="journal")
                for mover in parts_of(platform).movers
            ),
            threading.Thread(target=parts_of(platform).webhook_loop.run, args=(self._stop,), name="webhooks"),
        ]
        for thread in threads:
            thread.start()
        log.info("worker is ready")
        self._stop.wait()
        for thread in threads:
            thread.join(STOP_SECONDS)
        if self._platform_stops:
            platform.reconciler.stop_engines()
        # steps in progress are not waited for: their trainers stop at a checkpoint when this
        # process goes away, and the next worker recovers the workflow
        sys.stderr.flush()
        lock.close()
        os._exit(0)

    def _do_chores(self) -> None:
        chores = wiring.chores(self._platform)
        while not self._stop.wait(CHORE_SECONDS):
            for chore in chores:
                try:
                    chore()
                except Exception:  # one chore must not keep the others from being done; it comes again
                    log.exception("a chore failed; it will be tried again")

    def _ask_to_stop(self, number: int, _frame: Any) -> None:
        # SIGINT: the whole platform goes down, engines with it. SIGTERM: only this process; the
        # engines go on answering and the next worker adopts them.
        self._platform_stops = number == signal.SIGINT
        self._stop.set()

    def _lock(self, name: str) -> IO[str]:
        file = (self._platform.home.run / name).open("a+", encoding="utf-8")
        while not self._stop.is_set():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except BlockingIOError:
                log.warning("another worker of this name still runs; waiting", extra={"lock": name})
                self._stop.wait(0.5)
        os._exit(0)
