"""The process: its port, its drain, and that it loads nothing heavy."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from integration.gateway.fakes import FakeEngine

PROGRAM = """
    import sys
    sys.path.insert(0, {tests!r})
    from pathlib import Path
    from plinth.gateway.dataplane.run import serve
    from plinth.gateway.settings import GatewaySettings

    settings = GatewaySettings(port={port}, drain_seconds={drain})

    def build():
        from integration.gateway.conftest import Tokens, key_entry, KEY
        from plinth.gateway.dataplane.asgi import GatewayPorts, create_app
        from plinth.gateway.dataplane.ports import Facts, InMemoryFacts, MemoryEndpoint, MemoryModel
        from plinth.adapters.detectors import detectors
        from plinth.gateway.limits import InMemoryCounters, Limiter
        from plinth.privacy import PrivacyGuard, PrivacySettings
        from plinth.kit.clock import SystemClock

        folder = Path({folder!r})
        facts = Facts(
            keys=[key_entry(KEY)],
            models=[MemoryModel("proj_a", "assistant", "base-1")],
            endpoints=[MemoryEndpoint("base-1", socket_path=str(folder / "engine.sock"))],
        )
        return create_app(GatewayPorts(
            settings=settings, clock=SystemClock(), facts=InMemoryFacts(facts), tokens=Tokens(),
            wanted=lambda project_id, model_id: None, translate=lambda fields, endpoint: fields,
            limiter=Limiter(InMemoryCounters(), SystemClock()),
            guard=PrivacyGuard(detectors("identifiers"), PrivacySettings(), SystemClock()),
            api_socket=folder / "api.sock", journal=folder,
        ))

    serve(settings, build)
"""


def program(folder: Path, port: int, drain: int = 10) -> list[str]:
    tests = str(Path(__file__).parents[2])
    return [
        sys.executable,
        "-c",
        textwrap.dedent(PROGRAM.format(tests=tests, port=port, drain=drain, folder=str(folder))),
    ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def engine(short_folder: Path) -> Iterator[FakeEngine]:
    engine = FakeEngine(short_folder / "engine.sock")
    yield engine
    engine.stop()


def test_a_taken_port_is_one_sentence_and_exit_code_78(short_folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = subprocess.run(program(short_folder, port), capture_output=True, text=True, timeout=30)
    assert result.returncode == 78
    assert result.stderr.count("\n") == 1
    assert str(port) in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_sigterm_lets_a_running_stream_finish_and_keeps_its_usage(short_folder: Path, engine: FakeEngine) -> None:
    port = free_port()
    engine.mode, engine.pause = "slow", 0.4
    with subprocess.Popen(program(short_folder, port)) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                if httpx.get(url + "/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        body = {"model": "assistant", "messages": [{"role": "user", "content": "x"}], "stream": True}
        headers = {"authorization": "Bearer sk-proj-of-project-a"}
        with httpx.stream("POST", url + "/v1/chat/completions", json=body, headers=headers, timeout=20) as response:
            lines = response.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            rest = list(lines)
        assert "data: [DONE]" in rest
        assert process.wait(20) == 0
    journal = list(short_folder.glob("usage-*.jsonl"))
    assert len(journal) == 1
    assert journal[0].read_text().count("\n") == 1


def test_importing_the_data_plane_loads_no_web_framework_and_no_engine() -> None:
    heavy = "{'fastapi', 'pydantic_settings', 'torch', 'transformers', 'aiohttp', 'httpx'}"
    check = f"import sys, plinth.gateway, plinth.gateway.dataplane.asgi; print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "set()"
