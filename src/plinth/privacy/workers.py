"""Threads for detectors that may be slow or hang. A hung one costs its thread and nothing else: it
neither blocks the process's end nor the others, and comes back to work if it ever wakes up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


class Workers:
    """Up to `limit` daemon threads, started when needed. When all hang, work waits and is given up by
    whoever waits for it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._threads = self._idle = 0
        self._lock = threading.Lock()

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        future: Future[Result] = Future()
        with self._lock:
            self._waiting.put((future, call))
            if self._idle < self._waiting.qsize() and self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._work, name="privacy-detector", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            future, call = self._waiting.get()
            with self._lock:
                self._idle -= 1
            # false when whoever asked has given up meanwhile
            if future.set_running_or_notify_cancel():
                _settle(future, call)


def _settle(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # whatever it is belongs to the one who waits
        future.set_exception(error)
