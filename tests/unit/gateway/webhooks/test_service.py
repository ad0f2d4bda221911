"""Endpoints: creating, changing, secrets, limits, who may, and what is written down about it."""

from __future__ import annotations

import dataclasses
import json
import time

import pytest
from openai import InvalidWebhookSignatureError, OpenAI

from plinth.gateway.webhooks.errors import BadEndpointUrl, TooManyEndpoints, UnknownEventTypes
from plinth.gateway.webhooks.http import router
from plinth.gateway.webhooks.model import Answer, EndpointStatus
from plinth.identity import Role
from plinth.kit.errors import NotFound
from plinth.kit.secrets import InstanceKey, SecretUnreadable
from support import Caller, actor, client_for
from unit.gateway.webhooks.conftest import DRAFT, MakeWorld, World

sdk = OpenAI(api_key="none")
BODY = {"name": "Builds", "url": "https://hooks.example/x", "event_types": ["batch.completed"]}


def test_a_new_endpoint_shows_its_secret_once_and_stores_it_sealed(world: World) -> None:
    issued = world.create()
    kept = world.endpoint(issued.endpoint.id)
    assert issued.signing_secret.startswith("whsec_")
    assert (kept.name, kept.url, kept.event_types) == (DRAFT.name, DRAFT.url, DRAFT.event_types)
    assert issued.signing_secret[6:] not in kept.secret
    assert issued.signing_secret not in repr(issued)
    assert kept.secret not in repr(kept)
    action, target, detail = world.audited[0]
    assert (action, target, detail["host"]) == ("webhook_endpoint.created", kept.id, "hooks.example")
    assert "/plinth" not in json.dumps(detail)
    assert "gateway.webhook_endpoint.created" in world.kinds()


def test_a_secret_sealed_for_one_endpoint_opens_no_other(world: World) -> None:
    one, two = world.create().endpoint, world.create().endpoint
    swapped = dataclasses.replace(one, secret=two.secret)
    with pytest.raises(SecretUnreadable):
        world.service.deliveries.sample(swapped, "batch.completed")


def test_limits(make_world: MakeWorld) -> None:
    world = make_world(max_endpoints_per_project=2)
    world.create(), world.create()
    with pytest.raises(TooManyEndpoints):
        world.create()
    assert world.create(project_id="proj_b").endpoint.project_id == "proj_b"


def test_bad_drafts_leave_nothing_behind(world: World) -> None:
    for changes, error in (
        ({"url": "http://127.0.0.1/"}, BadEndpointUrl),
        ({"event_types": ("x",)}, UnknownEventTypes),
    ):
        with pytest.raises(error):
            world.create(**changes)
    with world.db.read() as session:
        assert world.service.endpoints(session, "proj_a", None, 10) == []
    assert world.audited == []


def test_an_update_that_changes_nothing_is_not_noted(world: World) -> None:
    endpoint = world.create().endpoint
    world.clock.advance(60)
    assert world.update(endpoint.id, name="Builds").updated_at == endpoint.updated_at
    changed = world.update(endpoint.id, name="Batches", event_types=("batch.failed",))
    assert (changed.name, changed.event_types, changed.url) == ("Batches", ("batch.failed",), endpoint.url)
    assert changed.updated_at == endpoint.updated_at + 60
    assert [action for action, _, _ in world.audited] == ["webhook_endpoint.created", "webhook_endpoint.updated"]


def test_a_person_disables_and_enables(world: World) -> None:
    endpoint = world.create().endpoint
    disabled = world.update(endpoint.id, status=EndpointStatus.disabled)
    assert (disabled.status, disabled.disabled_reason) == ("disabled", "a person disabled it.")
    world.happen()
    assert world.deliveries() == []
    enabled = world.update(endpoint.id, status=EndpointStatus.active)
    assert (enabled.status, enabled.disabled_reason) == ("active", "")
    world.happen()
    assert len(world.deliveries()) == 1


def signatures(world: World, endpoint_id: str, *secrets: str) -> list[bool]:
    with world.db.read() as session:
        outgoing = world.service.sample(session, "proj_a", endpoint_id, "batch.completed")
    accepted = []
    for secret in secrets:
        try:
            sdk.webhooks.unwrap(outgoing.body, outgoing.headers, secret=secret)
            accepted.append(True)
        except InvalidWebhookSignatureError:
            accepted.append(False)
    return accepted


def rotate(world: World, endpoint_id: str, *, keep_old: bool) -> str:
    with world.db.write() as session:
        return world.service.rotate(session, actor(), endpoint_id, keep_old=keep_old).signing_secret


