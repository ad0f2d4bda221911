"""`plinth up` on an empty home: the printed address makes the first owner, through the real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.installation import free_port, wait_for

PASSWORD = "correct horse battery"


class Up:
    """`plinth up` and what it prints."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.out = home / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> str:
        """What was printed until the platform answered."""
        command = [sys.executable, "-m", "plinth.cli", "up", "--home", str(self.home), "--port", str(self.port)]
        environment = {**os.environ, "PLINTH_LANG": "en"}
        with self.out.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        wait_for(lambda: "Plinth answers on" in self.out.read_text(), 90, "the start")
        return self.out.read_text()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path)
    yield running
    running.stop()


def printed_token(text: str) -> str | None:
    found = re.search(r"/console/setup#(\S+)", text)
    return found.group(1) if found else None


@pytest.mark.slow
@pytest.mark.once
def test_from_an_empty_home_to_a_working_owner(up: Up) -> None:
    first = printed_token(up.start())
    assert first is not None
    # whoever reads the process list learns nothing
    assert up.process is not None
    assert first not in Path(f"/proc/{up.process.pid}/cmdline").read_text()
    up.stop()
    token = printed_token(up.start())
    assert token is not None
    assert token != first
    body: dict[str, Any] = {
        "token": first,
        "organization": "Acme",
        "name": "Olga",
        "email": "olga@example.com",
        "password": PASSWORD,
        "language": "zh",
        "sample": True,
    }
    with httpx.Client(base_url=up.url, timeout=60) as browser:
        assert browser.get("/api/session").json()["setup_needed"] is True
        refused = browser.post("/api/setup", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "setup_token_wrong")
        told = browser.post("/api/setup", json={**body, "token": token})
        assert told.status_code == 200, told.text
        session = told.json()
        assert session["sample"] == "loaded"
        here = {"x-plinth-project": session["projects"][0]["id"], "x-csrf-token": session["csrf_token"]}
        names = {file["filename"] for file in browser.get("/v1/files", headers=here).json()["data"]}
        assert names == {"bank_service-train.csv", "bank_service-test.csv"}
        sets = browser.get("/api/datasets", headers=here).json()["data"]
        assert {item["name"] for item in sets} == {"bank_service", "bank_service-test"}
        # the playground: a token for the data plane, which knows no cookies
        issued = browser.post("/api/session/token", headers=here).json()
        call = {"model": "no-such-model", "messages": [{"role": "user", "content": "hello"}]}
        bearer = {"Authorization": f"Bearer {issued['token']}"}
        asked = browser.post("/v1/chat/completions", json=call, headers=bearer)
        assert (asked.status_code, asked.json()["error"]["code"]) == (404, "model_not_found")
        without = browser.post("/v1/chat/completions", json=call, headers=here)
        assert without.status_code == 401
        assert browser.post("/v1/files", headers=bearer).status_code == 403
    assert not (up.home / "setup.token").exists()
    up.stop()
    assert printed_token(up.start()) is None
    with httpx.Client(base_url=up.url) as browser:
        credentials = {"email": "olga@example.com", "password": PASSWORD}
        assert browser.post("/api/session", json=credentials).json()["user"]["role"] == "owner"
    logs = "".join(path.read_text() for path in (up.home / "logs").glob("*"))
    assert PASSWORD not in logs
    assert token not in logs


@pytest.mark.slow
@pytest.mark.once
def test_after_init_the_command_line_gives_a_password(up: Up) -> None:
    def plinth(*arguments: str) -> str:
        command = [sys.executable, "-m", "plinth.cli", *arguments, "--home", str(up.home)]
        environment = {**os.environ, "PLINTH_LANG": "en"}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    plinth("init", "--name", "Acme")
    assert printed_token(up.start()) is None
    link = plinth("password", "--set", f"gateway.port={up.port}")
    found = re.search(rf"owner@localhost .*\n  {up.url}/console/reset#(\S+)", link)
    assert found is not None
    with httpx.Client(base_url=up.url) as browser:
        told = browser.post("/api/password_reset", json={"token": found.group(1), "password": PASSWORD}).json()
        assert told["user"]["email"] == "owner@localhost"
        assert browser.get("/api/me").json()["role"] == "owner"
