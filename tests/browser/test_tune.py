"""The tune page: a job's curves and estimate, steering it, and starting one without losing what was typed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from acceptance.installation import Installation
from browser_seed import BASE, STEPS, Tuned, tuned
from browser_support import LANGUAGES, THEMES, accessibility_problems, ask, settled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seeded(installation: Installation) -> Tuned:
    return tuned(installation)


def drawn(page: Any) -> None:
    """The page of a job at work never stands still, since its bar moves: until its last part is there."""
    page.get_by_role("heading", name="Log", level=2).or_(page.get_by_role("heading", name="日志", level=2)).wait_for()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/tune", "/tune/new", "/tune/{job}"])
def test_pages_are_accessible(window: Any, seeded: Tuned, path: str, language: str, theme: str) -> None:
    page = window(path.format(job=seeded.job), language, theme)
    if "job" in path:
        drawn(page)
    else:
        settled(page)
    page.get_by_role("main").get_by_text(BASE).first.wait_for()
    assert page.get_by_role("heading", level=1).count() == 1
    assert accessibility_problems(page) == []


def test_a_job_shows_its_curves_and_its_estimate_with_a_range(window: Any, seeded: Tuned) -> None:
    page = window(f"/tune/{seeded.job}")
    drawn(page)
    page.get_by_role("timer").get_by_text("range 3 min to 7 min").wait_for()
    drawing = page.get_by_role("img", name="Loss, latest: Training loss")
    assert "Validation loss (all) 0.770" in str(drawing.get_attribute("aria-label"))
    cursor = page.get_by_role("slider", name="Step").first
    cursor.focus()
    page.keyboard.press("Home")
    assert str(cursor.get_attribute("aria-valuetext")).startswith("Step 1: Training loss")
    page.get_by_text("Show the numbers").first.click()
    assert page.get_by_role("table", name="Loss").get_by_role("row").count() == STEPS + 1
    page.get_by_text("Epoch 1 of 3 is done.").wait_for()
    page.get_by_role("link", name=seeded.checkpoint).wait_for()
    assert accessibility_problems(page) == []


def test_a_job_is_paused_and_cancelled(window: Any, seeded: Tuned, installation: Installation) -> None:
    address = f"{installation.url}/v1/fine_tuning/jobs/{seeded.job}"
    page = window(f"/tune/{seeded.job}")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").wait_for()
    assert ask(address, key=installation.keys["project_key"])["status"] == "paused"
    page.get_by_role("button", name="Cancel job").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("80 trained steps are lost").wait_for()
    dialog.get_by_role("button", name="Cancel job").click()
    page.get_by_role("button", name="Resume").wait_for(state="detached")
    assert ask(address, key=installation.keys["project_key"])["status"] == "cancelled"


def test_a_new_job_is_checked_kept_and_refused_beside_its_field(
    window: Any, seeded: Tuned, installation: Installation
) -> None:
    page = window("/tune/new")
    settled(page)
    page.get_by_label("Training file").click()
    page.locator(".ant-select-item-option").get_by_text("bank.csv").first.click()
    page.get_by_text("90 rows · texts with labels · 2 labels").wait_for()
    page.get_by_text(BASE, exact=True).click()
    page.get_by_text("An estimated").wait_for()
    page.get_by_label("Name suffix").fill("my-suffix")
    page.reload()
    settled(page)
    assert page.get_by_label("Name suffix").input_value() == "my-suffix"
    page.get_by_text("90 rows · texts with labels · 2 labels").wait_for()
    before = len(ask(f"{installation.url}/v1/fine_tuning/jobs", key=installation.keys["project_key"])["data"])
    refusal = {"message": "This suffix is taken.", "type": "invalid_request_error", "code": "x", "param": "suffix"}

    def refuse(route: Any) -> None:
        if route.request.method == "GET":
            route.continue_()
        else:
            route.fulfill(status=400, content_type="application/json", body=json.dumps({"error": refusal}))

    page.route("**/v1/fine_tuning/jobs", refuse)
    page.get_by_role("button", name="Start training").click()
    item = page.locator(".ant-form-item").filter(has=page.get_by_label("Name suffix"))
    item.get_by_text("This suffix is taken.").wait_for()
    assert len(ask(f"{installation.url}/v1/fine_tuning/jobs", key=installation.keys["project_key"])["data"]) == before
