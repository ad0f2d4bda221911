"""Wishes, endpoints, facts from the registry, and the HTTP face of deployments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from plinth.identity import Role
from plinth.kit.errors import NotFound
from plinth.kit.events import Event
from plinth.registry import ArtefactKind, UnknownModel
from plinth.serving import NotServable, UnknownAdapter, translate
from plinth.serving.http import router
from plinth.serving.model import DeploymentStatus, Endpoint, Failures
from support import Caller, actor, client_for


def fact(world: Any, version: str, kind: str = "registry.version.registered") -> Event:
    return Event(1, kind, "proj_a", {"version_id": version}, 0.0)


def test_deploying_twice_is_one_deployment(world: Any) -> None:
    assert world.deploy() == world.deploy()
    assert world.deploy().id == world.deploy(context_tokens=512).id
    with world.db.read() as session:
        assert world.service.wishes(session).groups["smol"].context_tokens == 512


def test_the_largest_wish_sizes_the_engine_within_what_the_base_knows(world: Any) -> None:
    world.deploy(context_tokens=512, slots=2)
    world.deploy("smol", "proj_b", context_tokens=100_000, slots=8)
    with world.db.read() as session:
        wish = world.service.wishes(session).groups["smol"]
    assert (wish.context_tokens, wish.slots) == (8192, 8)


def test_what_cannot_be_served_is_refused(world: Any) -> None:
    with pytest.raises(UnknownModel):
        world.deploy("nothing")
    with pytest.raises(UnknownModel):
        world.deploy(world.version(), "proj_b")
    with pytest.raises(NotServable, match="weights"):
        world.deploy(world.version(ArtefactKind.peft_adapter))
    with pytest.raises(NotServable, match="egress_allowed"):
        world.deploy("kept")


def test_a_request_for_a_model_nobody_deployed_starts_it(world: Any) -> None:
    with world.db.write() as session:
        started = world.service.ensure(session, "proj_a", "smol")
        assert started.status is DeploymentStatus.starting
        assert world.service.ensure(session, "proj_b", "smol").id == started.id
        world.service.stop(session, "proj_a", started.id)
        again = world.service.ensure(session, "proj_a", "smol")
    assert again.status is DeploymentStatus.stopping


def test_a_remote_base_is_an_endpoint_without_a_process(world: Any) -> None:
    deployment = world.deploy("remote")
    assert deployment.status is DeploymentStatus.ready
    endpoint = world.endpoint("remote")
    assert (endpoint.url, endpoint.key, endpoint.egress) == ("https://provider.test/v1", "secret", True)
    assert translate({"model": "x", "messages": []}, endpoint)["model"] == "their-name"
    world.tick(2)
    assert world.engine.started == []
    world.stop(deployment)
    assert world.endpoint("remote").state == "failed"


def test_new_versions_are_deployed_and_deleted_ones_stopped(world: Any) -> None:
    version, checkpoint = world.version(), world.version(checkpoint_step=10)
    with world.db.write() as session:
        for id in (version, checkpoint):
            world.service.on_version_registered(session, fact(world, id))
        world.service.on_version_registered(session, fact(world, "ft:gone:x:y:00000000"))
        found = world.service.deployments(session, "proj_a", None, 10)
    assert [d.model_id for d in found] == [version]
    world.settle()
    with world.db.write() as session:
        world.registry.delete(session, actor(), version)
        world.service.on_version_deleted(session, fact(world, version))
    world.tick(3, seconds=3)
    assert world.get(found[0]).status is DeploymentStatus.stopped
    assert world.engine.processes == {}


def test_deployments_belong_to_their_project(world: Any) -> None:
    deployment = world.deploy()
    with world.db.read() as session, pytest.raises(NotFound):
        world.service.deployment(session, "proj_b", deployment.id)


def test_waiting_times_grow_to_half_a_minute() -> None:
    waits = [Failures("h", tuple(float(i) for i in range(n))).retry_at() - max(n - 1, 0) for n in range(9)]
    assert waits == [0, 0, 1, 2, 4, 8, 16, 30, 30]


ENDPOINT = Endpoint("b", "base", "llamacpp", "ready", adapter="b", adapters=("a", "b"))


def test_every_request_to_llamacpp_lists_every_adapter() -> None:
    request = {"model": "x", "messages": [], "lora": [{"id": 0, "scale": 9}], "id_slot": 3, "temperature": 0.5}
    out = translate(request, ENDPOINT)
    assert out["lora"] == [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 1.0}]
    assert "id_slot" not in out
    assert (out["temperature"], out["top_p"]) == (0.5, 1.0)
    assert request["lora"] == [{"id": 0, "scale": 9}]
    base = Endpoint("base", "base", "llamacpp", "ready", adapters=("a", "b"))
    assert [entry["scale"] for entry in translate({"prompt": ""}, base)["lora"]] == [0.0, 0.0]
    assert "lora" not in translate({"prompt": ""}, Endpoint("base", "base", "llamacpp", "ready"))


def test_a_seed_turns_off_the_reuse_of_earlier_prompts() -> None:
    assert translate({"messages": [], "seed": 0}, ENDPOINT)["cache_prompt"] is False
    assert "cache_prompt" not in translate({"messages": [], "cache_prompt": True}, ENDPOINT)


def test_embedding_requests_get_no_sampling_fields() -> None:
    assert translate({"input": "x"}, Endpoint("e", "e", "llamacpp", "ready")) == {"input": "x"}


def test_an_adapter_the_engine_lacks_is_a_404() -> None:
    with pytest.raises(UnknownAdapter) as caught:
        translate({"messages": []}, Endpoint("c", "base", "llamacpp", "ready", adapter="c", adapters=("a",)))
    assert caught.value.status == 404


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
def client(world: Any, caller: Caller) -> Iterator[TestClient]:
    with client_for(router(world.db, world.service, world.registry, caller.guard)) as test_client:
        yield test_client


def test_deployments_over_http(world: Any, client: TestClient, caller: Caller) -> None:
    created = client.post("/api/deployments", json={"model": "smol", "name": "support", "slots": 2}).json()
    assert (created["model"], created["status"], created["slots"]) == ("smol", "starting", 2)
    world.settle()
    assert client.get(f"/api/deployments/{created['id']}").json()["status"] == "ready"
    assert [d["id"] for d in client.get("/api/deployments").json()["data"]] == [created["id"]]
    with world.db.read() as session:
        assert world.registry.resolve(session, "proj_a", "support").id == "smol"
    assert client.post("/api/deployments", json={"model": "support"}).json()["id"] == created["id"]
    assert client.delete(f"/api/deployments/{created['id']}").json()["status"] == "stopping"
    caller.actor = actor("proj_b")
    assert client.get(f"/api/deployments/{created['id']}").status_code == 404
    caller.actor = actor(role=Role.viewer)
    assert client.post("/api/deployments", json={"model": "smol"}).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"model": ""}, 400),
        ({"model": "nothing"}, 404),
        ({"model": "smol", "slots": 0}, 400),
        ({"model": "smol", "context_tokens": 5}, 400),
        ({"model": "smol", "name": "not a name"}, 400),
        ({"model": "kept"}, 400),
    ],
)
def test_bad_deployments_are_refused_and_leave_nothing(
    world: Any, client: TestClient, body: dict[str, Any], status: int
) -> None:
    assert client.post("/api/deployments", json=body).status_code == status
    assert client.get("/api/deployments").json()["data"] == []
