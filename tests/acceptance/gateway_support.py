"""What the gateway's acceptance tests share: the provider's process, models behind it, steady load."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openai import OpenAI

from acceptance.installation import Installation, free_port, wait_for

_HERE = Path(__file__).parent
WORKERS = ["--set", "gateway.workers=2"]


class ProviderProcess:
    """The fake provider in its own process; `kill` is `kill -9`, `start` brings it back on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, str(_HERE / "gateway_provider.py"), str(self.port)]
        self.process = subprocess.Popen(command)
        wait_for(self._answers, 20, "the provider's start")

    def seen(self) -> dict[str, Any]:
        """`counts` per model and the `last` body that each model got."""
        with urllib.request.urlopen(f"{self.url}/seen", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            return bool(self.seen())
        except OSError:
            return False


class Api:
    """`/api/…` with the official SDK's own HTTP client; answers are plain JSON."""

    def __init__(self, client: OpenAI) -> None:
        self._client, self._base = client, str(client.base_url).removesuffix("/v1/")

    def get(self, path: str) -> Any:
        return self._client.get(self._base + path, cast_to=object)

    def post(self, path: str, **body: Any) -> Any:
        return self._client.post(self._base + path, cast_to=object, body=body)

    def put(self, path: str, **body: Any) -> Any:
        return self._client.put(self._base + path, cast_to=object, body=body)

    def patch(self, path: str, **body: Any) -> Any:
        return self._client.patch(self._base + path, cast_to=object, body=body)

    def delete(self, path: str) -> Any:
        return self._client.delete(self._base + path, cast_to=object)


def register(api: Api, provider: ProviderProcess, *models: str, admin: Api | None = None) -> dict[str, str]:
    """Remote models under the names that the provider has for them in the project of `api`; name -> id.
    `admin` adds them to the organization's catalogue where the project's key may not."""
    ids = {}
    for model in models:
        kind = "embed" if model.startswith("vectors") else "generate"
        made = (admin or api).post(
            "/api/base_models",
            name=model,
            source={"kind": "remote", "base_url": f"{provider.url}/v1", "model": model, "egress_allowed": True},
            capabilities=[kind],
            **({"dimensions": 8} if kind == "embed" else {}),
        )
        ids[model] = made["id"]
        api.put(f"/api/aliases/{model}", target=made["id"])
    return ids


def usage_rows(platform: Installation, since: float) -> list[dict[str, str]]:
    """Every usage record of the organization, from the CSV export."""
    request = urllib.request.Request(
        f"{platform.url}/api/usage/export?since={since}",
        headers={"Authorization": f"Bearer {platform.keys['admin_key']}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return list(csv.DictReader(io.TextIOWrapper(answer, "utf-8", newline="")))


def plinth(platform: Installation, *command: str) -> subprocess.CompletedProcess[str]:
    """`plinth …` on the installation's home; `command` ends before the home's flags."""
    return subprocess.run(
        [sys.executable, "-m", "plinth.cli", *command, "--home", str(platform.home), *platform.flags],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@dataclass(frozen=True)
class Outcome:
    """One request of a load. `began` and `ended` are readings of the machine's monotonic clock;
    `status` 0 means that the connection broke; `said` is the answer's text."""

    began: float
    ended: float
    status: int
    request_id: str
    model: str
    streamed: bool
    said: str
    tokens: int
    problem: str

    @property
    def good(self) -> bool:
        return self.status == 200 and not self.problem


@dataclass
class Load:
    """A steady load from a process of its own. `stop` waits for the last answers."""

    platform: Installation
    model: str
    per_second: float
    options: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        target = [self.platform.url, self.platform.keys["project_key"], self.model, str(self.per_second)]
        self.process = subprocess.Popen(
            [sys.executable, str(_HERE / "gateway_load.py"), *target, *self.options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == "began"
        self.began = time.monotonic()
        return self

    def stop(self) -> list[Outcome]:
        self.seconds = time.monotonic() - self.began
        out, _ = self.process.communicate("stop\n", timeout=60)
        self.outcomes = [Outcome(**json.loads(line)) for line in out.splitlines()]
        return self.outcomes

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def report(self) -> str:
        waits = sorted(o.ended - o.began for o in self.outcomes if o.good)
        middle, late = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
        bad = len(self.outcomes) - len(waits)
        return (
            f"{len(self.outcomes)} requests in {self.seconds:.1f} s ({len(self.outcomes) / self.seconds:.0f}/s), "
            f"{bad} failed, p50 {middle * 1000:.1f} ms, p99 {late * 1000:.1f} ms"
        )
