"""The models page: the catalogue in both views, and adding and deleting with the API's own checks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from acceptance.installation import Installation
from browser_support import LANGUAGES, THEMES, accessibility_problems, ask, settled

pytestmark = pytest.mark.slow

SMALL = "smollm2-135m-instruct"


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """An OpenAI-compatible provider that has one model."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"object": "list", "data": [{"id": "good-model", "object": "model"}]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/models", "/models/add", f"/models/{SMALL}"])
def test_pages_are_accessible(window: Any, path: str, language: str, theme: str) -> None:
    page = window(path, language, theme)
    settled(page)
    assert page.get_by_role("heading", level=1).count() == 1
    assert accessibility_problems(page) == []


def test_cards_and_list_say_the_same(window: Any, installation: Installation) -> None:
    known = ask(f"{installation.url}/api/base_models", key=installation.keys["project_key"])["data"]
    page = window("/models")
    settled(page)
    cards = page.get_by_role("list", name="Models")
    assert cards.get_by_role("listitem").count() == len(known)
    cards.get_by_text("Apache-2.0").first.wait_for()
    page.locator(".ant-segmented").get_by_text("List", exact=True).click()
    page.get_by_role("row").filter(has_text=SMALL).get_by_text("135M", exact=True).wait_for()
    assert accessibility_problems(page) == []
    page.get_by_label("Search by name").fill("e5")
    page.get_by_role("row").filter(has_text=SMALL).wait_for(state="detached")
    page.reload()
    page.get_by_role("row").filter(has_text=SMALL).wait_for()  # the view is kept, the search is not


def test_errors_stand_beside_their_fields(window: Any) -> None:
    page = window("/models/add", "zh")
    settled(page)
    page.get_by_text("服务器本地目录", exact=True).click()
    page.get_by_label("服务器上的路径").fill("/nowhere/at-all")
    page.get_by_role("button", name="添加基础模型").click()
    item = page.locator(".ant-form-item").filter(has=page.get_by_label("服务器上的路径"))
    item.locator(".ant-form-item-explain-error").wait_for()
    assert page.get_by_label("名称", exact=True).input_value() == "at-all"
    page.reload()
    assert page.get_by_label("服务器上的路径").input_value() == "/nowhere/at-all"
    assert accessibility_problems(page) == []


def test_a_remote_model_is_checked_before_it_is_added(window: Any, installation: Installation, provider: str) -> None:
    page = window("/models/add")
    settled(page)
    page.get_by_text("Remote provider", exact=True).click()
    page.get_by_label("Address").fill("http://api.example.com/v1")
    page.get_by_label("Model there").fill("bad-model")
    page.get_by_label("API key").fill("sk-provider")
    page.get_by_label("Data may be sent there").click()
    page.get_by_role("button", name="Add base model").click()
    address = page.locator(".ant-form-item").filter(has=page.get_by_label("Address"))
    address.get_by_text("use https://").wait_for()
    page.get_by_label("Address").fill(provider)
    page.get_by_role("button", name="Add base model").click()
    model = page.locator(".ant-form-item").filter(has=page.get_by_label("Model there"))
    model.get_by_text("it has no such model").wait_for()
    entries = f"{installation.url}/api/base_models"
    key = installation.keys["project_key"]
    assert not [item for item in ask(entries, key=key)["data"] if item["source"]["kind"] == "remote"]
    assert "sk-provider" not in page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")
    page.get_by_label("Model there").fill("good-model")
    page.get_by_label("Name", exact=True).fill("helper")
    page.get_by_role("button", name="Add base model").click()
    page.get_by_role("heading", name="helper", level=1).wait_for()
    page.get_by_role("button", name="Ask the provider").click()
    page.get_by_text("The provider answered and has the model").wait_for()
    assert accessibility_problems(page) == []

    added = next(item for item in ask(entries, key=key)["data"] if item["source"]["kind"] == "remote")
    ask(f"{installation.url}/api/aliases/desk", "PUT", key, {"target": added["id"]})
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("1 name: desk").wait_for()
    dialog.get_by_role("textbox").fill(added["id"])
    assert accessibility_problems(page) == []
    dialog.get_by_role("button", name="Delete").click()
    page.get_by_role("heading", name="Models", level=1).wait_for()
    assert added["id"] not in [item["id"] for item in ask(entries, key=key)["data"]]
