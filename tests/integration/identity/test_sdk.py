"""The official SDK runs an organization on this server."""

from __future__ import annotations

import time
from typing import Any

import httpx
import openai
import pytest


def post(site: Any, path: str, body: dict[str, Any], key: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key or site.first.admin_key_secret}"}
    return httpx.post(f"{site.url}{path}", json=body, headers=headers)


def me(site: Any, key: str) -> httpx.Response:
    return httpx.get(f"{site.url}/api/me", headers={"Authorization": f"Bearer {key}"})


def test_projects(site: Any) -> None:
    projects = site.sdk().admin.organization.projects
    made = projects.create(name="  Support  ")
    assert (made.name, made.status, made.object, made.archived_at) == (
        "Support",
        "active",
        "organization.project",
        None,
    )
    assert made.created_at == int(site.clock.unix())
    assert projects.update(made.id, name="Care").name == "Care"
    assert projects.retrieve(made.id).name == "Care"
    assert [p.name for p in projects.list()] == ["Default project", "Care"]
    assert projects.archive(made.id).status == "archived"
    assert projects.archive(made.id).archived_at == int(site.clock.unix())
    assert [p.name for p in projects.list()] == ["Default project"]
    assert [p.name for p in projects.list(include_archived=True)] == ["Default project", "Care"]
    with pytest.raises(openai.ConflictError, match="archived"):
        projects.update(made.id, name="Again")
    with pytest.raises(openai.NotFoundError):
        projects.retrieve("proj_unknown")


def test_lists_page_by_themselves(site: Any) -> None:
    admin = site.sdk().admin.organization
    names = [f"p{number}" for number in range(5)]
    for name in names:
        admin.projects.create(name=name)
    first = admin.projects.list(limit=2)
    assert [p.name for p in first.data] == ["Default project", "p0"]
    assert [p.name for p in first] == ["Default project", *names]
    keys = [admin.admin_api_keys.create(name=name).id for name in names]
    listed = [key.id for key in admin.admin_api_keys.list(limit=2, order="desc")]
    assert listed[:-1] == keys[::-1]
    emails = [f"{name}@example.com" for name in names]
    for email in emails:
        post(site, "/api/users", {"email": email, "name": "x", "role": "reader"}).raise_for_status()
    assert [u.email for u in admin.users.list(limit=2)] == ["owner@localhost", *emails]
    assert [u.email for u in admin.users.list(emails=emails[1:3])] == emails[1:3]
    assert len(list(admin.audit_logs.list(limit=3, event_types=["user.added"]))) == 6


def test_a_service_account_from_birth_to_death(site: Any) -> None:
    admin, project_id = site.sdk().admin.organization, site.first.project.id
    accounts = admin.projects.service_accounts
    made = accounts.create(project_id, name="robot", expires_in_seconds=3600)
    assert (made.role, made.object) == ("member", "organization.project.service_account")
    assert made.api_key is not None
    assert made.api_key.expires_at == int(site.clock.unix()) + 3600
    who = me(site, made.api_key.value).json()
    assert who["principal"] == f"service_account:{made.id}"
    assert who["role"] == "developer"
    second = accounts.api_keys.create(made.id, project_id=project_id, name="second")
    assert me(site, second.value).status_code == 200
    listed = admin.projects.api_keys.list(project_id)
    owners = {key.id: key.owner.service_account.id for key in listed if key.owner.service_account}
    assert owners == {made.api_key.id: made.id, second.id: made.id}
    changed = accounts.update(made.id, project_id=project_id, role="owner", name="chief robot")
    assert (changed.role, changed.name) == ("owner", "chief robot")
    assert "project:write" in me(site, second.value).json()["permissions"]
    assert accounts.retrieve(made.id, project_id=project_id).name == "chief robot"
    assert [a.id for a in accounts.list(project_id)] == [made.id]
    assert accounts.delete(made.id, project_id=project_id).deleted
    assert me(site, second.value).status_code == 401
    with pytest.raises(openai.NotFoundError):
        accounts.retrieve(made.id, project_id=project_id)


def test_a_service_account_without_a_role_may_do_nothing(site: Any) -> None:
    project_id = site.first.project.id
    accounts = site.sdk().admin.organization.projects.service_accounts
    bare = accounts.create(project_id, name="robot", create_service_account_only=True)
    assert (bare.role, bare.api_key) == ("none", None)
    key = accounts.api_keys.create(bare.id, project_id=project_id)
    assert me(site, key.value).json()["permissions"] == []
    with pytest.raises(openai.BadRequestError):
        accounts.create(project_id, name="x", create_service_account_only=True, expires_in_seconds=5)