def test_rotation_with_and_without_overlap(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", world.clock.unix)
    issued = world.create()
    id, first = issued.endpoint.id, issued.signing_secret
    second = rotate(world, id, keep_old=True)
    assert world.endpoint(id).secret_hint.endswith(second.rstrip("=")[-4:])
    assert signatures(world, id, first, second) == [True, True]
    world.clock.advance(24 * 3600 - 1)
    assert signatures(world, id, first, second) == [True, True]
    world.clock.advance(1)
    assert signatures(world, id, first, second) == [False, True]
    third = rotate(world, id, keep_old=False)
    assert signatures(world, id, second, third) == [False, True]
    assert [detail for action, _, detail in world.audited if action.endswith("rotated")] == [
        {"old_secret_kept": True},
        {"old_secret_kept": False},
    ]


def test_a_lost_instance_key_is_an_error_that_says_so_and_loses_no_delivery(world: World) -> None:
    endpoint = world.create().endpoint
    world.happen()
    key = world.service.deliveries._key
    world.service.deliveries._key = InstanceKey(b"x" * 32)
    assert world.loop.run_once() == 1
    assert "instance key has changed" in world.deliveries()[0].last_error
    world.service.deliveries._key = key
    world.clock.advance(60)
    assert world.loop.run_once() == 1
    assert world.deliveries()[0].status == "delivered"
    assert world.endpoint(endpoint.id).failing_since is None


def test_over_http(world: World) -> None:
    caller = Caller()
    with client_for(router(world.db, world.service, caller.guard)) as client:
        created = client.post("/v1/webhook_endpoints", json=BODY).json()
        path = f"/v1/webhook_endpoints/{created['id']}"
        assert created["signing_secret"].startswith("whsec_")
        assert "signing_secret" not in client.get(path).json()
        assert client.get("/v1/webhook_event_types").json()["data"][0] == "batch.cancelled"
        tried = client.post(f"{path}/test", json={"event_type": "batch.failed"}).json()
        assert (tried["object"], tried["status_code"], tried["success"]) == ("webhook_endpoint.test", 200, True)
        sent = world.sender.sent[0]
        assert (sent.url, json.loads(sent.body)["type"]) == (BODY["url"], "batch.failed")
        world.sender.answers = lambda _outgoing: Answer(error="the host name is not known.")
        failed = client.post(f"{path}/test", json={"event_type": "batch.failed"})
        assert (failed.status_code, failed.json()["error"]["code"]) == (422, "webhook_sample_not_delivered")
        assert "not known" in failed.json()["error"]["message"]
        assert client.post(f"{path}/test", json={"event_type": "video.failed"}).status_code == 400
        assert client.get("/api/webhook_deliveries").json()["data"] == []
        gone = {"id": created["id"], "object": "webhook_endpoint.deleted", "deleted": True}
        assert client.delete(path).json() == gone
        assert client.get(path).status_code == 404


def test_another_projects_endpoint_is_not_there(world: World) -> None:
    endpoint, caller = world.create().endpoint, Caller(actor("proj_b"))
    world.happen()
    delivery = world.deliveries()[0]
    path = f"/v1/webhook_endpoints/{endpoint.id}"
    with client_for(router(world.db, world.service, caller.guard)) as client:
        answers = [
            client.get(path),
            client.post(path, json={"name": "mine"}),
            client.post(f"{path}/rotate_secret", json={}),
            client.post(f"{path}/test", json={"event_type": "batch.failed"}),
            client.delete(path),
            client.get(f"/api/webhook_deliveries/{delivery.id}"),
            client.post(f"/api/webhook_deliveries/{delivery.id}/redeliver"),
        ]
        assert [answer.status_code for answer in answers] == [404] * 7
        assert client.get("/v1/webhook_endpoints").json()["data"] == []
        assert client.get("/api/webhook_deliveries").json()["data"] == []
    assert world.endpoint(endpoint.id) == endpoint
    with pytest.raises(NotFound), world.db.write() as session:
        world.service.delete(session, actor("proj_b"), endpoint.id)


@pytest.mark.parametrize(
    ("role", "statuses"), [(Role.viewer, [200, 403, 403, 403]), (Role.developer, [200, 403, 200, 200])]
)
def test_only_administrators_choose_where_data_goes(world: World, role: Role, statuses: list[int]) -> None:
    endpoint, caller = world.create().endpoint, Caller(actor(role=role))
    world.happen()
    with client_for(router(world.db, world.service, caller.guard)) as client:
        answers = [
            client.get("/v1/webhook_endpoints"),
            client.post("/v1/webhook_endpoints", json=BODY),
            client.post(f"/v1/webhook_endpoints/{endpoint.id}/test", json={"event_type": "batch.failed"}),
            client.post(f"/api/webhook_deliveries/{world.deliveries()[0].id}/redeliver"),
        ]
    assert [answer.status_code for answer in answers] == statuses
