"""Every page of the shell in both languages and both themes: accessible, titled, and at home on this host."""

from __future__ import annotations

from typing import Any

import pytest

from browser_support import LANGUAGES, THEMES, accessibility_problems, settled

pytestmark = pytest.mark.slow

TITLES = {
    "/": ("概览", "Home"),
    "/people/keys": ("密钥与人员", "Keys & people"),
    "/people/accounts": ("密钥与人员", "Keys & people"),
    "/people/members": ("密钥与人员", "Keys & people"),
    "/people/users": ("密钥与人员", "Keys & people"),
    "/people/invites": ("密钥与人员", "Keys & people"),
    "/people/projects": ("密钥与人员", "Keys & people"),
    "/people/admin-keys": ("密钥与人员", "Keys & people"),
    "/people/roles": ("密钥与人员", "Keys & people"),
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


def check(page: Any, title: str) -> None:
    settled(page)
    assert page.get_by_role("heading", level=1).all_inner_texts() == [title]
    assert page.title() == f"{title} · Plinth"
    assert accessibility_problems(page) == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", TITLES)
def test_page(window: Any, path: str, language: str, theme: str) -> None:
    page = window(path, language, theme)
    check(page, TITLES[path][language == "en"])
    assert page.locator("html").get_attribute("lang") == language


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", DOORS)
def test_door(window: Any, path: str, language: str, theme: str) -> None:
    check(window(path, language, theme, stranger=True), DOORS[path][language == "en"])


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
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
