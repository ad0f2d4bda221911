"""Running a stranger's `grade(sample, item)` in a child process that can do nothing but compute.

The child is `sandbox_child.py` (read it for what the kernel filter allows). This side trusts
nothing it says: every reply must be one short JSON line carrying the nonce of the question, in
time. A child that dies, lies or lingers is killed; its item is errored and the next item gets a
new child. Where the filter cannot be installed the grader is refused, never run unprotected.
"""

from __future__ import annotations

import json
import math
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plinth.evaluation.errors import InvalidGrader, SandboxUnavailable, ScriptFailed

CHILD = Path(__file__).with_name("sandbox_child.py")
MAX_REPLY_BYTES = 8192
MAX_REQUEST_BYTES = 4 << 20
START_SECONDS = 15.0
DEATHS_BEFORE_GIVING_UP = 3


@dataclass(frozen=True)
class Limits:
    """`item_seconds` is wall time for one item; `cpu_seconds` is CPU time for one child; at most
    `children` of one `PythonSandbox` live at once, more wait."""

    item_seconds: float = 5.0
    cpu_seconds: int = 60
    memory_bytes: int = 512 << 20
    children: int = 4


Case = tuple[dict[str, Any], dict[str, Any]]


class PythonSandbox:
    """Each call starts and ends its own children. Thread-safe."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._places = threading.BoundedSemaphore(self._limits.children)

    def check(self, source: str) -> None:
        """Compile and load the source inside the sandbox.

        Raises `InvalidGrader` if it cannot run, `SandboxUnavailable` without a sandbox.
        """
        with self._child(source):
            pass

    def grade(self, source: str, cases: Sequence[Case]) -> list[float | ScriptFailed]:
        """One result per `(sample, item)`, in order. Raises like `check`."""
        results: list[float | ScriptFailed] = []
        deaths = 0
        while len(results) < len(cases) and deaths < DEATHS_BEFORE_GIVING_UP:
            with self._child(source) as child:
                for sample, item in cases[len(results) :]:
                    try:
                        results.append(child.grade(sample, item))
                    except _ChildDied as death:
                        results.append(ScriptFailed(reason=str(death)))
                        deaths += 1
                        break
                    except ScriptFailed as failure:
                        results.append(failure)
        missing = len(cases) - len(results)
        gave_up = f"it broke its sandbox's limits on {DEATHS_BEFORE_GIVING_UP} items before this one."
        return results + [ScriptFailed(reason=gave_up) for _ in range(missing)]

    @contextmanager
    def _child(self, source: str) -> Iterator[_Child]:
        with self._places:
            child = _Child(self._limits)
            try:
                child.load(source)
                yield child
            finally:
                child.close()


class _ChildDied(Exception):
    """The child broke a limit or the protocol; it is of no further use."""


class _Child:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process = subprocess.Popen(  # noqa: S603 - our own file, no shell, no user text
            [sys.executable, "-I", "-S", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            close_fds=True,
            start_new_session=True,
        )

    def load(self, source: str) -> None:
        setup = {
            "source": source,
            "memory_bytes": self._limits.memory_bytes,
            "cpu_seconds": self._limits.cpu_seconds,
        }
        try:
            answer = self._ask(setup, START_SECONDS)
        except _ChildDied as death:
            raise InvalidGrader(name="python", reason=f"the source did not load: {death}") from death
        if "refused" in answer:
            raise SandboxUnavailable(reason=str(answer["refused"])[:200])
        if "broken" in answer:
            raise InvalidGrader(name="python", reason=str(answer["broken"])[:400])
        if answer.get("ready") is not True:
            raise InvalidGrader(name="python", reason="the source wrote to the sandbox's protocol.")

    def grade(self, sample: dict[str, Any], item: dict[str, Any]) -> float:
        nonce = secrets.token_hex(8)
        answer = self._ask({"nonce": nonce, "sample": sample, "item": item}, self._limits.item_seconds)
        if answer.get("nonce") != nonce:
            raise _ChildDied("it wrote to the sandbox's protocol.")
        if "error" in answer:
            raise ScriptFailed(reason=str(answer["error"])[:400])
        score = answer.get("score")
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise _ChildDied("it wrote to the sandbox's protocol.")
        return float(score)

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        self._process.wait()

    def _ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """One question, one line back. A watchdog kills the child when the time is over, which ends
        a blocked write or read at once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        data = json.dumps(message).encode() + b"\n"
        if len(data) > MAX_REQUEST_BYTES:
            raise ScriptFailed(reason=f"the item is larger than {MAX_REQUEST_BYTES} bytes.")
        overdue = threading.Event()

        def expire() -> None:
            overdue.set()
            self._process.kill()

        watchdog = threading.Timer(seconds, expire)
        watchdog.start()
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
            line = self._process.stdout.readline(MAX_REPLY_BYTES)
        except BrokenPipeError:
            line = b""
        finally:
            watchdog.cancel()
        if overdue.is_set():
            raise _ChildDied(f"it took more than {seconds:g} seconds.")
        return self._parse(line)

    def _parse(self, line: bytes) -> dict[str, Any]:
        if not line:
            raise _ChildDied("its process ended (out of memory, out of CPU time, or a crash).")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not line.endswith(b"\n") or not isinstance(answer, dict):
            raise _ChildDied("it wrote to the sandbox's protocol.")
        return answer
