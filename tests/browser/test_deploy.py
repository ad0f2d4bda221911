"""Deployments and routes in a browser, against a real platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from acceptance.gateway_support import Api
from acceptance.installation import Installation, wait_for
from browser_models import choose, provided
from browser_support import LANGUAGES, THEMES, accessibility_problems, settled

pytestmark = pytest.mark.slow

TITLES = {
    "/deploy": ("部署", "Deploy"),
    "/deploy/routes": ("部署", "Deploy"),
    "/deploy/new-route": ("新建路由", "New route"),
    "/deploy/routes/nowhere": ("路由 nowhere", "Route nowhere"),
    "/deploy/routes/team/front-desk": ("路由 team/front-desk", "Route team/front-desk"),
}
FULL = {
    "targets": [{"model": "deploy-a", "weight": 2}, {"model": "deploy-b", "weight": 1}],
    "fallbacks": ["deploy-c"],
    "canary": {"model": "deploy-d", "percent": 5, "sticky": "user"},
    "schedule": [
        {
            "targets": [{"model": "deploy-b"}],
            "days": ["sat", "sun"],
            "start": "08:00",
            "end": "20:00",
            "timezone": "Asia/Shanghai",
        }
    ],
}


@pytest.fixture(scope="module")
def api(installation: Installation) -> Iterator[Api]:
    with provided(installation, "deploy-a", "deploy-b", "deploy-c", "deploy-d") as found:
        found.put("/api/routes/team/front-desk", **FULL)
        yield found


def route_names(api: Api) -> set[str]:
    return {route["name"] for route in api.get("/api/routes?limit=100")["data"]}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", TITLES)
def test_page(window: Any, api: Api, path: str, language: str, theme: str) -> None:
    page = window(path, language, theme)
    title = TITLES[path][language == "en"]
    page.get_by_role("heading", level=1, name=title, exact=True).wait_for()
    settled(page)
    assert page.title() == f"{title} · Plinth"
    assert accessibility_problems(page) == []


def test_a_route_is_made_changed_and_brought_back(window: Any, api: Api) -> None:
    page = window("/deploy/new-route")
    page.get_by_label("Name").fill("support-chat")
    choose(page, page.get_by_role("combobox", name="Model of the target"), "deploy-a")
    page.get_by_role("button", name="Add a target").click()
    choose(page, page.get_by_role("combobox", name="Model of the target").nth(1), "deploy-b")
    page.get_by_role("spinbutton", name="Share of deploy-b in percent").fill("30")
    page.keyboard.press("Enter")
    assert page.get_by_role("spinbutton", name="Share of deploy-a in percent").input_value() == "70"
    page.reload()  # what was set is still there
    assert page.get_by_label("Name").input_value() == "support-chat"
    assert page.get_by_role("spinbutton", name="Share of deploy-b in percent").input_value() == "30"
    page.get_by_role("button", name="Save as a new version").click()
    page.get_by_role("heading", name="Route support-chat", level=1).wait_for()
    made = api.get("/api/routes/support-chat")
    assert made["targets"] == [{"model": "deploy-a", "weight": 70.0}, {"model": "deploy-b", "weight": 30.0}]

    page.get_by_role("slider", name="Share of deploy-b in percent").focus()
    for _ in range(50):
        page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Save as a new version").click()
    wait_for(lambda: api.get("/api/routes/support-chat")["version"] == 2, 10, "version 2")
    weights = [target["weight"] for target in api.get("/api/routes/support-chat")["targets"]]
    assert weights == [65.0, 35.0]

    page.get_by_role("button", name="Roll back one version").click()
    wait_for(lambda: api.get("/api/routes/support-chat")["version"] == 3, 10, "version 3")
    assert api.get("/api/routes/support-chat")["targets"] == made["targets"]
    page.get_by_role("tab", name="History").click()
    row = page.get_by_role("row").filter(has_text="rolled back to version 1")
    row.wait_for()
    assert "Owner" in row.inner_text()
    assert "35 %" in row.inner_text()
    assert "30 %" in row.inner_text()
    settled(page)
    assert accessibility_problems(page) == []
    page.get_by_role("button", name="Bring back version 2").click()
    wait_for(lambda: api.get("/api/routes/support-chat")["version"] == 4, 10, "version 4")


def test_a_change_that_somebody_overtook_is_not_saved_by_mistake(window: Any, api: Api) -> None:
    api.put("/api/routes/shared", targets=[{"model": "deploy-a"}])
    page = window("/deploy/routes/shared")
    page.get_by_role("button", name="Add a target").click()
    choose(page, page.get_by_role("combobox", name="Model of the target").nth(1), "deploy-b")
    api.patch("/api/routes/shared", retries=5)
    page.get_by_text("Somebody else saved version 2").wait_for()
    assert page.get_by_role("button", name="Save as a new version").is_disabled()
    page.get_by_role("button", name="Put mine on top").click()
    page.get_by_role("button", name="Save as a new version").click()
    wait_for(lambda: api.get("/api/routes/shared")["version"] == 3, 10, "version 3")


def test_the_apis_sentence_stands_beside_what_it_names(window: Any, api: Api) -> None:
    api.put("/api/routes/wrong", targets=[{"model": "deploy-a"}])
    page = window("/deploy/routes/wrong")
    page.get_by_role("button", name="Add a time window").click()
    window_fields = page.get_by_role("group", name="Window 1")
    choose(page, window_fields.get_by_role("combobox", name="Model of the target"), "deploy-b")
    window_fields.get_by_label("From").fill("8 am")
    page.get_by_role("button", name="Save as a new version").click()
    item = window_fields.locator(".ant-form-item").filter(has_text="From")
    item.get_by_text("HH:MM").wait_for()
    assert accessibility_problems(page) == []


def test_a_deleted_route_says_what_it_touches_and_can_be_brought_back(window: Any, api: Api) -> None:
    api.put("/api/routes/gone", targets=[{"model": "deploy-a"}])
    page = window("/deploy/routes/gone")
    page.get_by_role("button", name="Delete route").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Callers of gone").wait_for()
    dialog.get_by_role("button", name="Delete route").click()
    page.get_by_role("tab", name="Routes", selected=True).wait_for()
    page = window("/deploy/routes/gone")
    page.get_by_text("There is no route gone").wait_for()
    page.get_by_role("button", name="Bring back version 1").click()
    wait_for(
        lambda: any(route["name"] == "gone" for route in api.get("/api/routes?limit=100")["data"]), 10, "the route"
    )


def test_a_model_is_deployed_and_stopped_and_nothing_typed_is_lost(window: Any, api: Api) -> None:
    page = window("/deploy")
    page.get_by_role("button", name="Deploy a model").first.click()
    drawer = page.get_by_role("dialog", name="Deploy a model")
    drawer.get_by_label("Also give it this name").fill("typed-before")
    page.reload()
    page.get_by_role("button", name="Deploy a model").first.click()
    assert drawer.get_by_label("Also give it this name").input_value() == "typed-before"
    choose(page, drawer.get_by_role("combobox", name="Model"), "deploy-a")
    drawer.get_by_role("button", name="Deploy", exact=True).click()
    drawer.wait_for(state="hidden")
    alias = next(alias for alias in api.get("/api/aliases")["data"] if alias["name"] == "typed-before")
    row = page.locator(".ant-table-row").filter(has_text=alias["target"]).first
    row.get_by_text("ready").wait_for()
    row.get_by_role("button", name="Stop").click()
    dialog = page.get_by_role("dialog", name="Stop")
    dialog.get_by_text("The name typed-before").wait_for()
    dialog.get_by_role("button", name="Stop").click()
    dialog.wait_for(state="hidden")
    row.get_by_text("stopped").wait_for()
    assert accessibility_problems(page) == []
