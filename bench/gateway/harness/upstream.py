"""The fake provider: what it shall answer, its process, what it has seen."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import machine


@dataclass(frozen=True)
class Plan:
    """What the upstream shall answer. It is written into the prompt, which passes every gateway as it is.

    `size` in characters, `gap_microseconds` between pieces (0: at once).
    """

    chunks: int = 64
    size: int = 8
    gap_microseconds: int = 0

    def in_words(self, numbered: bool) -> str:
        """`numbered`: every request gets another number, so that the upstream can tell who left. Not in the
        others: eight digits look like the beginning of an identifier to a guard, and most questions have none."""
        plan = f"@plan chunks={self.chunks} size={self.size} first=0 gap={self.gap_microseconds}"
        return f"{plan} @id=00000000" if numbered else plan


class UpstreamGone(Exception):
    """The upstream has ended: nothing that follows means anything."""


class Upstream:
    def __init__(self, program: Path, place: machine.Place, log: Path) -> None:
        self.port, self._log = machine.free_port(), log
        self._process: subprocess.Popen[bytes] = machine.start([str(program), str(self.port)], place, log)
        deadline = time.monotonic() + 5
        while True:
            try:
                self.stats()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def stats(self) -> dict[str, int]:
        found: dict[str, int] = self._get("/_stats")
        return found

    def left(self) -> dict[int, int]:
        """Streams that their reader left since the last call: id -> monotonic nanoseconds."""
        return dict(self._get("/_broken"))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _get(self, path: str) -> Any:
        if (status := self._process.poll()) is not None:
            raise UpstreamGone(f"the upstream ended with status {status}: {self._log.read_text()[-500:]}")
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return json.load(answer)
