"""The catalogue's decisions: who sees what, remote models, estimates, own entries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from plinth.catalog import CatalogPorts, CatalogService, EgressDenied, Form, FormNotAvailable, Scope
from plinth.catalog.errors import BuiltInReadOnly, SourceRefused, TooManyEntries
from plinth.catalog.model import BaseModel, Description, HubSource, LocalSource, Memory, RemoteSource
from plinth.catalog.ports import FixedMachine, InMemoryModelSource, InMemoryRemoteModels
from plinth.catalog.service import Changes, Draft
from plinth.catalog.store import base_models
from plinth.identity import Actor
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.errors import BadInput, NotFound
from plinth.kit.events import events
from plinth.kit.secrets import InstanceKey, SecretUnreadable
from support import actor

URL = "https://provider.example/v1"
LOCAL = LocalSource("/models/tiny", "huggingface")
HUB = HubSource("huggingface", "acme/tiny", "main", "huggingface")
TINY = Description("huggingface", "a" * 64, 1000, 500, 2048, "LlamaForCausalLM", "{{ messages }}")
PINNED = Description("huggingface", "b" * 64, 1000, 500, 2048, "LlamaForCausalLM", "{{ x }}", revision="c0ffee")
ENCODER = Description("gguf", "c" * 64, 10, 5, 512, "bert", dimensions=32)


@dataclass
class World:
    db: Database
    service: CatalogService
    source: InMemoryModelSource
    remotes: InMemoryRemoteModels
    audits: list[tuple[str, str, dict[str, Any]]]
    ports: CatalogPorts

    def add(self, draft: Draft, who: Actor | None = None) -> BaseModel:
        base = self.service.prepare(draft)
        with self.db.write() as session:
            return self.service.create(session, who or actor(), base, draft.api_key)

    def facts(self) -> list[tuple[str, str | None, Any]]:
        with self.db.read() as session:
            return [(e.kind, e.project_id, e.payload["id"]) for e in session.execute(select(events).order_by("seq"))]


@pytest.fixture
def world(db: Database, clock: FixedClock, tmp_path: Path) -> World:
    source = InMemoryModelSource(tmp_path, {LOCAL: TINY, HUB: PINNED, LocalSource("/e.gguf", "gguf"): ENCODER})
    remotes = InMemoryRemoteModels({URL: ["big", "small"]})
    audits: list[tuple[str, str, dict[str, Any]]] = []
    ports = CatalogPorts(
        clock=clock,
        source=source,
        remotes=remotes,
        machine=FixedMachine(),
        key=InstanceKey(b"k" * 32),
        audit=lambda _session, _actor, action, target, detail: audits.append((action, target, detail)),
        organizations=lambda _session: {"proj_a": "org_a", "proj_b": "org_a", "proj_x": "org_x"},
        read=db.read,
    )
    return World(db, CatalogService(ports, max_entries_per_project=3), source, remotes, audits, ports)


def draft(source: Any = LOCAL, **fields: Any) -> Draft:
    return Draft(name="tiny", source=source, display_name={"en": "Tiny", "zh": "小"}, **fields)


def remote(egress: bool = True, **fields: Any) -> Draft:
    source = RemoteSource(URL, fields.pop("model", "big"), egress)
    return draft(source, context_tokens=8192, api_key="sk-very-secret", **fields)


def test_built_in_models_are_everyones(world: World) -> None:
    with world.db.read() as session:
        for project in ("proj_a", "proj_x", "proj_unknown"):
            assert [b.id for b in world.service.list(session, project)] == [
                "multilingual-e5-small",
                "smollm2-135m-instruct",
            ]
        assert world.service.get(session, "proj_a", "smollm2-135m-instruct").scope is Scope.built_in


def test_an_own_model_is_the_projects_alone(world: World, clock: FixedClock) -> None:
    base = world.add(draft(licence="MIT"))
    assert base.id.startswith("tiny-")
    assert base.capabilities == {"generate", "tune"}
    assert base.created == int(clock.unix())
    assert base.memory_bytes > 1000
    with world.db.read() as session:
        assert world.service.get(session, "proj_a", base.id) == base
        assert base in world.service.list(session, "proj_a")
        for other in ("proj_b", "proj_x", ""):
            with pytest.raises(NotFound):
                world.service.get(session, other, base.id)
            assert base not in world.service.list(session, other)
    assert world.facts() == [("catalog.base_model.created", "proj_a", base.id)]
    assert world.audits == [("base_model.created", base.id, {"source": "local"})]


def test_an_organizations_model_is_every_projects_of_it(world: World) -> None:
    admin = actor(project_id="")
    base = world.add(draft(), admin)
    assert base.scope is Scope.organization
    with world.db.read() as session:
        assert world.service.get(session, "proj_a", base.id).scope is Scope.organization
        assert world.service.get(session, "proj_b", base.id) == base
        with pytest.raises(NotFound):
            world.service.get(session, "proj_x", base.id)
    with world.db.write() as session:
        with pytest.raises(NotFound):  # a project's admin may use it, not delete it
            world.service.delete(session, actor(), base.id)
        world.service.delete(session, admin, base.id)


def test_a_hub_model_is_pinned_to_its_commit(world: World) -> None:
    base = world.add(draft(HUB))
    assert isinstance(base.source, HubSource)
    assert base.source.revision == "c0ffee"
    assert base.owned_by == "acme"


def test_an_encoder_embeds(world: World) -> None:
    base = world.add(draft(LocalSource("/e.gguf", "gguf")))
    assert base.capabilities == {"embed"}
    assert base.dimensions == 32
    with pytest.raises(SourceRefused, match="tuned"):
        world.service.prepare(draft(LocalSource("/e.gguf", "gguf"), capabilities=frozenset({"tune"})))


def test_own_models_are_limited(world: World) -> None:
    for _ in range(3):
        world.add(draft())
    with pytest.raises(TooManyEntries, match="3"):
        world.add(draft())
    world.add(draft(), actor("proj_b"))


def test_a_built_in_model_cannot_be_changed(world: World) -> None:
    with world.db.write() as session:
        with pytest.raises(BuiltInReadOnly):
            world.service.delete(session, actor(), "smollm2-135m-instruct")
        with pytest.raises(BuiltInReadOnly):
            world.service.update(session, actor(), "smollm2-135m-instruct", Changes(shutdown_date="2030-01-01"))


def test_materialise_by_id_or_model(world: World) -> None:
    base = world.add(draft())
    assert world.service.materialise(base.id, "huggingface") == world.service.materialise(base, Form.huggingface)
    assert world.service.materialise("smollm2-135m-instruct", Form.gguf).is_file()
    with pytest.raises(NotFound):
        world.service.materialise("no-such-model", "gguf")


def test_a_remote_models_key_is_encrypted_and_hidden(world: World) -> None:
    base = world.add(remote())
    with world.db.read() as session:
        target = world.service.remote(session, base.id)
        row = session.execute(select(base_models).where(base_models.c.id == base.id)).one()
    assert (target.base_url, target.model, target.api_key) == (URL, "big", "sk-very-secret")
    assert "sk-very-secret" not in f"{row}{target!r}{base!r}{world.audits}{world.facts()}"
    with pytest.raises(FormNotAvailable):
        InMemoryModelSource(Path("/nowhere")).materialise(base, Form.gguf)


def test_nothing_leaves_until_it_is_allowed(world: World) -> None:
    base = world.add(remote(egress=False))
    with world.db.read() as session, pytest.raises(EgressDenied) as raised:
        world.service.remote(session, base.id)
    assert raised.value.status == 403
    with world.db.write() as session:
        world.service.update(session, actor(), base.id, Changes(egress_allowed=True, api_key="sk-new"))
        assert world.service.remote(session, base.id).api_key == "sk-new"
    assert world.audits[-1] == ("base_model.changed", base.id, {"source": "remote", "egress_allowed": True})


def test_a_lost_instance_key_is_named(world: World, clock: FixedClock) -> None:
    base = world.add(remote())
    other = CatalogService(CatalogPorts(**{**vars(world.ports), "key": InstanceKey(b"x" * 32)}))
    with world.db.read() as session, pytest.raises(SecretUnreadable):
        other.remote(session, base.id)


def test_only_remote_models_have_an_address(world: World) -> None:
    base = world.add(draft())
    with world.db.write() as session:
        with pytest.raises(BadInput, match="runs on this server"):
            world.service.remote(session, base.id)
        with pytest.raises(BadInput, match="egress_allowed"):
            world.service.update(session, actor(), base.id, Changes(egress_allowed=True))
        with pytest.raises(NotFound):
            world.service.remote(session, "nobody")


@pytest.mark.parametrize(
    ("model", "url", "ok", "code"),
    [
        ("big", URL, True, None),
        ("absent", URL, False, "remote_model_missing"),
        ("big", "https://down.example", False, "remote_unreachable"),
    ],
)
def test_the_live_check_of_a_remote_model(world: World, model: str, url: str, ok: bool, code: str | None) -> None:
    base = world.add(draft(RemoteSource(url, model, True), context_tokens=1, api_key="k"))
    with world.db.read() as session:
        check = world.service.check(base, world.service.remote(session, base.id))
    assert (check.ok, check.code) == (ok, code)


def test_the_check_of_files(world: World) -> None:
    base = world.add(draft())
    assert world.service.check(base, None).ok
    world.source.missing.add(base.id)
    assert not world.service.check(base, None).ok


def test_what_fits(world: World) -> None:
    smol = world.service.fit(world.service.prepare(draft()))
    assert smol.serve
    assert smol.tune
    small = CatalogService(CatalogPorts(**{**vars(world.ports), "machine": FixedMachine(1 << 30, 100 << 20)}))
    fit = small.fit(world.service.prepare(draft()))
    assert not fit.serve
    assert not fit.tune
    assert (fit.available_bytes, fit.total_bytes) == (100 << 20, 1 << 30)
    assert small.fit(world.service.prepare(remote())).serve, "a remote model needs no memory here"
    assert FixedMachine(2, 1).memory() == Memory(2, 1)


def test_facts_that_the_source_does_not_tell_must_be_sent(world: World) -> None:
    unknown = LocalSource("/u.gguf", "gguf")
    world.source.known[unknown] = Description("gguf", "d" * 64, 1, 1, 0, "llama")
    with pytest.raises(BadInput, match="context_tokens"):
        world.service.prepare(draft(unknown))
    assert world.service.prepare(draft(unknown, context_tokens=4096)).context_tokens == 4096
    with pytest.raises(BadInput, match="fly"):
        world.service.prepare(draft(capabilities=frozenset({"fly"})))


def test_changes_are_kept(world: World) -> None:
    base = world.add(draft())
    with world.db.write() as session:
        names = {"en": "New", "zh": "新"}
        world.service.update(session, actor(), base.id, Changes(display_name=names, shutdown_date="2030-01-31"))
    with world.db.read() as session:
        changed = world.service.get(session, "proj_a", base.id)
    assert (changed.display_name, changed.shutdown_date) == (names, "2030-01-31")
    with world.db.write() as session:
        assert world.service.update(session, actor(), base.id, Changes(shutdown_date="")).shutdown_date is None
        with pytest.raises(NotFound):
            world.service.update(session, actor("proj_b"), base.id, Changes(shutdown_date="2031-01-01"))
