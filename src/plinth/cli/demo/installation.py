"""The platform as child processes of the demo: `plinth init`, then `plinth up`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from plinth.cli.demo.errors import HomeNotEmpty, NotStarted
from plinth.cli.supervisor import wait_until_ready

START_SECONDS = 90
STOP_SECONDS = 60


@dataclass(frozen=True)
class Keys:
    project_key: str = field(repr=False)
    project_id: str


class Installation:
    """A context manager: leaving it stops the platform unless `keep` was set.

    The platform runs in a process group of its own, so Ctrl-C reaches the demo first and the
    platform is then stopped in order.
    """

    def __init__(self, home: Path, port: int | None = None) -> None:
        self.home = home.expanduser().resolve()
        self.port = port or free_port()
        self.keep = False
        self._keys: Keys | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def project_key(self) -> str:
        return self._keys.project_key if self._keys else ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Installation:
        if self.home.exists() and (not self.home.is_dir() or any(self.home.iterdir())):
            raise HomeNotEmpty(home=self.home)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if kind is not None or not self.keep:
            self.stop()

    def initialize(self) -> Keys:
        """Make the home and its first keys."""
        command = self._command("init", "--json")
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
        if done.returncode:
            raise NotStarted(reason=last_line(done.stderr), home=self.home)
        keys = json.loads(done.stdout.splitlines()[-1])
        self._keys = Keys(project_key=keys["project_key"], project_id=keys["project_id"])
        return self._keys

    def start(self) -> None:
        """Start every process and wait until the public port answers."""
        path = self.home / "logs" / "up.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                self._command("up", "--port", str(self.port)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not wait_until_ready(f"{self.url}/health", 0.5):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(reason=last_line(path.read_text(encoding="utf-8", errors="replace")), home=self.home)

    def stop(self) -> None:
        """Ask every process to end; whatever does not within a minute is killed."""
        if self._process is None or self._process.poll() is not None:
            return
        # a second Ctrl-C must not leave half a platform behind
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        finally:
            signal.signal(signal.SIGINT, previous)

    def _command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "plinth.cli", name, "--home", str(self.home), *arguments]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_line(text: str) -> str:
    """The last thing a process said, as a sentence."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = (lines[-1] if lines else "it said nothing").removeprefix("plinth: ")[:300]
    return line if line.endswith((".", "。")) else f"{line}."
