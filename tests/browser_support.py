"""A real browser on a real installation: what every browser test needs. The tests skip, and say why, where there is
no Chromium, no Playwright, or no built console."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = Path("/usr/bin/chromium")
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
LANGUAGES = {"zh": "zh-CN", "en": "en-US"}
THEMES = ("light", "dark")
OWNER_EMAIL, PASSWORD = "owner@localhost", "correct horse battery"


def why_not() -> str:
    """Why browser tests cannot run here; empty when they can."""
    from plinth.console.bundle import FOLDER

    try:
        import playwright  # noqa: F401
    except ImportError:
        return "Playwright is not installed: pip install playwright"
    if not CHROMIUM.exists():
        return f"there is no {CHROMIUM}: apt-get install chromium fonts-noto-cjk"
    if not (FOLDER / "index.html").exists():
        return "the console has not been built: run `make console`"
    if not AXE.exists():
        return "axe-core is not installed: run `make console`"
    return ""


@dataclass
class Watch:
    """What must not happen on any page: a request to another host, an error in the console, a refused policy."""

    origin: str
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def on_request(self, request: Any) -> None:
        if not request.url.startswith((self.origin, "blob:", "data:")):
            self.outside.append(request.url)

    def on_console(self, message: Any) -> None:
        # the browser notes every answer of 4xx; what the page says of it is what the tests look at
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def check(self) -> None:
        assert self.outside == [], f"requests left the host: {self.outside}"
        assert self.errors == [], f"the browser's console: {self.errors}"


def watched(page: Any, origin: str) -> Watch:
    watch = Watch(origin)
    page.on("request", watch.on_request)
    page.on("console", watch.on_console)
    page.on("pageerror", lambda error: watch.errors.append(str(error)))
    return watch


def accessibility_problems(page: Any) -> list[str]:
    """axe-core's violations, one line each with the elements."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [
        f"{item['id']}: {item['help']} ({'; '.join(node['html'][:160] for node in item['nodes'][:4])})"
        for item in found
    ]


def settled(page: Any) -> None:
    """Until nothing is being fetched and nothing moves. The stream of changes is always open, so no network idle."""
    page.wait_for_selector("h1")
    page.wait_for_function(
        """() => !document.querySelector('.ant-skeleton, .ant-spin-spinning')
               && document.getAnimations().every((one) => one.playState !== 'running')"""
    )


def ask(url: str, method: str = "GET", key: str = "", body: object = None) -> Any:
    """One call of the API with a key, as a script makes it."""
    request = urllib.request.Request(url, method=method)
    if key:
        request.add_header("authorization", f"Bearer {key}")
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, data, timeout=30) as answer:
        return json.load(answer)


def set_owner_password(url: str, admin_key: str) -> None:
    """What an administrator does for somebody without a password: hand out a link, which the person uses."""
    users = ask(f"{url}/v1/organization/users", key=admin_key)["data"]
    owner = next(user for user in users if user["email"] == OWNER_EMAIL)
    issued = ask(f"{url}/api/users/{owner['id']}/password_reset", "POST", admin_key)
    ask(f"{url}/api/password_reset", "POST", body={"token": issued["token"], "password": PASSWORD})
