"""Who may call what: every route of identity, tried with every kind of key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, Depends, Request
from fastapi.testclient import TestClient

from plinth.identity import PERMISSIONS, IdentityService, KeyDraft, Role
from plinth.identity.guard import AuthGuard
from plinth.identity.http import build_guard, router
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.secrets import InstanceKey
from support import client_for

READ, WRITE, ISSUE, ANYBODY, OPEN = "organization:read", "organization:write", "project:write", "anybody", "open"
PROJECT = "/v1/organization/projects/{project_id}"
ROUTES = {
    ("GET", "/v1/organization/projects"): READ,
    ("POST", "/v1/organization/projects"): WRITE,
    ("GET", PROJECT): READ,
    ("POST", PROJECT): WRITE,
    ("POST", f"{PROJECT}/archive"): WRITE,
    ("GET", f"{PROJECT}/service_accounts"): READ,
    ("POST", f"{PROJECT}/service_accounts"): WRITE,
    ("GET", f"{PROJECT}/service_accounts/{{account_id}}"): READ,
    ("POST", f"{PROJECT}/service_accounts/{{account_id}}"): WRITE,
    ("DELETE", f"{PROJECT}/service_accounts/{{account_id}}"): WRITE,
    ("POST", f"{PROJECT}/service_accounts/{{account_id}}/api_keys"): WRITE,
    ("GET", f"{PROJECT}/api_keys"): READ,
    ("GET", f"{PROJECT}/api_keys/{{key_id}}"): READ,
    ("POST", f"{PROJECT}/api_keys/{{key_id}}"): WRITE,
    ("DELETE", f"{PROJECT}/api_keys/{{key_id}}"): WRITE,
    ("GET", f"{PROJECT}/users"): READ,
    ("POST", f"{PROJECT}/users"): WRITE,
    ("GET", f"{PROJECT}/users/{{user_id}}"): READ,
    ("POST", f"{PROJECT}/users/{{user_id}}"): WRITE,
    ("DELETE", f"{PROJECT}/users/{{user_id}}"): WRITE,
    ("GET", "/v1/organization/users"): READ,
    ("GET", "/v1/organization/users/{user_id}"): READ,
    ("POST", "/v1/organization/users/{user_id}"): WRITE,
    ("DELETE", "/v1/organization/users/{user_id}"): WRITE,
    ("GET", "/v1/organization/invites"): READ,
    ("POST", "/v1/organization/invites"): WRITE,
    ("GET", "/v1/organization/invites/{invite_id}"): READ,
    ("DELETE", "/v1/organization/invites/{invite_id}"): WRITE,
    ("GET", "/v1/organization/admin_api_keys"): READ,
    ("POST", "/v1/organization/admin_api_keys"): WRITE,
    ("GET", "/v1/organization/admin_api_keys/{key_id}"): READ,
    ("DELETE", "/v1/organization/admin_api_keys/{key_id}"): WRITE,
    ("GET", "/v1/organization/audit_logs"): READ,
    ("GET", "/v1/organization/roles"): READ,
    ("POST", "/v1/organization/roles"): WRITE,
    ("GET", "/v1/organization/roles/{role_id}"): READ,
    ("POST", "/v1/organization/roles/{role_id}"): WRITE,
    ("DELETE", "/v1/organization/roles/{role_id}"): WRITE,
    ("GET", "/v1/projects/{project_id}/roles"): READ,
    ("POST", "/v1/projects/{project_id}/roles"): WRITE,
    ("GET", "/v1/projects/{project_id}/roles/{role_id}"): READ,
    ("POST", "/v1/projects/{project_id}/roles/{role_id}"): WRITE,
    ("DELETE", "/v1/projects/{project_id}/roles/{role_id}"): WRITE,
    ("POST", "/api/users"): WRITE,
    ("POST", "/api/admin_api_keys/{key_id}/rotate"): WRITE,
    ("POST", "/api/projects/{project_id}/api_keys"): ISSUE,
    ("POST", "/api/projects/{project_id}/api_keys/{key_id}/rotate"): ISSUE,
    ("GET", "/api/me"): ANYBODY,
    ("POST", "/api/invites/accept"): OPEN,
}


class House:
    """Two projects; in the first one a key for every role."""

    def __init__(self, db: Database, clock: FixedClock, client: TestClient, service: IdentityService) -> None:
        self.client, self.db = client, db
        with db.write() as session:
            first = service.bootstrap_organization(session, "Acme")
            admin = service.authenticate(session, first.admin_key_secret)
            self.project_id = first.project.id
            self.admin_key, self.owner_key = first.admin_key_secret, first.project_key_secret
            other = service.create_project(session, admin, "Other")
            self.other_id = other.id
            self.other_key = service.keys.create_project_key(session, admin, KeyDraft(other.id, "k")).key.id
            self.robot = service.create_service_account(session, admin, other.id, "robot").id
            self.keys = {}
            for role in Role:
                user = service.people.add_user(session, admin, f"{role}@example.com", role, Role.viewer)
                service.people.add_member(session, admin, self.project_id, user.id, role)
                draft = KeyDraft(self.project_id, "k", user.id)
                self.keys[role] = service.keys.create_project_key(session, admin, draft).secret
        self.internal = service.internal_token(self.project_id, 60)

    def call(self, method: str, path: str, key: str | None, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.client.request(method, path, headers=headers, json=body)


@pytest.fixture
def house(db: Database, clock: FixedClock) -> Iterator[House]:
    service = IdentityService(clock, InstanceKey(b"k" * 32))
    with client_for(router(db, service, build_guard(db, service))) as client:
        yield House(db, clock, client, service)


def concrete(house: House, path: str) -> str:
    path = path.replace("{project_id}", house.project_id)
    for name in ("key_id", "account_id", "user_id", "invite_id", "role_id"):
        path = path.replace(f"{{{name}}}", "unknown")
    return path


def test_the_table_names_every_route(house: House) -> None:
    paths = house.client.get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(ROUTES)


def test_role_times_permission_times_route(house: House) -> None:
    body = {"name": "x", "role": "viewer", "permissions": [], "role_name": "x", "token": "x"}
    for (method, path), needed in ROUTES.items():
        url = concrete(house, path)
        sent = body if method == "POST" else None
        for key in (None, "sk-proj-unknown", "sk-int-x.1.y"):
            status = house.call(method, url, key, sent).status_code
            assert (status == 401) is (needed != OPEN), (method, path, key, status)
        for role, key in [*house.keys.items(), (Role.developer, house.internal)]:
            status = house.call(method, url, key, sent).status_code
            allowed = needed in (ANYBODY, OPEN) or needed in PERMISSIONS[role]
            assert (status == 403) is not allowed, (method, path, role, status)
            assert status != 401
            assert status < 500
    # last, because it archives the project
    for method, path in ROUTES:
        status = house.call(
            method, concrete(house, path), house.admin_key, body if method == "POST" else None
        ).status_code
        assert status not in (401, 403), (method, path, status)
        assert status < 500


def test_no_project_key_ever_has_an_organization_permission() -> None:
    granted = frozenset[str]().union(*PERMISSIONS.values())
    assert not {p for p in granted if p.startswith("organization:")}


def test_another_projects_things_are_not_found(house: House) -> None:
    mine, other = house.project_id, house.other_id
    crossed = [
        ("GET", f"/v1/organization/projects/{mine}/api_keys/{house.other_key}", house.admin_key),
        ("DELETE", f"/v1/organization/projects/{mine}/api_keys/{house.other_key}", house.admin_key),
        ("POST", f"/api/projects/{mine}/api_keys/{house.other_key}/rotate", house.admin_key),
        ("GET", f"/v1/organization/projects/{mine}/service_accounts/{house.robot}", house.admin_key),
        ("DELETE", f"/v1/organization/projects/{mine}/service_accounts/{house.robot}", house.admin_key),
        ("POST", f"/v1/organization/projects/{mine}/service_accounts/{house.robot}/api_keys", house.admin_key),
        ("POST", f"/api/projects/{other}/api_keys", house.owner_key),
        ("POST", f"/api/projects/{other}/api_keys/{house.other_key}/rotate", house.owner_key),
        ("POST", f"/api/projects/{mine}/api_keys/{house.other_key}/rotate", house.owner_key),
    ]
    for method, path, key in crossed:
        body = {"name": "x"} if method == "POST" else None
        answer = house.call(method, path, key, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), (method, path)
    assert house.call(
        "GET", f"/v1/organization/projects/{other}/api_keys/{house.other_key}", house.admin_key
    ).is_success


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/organization/projects", {"name": ""}),
        ("POST", "/v1/organization/projects", {"name": "x" * 201}),
        ("POST", "/v1/organization/projects", {"name": "a\x00b"}),
        ("POST", "/v1/organization/projects", {"name": None}),
        ("POST", "/v1/organization/projects", []),
        ("GET", "/v1/organization/projects?limit=0", None),
        ("GET", "/v1/organization/projects?limit=101", None),
        ("GET", "/v1/organization/projects?after=%00", None),
        ("GET", "/v1/organization/projects/%00", None),
        ("GET", "/v1/organization/users?emails[]=%00", None),
        ("GET", "/v1/organization/audit_logs?effective_at[gt]=soon", None),
        ("GET", "/v1/organization/audit_logs?event_types[]=%00", None),
        ("GET", "/v1/organization/audit_logs?" + "&".join(["event_types[]=x"] * 101), None),
        ("POST", "/v1/organization/admin_api_keys", {"name": "x", "expires_in_seconds": 0}),
        ("POST", "/v1/organization/admin_api_keys", {"name": "x", "expires_in_seconds": 10**12}),
        ("POST", "/api/users", {"email": "nobody", "name": "x", "role": "viewer"}),
        ("POST", "/api/users", {"email": "a@b", "name": "x", "role": "king"}),
        ("POST", "/v1/organization/invites", {"email": "a@b", "role": "x"}),
        ("POST", "/v1/organization/invites", {"email": "a@b", "role": "viewer", "projects": [{"id": "p"}]}),
    ],
)
def test_bad_input_is_a_400_that_names_the_field(house: House, method: str, path: str, body: Any) -> None:
    answer = house.call(method, path, house.admin_key, body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


def test_errors_speak_chinese_when_asked(house: House) -> None:
    headers = {"Authorization": f"Bearer {house.admin_key}", "Accept-Language": "zh-CN"}
    answer = house.client.post("/v1/organization/roles", headers=headers, json={})
    assert answer.json()["error"]["code"] == "custom_roles_unsupported"
    assert "角色是内置的" in answer.json()["error"]["message"]


def test_no_answer_but_a_creation_shows_a_secret(house: House) -> None:
    answers = "".join(
        house.call(method, concrete(house, path), house.admin_key).text for method, path in ROUTES if method == "GET"
    )
    assert '"value"' not in answers
    assert '"token"' not in answers
    assert house.admin_key not in answers
    assert house.owner_key not in answers


def test_the_guard_leaves_the_actor_with_the_request(house: House, db: Database, clock: FixedClock) -> None:
    service = IdentityService(clock, InstanceKey(b"k" * 32))
    guard: AuthGuard = build_guard(db, service)
    routes = APIRouter()

    @routes.get("/probe", dependencies=[Depends(guard("models:use"))])
    def probe(request: Request) -> str:
        project_id: str = request.state.actor.project_id
        return project_id

    with client_for(routes) as client:
        for header in (f"Bearer {house.owner_key}", f"bearer {house.owner_key}"):
            assert client.get("/probe", headers={"Authorization": header}).json() == house.project_id
        for header in ("", "Bearer", f"Basic {house.owner_key}", house.owner_key, "Bearer  "):
            answer = client.get("/probe", headers={"Authorization": header})
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        denied = client.get("/probe", headers={"Authorization": f"Bearer {house.admin_key}"})
        assert (denied.status_code, denied.json()["error"]["code"]) == (403, "insufficient_permissions")
