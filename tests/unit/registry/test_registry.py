"""Versions, names, sharing: the decisions of `RegistryService` and their wire form."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from plinth.identity import Role
from plinth.kit import events
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.errors import BadInput, NotFound
from plinth.registry import (
    Artefact,
    ArtefactFile,
    ArtefactKind,
    InMemoryBases,
    MemoryBase,
    ModelInUse,
    NotModelOwner,
    PublicModel,
    RegistryService,
    UnknownModel,
    VersionDraft,
)
from plinth.registry.errors import BadModelName, BaseModelUndeletable, NameTaken, NothingToRollBack
from plinth.registry.http import router
from plinth.registry.model import ModelKind, version_id
from support import Caller, actor, client_for

DRAFT = VersionDraft(
    project_id="proj_a",
    organization="acme",
    base_id="smol",
    suffix="support",
    recipe={"method": "supervised", "seed": 1},
    code_version="0.1.0",
    artefacts=(Artefact(ArtefactKind.gguf_adapter, (ArtefactFile("adapter.gguf", "a" * 64, 10),)),),
    dataset_version_id="dsv-1",
    job_id="ftjob-1",
)


@pytest.fixture
def audited() -> list[tuple[str, str, dict[str, Any]]]:
    return []


@pytest.fixture
def bases() -> InMemoryBases:
    return InMemoryBases(MemoryBase("smol", shutdown_date="2030-01-31"), MemoryBase("org/e5"))


@pytest.fixture
def service(clock: FixedClock, bases: InMemoryBases, audited: list[Any]) -> RegistryService:
    def audit(_session: Any, _actor: Any, action: str, target: str, detail: dict[str, Any]) -> None:
        audited.append((action, target, detail))

    return RegistryService(clock, bases, lambda _session: ["proj_a", "proj_b"], audit)


def kinds(db: Database) -> set[str]:
    with db.read() as session:
        return events.kinds_between(session, 0, events.latest_seq(session))


def register(db: Database, service: RegistryService, **changes: Any) -> str:
    with db.write() as session:
        return service.register(session, dataclasses.replace(DRAFT, **changes)).id


def test_a_registered_version_keeps_its_lineage_and_is_announced(db: Database, service: RegistryService) -> None:
    id = register(db, service)
    assert re.fullmatch(r"ft:smol:acme:support:[0-9a-z]{8}", id)
    with db.read() as session:
        version = service.version(session, "proj_a", id)
        artefact = version.artefact(ArtefactKind.gguf_adapter)
    assert (version.base_id, version.dataset_version_id, version.job_id) == ("smol", "dsv-1", "ftjob-1")
    assert version.recipe == DRAFT.recipe
    assert artefact is not None
    assert artefact.files[0].digest == "a" * 64
    assert kinds(db) == {"registry.version.registered"}


def test_registering_the_same_job_twice_gives_one_version(db: Database, service: RegistryService) -> None:
    final = register(db, service)
    assert register(db, service) == final
    checkpoint = register(db, service, checkpoint_step=20)
    assert checkpoint.endswith(":ckpt-step-20")
    with db.read() as session:
        assert [v.id for v in service.versions(session, "proj_a", None, 10)] == [final, checkpoint]
        assert [v.id for v in service.versions(session, "proj_a", final, 10)] == [checkpoint]


def test_artefacts_of_live_versions_hold_their_blobs(db: Database, service: RegistryService) -> None:
    id = register(db, service)
    with db.write() as session:
        assert service.refers_to(session, "a" * 64)
        assert not service.refers_to(session, "b" * 64)
        service.delete(session, actor(), id)
        assert not service.refers_to(session, "a" * 64)


def test_a_version_needs_a_known_base_and_parent(db: Database, service: RegistryService) -> None:
    with pytest.raises(NotFound):
        register(db, service, base_id="unknown")
    with pytest.raises(UnknownModel):
        register(db, service, parent_id="ft:smol:acme:x:00000000")


@given(st.text(max_size=100), st.text(max_size=100))
def test_ids_are_url_safe_and_fit_the_column(organization: str, suffix: str) -> None:
    id = version_id(dataclasses.replace(DRAFT, organization=organization, suffix=suffix, checkpoint_step=10**6))
    assert re.fullmatch(r"[A-Za-z0-9:._-]{1,255}", id)


def test_another_projects_version_does_not_exist_until_it_is_shared(db: Database, service: RegistryService) -> None:
    id = register(db, service)
    with db.write() as session:
        with pytest.raises(UnknownModel):
            service.version(session, "proj_b", id)
        share = service.share(session, id, "proj_b")
        assert service.share(session, id, "proj_b") == share
        assert service.version(session, "proj_b", id).id == id
        with pytest.raises(NotModelOwner):
            service.delete(session, actor("proj_b"), id)
        with pytest.raises(BadInput):
            service.share(session, id, "proj_a")
        assert service.shares(session, id) == [share]
        service.unshare(session, id, share.id)
        with pytest.raises(UnknownModel):
            service.version(session, "proj_b", id)
        with pytest.raises(NotFound):
            service.unshare(session, id, share.id)


def test_names_move_and_roll_back_with_an_audit_trail(
    db: Database, service: RegistryService, audited: list[Any]
) -> None:
    id = register(db, service)
    with db.write() as session:
        service.set_alias(session, actor(), "support", "smol")
        service.set_alias(session, actor(), "support", id)
        service.set_alias(session, actor(), "support", id)
        assert service.resolve(session, "proj_a", "support").id == id
        with pytest.raises(UnknownModel):
            service.resolve(session, "proj_b", "support")
        assert service.roll_back_alias(session, actor(), "support").target == "smol"
        history = service.alias_history(session, "proj_a", "support")
        assert [(c.previous, c.target) for c in history] == [(id, "smol"), ("smol", id), (None, "smol")]
        assert service.roll_back_alias(session, actor(), "support", history[1].id).target == id
        service.delete_alias(session, actor(), "support")
        assert service.roll_back_alias(session, actor(), "support").target == id
    assert [action for action, _, _ in audited] == ["alias.changed"] * 6
    assert audited[0] == ("alias.changed", "support", {"previous": None, "target": "smol"})
    assert "registry.alias.changed" in kinds(db)


def test_a_name_given_to_a_name_is_pinned_to_what_it_means_now(db: Database, service: RegistryService) -> None:
    id = register(db, service)
    with db.write() as session:
        service.set_alias(session, actor(), "stable", id)
        assert service.set_alias(session, actor(), "beta", "stable").target == id
        service.set_alias(session, actor(), "stable", "smol")
        assert service.resolve(session, "proj_a", "beta").id == id


def test_names_may_not_hide_models_nor_be_malformed(
    db: Database, service: RegistryService, bases: InMemoryBases
) -> None:
    with db.write() as session:
        with pytest.raises(NameTaken):
            service.set_alias(session, actor(), "smol", "org/e5")
        for bad in ("", "a b", "ft:x", "模型", "x" * 65, "../x"):
            with pytest.raises(BadModelName):
                service.set_alias(session, actor(), bad, "smol")
        with pytest.raises(UnknownModel):
            service.set_alias(session, actor(), "fine", "unknown")
        with pytest.raises(NothingToRollBack):
            service.roll_back_alias(session, actor(), "fine")
        service.set_alias(session, actor(), "fine", "smol")
        bases.bases["fine"] = MemoryBase("fine")
        assert service.resolve(session, "proj_a", "fine").id == "smol"


def test_deleting_refuses_bases_and_named_versions_and_keeps_lineage(db: Database, service: RegistryService) -> None:
    id = register(db, service)
    with db.write() as session:
        with pytest.raises(BaseModelUndeletable):
            service.delete(session, actor(), "smol")
        with pytest.raises(UnknownModel):
            service.delete(session, actor(), "nothing")
        service.set_alias(session, actor(), "support", id)
        with pytest.raises(ModelInUse, match="support"):
            service.delete(session, actor(), id)
        service.delete_alias(session, actor(), "support")
        service.delete(session, actor(), id)
        with pytest.raises(UnknownModel):
            service.version(session, "proj_a", id)
        with pytest.raises(UnknownModel):
            service.roll_back_alias(session, actor(), "support")
        assert service.lineage(session, "proj_a", id).deleted_at is not None
    assert "registry.version.deleted" in kinds(db)


def test_the_snapshot_holds_everything_each_project_can_name(db: Database, service: RegistryService) -> None:
    mine, gone = register(db, service), register(db, service, job_id="ftjob-2")
    with db.write() as session:
        service.set_alias(session, actor(), "support", mine)
        service.share(session, mine, "proj_b")
        service.set_alias(session, actor("proj_b"), "theirs", mine)
        service.delete(session, actor(), gone)
        snapshot = service.snapshot(session)
    version = ModelKind.version
    expected = {
        PublicModel(project, base, ModelKind.base, base, base)
        for project in ("proj_a", "proj_b")
        for base in ("smol", "org/e5")
    }
    expected |= {PublicModel(project, mine, version, mine, "smol") for project in ("proj_a", "proj_b")}
    expected |= {PublicModel("proj_a", "support", version, mine, "smol")}
    expected |= {PublicModel("proj_b", "theirs", version, mine, "smol")}
    assert set(snapshot) == expected
    assert len(snapshot) == len(expected)


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
def client(db: Database, service: RegistryService, caller: Caller) -> Iterator[TestClient]:
    with client_for(router(db, service, caller.guard)) as test_client:
        yield test_client


def test_models_have_openais_shape_and_our_extras(db: Database, service: RegistryService, client: TestClient) -> None:
    id = register(db, service)
    with db.write() as session:
        service.set_alias(session, actor(), "support", id)
        service.add_report(session, id, "parity", {"agreement": 0.98})
    listed = {m["id"]: m for m in client.get("/v1/models").json()["data"]}
    assert set(listed) == {"smol", "org/e5", id, "support"}
    assert listed["smol"]["shutdown_date"] == listed[id]["shutdown_date"] == "2030-01-31"
    assert listed["support"] | {"target": id, "base": "smol", "kind": "version"} == listed["support"]
    one = client.get(f"/v1/models/{id}").json()
    assert one | {"object": "model", "owned_by": "proj_a", "base": "smol"} == one
    assert one["reports"][0]["report"] == {"agreement": 0.98}
    assert "tune" not in one["capabilities"]
    assert client.get("/v1/models/support").json()["target"] == id
    assert client.get("/v1/models/org%2Fe5").json()["id"] == "org/e5"
    missing = client.get("/v1/models/nope")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


def test_the_openai_sdk_reads_lists_and_deletes(db: Database, service: RegistryService, client: TestClient) -> None:
    id = register(db, service)
    listing = client.get("/v1/models").json()
    from openai.types import Model, ModelDeleted

    assert Model.model_validate(listing["data"][0]).object == "model"
    deleted = client.delete(f"/v1/models/{id}")
    assert ModelDeleted.model_validate(deleted.json()).deleted
    assert client.get(f"/v1/models/{id}").status_code == 404
    assert client.delete("/v1/models/smol").json()["error"]["code"] == "base_model_undeletable"


def test_lineage_over_http_outlives_deletion_but_not_the_project(
    db: Database, service: RegistryService, client: TestClient, caller: Caller
) -> None:
    id = register(db, service)
    client.delete(f"/v1/models/{id}")
    version = client.get(f"/api/versions/{id}").json()
    assert version["deleted_at"] is not None
    assert version["artefacts"][0]["files"][0] == {"path": "adapter.gguf", "sha256": "a" * 64, "bytes": 10}
    assert client.get("/api/versions").json()["data"] == []
    caller.actor = actor("proj_b")
    assert client.get(f"/api/versions/{id}").status_code == 404


def test_names_over_http(db: Database, service: RegistryService, client: TestClient, caller: Caller) -> None:
    id = register(db, service)
    assert client.put("/api/aliases/support", json={"target": "smol"}).json()["target"] == "smol"
    assert client.put("/api/aliases/support", json={"target": id}).json()["target"] == id
    assert client.delete(f"/v1/models/{id}").status_code == 409
    assert client.post("/api/aliases/support/rollback").json()["target"] == "smol"
    history = client.get("/api/aliases/support/history").json()["data"]
    assert [c["changed_by"] for c in history] == ["user:user_test"] * 3
    again = client.post("/api/aliases/support/rollback", json={"to": history[1]["id"]})
    assert again.json()["target"] == id
    assert [a["name"] for a in client.get("/api/aliases").json()["data"]] == ["support"]
    assert client.delete("/api/aliases/support").json()["deleted"] is True
    assert client.get("/api/aliases/support").status_code == 404
    assert client.put("/api/aliases/a%20b", json={"target": "smol"}).status_code == 400
    caller.actor = actor(role=Role.viewer)
    assert client.put("/api/aliases/support", json={"target": "smol"}).status_code == 403


def test_routes_are_listed_as_what_they_stand_for(db: Database, service: RegistryService) -> None:
    over = {"chat": "smol", "org/e5": "smol", "gone": "nothing"}
    with client_for(router(db, service, Caller(actor("proj_a")).guard, lambda session, project_id: over)) as client:
        listed = {model["id"]: model for model in client.get("/v1/models").json()["data"]}
        assert set(listed) == {"smol", "chat", "org/e5"}
        assert listed["chat"]["shutdown_date"] == listed["org/e5"]["shutdown_date"] == "2030-01-31"
        assert client.get("/v1/models/chat").json()["shutdown_date"] == "2030-01-31"
        assert client.get("/v1/models/gone").status_code == 404
