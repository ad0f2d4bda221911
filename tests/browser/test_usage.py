"""Usage, cost, limits and budgets in a browser, against a real platform."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.gateway_support import Api
from acceptance.installation import Installation
from browser_models import provided
from browser_support import LANGUAGES, THEMES, accessibility_problems, ask, settled

pytestmark = pytest.mark.slow

TITLES = ("用量与成本", "Usage & cost")
PATHS = (
    "/usage",
    "/usage?measure=requests&by=key",
    "/usage?measure=tokens&by=user&level=project",
    "/usage?tab=budgets",
)


@pytest.fixture(scope="module")
def api(installation: Installation) -> Iterator[Api]:
    with provided(installation, "metered", "priceless") as found:
        admin = Api(installation.client(api_key=installation.keys["admin_key"]))
        metered = next(alias["target"] for alias in found.get("/api/aliases")["data"] if alias["name"] == "metered")
        admin.post("/api/prices", model=metered, currency="USD", input=2.5, output=10)
        client = installation.client()
        for model in ("metered", "metered", "metered", "priceless"):
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "one two three"}])
        yield found


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PATHS)
def test_page(window: Any, api: Api, path: str, language: str, theme: str) -> None:
    page = window(path, language, theme)
    title = TITLES[language == "en"]
    page.get_by_role("heading", level=1, name=title, exact=True).wait_for()
    settled(page)
    assert page.title() == f"{title} · Plinth"
    assert accessibility_problems(page) == []


def row_of(page: Any, text: str) -> list[str]:
    row = page.locator(".ant-table-row").filter(has_text=text).first
    row.wait_for()
    return [cell.strip() for cell in row.locator("td").all_inner_texts()]


def test_cost_and_usage_stand_in_one_line_and_in_the_files(window: Any, api: Api, tmp_path: Path) -> None:
    page = window("/usage?by=model")
    metered = row_of(page, "metered-")  # the model; its name has a line of its own with the tokens
    assert int(metered[1]) == 3
    assert metered[-1].startswith("$0.00")
    assert "no known price" in row_of(page, "priceless-")[-1]
    for button, first in (("This table", "model"), ("Every request", "id"), ("Every hour's costs", "hour")):
        with page.expect_download() as started:
            page.get_by_role("button", name=button).click()
        target = tmp_path / started.value.suggested_filename
        started.value.save_as(target)
        with target.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.reader(lines))
        assert rows[0][0] == first or first in rows[0]
        assert len(rows) > 1


def test_the_chart_has_its_numbers_as_a_table_and_the_view_stays_in_the_address(window: Any, api: Api) -> None:
    page = window("/usage")
    page.get_by_text("Requests", exact=True).first.click()
    page.get_by_role("button", name="7 days").click()
    figure = page.get_by_role("figure")
    figure.get_by_text("Show as a table").click()
    assert figure.get_by_role("row").count() == 8
    page.reload()
    assert page.get_by_role("button", name="7 days").get_attribute("aria-pressed") == "true"
    assert "measure=requests" in page.url
    page.get_by_label("From").fill("2019-01-01")
    page.get_by_role("alert").get_by_text("at most 400 days").wait_for()


def test_a_budget_is_set_and_shows_what_is_left(window: Any, api: Api, installation: Installation) -> None:
    page = window("/usage?tab=budgets")
    page.get_by_role("button", name="Set a budget").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Amount").fill("twelve")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_text("A number such as").wait_for()
    dialog.get_by_label("Amount").fill("12.50")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="hidden")
    page.get_by_text("$12.50").first.wait_for()
    settled(page)
    assert accessibility_problems(page) == []
    me = ask(f"{installation.url}/api/me", key=installation.keys["admin_key"])
    organization = me["organization"]["id"]
    path = f"{installation.url}/api/limits/organization/{organization}/budgets/month"
    budget = ask(path, key=installation.keys["admin_key"])
    assert (budget["amount"], budget["currency"], budget["hard"]) == ("12.50", "USD", True)
    page.get_by_role("button", name="Set a budget").first.click()
    dialog.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog", name="Remove this budget?").get_by_role("button", name="Remove").click()
    page.get_by_text("$12.50").first.wait_for(state="detached")
