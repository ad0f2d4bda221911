"""The console's files over HTTP: who gets them, with which headers."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from plinth.console.bundle import NONCE, Bundle
from plinth.console.http import install
from plinth.kit import http
from plinth.kit.errors import Unauthenticated

SCRIPT = b"console.log('plinth');" * 100
BROWSER = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "assets").mkdir(parents=True)
    return folder


def build(folder: Path, text: str = "one") -> None:
    assets = folder / "assets"
    (assets / "index-1a2b.js").write_bytes(SCRIPT)
    (assets / "index-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT))
    (assets / "icon-3c4d.svg").write_bytes(b"<svg/>")
    (folder / "index.html").write_text(f'<meta name="plinth-nonce" content="{NONCE}">{text}', encoding="utf-8")


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    app = FastAPI()
    http.install(app)
    install(app, Bundle(folder))

    @app.get("/{path:path}")
    def everything_else(path: str) -> None:
        raise Unauthenticated

    with TestClient(app, follow_redirects=False) as client:
        yield client


def test_page_carries_a_nonce_of_its_own_that_the_policy_names(client: TestClient, folder: Path) -> None:
    build(folder)
    first, second = client.get("/console/"), client.get("/console/people/keys")
    assert first.status_code == second.status_code == 200
    nonce = first.text.split('content="')[1].split('"')[0]
    assert f"style-src 'self' 'nonce-{nonce}'" in first.headers["content-security-policy"]
    assert nonce not in second.text
    assert NONCE not in second.text


def test_page_is_never_kept_and_closed_to_others(client: TestClient, folder: Path) -> None:
    build(folder)
    headers = client.get("/console/").headers
    policy = headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=()" in headers["permissions-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy.split("; ")
    assert "unsafe" not in policy


def test_assets_are_kept_for_ever_and_sent_packed_to_who_accepts_it(client: TestClient, folder: Path) -> None:
    build(folder)
    packed = client.get("/console/assets/index-1a2b.js", headers={"accept-encoding": "br, gzip"})
    plain = client.get("/console/assets/index-1a2b.js", headers={"accept-encoding": "gzip;q=0"})
    assert packed.content == plain.content == SCRIPT
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(SCRIPT)
    assert "content-encoding" not in plain.headers
    for answer in (packed, plain):
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["vary"] == "accept-encoding"


def test_what_gained_nothing_is_sent_plain(client: TestClient, folder: Path) -> None:
    build(folder)
    answer = client.get("/console/assets/icon-3c4d.svg", headers={"accept-encoding": "gzip"})
    assert answer.content == b"<svg/>"
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    "name", ["gone.js", "..%2Findex.html", "%2e%2e/bundle.py", "index-1a2b.js.gz", "%00", "..%5cindex.html"]
)
def test_nothing_outside_the_assets_is_served(client: TestClient, folder: Path, name: str) -> None:
    build(folder)
    (folder / "secret.js").write_text("secret")
    answer = client.get(f"/console/assets/{name}")
    assert answer.status_code in (200, 404)
    # an address that is no asset is the app's own page, never a file
    assert answer.status_code == 404 or "plinth-nonce" in answer.text


def test_without_a_bundle_the_page_says_in_both_languages_what_to_run(client: TestClient) -> None:
    answer = client.get("/console/")
    assert answer.status_code == 503
    assert answer.text.count("make console") == 2
    assert "控制台尚未构建" in answer.text
    assert "has not been built" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_build_is_seen_without_a_restart(client: TestClient, folder: Path) -> None:
    assert client.get("/console/").status_code == 503
    build(folder)
    assert client.get("/console/").text.endswith("one")
    build(folder, "two")
    os.utime(folder / "index.html", ns=(1, 1))
    assert client.get("/console/").text.endswith("two")


def test_browsers_are_led_from_the_root_and_nobody_else(client: TestClient) -> None:
    led = client.get("/", headers=BROWSER)
    assert (led.status_code, led.headers["location"]) == (302, "/console/")
    assert client.get("/console").headers["location"] == "/console/"
    assert client.get("/", headers={"accept": "application/json"}).status_code == 401
    assert client.get("/v1/models", headers=BROWSER).status_code == 401
    assert client.post("/console/").status_code == 405
