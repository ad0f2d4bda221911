"""`kill -9` of real engines and of a real reconciler process; what is wanted always comes back."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from engines import random_lora, smollm2, until
from plinth.kit.blobs import put_file
from plinth.kit.db import Database
from plinth.registry import Artefact, ArtefactFile, ArtefactKind, VersionDraft
from plinth.serving import Deployment, Endpoint, translate

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "reconciling.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("reconciling", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reconciling = _load()


class Site:
    """A database and a folder, and the reconciler processes started on them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        (folder / "base.gguf").symlink_to(smollm2())
        self.platform = reconciling.Platform(url, folder)
        self.children: list[subprocess.Popen[str]] = []

    def reconcile(self, *flags: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(PROGRAM), self.url, str(self.folder), *flags]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "reconciling\n"
        return child

    def kill(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        child.kill()
        child.wait()
        child.stdout.close()

    def deploy(self, model: str) -> Deployment:
        with self.platform.db.write() as session:
            found: Deployment = self.platform.service.deploy(session, "proj_a", model)
            return found

    def version(self, seed: int) -> str:
        adapter = random_lora(self.folder, f"lora{seed}", seed)
        blob = put_file(self.platform.blobs, Path(adapter.path))
        draft = VersionDraft(
            project_id="proj_a",
            organization="acme",
            base_id=reconciling.BASE,
            suffix="v",
            recipe={},
            code_version="0",
            artefacts=(Artefact(ArtefactKind.gguf_adapter, (ArtefactFile("adapter.gguf", blob.digest, blob.size),)),),
        )
        with self.platform.db.write() as session:
            return str(self.platform.registry.register(session, draft).id)

    def endpoint(self, model: str, state: str = "ready") -> Endpoint:
        def found() -> Endpoint | None:
            with self.platform.db.read() as session:
                endpoints = {e.model_id: e for e in self.platform.service.endpoints(session)}
            return endpoints[model] if endpoints[model].state == state else None

        ready: Endpoint = until(found)
        return ready

    def ask(self, endpoint: Endpoint) -> str:
        assert endpoint.socket_path is not None
        transport = httpx.HTTPTransport(uds=endpoint.socket_path)
        request = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, "seed": 1}
        body = translate(request, endpoint)
        with httpx.Client(transport=transport, headers={"Authorization": f"Bearer {endpoint.key}"}) as client:
            response = client.post("http://engine/v1/chat/completions", json=body, timeout=60)
        assert response.status_code == 200, response.text
        return str(response.json()["choices"][0]["message"]["content"])

    def engines(self) -> list[int]:
        """The engine processes of this site that are alive."""
        pids = []
        for process in psutil.process_iter(["cmdline", "status"]):
            command = " ".join(process.info["cmdline"] or [])
            if "llamacpp_server" in command and str(self.folder) in command and process.info["status"] != "zombie":
                pids.append(process.pid)
        return pids

    def close(self) -> None:
        for child in self.children:
            self.kill(child)
        for pid in self.engines():
            os.kill(pid, signal.SIGKILL)
        self.platform.reconciler.close()
        self.platform.db.close()


@pytest.fixture
def site(db: Database, database_url: str) -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="pl-"))
    made = Site(database_url, folder)
    yield made
    made.close()
    shutil.rmtree(folder)


def test_a_killed_engine_is_replaced(site: Site) -> None:
    site.reconcile()
    site.deploy(reconciling.BASE)
    before = site.endpoint(reconciling.BASE)
    assert site.ask(before)
    [pid] = site.engines()
    os.kill(pid, signal.SIGKILL)
    until(lambda: site.engines() not in ([], [pid]))
    after = until(lambda: (e := site.endpoint(reconciling.BASE)).socket_path != before.socket_path and e)
    assert site.ask(after)
    assert len(site.engines()) == 1


def test_engines_outlive_a_killed_reconciler_and_are_adopted(site: Site) -> None:
    first = site.reconcile()
    site.deploy(reconciling.BASE)
    endpoint = site.endpoint(reconciling.BASE)
    pids = site.engines()
    site.kill(first)
    assert site.ask(endpoint)
    site.reconcile()
    # the successor has looked at everything once a new wish is fulfilled
    version = site.version(1)
    site.deploy(version)
    assert site.ask(site.endpoint(version))
    until(lambda: len(site.engines()) == 1)
    assert site.engines() != pids


def test_a_reconciler_killed_between_two_engines_is_finished_by_the_next(site: Site) -> None:
    first = site.reconcile()
    site.deploy(reconciling.BASE)
    before = site.endpoint(reconciling.BASE)
    site.kill(first)
    second = site.reconcile("slow-switch")
    version = site.version(1)
    site.deploy(version)
    assert second.stdout is not None
    assert second.stdout.readline() == "switching\n"
    assert len(site.engines()) == 2
    green = set(site.engines())
    site.kill(second)
    answer = site.ask(before)
    site.reconcile()
    after = site.endpoint(version)
    assert site.ask(after)
    assert site.ask(site.endpoint(reconciling.BASE)) == answer
    until(lambda: len(site.engines()) == 1)
    assert set(site.engines()) < green, "the successor that was ready was not used"


def test_a_corrupt_adapter_fails_alone(site: Site) -> None:
    site.reconcile()
    site.deploy(reconciling.BASE)
    serving = site.endpoint(reconciling.BASE)
    version = site.version(1)
    [blob] = [p for p in (site.folder / "blobs").rglob("*") if p.is_file() and p.stat().st_size > 1_000_000]
    blob.chmod(0o600)
    with blob.open("r+b") as file:
        file.seek(1000)
        file.write(b"\xff" * 1000)
    site.deploy(version)
    failed = site.endpoint(version, "failed")
    assert "sha256" in str(failed.reason)
    assert site.endpoint(reconciling.BASE).socket_path == serving.socket_path
    assert site.ask(serving)
