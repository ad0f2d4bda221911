"""/api/base_models over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from plinth.catalog import CatalogPorts, CatalogService
from plinth.catalog.http import router
from plinth.catalog.model import Description, LocalSource
from plinth.catalog.ports import FixedMachine, InMemoryModelSource, InMemoryRemoteModels
from plinth.identity import Role
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.secrets import InstanceKey
from support import Caller, actor, client_for

URL = "https://provider.example/v1"
LOCAL = {"name": "tiny", "source": {"kind": "local", "path": "/models/tiny"}}
REMOTE = {
    "name": "big",
    "source": {"kind": "remote", "base_url": URL + "/", "model": "big", "api_key": "sk-very-secret"},
}


@dataclass
class Web:
    client: TestClient
    caller: Caller
    source: InMemoryModelSource

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        response = self.client.post("/api/base_models", json=body)
        assert response.status_code == 200, response.text
        created: dict[str, Any] = response.json()
        return created


@pytest.fixture
def web(db: Database, clock: FixedClock, tmp_path: Path) -> Iterator[Web]:
    caller = Caller()
    known = Description("huggingface", "a" * 64, 1000, 500, 2048, "LlamaForCausalLM", "{{ messages }}")
    source = InMemoryModelSource(tmp_path, {LocalSource("/models/tiny", "huggingface"): known})
    ports = CatalogPorts(
        clock=clock,
        source=source,
        remotes=InMemoryRemoteModels({URL: ["big"]}),
        machine=FixedMachine(),
        key=InstanceKey(b"k" * 32),
        audit=lambda *_: None,
        organizations=lambda _session: {"proj_a": "org_a", "proj_b": "org_a"},
        read=db.read,
    )
    with client_for(router(db, CatalogService(ports), caller.guard)) as client:
        yield Web(client, caller, source)


def test_the_catalogue_lists_what_the_platform_brings(web: Web) -> None:
    page = web.client.get("/api/base_models").json()
    assert page["object"] == "list"
    assert page["has_more"] is False
    smol = page["data"][-1]
    assert smol["id"] == "smollm2-135m-instruct"
    assert smol["display_name"]["zh"]
    assert smol["licence"] == "Apache-2.0"
    assert smol["fit"] == {
        "serve": True,
        "tune": True,
        "serve_bytes": 419430400,
        "tune_bytes": 2147483648,
        "available_bytes": 4 << 30,
        "total_bytes": 8 << 30,
    }
    assert web.client.get("/api/base_models/smollm2-135m-instruct").json() == smol


def test_add_use_and_delete_a_local_model(web: Web) -> None:
    made = web.create(LOCAL | {"licence": "MIT", "shutdown_date": "2030-01-31"})
    assert made["scope"] == "project"
    assert made["source"] == {"kind": "local", "path": "/models/tiny", "format": "huggingface"}
    assert web.client.get(f"/api/base_models/{made['id']}").json() == made
    assert web.client.post(f"/api/base_models/{made['id']}/check").json()["ok"] is True
    web.source.missing.add(made["id"])
    failed = web.client.post(f"/api/base_models/{made['id']}/check").json()
    assert (failed["ok"], failed["code"]) == (False, "base_model_package_missing")
    assert web.client.delete(f"/api/base_models/{made['id']}").json() == {
        "id": made["id"],
        "object": "base_model",
        "deleted": True,
    }
    assert web.client.get(f"/api/base_models/{made['id']}").status_code == 404


def test_a_remote_model_sends_nothing_until_allowed_and_never_shows_its_key(web: Web) -> None:
    made = web.create(REMOTE)
    path = f"/api/base_models/{made['id']}"
    assert made["source"] == {"kind": "remote", "base_url": URL, "model": "big", "egress_allowed": False}
    denied = web.client.post(f"{path}/check").json()
    assert (denied["ok"], denied["code"]) == (False, "egress_denied")
    changed = web.client.post(path, json={"egress_allowed": True})
    assert changed.json()["source"]["egress_allowed"] is True
    checked = web.client.post(f"{path}/check")
    assert checked.json()["models"] == ["big"]
    shown = web.client.get("/api/base_models").text + changed.text + checked.text + web.client.get(path).text
    assert "very-secret" not in shown


def test_other_projects_and_roles(web: Web) -> None:
    made = web.create(LOCAL)
    path = f"/api/base_models/{made['id']}"
    web.caller.actor = actor("proj_b")
    for response in (
        web.client.get(path),
        web.client.post(path, json={}),
        web.client.delete(path),
        web.client.post(f"{path}/check"),
    ):
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"
    web.caller.actor = actor(role=Role.developer)
    assert web.client.get(path).status_code == 200
    for response in (web.client.post("/api/base_models", json=LOCAL), web.client.delete(path)):
        assert response.status_code == 403


def test_built_in_models_stay(web: Web) -> None:
    response = web.client.delete("/api/base_models/smollm2-135m-instruct", headers={"accept-language": "zh"})
    assert response.status_code == 409
    assert "自带目录" in response.json()["error"]["message"]


def with_source(**fields: Any) -> dict[str, Any]:
    return {"name": "m", "source": fields}


def to(base_url: str) -> dict[str, Any]:
    return with_source(kind="remote", base_url=base_url, model="m")


def from_hub(**fields: Any) -> dict[str, Any]:
    return with_source(kind="hub", repository="acme/m", **fields)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "m"},
        LOCAL | {"name": "Bad Name"},
        LOCAL | {"name": "../x"},
        LOCAL | {"surprise": 1},
        LOCAL | {"licence": "x" * 65},
        LOCAL | {"context_tokens": -1},
        LOCAL | {"capabilities": ["fly"]},
        LOCAL | {"display_name": {"en": "only"}},
        LOCAL | {"shutdown_date": "soon"},
        with_source(kind="local", path="relative"),
        with_source(kind="local", path="/a\0b"),
        with_source(kind="package", distribution="x"),
        with_source(kind="hub", repository="a/b/c"),
        with_source(kind="hub", repository="../../etc"),
        from_hub(file="x.bin"),
        from_hub(file="../x.gguf"),
        from_hub(revision="--flag"),
        from_hub(hub="nowhere"),
        to("ftp://x"),
        to("file:///etc/passwd"),
        to("http://provider.example/v1"),
        to("https://user:pass@provider.example"),
        to("https://provider.example/?x=1"),
        to("https://"),
        to("https://[::1"),
        to("https://x:99999"),
        to("https://x y"),
        to("http://169.254.169.254/latest"),
        to("http://0.0.0.0:8000"),
    ],
    ids=str,
)
def test_bad_input(web: Web, body: dict[str, Any]) -> None:
    response = web.client.post("/api/base_models", json=body)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("url", ["http://10.0.0.7:8000/v1", "http://localhost:1/v1", "http://[::1]:1", "http://gpu:8"])
def test_plain_http_is_for_the_own_network(web: Web, url: str) -> None:
    assert web.create(to(url))["source"]["base_url"] == url


def test_an_unknown_folder_is_refused_with_its_reason(web: Web) -> None:
    response = web.client.post("/api/base_models", json=with_source(kind="local", path="/elsewhere"))
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "base_model_source_refused"
