from __future__ import annotations

import asyncio
import hashlib

import pytest

from plinth.gateway.dataplane.authenticate import authenticate, require
from plinth.gateway.dataplane.ports import Endpoint, Facts, InMemoryFacts, MemoryEndpoint, MemoryModel
from plinth.gateway.dataplane.resolve import Resolver, find_model
from plinth.gateway.dataplane.snapshot import SnapshotKeeper, build
from plinth.gateway.errors import ModelFailed, ModelRetired, ModelStarting
from plinth.gateway.settings import GatewaySettings
from plinth.identity import Actor, InternalTokens, KeyEntry
from plinth.kit.clock import SystemClock
from plinth.kit.errors import Forbidden, Unauthenticated
from plinth.kit.secrets import InstanceKey
from plinth.registry import UnknownModel

TOKENS = InternalTokens(InstanceKey(b"k" * 32))
ACTOR = Actor("org_a", "proj_a", "key_1", "user:1", frozenset({"models:use"}))
MODEL = MemoryModel("proj_a", "m", "model-1", "base-1")


def entry(secret: str, expires_at: float | None = None) -> KeyEntry:
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return KeyEntry(digest, "key_1", "org_a", "proj_a", "user:1", frozenset({"models:use"}), expires_at)


SNAPSHOT = build(Facts(keys=[entry("sk-proj-1"), entry("sk-proj-2", 100.0)], projects={"proj_a": "org_a"}))


def bearer(secret: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {secret}".encode()}


def test_a_key_gives_its_actor_until_it_expires() -> None:
    assert authenticate(SNAPSHOT, bearer("sk-proj-1"), TOKENS, 1e12) == ACTOR
    assert authenticate(SNAPSHOT, {b"authorization": b"bearer  sk-proj-2"}, TOKENS, 99.0) == ACTOR
    with pytest.raises(Unauthenticated):
        authenticate(SNAPSHOT, bearer("sk-proj-2"), TOKENS, 100.0)


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Bearer ", b"sk-proj-1", b"Bearer \xff", b"Bearer " + b"x" * 5000])
def test_anything_else_is_nobody(value: bytes) -> None:
    with pytest.raises(Unauthenticated):
        authenticate(SNAPSHOT, {b"authorization": value}, TOKENS, 0.0)


def test_an_internal_token_acts_for_an_active_project_only() -> None:
    token = TOKENS.issue("proj_a", 1000)
    assert authenticate(SNAPSHOT, bearer(token), TOKENS, 999).project_id == "proj_a"
    for secret, now in ((token, 1000), (token + "x", 0), (TOKENS.issue("proj_gone", 1000), 0)):
        with pytest.raises(Unauthenticated):
            authenticate(SNAPSHOT, bearer(secret), TOKENS, now)


def test_permissions() -> None:
    require(ACTOR, "models:use")
    with pytest.raises(Forbidden):
        require(ACTOR, "usage:read")


def test_names_belong_to_projects_and_bases_retire() -> None:
    snapshot = build(Facts(models=[MODEL], retirements={"base-1": "2026-11-24"}))
    midnight = 1795478400.0
    assert find_model(snapshot, ACTOR, "m", midnight - 1) == MODEL
    with pytest.raises(ModelRetired) as caught:
        find_model(snapshot, ACTOR, "m", midnight)
    assert "2026-11-24" in caught.value.message
    stranger = Actor("org_a", "proj_b", "k", "user:2", ACTOR.permissions)
    with pytest.raises(UnknownModel):
        find_model(snapshot, stranger, "m", 0)


def test_only_relevant_facts_rebuild_the_snapshot() -> None:
    facts = InMemoryFacts(Facts(models=[MODEL]))
    keeper = SnapshotKeeper(facts, 0.01)
    assert keeper.refresh()
    assert not keeper.refresh()
    facts.change("data.file.created", models=[])
    assert not keeper.refresh()
    facts.change("registry.alias.changed")
    assert keeper.refresh()
    assert keeper.current is not None
    assert keeper.current.names == {}
    assert facts.loads == 2


async def test_an_outage_keeps_the_last_snapshot_and_its_end_reloads() -> None:
    facts = InMemoryFacts(Facts(models=[MODEL]))
    keeper = SnapshotKeeper(facts, 0.01)
    keeper.start()
    assert await keeper.changed(5)
    facts.away = True
    while not keeper.database_away:
        await asyncio.sleep(0.01)
    assert keeper.current is not None
    assert keeper.current.names
    facts.change("identity.key.changed", models=[])
    facts.away = False
    assert await keeper.changed(5)
    assert keeper.current.names == {}
    keeper.stop()


class Scene:
    """A resolver over endpoints that a test changes."""

    def __init__(self, *endpoints: Endpoint, start: float = 5.0, switch: float = 5.0) -> None:
        self.facts = InMemoryFacts(Facts(endpoints=endpoints))
        self.keeper = SnapshotKeeper(self.facts, 0.01)
        self.wanted: list[tuple[str, str]] = []
        settings = GatewaySettings(start_timeout_seconds=start, switch_timeout_seconds=switch)
        self.resolver = Resolver(self.keeper, self._want, SystemClock(), settings)

    def _want(self, project_id: str, model_id: str) -> None:
        self.wanted.append((project_id, model_id))
        raise ConnectionError("asking is best effort")

    async def __aenter__(self) -> Scene:
        self.keeper.start()
        while self.keeper.current is None:
            await asyncio.sleep(0.001)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.keeper.stop()


BLUE = MemoryEndpoint("model-1", socket_path="/blue")
GREEN = MemoryEndpoint("model-1", socket_path="/green")
STARTING = MemoryEndpoint("model-1", state="starting")
FAILED = MemoryEndpoint("model-1", state="failed", reason="no memory")


async def test_ready_goes_before_starting_goes_before_failed() -> None:
    async with Scene(FAILED, STARTING, BLUE) as scene:
        assert await scene.resolver.endpoint(MODEL) == BLUE
    assert scene.wanted == []
    async with Scene(FAILED, STARTING, start=0.05) as scene:
        with pytest.raises(ModelStarting):
            await scene.resolver.endpoint(MODEL)
    async with Scene(FAILED) as scene:
        with pytest.raises(ModelFailed) as caught:
            await scene.resolver.endpoint(MODEL)
        assert "no memory" in caught.value.message


async def test_many_waiting_requests_ask_once() -> None:
    async with Scene() as scene:
        waiting = [asyncio.create_task(scene.resolver.endpoint(MODEL)) for _ in range(20)]
        await asyncio.sleep(0.05)
        scene.facts.change("serving.deployment.ready", endpoints=[BLUE])
        assert await asyncio.gather(*waiting) == [BLUE] * 20
    assert scene.wanted == [("proj_a", "model-1")]


async def test_a_replacement_is_another_endpoint_or_the_same_after_a_while() -> None:
    async with Scene(BLUE) as scene:
        waiting = asyncio.create_task(scene.resolver.replacement(MODEL, BLUE))
        await asyncio.sleep(0.03)
        assert not waiting.done()
        scene.facts.change("serving.endpoints.changed", endpoints=[GREEN])
        assert await waiting == GREEN
    async with Scene(BLUE, switch=0.05) as scene:
        assert await scene.resolver.replacement(MODEL, BLUE) == BLUE


async def test_a_replacement_that_is_starting_is_waited_for() -> None:
    async with Scene(STARTING) as scene:
        waiting = asyncio.create_task(scene.resolver.replacement(MODEL, BLUE))
        await asyncio.sleep(0.03)
        scene.facts.change("serving.endpoints.changed", endpoints=[GREEN])
        assert await waiting == GREEN
