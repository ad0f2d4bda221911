"""Plinth as `plinth up` runs it: every process, every duty."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Container
from pathlib import Path
from typing import Any

from harness import machine
from harness.load import Target
from harness.peers.base import NotStarted, Peer, Running, Setting, ask, wait_until_it_answers
from harness.venvs import Venv, installed_versions

REPOSITORY = Path(__file__).parents[4]
_CHAT, _EMBEDDING = "bench", "bench-embedding"
_PLENTY = 1_000_000_000
"""A limit that is checked and never reached."""


class Plinth(Peer):
    name = "plinth"
    duties = "key check, personal-data guard, limits, budget, model permissions, route, price, metering, request log"

    def prepare(self) -> dict[str, str]:
        if not _checkout_python().exists():
            self._venv.install()
        return {**installed_versions(self.python, ("plinth-maas", "uvicorn", "uvloop")), "commit": _commit()}

    @property
    def python(self) -> Path:
        """The checkout's own environment; one made from the checkout where there is none."""
        return _checkout_python() if _checkout_python().exists() else self._venv.python

    @property
    def _venv(self) -> Venv:
        return Venv(self.cache, self.name, (str(REPOSITORY),))

    def start(self, setting: Setting) -> Running:
        return Installation(self.python, setting).start()


class Installation:
    """A new home with one project, whose models are the fake upstream."""

    def __init__(self, python: Path, setting: Setting, flags: tuple[str, ...] = ()) -> None:
        self.python, self.home, self.port = python, setting.folder / "home", machine.free_port()
        self._setting = setting
        flags = (f"gateway.port={self.port}", *flags)
        if setting.workers > 1:
            flags = (*flags, f"gateway.workers={setting.workers}")
        self._flags = [word for flag in flags for word in ("--set", flag)]
        self.keys: dict[str, str] = {}

    def start(self) -> Running:
        running = self.up()
        try:
            lacks = {*self._model(_CHAT, "generate"), *self._model(_EMBEDDING, "embed")}
            lacks.update(self.bind([_CHAT, _EMBEDDING]))
        except OSError as error:
            running.stop()
            raise NotStarted(f"it could not be set up: {error} {_words(error)}") from error
        running.target = Target(self.port, _CHAT, _EMBEDDING, key=self.keys["project_key"])
        running.without = tuple(sorted(lacks))
        wait_until_it_answers(running, self._setting)
        return running

    def up(self) -> Running:
        """`plinth init` and `plinth up`. Raises `NotStarted`."""
        done = subprocess.run(self._command("init", "--json"), capture_output=True, text=True)
        if done.returncode != 0:
            raise NotStarted(f"plinth init: {done.stderr.strip()[-500:]}")
        self.keys = json.loads(done.stdout)
        process = machine.start(
            self._command("up"), self._setting.cores.gateway(self._setting.workers), self._setting.log
        )
        running = Running(process, Target(self.port, ""), lambda line: "plinth.api.dataplane" in line)
        deadline = time.monotonic() + 60
        while not self._healthy():
            if process.poll() is not None or time.monotonic() > deadline:
                running.stop()
                raise NotStarted("plinth up: not healthy within 60 s")
            time.sleep(0.1)
        return running

    def call(
        self, path: str, body: dict[str, Any] | None = None, key: str = "project_key", method: str | None = None
    ) -> Any:
        return ask(f"http://127.0.0.1:{self.port}{path}", body, self.keys[key], method=method)

    def deploy(self, model: str, name: str | None = None, **options: Any) -> None:
        """Serve `model` and wait until it is ready. Raises `NotStarted`."""
        body = {"model": model, **({"name": name} if name else {}), **options}
        deployment = self.call("/api/deployments", body)
        deadline = time.monotonic() + 120
        while deployment["status"] != "ready":
            if deployment["status"] == "failed" or time.monotonic() > deadline:
                raise NotStarted(f"the deployment of {model} is {deployment['status']}: {deployment['reason']}")
            time.sleep(0.1)
            deployment = self.call(f"/api/deployments/{deployment['id']}")

    def bind(self, names: list[str]) -> tuple[str, ...]:
        """Every check that a request can be held to, set so that it is made and never refuses. Returns
        the duties that this version of Plinth does not know."""
        project, known = self.keys["project_id"], self._paths()
        limits = f"/api/limits/project/{project}"
        plenty = dict.fromkeys(("requests_per_minute", "tokens_per_minute", "concurrent_requests"), _PLENTY)
        budget = {"amount": 1_000_000, "currency": "USD", "hard": True, "alert_percent": [80]}
        allowed = {"mode": "allow_list", "model_ids": names}
        bonds: dict[str, tuple[str, str, dict[str, Any]]] = {
            "limits": ("/api/limits/{scope}/{subject_id}", limits, plenty),
            "a budget": ("/api/limits/{scope}/{subject_id}/budgets/{period}", f"{limits}/budgets/month", budget),
            "model permissions": ("/api/limits/{scope}/{subject_id}/models", f"{limits}/models", allowed),
        }
        for template, path, body in bonds.values():
            if template in known:
                self.call(path, body, key="admin_key", method="PUT")
        return tuple(duty for duty, (template, _, _) in bonds.items() if template not in known)

    def _model(self, name: str, capability: str) -> tuple[str, ...]:
        """A remote model with a price, served, under a route; under an alias where this version has no
        routes. Returns what it lacks."""
        known = self._paths()
        source = {"kind": "remote", "base_url": self._setting.upstream_url, "model": "fake", "egress_allowed": True}
        extra = {"dimensions": 384} if capability == "embed" else {}
        body = {"name": f"{name}-remote", "source": source, "capabilities": [capability], **extra}
        base = self.call("/api/base_models", body)["id"]
        missing = []
        if "/api/prices" in known:
            price = {"model": base, "currency": "USD", "input": 1, "output": 2}
            self.call("/api/prices", price, key="admin_key")
        else:
            missing.append("a price")
        if "/api/routes/{name}" in known:
            self.deploy(base)
            self.call(f"/api/routes/{name}", {"targets": [{"model": base}]}, method="PUT")
        else:
            self.deploy(base, name)
            missing.append("a route")
        return tuple(missing)

    def _paths(self) -> Container[str]:
        paths: dict[str, Any] = self.call("/openapi.json")["paths"]
        return paths

    def _healthy(self) -> bool:
        try:
            return bool(ask(f"http://127.0.0.1:{self.port}/health", timeout=2)["status"] == "ok")
        except (OSError, ValueError):
            return False

    def _command(self, *words: str) -> list[str]:
        return [str(self.python), "-m", "plinth.cli", words[0], "--home", str(self.home), *self._flags, *words[1:]]


def _checkout_python() -> Path:
    return REPOSITORY / ".venv" / "bin" / "python"


def _commit() -> str:
    command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    return done.stdout.strip() or "unknown"


def _words(error: OSError) -> str:
    read = getattr(error, "read", None)
    return read(500).decode(errors="replace") if read else ""
