"""One installation and one browser for all browser tests; each test has a window of its own.

`PLINTH_SCREENSHOTS=folder pytest tests/browser` leaves a picture of every window there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.installation import Installation
from browser_support import CHROMIUM, LANGUAGES, OWNER_EMAIL, PASSWORD, Watch, set_owner_password, watched, why_not

Window = Callable[..., Any]


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    if reason := why_not():
        pytest.skip(reason)
    place = Installation(tmp_path_factory.mktemp("home"))
    try:
        place.start()
        set_owner_password(place.url, place.keys["admin_key"])
        yield place
    finally:
        place.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if reason := why_not():
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def owner_state(installation: Installation, chromium: Any) -> dict[str, Any]:
    """The owner's cookie, from signing in through the page."""
    context = chromium.new_context(locale="en-US")
    page = context.new_page()
    page.goto(f"{installation.url}/console/signin")
    page.get_by_label("Email").fill(OWNER_EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Home", level=1).wait_for()
    state: dict[str, Any] = context.storage_state()
    context.close()
    return {"cookies": state["cookies"], "origins": []}


@pytest.fixture
def window(installation: Installation, chromium: Any, request: pytest.FixtureRequest) -> Iterator[Window]:
    """`window("/people/keys", language="zh", theme="dark")`: a page in a browser of its own, signed in as the owner
    unless `stranger`. After the test: nothing left the host, and no error was in the browser's console."""
    opened: list[tuple[Any, Watch]] = []

    def open_window(path: str, language: str = "en", theme: str = "light", stranger: bool = False) -> Any:
        state = None if stranger else request.getfixturevalue("owner_state")
        context = chromium.new_context(
            locale=LANGUAGES[language],
            color_scheme=theme,
            reduced_motion="reduce",
            viewport={"width": 1360, "height": 860},
            storage_state=state,
        )
        context.add_init_script(f"localStorage.setItem('plinth.language', '{language}')")
        page = context.new_page()
        page.set_default_timeout(15_000)
        opened.append((page, watched(page, installation.url)))
        page.goto(f"{installation.url}/console{path}")
        return page

    yield open_window
    shots = os.environ.get("PLINTH_SCREENSHOTS")
    for number, (page, _) in enumerate(opened):
        if shots:
            folder = Path(shots)
            folder.mkdir(parents=True, exist_ok=True)
            name = request.node.name.replace("/", "_").replace("[", "-").replace("]", "")
            page.screenshot(caret="initial", path=str(folder / f"{name}{f'-{number}' if number else ''}.png"))
        page.context.close()
    for _, watch in opened:
        watch.check()
