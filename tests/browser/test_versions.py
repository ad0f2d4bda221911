"""The versions page: lineage, checksums, parity; a name pointed at a version and back; deleting with its warning."""

from __future__ import annotations

from typing import Any

import pytest

from acceptance.installation import Installation
from browser_seed import BASE, Tuned, tuned
from browser_support import LANGUAGES, THEMES, accessibility_problems, ask, settled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seeded(installation: Installation) -> Tuned:
    found = tuned(installation)
    for target in (BASE, found.checkpoint):
        ask(f"{installation.url}/api/aliases/support", "PUT", installation.keys["project_key"], {"target": target})
    return found


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/versions", "/versions/names", "/versions/{final}"])
def test_pages_are_accessible(window: Any, seeded: Tuned, path: str, language: str, theme: str) -> None:
    page = window(path.format(final=seeded.final), language, theme)
    settled(page)
    page.get_by_role("main").get_by_text(BASE).first.wait_for()
    assert page.get_by_role("heading", level=1).count() == 1
    assert accessibility_problems(page) == []


def test_a_version_says_where_it_came_from_and_what_uses_it(window: Any, seeded: Tuned) -> None:
    page = window(f"/versions/{seeded.checkpoint}")
    settled(page)
    main = page.get_by_role("main")
    assert main.get_by_role("link", name=seeded.job).get_attribute("href") == f"/console/tune/{seeded.job}"
    main.get_by_role("link", name="Tune me, version").wait_for()
    main.get_by_text(seeded.training_file).wait_for()
    main.get_by_role("link", name="support").wait_for()
    main.get_by_text("ab" * 32).wait_for()


def test_parity_is_shown_with_its_interval(window: Any, seeded: Tuned) -> None:
    page = window(f"/versions/{seeded.final}")
    settled(page)
    page.get_by_role("img", name="Same answers: 95%, 95% interval 76.4% to 99.1%").wait_for()
    page.get_by_text("1 answer differs (1 listed)").click()
    page.get_by_text("Where is my card?").wait_for()


def test_a_name_is_pointed_at_a_version_and_back(window: Any, seeded: Tuned, installation: Installation) -> None:
    address = f"{installation.url}/api/aliases/support"
    page = window(f"/versions/{seeded.final}")
    page.get_by_role("button", name="Point a name at it").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("support")
    dialog.get_by_text(f"Requests from now on go from {seeded.checkpoint} to {seeded.final}").wait_for()
    assert accessibility_problems(page) == []
    dialog.get_by_role("button", name="Point it there").click()
    dialog.wait_for(state="detached")
    assert ask(address, key=installation.keys["project_key"])["target"] == seeded.final
    page.goto(f"{installation.url}/console/versions/names")
    page.get_by_role("row").filter(has_text="support").get_by_role("button", name="History").click()
    moved = page.get_by_role("dialog").get_by_role("row").filter(has_text=seeded.checkpoint)
    moved.get_by_role("button", name="Go back to this").click()
    page.get_by_role("dialog", name="Point “support” back?").get_by_role("button", name="Go back to this").click()
    page.get_by_text("“support” was changed").wait_for()
    assert ask(address, key=installation.keys["project_key"])["target"] == seeded.checkpoint


def test_deleting_says_what_it_touches_and_what_stands_in_the_way(window: Any, seeded: Tuned) -> None:
    page = window(f"/versions/{seeded.checkpoint}")
    settled(page)
    page.get_by_role("button", name="Delete version").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Names that point at it: support").wait_for()
    confirm = dialog.get_by_role("button", name="Delete version")
    assert confirm.is_disabled()
    dialog.get_by_role("textbox").fill(seeded.checkpoint.split(":")[4])
    confirm.click()
    dialog.get_by_role("alert").get_by_text("support").wait_for()  # the API's own sentence
