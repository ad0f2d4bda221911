from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest

from integration.gateway.fakes import AppThread, FakeEngine
from plinth.adapters.detectors import detectors
from plinth.gateway.completions import CompletionRecord
from plinth.gateway.dataplane.asgi import GatewayPorts, TelemetryPorts, create_app
from plinth.gateway.dataplane.journal import completion_mover, usage_mover
from plinth.gateway.dataplane.listener import protocol
from plinth.gateway.dataplane.ports import Facts, InMemoryFacts, InMemoryUsage, MemoryEndpoint, MemoryModel
from plinth.gateway.limits import InMemoryCounters, Limiter
from plinth.gateway.settings import GatewaySettings
from plinth.identity import PERMISSIONS, Actor, KeyEntry, Role
from plinth.kit.clock import SystemClock
from plinth.kit.errors import Unauthenticated
from plinth.privacy import PrivacyGuard, PrivacySettings

KEY = "sk-proj-of-project-a"
VIEWER_KEY = "sk-proj-of-a-viewer"


class Tokens:
    def actor(self, token: str, now: float, active_projects: Mapping[str, str]) -> Actor:
        if token != "sk-int-good":
            raise Unauthenticated
        return Actor(active_projects["proj_a"], "proj_a", "internal", "internal", PERMISSIONS[Role.developer])


def key_entry(secret: str, role: Role = Role.developer, expires_at: float | None = None) -> KeyEntry:
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return KeyEntry(digest, f"key_{role}", "org_a", "proj_a", "user:1", PERMISSIONS[role], expires_at)


class World:
    """A running gateway, what it was given, and a client of it."""

    def __init__(self, folder: Path, settings: GatewaySettings, telemetry: TelemetryPorts) -> None:
        self.folder, self.settings = folder, settings
        self.engine = FakeEngine(folder / "engine.sock")
        self.engines = [self.engine]
        self.wanted: list[tuple[str, str]] = []
        self.usage = InMemoryUsage()
        self.endpoint = MemoryEndpoint("base-1", socket_path=str(self.engine.path), key="engine-key")
        self.facts = InMemoryFacts(
            Facts(
                keys=[key_entry(KEY), key_entry(VIEWER_KEY, Role.viewer), key_entry("sk-proj-old", expires_at=1.0)],
                projects={"proj_a": "org_a"},
                models=[
                    MemoryModel("proj_a", "assistant", "base-1", "base-1"),
                    MemoryModel("proj_a", "sleeping", "base-2", "base-2"),
                    MemoryModel("proj_a", "veteran", "base-3", "base-3"),
                    MemoryModel("proj_b", "secret-of-b", "base-1", "base-1"),
                ],
                endpoints=[self.endpoint],
                retirements={"base-3": "2020-01-31", "base-1": "2999-01-01"},
            )
        )
        ports = GatewayPorts(
            settings=settings,
            clock=SystemClock(),
            facts=self.facts,
            tokens=Tokens(),
            wanted=lambda project_id, model_id: self.wanted.append((project_id, model_id)),
            translate=lambda fields, endpoint: {**fields, "model": endpoint.model_id, "lora": []},
            limiter=Limiter(InMemoryCounters(), SystemClock()),
            guard=PrivacyGuard(detectors("identifiers"), PrivacySettings(), SystemClock()),
            api_socket=folder / "api.sock",
            journal=folder,
            telemetry=telemetry,
        )
        self._stop = threading.Event()
        self.completions: dict[str, CompletionRecord] = {}
        movers = [usage_mover(folder, self.usage), completion_mover(folder, self)]
        self._movers = [threading.Thread(target=mover.run, args=(self._stop, 0.02)) for mover in movers]
        for mover in self._movers:
            mover.start()
        self.app = create_app(ports)
        self.thread = AppThread(
            lambda: self.app,
            lifespan="on",
            http=protocol(settings.max_header_bytes, settings.body_timeout_seconds),
            timeout_graceful_shutdown=5,
        )
        self.url = f"http://127.0.0.1:{self.thread.port}"
        self.client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=KEY, max_retries=0, timeout=20)
        wait_for(lambda: self.app._keeper.current is not None)

    def new_engine(self, name: str) -> FakeEngine:
        engine = FakeEngine(self.folder / f"{name}.sock")
        self.engines.append(engine)
        return engine

    def switch_to(self, engine: FakeEngine, **fields: Any) -> None:
        endpoint = replace(self.endpoint, socket_path=str(engine.path), **fields)
        self.facts.change("serving.endpoints.changed", endpoints=[endpoint])

    def ask(self, content: str = "Hi", **more: Any) -> Any:
        messages = [{"role": "user", "content": content}]
        return self.client.chat.completions.create(**{"model": "assistant", "messages": messages, **more})

    def records(self, count: int) -> list[Any]:
        """The usage records, once there are `count` of them, in the order they began."""
        wait_for(lambda: len(self.usage.records) >= count)
        return sorted(self.usage.records.values(), key=lambda record: record.id)

    def add(self, records: list[CompletionRecord]) -> None:
        """Takes the place of the stored completions."""
        self.completions.update({record.id: record for record in records})

    def kept(self, count: int) -> list[CompletionRecord]:
        wait_for(lambda: len(self.completions) >= count)
        return list(self.completions.values())

    def close(self) -> None:
        self.client.close()
        self.thread.stop()
        self._stop.set()
        for mover in self._movers:
            mover.join()
        for engine in self.engines:
            if engine.path.exists():
                engine.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.01)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Unix socket paths are limited to 107 bytes; pytest's own folders are too long."""
    folder = Path(tempfile.mkdtemp(prefix="plinth-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def make_world(short_folder: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(telemetry: TelemetryPorts = TelemetryPorts(), **settings: Any) -> World:  # noqa: B008 (frozen)
        quick = {"start_timeout_seconds": 5, "switch_timeout_seconds": 1, "snapshot_poll_seconds": 0.02}
        worlds.append(World(short_folder, GatewaySettings(**{**quick, **settings}), telemetry))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
