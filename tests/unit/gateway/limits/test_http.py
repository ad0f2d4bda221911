"""The official SDK against the real routes, and /api/limits with every kind of key."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from openai import BadRequestError, NotFoundError, OpenAI, PermissionDeniedError

from plinth.gateway.limits.http import router
from plinth.gateway.limits.model import MAX_COUNT, NANOS
from plinth.identity.http import build_guard
from plinth.kit import http
from unit.gateway.limits.conftest import World

CHANNEL = {"type": "email", "recipients": ["ops@example.com"], "subject_prefix": "[plinth]"}


@pytest.fixture
def app(world: World) -> FastAPI:
    app = FastAPI()
    http.install(app)
    app.include_router(router(world.db, world.service, build_guard(world.db, world.identity)))
    return app


@pytest.fixture
def sdk(world: World, app: FastAPI) -> Iterator[Callable[[str], OpenAI]]:
    clients: list[OpenAI] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()

        def connect(admin_key: str) -> OpenAI:
            # strict: every answer is validated against the SDK's own types
            client = OpenAI(
                base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1",
                api_key="sk-proj-unused",
                admin_api_key=admin_key,
                max_retries=0,
                _strict_response_validation=True,
            )
            clients.append(client)
            return client

        yield connect
        for client in clients:
            client.close()
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture
def admin(world: World, sdk: Callable[[str], OpenAI]) -> OpenAI:
    return sdk(world.first.admin_key_secret)


def test_rate_limits(world: World, admin: OpenAI) -> None:
    rates = admin.admin.organization.projects.rate_limits
    listed = list(rates.list_rate_limits(world.project_id, limit=2))  # follows the pages
    assert [entry.model for entry in listed] == ["*", "chat", "ft:base:acme:x:1", "org/base"]
    assert {entry.max_tokens_per_1_minute for entry in listed} == {MAX_COUNT}
    changed = rates.update_rate_limit("rl-org/base", project_id=world.project_id, max_requests_per_1_minute=7)
    assert (changed.id, changed.max_requests_per_1_minute) == ("rl-org/base", 7)
    rates.update_rate_limit("rl-org/base", project_id=world.project_id, max_tokens_per_1_minute=900)
    (entry,) = [e for e in rates.list_rate_limits(world.project_id) if e.model == "org/base"]
    assert (entry.max_requests_per_1_minute, entry.max_tokens_per_1_minute) == (7, 900)
    page = rates.list_rate_limits(world.project_id, before="rl-org/base", limit=1)
    assert ([e.model for e in page.data], page.has_more) == (["ft:base:acme:x:1"], True)
    rates.update_rate_limit(
        "rl-org/base",
        project_id=world.project_id,
        max_requests_per_1_minute=MAX_COUNT,
        max_tokens_per_1_minute=MAX_COUNT,
    )
    with world.db.read() as session:
        assert world.service.limits(session, world.project) == []
    rates.update_rate_limit("rl-*", project_id=world.project_id, max_requests_per_1_minute=0)
    with world.db.read() as session:
        assert [limit.model for limit in world.service.limits(session, world.project)] == [""]


def test_rate_limits_say_what_cannot_be_done(world: World, admin: OpenAI) -> None:
    rates = admin.admin.organization.projects.rate_limits
    with pytest.raises(NotFoundError):
        rates.update_rate_limit("rl-nothing", project_id=world.project_id, max_requests_per_1_minute=7)
    with pytest.raises(NotFoundError):
        rates.list_rate_limits("proj_elsewhere")
    with pytest.raises(BadRequestError) as refusal:
        rates.update_rate_limit("rl-chat", project_id=world.project_id, max_images_per_1_minute=7)
    assert refusal.value.code == "rate_limit_unsupported"
    with pytest.raises(BadRequestError):
        rates.update_rate_limit("rl-chat", project_id=world.project_id, max_requests_per_1_minute=-1)


def test_model_permissions(world: World, admin: OpenAI) -> None:
    permissions = admin.admin.organization.projects.model_permissions
    assert permissions.retrieve(world.project_id).mode == "deny_list"
    permissions.update(world.project_id, mode="allow_list", model_ids=["chat", "org/base"])
    found = permissions.retrieve(world.project_id)
    assert (found.mode, found.api_model_ids) == ("allow_list", ["chat", "org/base"])
    assert permissions.retrieve(world.other_project).api_model_ids == []
    assert permissions.delete(world.project_id).deleted
    assert permissions.retrieve(world.project_id).mode == "deny_list"
    assert len(world.happened("gateway.model_permissions.changed")) == 2


@pytest.mark.parametrize("level", ["organization", "project"])
def test_spend_limit(world: World, admin: OpenAI, level: str) -> None:
    organization = admin.admin.organization
    limits, who = (
        (organization.spend_limit, ())
        if level == "organization"
        else (organization.projects.spend_limit, (world.project_id,))
    )
    with pytest.raises(NotFoundError):
        limits.retrieve(*who)
    made = limits.update(*who, currency="USD", interval="month", threshold_amount=1250)
    assert (made.threshold_amount, made.enforcement.status) == (1250, "inactive")
    assert made.object == f"{level}.spend_limit"
    subject = world.admin.organization_id if level == "organization" else world.project_id
    world.spending.book(world.clock.unix(), level, subject, 1250 * NANOS // 100)
    assert limits.retrieve(*who).enforcement.status == "enforcing"
    assert limits.delete(*who).object == f"{level}.spend_limit.deleted"
    with pytest.raises(NotFoundError):
        limits.delete(*who)


@pytest.mark.parametrize("level", ["organization", "project"])
def test_spend_alerts(world: World, admin: OpenAI, level: str) -> None:
    organization = admin.admin.organization
    if level == "organization":
        alerts, one, where = organization.spend_alerts, {}, ()
    else:
        alerts = organization.projects.spend_alerts
        one, where = {"project_id": world.project_id}, (world.project_id,)
    fields = {"currency": "USD", "interval": "month", "notification_channel": CHANNEL}
    made = [alerts.create(*where, threshold_amount=amount, **fields) for amount in (100, 200, 300)]
    assert made[0].object == f"{level}.spend_alert"
    assert made[0].notification_channel.recipients == ["ops@example.com"]
    assert [a.threshold_amount for a in alerts.list(*where, limit=2)] == [100, 200, 300]
    assert [a.threshold_amount for a in alerts.list(*where, order="desc", limit=1)] == [300, 200, 100]
    changed = alerts.update(made[1].id, threshold_amount=250, **fields, **one)
    assert (changed.id, changed.threshold_amount) == (made[1].id, 250)
    assert alerts.retrieve(made[1].id, **one).threshold_amount == 250
    assert alerts.delete(made[0].id, **one).deleted
    with pytest.raises(NotFoundError):
        alerts.retrieve(made[0].id, **one)
    with pytest.raises(BadRequestError):
        alerts.create(*where, threshold_amount=1, **{**fields, "currency": "CNY"})


def test_a_project_key_may_not_use_the_organizations_routes(world: World, sdk: Callable[[str], OpenAI]) -> None:
    with pytest.raises(PermissionDeniedError):
        sdk(world.first.project_key_secret).admin.organization.projects.model_permissions.retrieve(world.project_id)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def test_own_limits(world: World, client: TestClient) -> None:
    admin = bearer(world.first.admin_key_secret)
    path = f"/api/limits/key/{world.member.key_id}"
    body = {"model": "chat", "requests_per_minute": 5, "concurrent_requests": 2}
    made = client.put(path, json=body, headers=admin).json()
    assert {**made, **body} == made
    assert made["tokens_per_minute"] is None
    # replaced, not merged
    assert client.put(path, json={"model": "chat", "tokens_per_minute": 9}, headers=admin).json()["id"] == made["id"]
    shown = client.get(path, headers=admin).json()
    assert [(e["model"], e["requests_per_minute"], e["tokens_per_minute"]) for e in shown["limits"]] == [
        ("chat", None, 9)
    ]
    assert client.put(path, json={"model": "chat"}, headers=admin).json()["error"]["code"] == "limit_without_value"
    assert client.delete(path, headers=admin).status_code == 404
    assert client.delete(path, params={"model": "chat"}, headers=admin).json()["deleted"] is True
    assert client.get("/api/limits", headers=admin).json()["data"] == []


def test_a_project_narrows_its_keys_but_not_itself(world: World, client: TestClient) -> None:
    owner, body = bearer(world.first.project_key_secret), {"requests_per_minute": 5}
    stranger = bearer(world.secret(world.other_project))
    key, project = f"/api/limits/key/{world.member.key_id}", f"/api/limits/project/{world.project_id}"
    assert client.put(key, json=body, headers=owner).status_code == 200
    assert client.put(project, json=body, headers=owner).status_code == 403
    assert client.put(f"/api/limits/project/{world.other_project}", json=body, headers=owner).status_code == 404
    organization = f"/api/limits/organization/{world.admin.organization_id}"
    assert client.put(organization, json=body, headers=owner).status_code == 404
    assert client.get(project, headers=owner).status_code == 200
    for path in (key, project):
        assert client.get(path, headers=stranger).status_code == 404
        assert client.put(path, json=body, headers=stranger).status_code == 404
        assert client.delete(path, headers=stranger).status_code == 404
    assert client.get("/api/limits", headers=stranger).json()["data"] == []
    assert len(client.get("/api/limits", headers=owner).json()["data"]) == 1
    assert client.get(key).status_code == 401


def test_own_budgets(world: World, client: TestClient) -> None:
    admin = bearer(world.first.admin_key_secret)
    path = f"/api/limits/project/{world.project_id}/budgets/day"
    assert client.get(path, headers=admin).status_code == 404
    body = {"amount": "0.000000003", "currency": "USD", "hard": False, "alert_percent": [90, 50, 90]}
    made = client.put(path, json=body, headers=admin).json()
    assert (made["amount"], made["hard"], made["alert_percent"]) == ("0.000000003", False, [50, 90])
    world.spending.book(world.clock.unix(), "project", world.project_id, 4)
    assert client.get(path, headers=admin).json()["spent"] == "0.000000004"
    assert client.get(path, headers=admin).json()["enforcing"] is False
    assert client.put(path, json={"amount": 12.5, "currency": "USD"}, headers=admin).json()["amount"] == "12.50"
    for bad in ({"amount": -1}, {"amount": "0.0000000001"}, {"amount": 1e30}, {"alert_percent": [0]}):
        assert client.put(path, json={"amount": 1, "currency": "USD"} | bad, headers=admin).status_code == 400
    assert client.delete(path, headers=admin).json()["deleted"] is True


def test_own_model_permissions_of_a_key(world: World, client: TestClient) -> None:
    admin = bearer(world.first.admin_key_secret)
    path = f"/api/limits/key/{world.member.key_id}/models"
    made = client.put(path, json={"mode": "deny_list", "model_ids": ["chat"]}, headers=admin).json()
    assert made == {"object": "key.model_permissions", "mode": "deny_list", "model_ids": ["chat"]}
    assert client.get(path, headers=admin).json() == made
    organization = f"/api/limits/organization/{world.admin.organization_id}/models"
    assert client.put(organization, json=made, headers=admin).status_code == 400
    assert client.delete(path, headers=admin).json()["deleted"] is True
    assert client.get(path, headers=admin).json()["model_ids"] == []


def test_changes_are_in_the_audit_log(world: World, client: TestClient) -> None:
    admin = bearer(world.first.admin_key_secret)
    client.put(f"/api/limits/key/{world.member.key_id}", json={"requests_per_minute": 5}, headers=admin)
    with world.db.read() as session:
        from plinth.identity import AuditQuery

        entries = world.identity.log.page(session, world.admin.organization_id, AuditQuery(limit=1)).entries
    assert [(e.type, e.target, e.detail["requests_per_minute"]) for e in entries] == [
        ("rate_limit.updated", world.member.key_id, 5)
    ]
