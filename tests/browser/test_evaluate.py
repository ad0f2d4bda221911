"""The evaluate page: runs side by side, two of them compared item by item, and a new evaluation from a dataset."""

from __future__ import annotations

from typing import Any

import pytest

from acceptance.installation import Installation
from browser_seed import CSV, Evaluated, evaluated
from browser_support import LANGUAGES, THEMES, accessibility_problems, ask, settled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seeded(installation: Installation) -> Evaluated:
    return evaluated(installation)


PATHS = [
    "/evaluate",
    "/evaluate/new",
    "/evaluate/{eval}",
    "/evaluate/{eval}/runs/{newer}",
    "/evaluate/{eval}/compare?a={older}&b={newer}",
]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PATHS)
def test_pages_are_accessible(window: Any, seeded: Evaluated, path: str, language: str, theme: str) -> None:
    page = window(path.format(**vars(seeded)), language, theme)
    settled(page)
    if "new" not in path:
        page.get_by_role("main").get_by_text("Bank intents").first.wait_for()
    assert page.get_by_role("heading", level=1).count() == 1
    assert accessibility_problems(page) == []


def test_two_runs_are_chosen_and_compared(window: Any, seeded: Evaluated, installation: Installation) -> None:
    said = ask(
        f"{installation.url}/api/evals/{seeded.eval}/compare?run_a={seeded.older}&run_b={seeded.newer}",
        key=installation.keys["project_key"],
    )["overall"]
    page = window(f"/evaluate/{seeded.eval}")
    settled(page)
    assert page.get_by_role("img", name="after: ").count() == 1
    for name in ("before", "after"):
        page.get_by_role("checkbox", name=f"Choose “{name}”").check()
    page.get_by_role("button", name="Compare the two").click()
    page.get_by_text("B is better.").wait_for()
    agreement = page.get_by_role("table", name="Who was right")
    assert agreement.get_by_role("row", name="A failed").get_by_role("cell").first.inner_text() == str(
        said["agreement"]["only_b"]
    )
    page.get_by_text("p < 0.001" if said["mcnemar_p"] < 0.001 else f"p = {said['mcnemar_p']:.3f}").wait_for()
    page.get_by_text("B now wrong (2)").click()
    page.wait_for_function("() => document.querySelectorAll('article.pair').length === 2")
    page.get_by_role("article").get_by_text("Question 1?").wait_for()
    page.get_by_role("button", name="Swap").click()
    page.get_by_text("B is worse.").wait_for()


def test_items_of_a_run_are_filtered_and_opened(window: Any, seeded: Evaluated) -> None:
    page = window(f"/evaluate/{seeded.eval}/runs/{seeded.newer}")
    settled(page)
    page.get_by_label("Show").click()
    page.locator(".ant-select-item-option").get_by_text("failed", exact=True).click()
    rows = page.get_by_role("region", name="Items").get_by_role("row").filter(has_text="Question")
    page.wait_for_function("() => document.querySelectorAll('[aria-label=Items] tbody tr.openable').length === 2")
    rows.first.press("Enter")
    drawer = page.get_by_role("dialog")
    drawer.get_by_text("Expected").wait_for()
    assert accessibility_problems(page) == []


def test_an_evaluation_is_made_of_a_dataset(window: Any, installation: Installation) -> None:
    with installation.client() as client:
        file_id = client.files.create(file=("bank.csv", CSV.encode()), purpose="fine-tune").id
    body = {"name": "Measure me", "file_id": file_id, "splits": {"train": 0.7, "test": 0.3}}
    key = installation.keys["project_key"]
    data = ask(f"{installation.url}/api/datasets", "POST", key, body)
    page = window("/evaluate/new")
    settled(page)
    for label, option in (("Dataset", "Measure me"), ("Version", "Version 1"), ("Part", "test")):
        page.get_by_role("combobox", name=label).click()
        page.locator(".ant-select-dropdown:visible .ant-select-item-option").get_by_text(option).click()
    page.get_by_text("Label match", exact=True).click()
    page.get_by_role("textbox", name="Name").fill("From data")
    page.reload()
    settled(page)
    assert page.get_by_role("textbox", name="Name").input_value() == "From data"
    page.get_by_role("button", name="New evaluation").click()
    page.get_by_role("heading", name="From data", level=1).wait_for()
    made = next(e for e in ask(f"{installation.url}/v1/evals", key=key)["data"] if e["name"] == "From data")
    assert made["testing_criteria"][0]["labels"] == ["card", "transfer"]
    assert made["metadata"]["plinth_dataset_version"] == data["id"]
    page.get_by_role("button", name="Start a run").click()
    page.get_by_text("The examples this evaluation was made for").wait_for()
    assert accessibility_problems(page) == []
