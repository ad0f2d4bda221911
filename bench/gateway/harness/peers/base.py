"""What a measured gateway has to be able to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from harness import machine
from harness.load import Target
from harness.machine import Cores


class NotStarted(Exception):
    """A peer did not begin to answer; its logs say why."""


@dataclass(frozen=True)
class Setting:
    """What a peer is started with. `folder` is its own, empty at the start."""

    upstream_url: str
    workers: int
    cores: Cores
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def logs(self) -> list[Path]:
        """Every log in the folder; Plinth's processes keep theirs in its home."""
        return sorted(path for path in self.folder.rglob("*") if path.suffix in (".log", ".txt") and path.is_file())

    def last_words(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in self.logs())


@dataclass
class Running:
    """A peer that answers. `is_gateway` picks, by command line, the processes that clients talk to;
    the rest of the tree is the platform around them."""

    process: subprocess.Popen[bytes] | None
    target: Target
    is_gateway: Callable[[str], bool] = field(default=lambda _: True)
    without: tuple[str, ...] = ()
    """Duties of the peer that this version of it cannot be given yet."""

    def platform(self) -> list[int]:
        return machine.tree(self.process.pid) if self.process else []

    def gateway(self) -> list[int]:
        return [pid for pid in self.platform() if self.is_gateway(machine.command_line(pid))]

    def stop(self, seconds: float = 30.0) -> None:
        if self.process is None:
            return
        family = machine.tree(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in family:  # what outlived its parent
            if machine.command_line(pid) and pid != self.process.pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


class Peer(ABC):
    name: ClassVar[str]
    duties: ClassVar[str]
    """What it does for every request in this benchmark, in words for the report."""
    most_workers: ClassVar[int] = 2

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    @abstractmethod
    def prepare(self) -> dict[str, str]:
        """Install what is missing; returns versions by package."""

    @abstractmethod
    def start(self, setting: Setting) -> Running:
        """Start and return once it answers. Raises `NotStarted`."""


def ask(
    url: str, body: dict[str, Any] | None = None, key: str = "none", timeout: float = 30.0, method: str | None = None
) -> Any:
    """POST `body`, or GET without one; the decoded answer. Raises `OSError` (HTTPError among them)."""
    request = urllib.request.Request(
        url,
        json.dumps(body).encode() if body is not None else None,
        {"content-type": "application/json", "authorization": f"Bearer {key}"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.load(answer)


def wait_until_it_answers(running: Running, setting: Setting, seconds: float = 120.0) -> None:
    """One real chat request has to come back. Raises `NotStarted`."""
    target, deadline, last = running.target, time.monotonic() + seconds, "nothing listens"
    body = {"model": target.model, "messages": [{"role": "user", "content": "Hello"}]}
    while time.monotonic() < deadline:
        if running.process is not None and running.process.poll() is not None:
            last = f"it ended with status {running.process.returncode}"
            break
        try:
            answer = ask(f"http://127.0.0.1:{target.port}{target.path}", body, target.key)
            if "~" in answer["choices"][0]["message"]["content"]:
                return
            last = f"it answered {answer}"
        except urllib.error.HTTPError as error:
            last = f"status {error.code}: {error.read(300).decode(errors='replace')}"
        except (OSError, ValueError, KeyError) as error:
            last = str(error)
        time.sleep(0.1)
    running.stop()
    raise NotStarted(f"no answer within {seconds:.0f} s ({last})")
