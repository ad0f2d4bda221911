"""Every page of the shell in both languages and both themes: accessible, titled, and at home on this host."""

from __future__ import annotations

from typing import Any

import pytest

from browser_support import LANGUAGES, THEMES, accessibility_problems, settled

pytestmark = pytest.mark.slow

PEOPLE = ("密钥与人员", "Keys & people")
TITLES = {
    "/": ("概览", "Home"),
    "/people/keys": PEOPLE,
    "/people/accounts": PEOPLE,
    "/people/members": PEOPLE,
    "/people/users": PEOPLE,
    "/people/invites": PEOPLE,
    "/people/projects": PEOPLE,
    "/people/admin-keys": PEOPLE,
    "/people/roles": PEOPLE,
    "/audit": ("审计", "Audit"),
    "/system": ("系统", "System"),
    "/nowhere": ("没有这个页面", "There is no such page"),
}
DOORS = {
    "/signin": ("登录 Plinth", "Sign in to Plinth"),
    "/signin?error=not_invited": ("登录 Plinth", "Sign in to Plinth"),
    "/invite": ("接受邀请", "Accept your invitation"),
    "/invite#unknown": ("接受邀请", "Accept your invitation"),
    "/reset": ("设置新密码", "Choose a new password"),
    "/reset#token": ("设置新密码", "Choose a new password"),
}

in_every_look = pytest.mark.parametrize(("language", "theme"), [(one, other) for one in LANGUAGES for other in THEMES])


def problems_of(page: Any, address: str, title: str, language: str) -> list[str]:
    page.goto("about:blank")  # so that an address that differs after its # is loaded anew
    page.goto(address)
    settled(page)
    found = accessibility_problems(page)
    headings = page.get_by_role("heading", level=1).all_inner_texts()
    if headings != [title]:
        found.append(f"headings of the first level: {headings}, not {title}")
    if page.title() != f"{title} · Plinth":
        found.append(f"the document's title is {page.title()!r}")
    if page.locator("html").get_attribute("lang") != language:
        found.append("the document's language is another one")
    return found


@in_every_look
@pytest.mark.parametrize("stranger", [False, True], ids=["inside", "doors"])
def test_every_page(window: Any, installation: Any, stranger: bool, language: str, theme: str) -> None:
    page = window("/signin" if stranger else "/", language, theme, stranger=stranger)
    settled(page)
    expected = DOORS if stranger else TITLES
    problems = {
        path: problems_of(page, f"{installation.url}/console{path}", titles[language == "en"], language)
        for path, titles in expected.items()
    }
    assert {path: found for path, found in problems.items() if found} == {}


@in_every_look
def test_overlays_are_accessible(window: Any, language: str, theme: str) -> None:
    page = window("/", language, theme)
    settled(page)
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="搜索与命令" if language == "zh" else "Search and commands").wait_for()
    assert accessibility_problems(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    assert accessibility_problems(page) == []
