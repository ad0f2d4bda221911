"""Shadow copies of requests: they run beside the traffic and must never harm it.

At most a few at once; one too many is left out and counted, because a mirror is a sample.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Mirrors:
    """Belongs to one event loop."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._tasks: set[asyncio.Task[None]] = set()
        self.left_out = 0

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        if len(self._tasks) >= self._at_once:
            self.left_out += 1
            work.close()
            return
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Nobody waits for a copy."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @staticmethod
    async def _guarded(work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:  # whatever ails a copy is a line in the log and nothing else
            log.warning("a mirrored request failed", exc_info=True)