def test_project_keys(site: Any) -> None:
    keys, project_id = site.sdk().admin.organization.projects.api_keys, site.first.project.id
    made = post(site, f"/api/projects/{project_id}/api_keys", {"name": "laptop", "expires_in_seconds": 600}).json()
    assert made["value"].startswith("sk-proj-")
    found = keys.retrieve(made["id"], project_id=project_id)
    assert "value" not in found.to_dict()
    assert (found.name, found.owner_project_access, found.last_used_at) == ("laptop", "active", None)
    assert found.owner.user is not None
    assert found.owner.user.email == "owner@localhost"
    assert found.redacted_value == made["redacted_value"]
    assert found.expires_at == int(site.clock.unix()) + 600
    assert keys.update(made["id"], project_id=project_id, expires_in_seconds=60).expires_at == made["created_at"] + 60
    with pytest.raises(openai.BadRequestError, match="scopes"):
        keys.update(made["id"], project_id=project_id, scopes=["api.all.read"])
    rotated = post(site, f"/api/projects/{project_id}/api_keys/{made['id']}/rotate", {"grace_seconds": 30}).json()
    assert rotated["id"] == made["id"]
    assert [me(site, secret).status_code for secret in (made["value"], rotated["value"])] == [200, 200]
    site.clock.advance(30)
    assert [me(site, secret).status_code for secret in (made["value"], rotated["value"])] == [401, 200]
    assert [key.id for key in keys.list(project_id, owner_project_access="active")][-1] == made["id"]
    assert list(keys.list(project_id, owner_project_access="inactive")) == []
    assert keys.delete(made["id"], project_id=project_id).object == "organization.project.api_key.deleted"
    assert me(site, rotated["value"]).status_code == 401


def test_last_use_is_noted_once_a_minute(site: Any) -> None:
    keys, project_id = site.sdk().admin.organization.projects.api_keys, site.first.project.id
    key_id = me(site, site.first.project_key_secret).json()["api_key"]["id"]

    def last_used() -> int | None:
        value: int | None = keys.retrieve(key_id, project_id=project_id).last_used_at
        return value

    started = int(site.clock.unix())
    assert eventually(last_used, started) == started
    site.clock.advance(59)
    me(site, site.first.project_key_secret)
    site.clock.advance(1)
    me(site, site.first.project_key_secret)
    assert eventually(last_used, started + 60) == started + 60


def eventually(read: Any, wanted: Any) -> Any:
    """It is written after the response was sent, so it can come a moment later."""
    for _ in range(200):
        if read() == wanted:
            break
        time.sleep(0.01)
    return read()


def test_admin_keys(site: Any) -> None:
    keys = site.sdk().admin.organization.admin_api_keys
    made = keys.create(name="deploy", expires_in_seconds=60)
    assert made.value.startswith("sk-admin-")
    assert made.owner.role == "owner"
    assert made.expires_at == made.created_at + 60
    found = keys.retrieve(made.id)
    assert "value" not in found.to_dict()
    rotated = post(site, f"/api/admin_api_keys/{made.id}/rotate", {}).json()
    assert me(site, made.value).status_code == 401
    assert site.sdk(rotated["value"]).admin.organization.admin_api_keys.retrieve(made.id).id == made.id
    site.clock.advance(60)
    assert me(site, rotated["value"]).status_code == 401
    assert keys.delete(made.id).deleted
    (last,) = keys.list()
    with pytest.raises(openai.ConflictError, match="last admin key"):
        keys.delete(last.id)


