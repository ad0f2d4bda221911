"""The playground in a browser: real streams through the gateway, with the token of a signed-in person."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from acceptance.gateway_support import Api
from acceptance.installation import Installation
from browser_models import choose, provided
from browser_support import LANGUAGES, THEMES, accessibility_problems, settled

pytestmark = pytest.mark.slow

TITLES = {
    "/playground": ("模型体验", "Playground"),
    "/playground/batches": ("批处理", "Batches"),
}


@pytest.fixture(scope="module")
def api(installation: Installation) -> Iterator[Api]:
    with provided(installation, "play-a", "play-b", "slow") as found:
        yield found


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


def ask(page: Any, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.get_by_label("Your message").press("Enter")


def test_two_models_answer_side_by_side_and_usage_is_booked_to_the_person(window: Any, api: Api) -> None:
    page = window("/playground")
    page.get_by_role("button", name="Compare two").click()
    choose(page, page.get_by_role("combobox", name="First model"), "play-a")
    choose(page, page.get_by_role("combobox", name="Second model"), "play-b")
    ask(page, "what are the opening hours")
    first = page.get_by_role("log", name="Conversation with: First model")
    second = page.get_by_role("log", name="Conversation with: Second model")
    first.get_by_text("tokens out").wait_for()
    second.get_by_text("tokens out").wait_for()
    assert "play-a" in first.inner_text()
    assert "play-b" in second.inner_text()
    assert page.get_by_label("Your message").input_value() == ""
    settled(page)
    assert accessibility_problems(page) == []
    page.reload()
    first.get_by_text("tokens out").wait_for()  # the conversation is kept
    used = api.get("/api/usage/summary")["models"]
    assert any("play-a" in entry["model"] for entry in used)


def test_an_answer_is_stopped(window: Any, api: Api) -> None:
    page = window("/playground?model=slow")
    ask(page, "tell me a long story")
    log = page.get_by_role("log")
    page.wait_for_function(
        "() => (document.querySelector('.play-turn-assistant .play-turn-text')?.innerText.length ?? 0) > 20"
    )
    page.get_by_role("button", name="Stop").first.click()
    log.get_by_text("stopped").wait_for()
    text = log.inner_text()
    page.wait_for_timeout(400)
    assert log.inner_text() == text
    page.get_by_label("Your message").fill("and again")
    assert page.get_by_role("button", name="Send").is_enabled()


def test_a_prompt_is_saved_with_versions_and_survives_a_new_page(window: Any, api: Api) -> None:
    page = window("/playground?model=play-a")
    page.get_by_text("System prompt and parameters").click()
    system = page.get_by_label("System prompt", exact=True)
    system.fill("Be brief.")
    page.get_by_role("button", name="Save prompt").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("bank desk")
    dialog.get_by_role("button", name="Save", exact=True).click()
    dialog.wait_for(state="hidden")
    system.fill("Be brief and polite.")
    page.get_by_role("button", name="Save as a version of bank desk").click()
    page.reload()
    page.get_by_text("System prompt and parameters").click()
    assert system.input_value() == "Be brief and polite."
    page.get_by_role("combobox", name="Saved prompts").click()
    page.locator(".ant-select-item-option").filter(has_text="bank desk").click()
    page.get_by_role("combobox", name="Version of the prompt").click()
    page.locator(".ant-select-item-option").filter(has_text="Version 1,").click()
    assert system.input_value() == "Be brief."
    settled(page)
    assert accessibility_problems(page) == []


def test_the_copied_python_runs_and_holds_no_key(window: Any, api: Api, installation: Installation) -> None:
    page = window("/playground?model=play-a")
    ask(page, 'it\'s "here"\\now')
    page.get_by_role("log").get_by_text("tokens out").wait_for()
    page.get_by_role("button", name="Copy as code").click()
    dialog = page.get_by_role("dialog")
    code = dialog.locator("pre").first.inner_text()
    assert "sk-" not in code
    assert "PLINTH_API_KEY" in code
    environment = {**os.environ, "PLINTH_API_KEY": installation.keys["project_key"]}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert 'it\'s "here"\\now' in done.stdout
    assert accessibility_problems(page) == []


def test_a_refusal_says_the_apis_sentence_and_keeps_the_question(window: Any, api: Api) -> None:
    page = window("/playground?model=play-gone")
    ask(page, "anybody there")
    page.get_by_role("alert").get_by_text("play-gone").wait_for()
    assert "anybody there" in page.get_by_role("log").inner_text()
