"""Policies of a project through its API: set, list, try, delete; audited and announced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from plinth.adapters.detectors.identifiers import IdentifierDetector
from plinth.identity import Role
from plinth.kit import events
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database, Session
from plinth.privacy import Action, DataClass, Policy, PrivacyGuard, PrivacyService, PrivacySettings
from plinth.privacy.http import router
from support import Caller, actor, client_for

STRICT = {"classes": {"personal": "block"}, "kinds": {"email": "allow"}, "scope": "every", "answers": True}


class Stage:
    def __init__(self, db: Database, clock: FixedClock) -> None:
        self.db, self.clock, self.caller = db, clock, Caller()
        self.audited: list[tuple[str, str, dict[str, Any]]] = []
        self.users: dict[str, str] = {}
        guard = PrivacyGuard([IdentifierDetector()], PrivacySettings(), clock)
        self.service = PrivacyService(clock, guard, self._audit, self._user)

    def _audit(self, _session: Session, _actor: Any, action: str, target: str, detail: dict[str, Any]) -> None:
        self.audited.append((action, target, detail))

    def _user(self, _session: Session, project_id: str, name: str) -> str | None:
        return self.users.get(f"{project_id}/{name}")

    def announced(self) -> int:
        with self.db.read() as session:
            return events.latest_seq(session)

    def snapshot(self) -> dict[tuple[str, str], Policy]:
        with self.db.read() as session:
            return self.service.snapshot(session)


@pytest.fixture
def stage(db: Database, clock: FixedClock) -> Stage:
    return Stage(db, clock)


@pytest.fixture
def client(stage: Stage) -> Iterator[TestClient]:
    with client_for(router(stage.db, stage.service, stage.caller.guard)) as client:
        yield client


def test_the_built_in_default_is_shown_until_it_is_set(stage: Stage, client: TestClient) -> None:
    listed = client.get("/api/privacy/policies").json()["data"]
    assert [policy["name"] for policy in listed] == ["default"]
    assert listed[0]["classes"] == {"public": "allow", "internal": "mask", "personal": "mask", "secret": "mask"}
    assert listed[0]["created_at"] is None
    assert client.get("/api/privacy/policies/default").json() == listed[0]
    assert stage.snapshot() == {}


def test_a_policy_is_set_announced_and_audited_once(stage: Stage, client: TestClient) -> None:
    put = client.put("/api/privacy/policies/strict", json=STRICT)
    assert put.status_code == 200, put.text
    assert put.json()["classes"]["personal"] == "block"
    assert put.json()["classes"]["internal"] == "mask"
    stage.clock.advance(10)
    assert client.put("/api/privacy/policies/strict", json=STRICT).json() == put.json()
    assert stage.announced() == 1
    assert [(action, target) for action, target, _ in stage.audited] == [("privacy.policy.changed", "strict")]
    policy = stage.snapshot()["proj_a", "strict"]
    assert policy.action("email") is Action.allow
    assert policy.action("phone") is Action.block
    assert policy.refuses(DataClass.personal)
    assert policy.answers


def test_replacing_keeps_the_day_it_was_made(stage: Stage, client: TestClient) -> None:
    made = client.put("/api/privacy/policies/strict", json=STRICT).json()
    stage.clock.advance(60)
    changed = client.put("/api/privacy/policies/strict", json={}).json()
    assert changed["created_at"] == made["created_at"]
    assert changed["updated_at"] == made["updated_at"] + 60
    assert changed["answers"] is False
    assert stage.audited[1][2]["previous"]["answers"] is True


def test_deleting_brings_the_built_in_default_back(stage: Stage, client: TestClient) -> None:
    client.put("/api/privacy/policies/default", json=STRICT)
    assert client.delete("/api/privacy/policies/default").json()["deleted"] is True
    assert client.get("/api/privacy/policies/default").json()["classes"]["personal"] == "mask"
    assert client.delete("/api/privacy/policies/default").status_code == 404
    assert stage.announced() == 2


def test_a_policy_in_use_stays(stage: Stage, client: TestClient) -> None:
    client.put("/api/privacy/policies/strict", json=STRICT)
    stage.users["proj_a/strict"] = "the route 'chat'"
    refused = client.delete("/api/privacy/policies/strict")
    assert refused.status_code == 409
    assert "the route 'chat'" in refused.json()["error"]["message"]
    stage.users.clear()
    assert client.delete("/api/privacy/policies/strict").status_code == 200


def test_another_projects_policies_do_not_exist(stage: Stage, client: TestClient) -> None:
    client.put("/api/privacy/policies/strict", json=STRICT)
    stage.caller.actor = actor("proj_b")
    assert client.get("/api/privacy/policies/strict").status_code == 404
    assert client.delete("/api/privacy/policies/strict").status_code == 404
    assert client.post("/api/privacy/scan", json={"text": "x", "policy": "strict"}).status_code == 404


def test_only_those_who_run_the_project_change_policies(stage: Stage, client: TestClient) -> None:
    stage.caller.actor = actor(role=Role.developer)
    assert client.put("/api/privacy/policies/strict", json=STRICT).status_code == 403
    assert client.delete("/api/privacy/policies/default").status_code == 403
    assert client.get("/api/privacy/policies").status_code == 200


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("strict", {"kinds": {"emial": "block"}}, "emial"),
        ("strict", {"kinds": {"email": "drop"}}, "kinds.email"),
        ("strict", {"classes": {"private": "mask"}}, "classes.private"),
        (".hidden", {}, "64 letters"),
        ("a" * 65, {}, "64 letters"),
    ],
)
def test_what_would_protect_nothing_is_refused(client: TestClient, name: str, body: dict[str, Any], says: str) -> None:
    refused = client.put(f"/api/privacy/policies/{name}", json=body)
    assert refused.status_code == 400
    assert says in refused.json()["error"]["message"]


def test_trying_a_text(client: TestClient) -> None:
    tried = client.post("/api/privacy/scan", json={"text": "🙂电话13800138000"}).json()
    assert tried["sent"] == "🙂电话<PHONE_1>"
    assert tried["findings"] == [
        {"kind": "phone", "data_class": "personal", "start": 3, "end": 14, "score": 0.9, "action": "mask"}
    ]
    client.put("/api/privacy/policies/strict", json=STRICT)
    blocked = client.post("/api/privacy/scan", json={"text": "电话13800138000", "policy": "strict"}).json()
    assert blocked["sent"] is None
    assert blocked["blocked"] == ["phone"]
    declared = client.post(
        "/api/privacy/scan", json={"text": "plans", "policy": "strict", "data_class": "personal"}
    ).json()
    assert declared["blocked"] == ["personal data"]


def test_a_text_that_is_too_long_to_try_is_refused(client: TestClient) -> None:
    assert client.post("/api/privacy/scan", json={"text": "x" * 200_001}).status_code == 400