def test_users_and_their_roles(site: Any) -> None:
    admin, project_id = site.sdk().admin.organization, site.first.project.id
    made = post(site, "/api/users", {"email": "Ann@Example.com", "name": "Ann", "role": "reader"}).json()
    again = post(site, "/api/users", {"email": "ann@example.com", "name": "Ann", "role": "reader"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "email_taken")
    user = admin.users.retrieve(made["id"])
    assert (user.email, user.role) == ("ann@example.com", "reader")
    member = admin.projects.users.create(project_id, email="ann@example.com", role="member")
    assert (member.id, member.role) == (made["id"], "member")
    assert admin.projects.users.update(made["id"], project_id=project_id, role="annotator").role == "annotator"
    assert admin.projects.users.retrieve(made["id"], project_id=project_id).role == "annotator"
    assert [m.email for m in admin.projects.users.list(project_id)] == ["owner@localhost", "ann@example.com"]
    projects = admin.users.retrieve(made["id"]).projects
    assert projects is not None
    assert [(p.id, p.role) for p in projects.data] == [(project_id, "annotator")]
    key = post(site, f"/api/projects/{project_id}/api_keys", {"name": "k", "user_id": made["id"]}).json()["value"]
    assert "labels:write" in me(site, key).json()["permissions"]
    assert admin.users.update(made["id"], role="admin").role == "admin"
    assert "project:write" in me(site, key).json()["permissions"]
    assert admin.users.update(made["id"], role_id="role-organization-viewer").role == "reader"
    with pytest.raises(openai.BadRequestError, match="no role"):
        admin.users.update(made["id"], role="king")
    assert admin.projects.users.delete(made["id"], project_id=project_id).deleted
    assert me(site, key).json()["permissions"] == []
    assert admin.users.delete(made["id"]).deleted
    assert me(site, key).status_code == 401
    owner = admin.users.list().data[0]
    with pytest.raises(openai.ConflictError, match="last owner"):
        admin.users.delete(owner.id)


def test_invites(site: Any) -> None:
    admin, project_id = site.sdk().admin.organization, site.first.project.id
    grants: Any = [{"id": project_id, "role": "member"}]
    made = admin.invites.create(email="bob@example.com", role="reader", projects=grants)
    assert (made.status, made.role, made.projects[0].role) == ("pending", "reader", "member")
    token = made.to_dict()["token"]
    assert "token" not in admin.invites.retrieve(made.id).to_dict()
    accepted = httpx.post(f"{site.url}/api/invites/accept", json={"token": token, "name": "Bob"}).json()
    assert accepted["user"]["email"] == "bob@example.com"
    assert me(site, accepted["api_keys"][0]["value"]).json()["role"] == "developer"
    assert admin.invites.retrieve(made.id).status == "accepted"
    other = admin.invites.create(email="eve@example.com", role="reader")
    assert [invite.id for invite in admin.invites.list()] == [made.id, other.id]
    assert admin.invites.delete(other.id).deleted
    refused = httpx.post(f"{site.url}/api/invites/accept", json={"token": other.to_dict()["token"], "name": "Eve"})
    assert refused.status_code == 404


def test_the_audit_log(site: Any) -> None:
    admin = site.sdk().admin.organization
    start = int(site.clock.unix())
    site.clock.advance(10)
    project = admin.projects.create(name="Support")
    robot = admin.projects.service_accounts.create(project.id, name="robot")
    admin.projects.archive(project.id)
    entries = list(
        admin.audit_logs.list(
            event_types=["project.created", "project.archived", "api_key.created"], effective_at={"gt": start}
        )
    )
    assert [entry.type for entry in entries] == ["project.archived", "api_key.created", "project.created"]
    created = entries[-1]
    assert created.project_created is not None
    assert created.project_created.id == project.id
    assert created.project_created.data is not None
    assert created.project_created.data.name == "Support"
    assert created.actor is not None
    assert created.actor.api_key is not None
    assert created.actor.api_key.user is not None
    assert created.actor.api_key.user.email == "owner@localhost"
    assert created.effective_at == start + 10
    assert robot.api_key is not None
    assert robot.api_key.value not in str(entries)
    by_project = admin.audit_logs.list(project_ids=[project.id], actor_ids=[created.actor.api_key.user.id or ""])
    assert {entry.project.id for entry in by_project if entry.project} == {project.id}
    newer = admin.audit_logs.list(before=created.id, limit=1, event_types=["project.archived", "project.created"])
    assert [entry.id for entry in newer.data] == [entries[0].id]


def test_roles_are_built_in(site: Any) -> None:
    admin, project_id = site.sdk().admin.organization, site.first.project.id
    roles = list(admin.roles.list())
    assert [role.name for role in roles] == ["owner", "admin", "developer", "annotator", "agent", "viewer"]
    assert all(role.predefined_role for role in roles)
    assert "organization:write" in admin.roles.retrieve("role-organization-owner").permissions
    agent = next(role for role in admin.projects.roles.list(project_id) if role.name == "agent")
    assert agent.permissions == ["desk:write", "models:read", "models:use"]
    assert admin.projects.roles.retrieve(agent.id, project_id=project_id).name == "agent"
    for attempt in (
        lambda: admin.roles.create(permissions=[], role_name="king"),
        lambda: admin.roles.update(agent.id, role_name="king"),
        lambda: admin.roles.delete(agent.id),
        lambda: admin.projects.roles.create(project_id, permissions=[], role_name="king"),
    ):
        with pytest.raises(openai.BadRequestError, match="built in"):
            attempt()


def test_a_project_key_is_no_admin_key(site: Any) -> None:
    intruder = site.sdk(site.first.project_key_secret).admin.organization
    with pytest.raises(openai.PermissionDeniedError, match="organization:read"):
        intruder.projects.list()
    with pytest.raises(openai.PermissionDeniedError, match="organization:write"):
        intruder.projects.create(name="mine")
    with pytest.raises(openai.AuthenticationError):
        site.sdk("sk-admin-wrong").admin.organization.projects.list()


def test_who_am_i(site: Any) -> None:
    mine = me(site, site.first.project_key_secret).json()
    assert mine["organization"]["name"] == "Acme"
    assert mine["project"]["id"] == site.first.project.id
    assert mine["owner"]["user"]["email"] == "owner@localhost"
    boss = me(site, site.first.admin_key_secret).json()
    assert (boss["project"], boss["permissions"]) == (
        None,
        ["catalog:write", "organization:read", "organization:write"],
    )
    token = site.service.internal_token(site.first.project.id, 60)
    ours = me(site, token).json()
    assert (ours["principal"], ours["api_key"]) == ("internal", None)
    site.clock.advance(60)
    assert me(site, token).status_code == 401
