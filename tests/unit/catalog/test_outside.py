"""What the catalogue reads from outside: a provider's models, this machine's memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from plinth.adapters.sources import remote
from plinth.adapters.sources.machine import LinuxMachine
from plinth.adapters.sources.remote import HttpRemoteModels, refuse_address
from plinth.catalog.errors import RemoteUnreachable, SourceRefused
from plinth.catalog.model import Memory, RemoteTarget


class Provider:
    """A provider whose answer a test can change."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b"", {"content-type": "application/json"}
        self.asked: list[tuple[str, str | None]] = []
        self.url = ""


@pytest.fixture
def provider() -> Iterator[Provider]:
    fake = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append((self.path, self.headers.get("authorization")))
            self.send_response(fake.status)
            for name, value in fake.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(fake.body)))
            self.end_headers()
            self.wfile.write(fake.body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


def ask(provider: Provider, key: str = "sk-1") -> Any:
    return HttpRemoteModels(5).models(RemoteTarget(provider.url, "m", key))


def test_the_models_of_a_provider(provider: Provider) -> None:
    provider.body = json.dumps({"object": "list", "data": [{"id": "b"}, {"id": "a"}]}).encode()
    assert ask(provider) == ["a", "b"]
    assert ask(provider, key="") == ["a", "b"]
    assert provider.asked == [("/v1/models", "Bearer sk-1"), ("/v1/models", None)]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, b"{}", "status 401"),
        (302, b"", "status 302"),
        (200, b"<html>", "not a list"),
        (200, b"[]", "not a list"),
        (200, b'{"data": 3}', "not a list"),
        (200, b'{"data": [{"name": "x"}]}', "not a list"),
        (200, b"[" * 100_000, "not a list"),
    ],
)
def test_a_wrong_answer(provider: Provider, status: int, body: bytes, reason: str) -> None:
    provider.status, provider.body = status, body
    provider.headers["location"] = provider.url + "/elsewhere"
    with pytest.raises(RemoteUnreachable, match=reason) as raised:
        ask(provider)
    assert raised.value.status == 503
    assert "sk-1" not in raised.value.message
    assert len(provider.asked) == 1, "redirects are not followed"


def test_an_answer_that_is_too_large(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_ANSWER_BYTES", 1000)
    provider.body = b" " * 2000
    with pytest.raises(RemoteUnreachable, match="too large"):
        ask(provider)


def test_nobody_there() -> None:
    with pytest.raises(RemoteUnreachable, match="ConnectError"):
        HttpRemoteModels(5).models(RemoteTarget("http://127.0.0.1:9", "m", "k"))
    with pytest.raises(RemoteUnreachable, match="not known"):
        HttpRemoteModels(5).models(RemoteTarget("https://no-such-host.invalid", "m", "k"))


@pytest.mark.parametrize("host", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "::ffff:169.254.169.254", "fe80::1"])
def test_addresses_that_no_provider_has(host: str) -> None:
    with pytest.raises(SourceRefused):
        refuse_address(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.7", "::1"])
def test_addresses_of_the_own_network(host: str) -> None:
    refuse_address(host)


MEMINFO = "MemTotal:        8000 kB\nMemFree:         1000 kB\nMemAvailable:    5000 kB\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Memory(8000 * 1024, 5000 * 1024)),
        ({"memory.max": "max\n", "memory.current": "5\n"}, Memory(8000 * 1024, 5000 * 1024)),
        ({"memory.max": "2048000\n", "memory.current": "1024000\n"}, Memory(2048000, 1024000)),
        ({"memory.max": "7000000\n", "memory.current": "0\n"}, Memory(7000000, 5000 * 1024)),
        ({"memory/memory.limit_in_bytes": "1000\n", "memory/memory.usage_in_bytes": "4000\n"}, Memory(1000, 0)),
    ],
    ids=["no limit", "max", "container", "host is tighter", "cgroup v1, over its limit"],
)
def test_the_memory_of_machine_or_container(tmp_path: Path, files: dict[str, str], expected: Memory) -> None:
    (tmp_path / "meminfo").write_text(MEMINFO)
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert LinuxMachine(tmp_path / "meminfo", tmp_path / "cgroup").memory() == expected


def test_this_machine_has_memory() -> None:
    memory = LinuxMachine().memory()
    assert 0 < memory.available_bytes <= memory.total_bytes
