"""Signing in through a provider: against a real OpenID provider (package oidc-provider-mock)."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from integration.identity.signin.town import PASSWORD, Browser, Home, Instance, Town
from plinth.adapters.openid.http import HttpWeb
from plinth.identity import Role
from plinth.identity.model import Grant
from plinth.identity.signin import OidcProvider
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("oidc_provider_mock") is None, reason="install oidc-provider-mock to run this"
)

START = "/api/session/oidc/corp"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The provider in a process of its own: its warnings are not ours."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        address, deadline = f"http://localhost:{port}", time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline, "the provider did not start"
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{address}/.well-known/openid-configuration").json()["issuer"] == address:
                    break
            time.sleep(0.1)
        yield address
        server.terminate()


@pytest.fixture
def now() -> FixedClock:
    # the provider has the real time
    return FixedClock(time.time())


@pytest.fixture
def provider(issuer: str, tmp_path: Path) -> OidcProvider:
    secret = tmp_path / "secret"
    secret.write_text("a secret / with: odd+characters\n")
    return OidcProvider(id="corp", name="Corp login", issuer=issuer, client_id="plinth", client_secret_file=secret)


@pytest.fixture
def town(db: Database, database_url: str, now: FixedClock, tmp_path: Path, provider: OidcProvider) -> Iterator[Town]:
    town = Town(database_url, now, tmp_path / "setup.token", HttpWeb(5.0), (provider,))
    with town.stack:
        yield town


@pytest.fixture
def home(town: Town) -> Home:
    return Home(town)


def register(issuer: str, subject: str, **claims: Any) -> None:
    httpx.put(f"{issuer}/users/{subject}", json=claims).raise_for_status()


def at_the_provider(address: str, subject: str) -> str:
    """Where the provider sends the browser after its sign-in form."""
    answer = httpx.post(address, data={"sub": subject})
    assert answer.is_redirect, answer.text
    return str(answer.headers["location"])


def through(browser: Browser, at: Instance, subject: str) -> str:
    """The whole way; returns where it ends."""
    leave = browser.ask(at, "GET", START)
    assert leave.status_code == 303, leave.text
    back = urlsplit(at_the_provider(leave.headers["location"], subject))
    assert back.path == f"{START}/callback"
    answer = browser.ask(at, "GET", f"{back.path}?{back.query}")
    assert answer.status_code == 303
    return str(answer.headers["location"])


def change(home: Home, **fields: Any) -> None:
    """Other settings of the provider, in both processes."""
    for at in (home.one, home.other):
        at.service.openid.providers["corp"] = at.service.openid.providers["corp"].model_copy(update=fields)


def test_a_known_person_comes_in(home: Home, issuer: str) -> None:
    register(issuer, "s-olga", email="Olga@Example.com", email_verified=True, name="Olga at Corp")
    browser = Browser()
    assert browser.ask(home.one, "GET", "/api/session").json()["oidc"] == [{"id": "corp", "name": "Corp login"}]
    leave = browser.ask(home.one, "GET", START)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(leave.headers["location"]).query).items()}
    assert asked["redirect_uri"] == f"http://testserver{START}/callback"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert len(asked["state"]) == len(asked["nonce"]) == 43
    back = urlsplit(at_the_provider(leave.headers["location"], "s-olga"))
    # another process may finish what one began
    answer = browser.ask(home.other, "GET", f"{back.path}?{back.query}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    told = browser.ask(home.one, "GET", "/api/session").json()
    assert (told["user"]["id"], told["user"]["name"]) == (home.owner.id, "Olga")
    assert "plinth_oidc" not in browser.cookies
    line = home.log()[0]
    assert (line["type"], line["login.succeeded"]["method"]) == ("login.succeeded", "oidc:corp")
    # the code and the journey are good for one sign-in
    again = browser.ask(home.one, "GET", f"{back.path}?{back.query}")
    assert again.headers["location"] == "/console/signin?error=sign_in_expired"


def test_the_subject_names_the_person_for_good(home: Home, issuer: str) -> None:
    register(issuer, "s-1", email="vera@example.com", email_verified=True)
    vera = home.person("vera")
    assert through(Browser(), home.one, "s-1") == "/console/"
    # another address at the provider is still the same person
    register(issuer, "s-1", email="vera.new@example.com", email_verified=True)
    browser = Browser()
    assert through(browser, home.one, "s-1") == "/console/"
    assert browser.ask(home.one, "GET", "/api/session").json()["user"]["id"] == vera.id
    # and the old address given to somebody else is not
    register(issuer, "s-2", email="vera@example.com", email_verified=True)
    assert through(Browser(), home.one, "s-2") == "/console/signin?error=linked_to_another"


@pytest.mark.parametrize("verified", [{"email_verified": False}, {"email_verified": "false"}, {}])
def test_an_address_that_is_not_verified_opens_nothing(home: Home, issuer: str, verified: dict[str, Any]) -> None:
    register(issuer, "s-thief", email="olga@example.com", **verified)
    browser = Browser()
    assert through(browser, home.one, "s-thief") == "/console/signin?error=email_unverified"
    assert browser.ask(home.one, "GET", "/api/session").json()["signed_in"] is False
    line = home.log()[0]
    assert (line["type"], line["login.failed"]["error_code"]) == ("login.failed", "email_unverified")


def test_a_provider_may_be_trusted_without_saying_verified(home: Home, issuer: str) -> None:
    change(home, require_verified_email=False)
    register(issuer, "s-olga2", email="olga@example.com")
    assert through(Browser(), home.one, "s-olga2") == "/console/"
    register(issuer, "s-no", email="olga@example.com", email_verified=False)
    assert through(Browser(), home.one, "s-no") == "/console/signin?error=email_unverified"


def test_strangers_come_in_only_where_the_settings_say_so(home: Home, issuer: str) -> None:
    register(issuer, "s-new", email="new@example.com", email_verified=True, name="Newman")
    assert through(Browser(), home.one, "s-new") == "/console/signin?error=not_invited"
    change(home, create_people=True, role="annotator")
    browser = Browser()
    assert through(browser, home.one, "s-new") == "/console/"
    told = browser.ask(home.one, "GET", "/api/session").json()
    assert (told["user"]["name"], told["user"]["role"], told["projects"]) == ("Newman", "annotator", [])
    assert "user.added" in home.entries()


def test_an_invited_person_gets_what_was_granted(home: Home, issuer: str) -> None:
    register(issuer, "s-guest", email="guest@example.com", email_verified=True)
    with home.town.db.write() as session:
        grants = [Grant(home.project_id, Role.developer)]
        home.one.identity.people.invite(session, home.admin, "guest@example.com", Role.viewer, grants)
    browser = Browser()
    assert through(browser, home.one, "s-guest") == "/console/"
    told = browser.ask(home.one, "GET", "/api/session").json()
    assert [(p["id"], p["role"]) for p in told["projects"]] == [(home.project_id, "developer")]


def test_only_allowed_domains(home: Home, issuer: str) -> None:
    change(home, allowed_domains=("corp.example", "@Example.com"), create_people=True)
    for subject, email, end in (
        ("d-1", "a@example.com", "/console/"),
        ("d-2", "b@corp.example", "/console/"),
        ("d-3", "c@evil.example", "/console/signin?error=email_not_allowed"),
        ("d-4", "d@notexample.com", "/console/signin?error=email_not_allowed"),
    ):
        register(issuer, subject, email=email, email_verified=True)
        assert through(Browser(), home.one, subject) == end


def test_another_claim_can_be_the_address(home: Home, issuer: str) -> None:
    change(home, email_claim="upn", require_verified_email=False)
    register(issuer, "s-upn", upn="olga@example.com")
    assert through(Browser(), home.one, "s-upn") == "/console/"
    register(issuer, "s-none", email="olga@example.com")
    assert through(Browser(), home.one, "s-none") == "/console/signin?error=provider_answer_wrong"


def test_cancelling_at_the_provider(home: Home) -> None:
    browser = Browser()
    leave = browser.ask(home.one, "GET", START)
    state = parse_qs(urlsplit(leave.headers["location"]).query)["state"][0]
    answer = browser.ask(home.one, "GET", f"{START}/callback?error=access_denied&state={state}")
    assert answer.headers["location"] == "/console/signin?error=provider_refused"


def test_a_code_of_another_browser_is_worth_nothing(home: Home, issuer: str) -> None:
    register(issuer, "s-att", email="vera@example.com", email_verified=True)
    home.person("vera")
    attacker, victim = Browser(), Browser()
    leave = attacker.ask(home.one, "GET", START)
    back = urlsplit(at_the_provider(leave.headers["location"], "s-att"))
    # signing the victim in as the attacker
    expired = "/console/signin?error=sign_in_expired"
    assert victim.ask(home.one, "GET", f"{back.path}?{back.query}").headers["location"] == expired
    victim.ask(home.one, "GET", START)  # with a journey of their own
    assert victim.ask(home.one, "GET", f"{back.path}?{back.query}").headers["location"] == expired
    victim.cookies["plinth_oidc"] = "x"
    before = len(home.entries())
    for query in (back.query, "", "state=x", "code=x"):
        assert victim.ask(home.one, "GET", f"{back.path}?{query}").headers["location"] == expired
    assert len(home.entries()) == before


def test_a_journey_does_not_last(home: Home, issuer: str) -> None:
    register(issuer, "s-slow", email="olga@example.com", email_verified=True)
    browser = Browser()
    leave = browser.ask(home.one, "GET", START)
    back = urlsplit(at_the_provider(leave.headers["location"], "s-slow"))
    home.clock.advance(601)
    answer = browser.ask(home.one, "GET", f"{back.path}?{back.query}")
    assert answer.headers["location"] == "/console/signin?error=sign_in_expired"


def test_a_wrong_code_is_refused_by_the_provider(home: Home) -> None:
    browser = Browser()
    leave = browser.ask(home.one, "GET", START)
    state = parse_qs(urlsplit(leave.headers["location"]).query)["state"][0]
    answer = browser.ask(home.one, "GET", f"{START}/callback?code=wrong&state={state}")
    assert answer.headers["location"] == "/console/signin?error=provider_answer_wrong"


def test_a_provider_that_is_away(home: Home, town: Town) -> None:
    change(home, issuer="http://localhost:9")
    answer = Browser().ask(home.one, "GET", START)
    assert answer.headers["location"] == "/console/signin?error=provider_unavailable"
    unknown = Browser().ask(home.one, "GET", "/api/session/oidc/other")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_provider")
    # passwords go on working
    assert Browser().sign_in(home.one, "olga@example.com", PASSWORD).status_code == 200


def test_no_redirect_leads_elsewhere(home: Home, issuer: str) -> None:
    browser = Browser()
    for path in (f"{START}?next=https://evil.example", f"{START}/callback?next=//evil.example&state=x"):
        target = browser.ask(home.one, "GET", path).headers["location"]
        assert urlsplit(target).netloc in ("", urlsplit(issuer).netloc)
        assert "evil" not in target
    # a Host header is no way to choose where the code goes
    odd = browser.ask(home.one, "GET", START, host="evil.example/@x")
    assert odd.headers["location"] == "/console/signin?error=invalid_request"


def test_a_public_address_is_used_when_it_is_set(home: Home, town: Town, issuer: str) -> None:
    town.public_url = "https://plinth.example.com"
    at = town.instance()
    leave = Browser().ask(at, "GET", START, host="evil.example")
    asked = parse_qs(urlsplit(leave.headers["location"]).query)
    assert asked["redirect_uri"] == [f"https://plinth.example.com{START}/callback"]
    assert re.search(r"plinth_oidc=[A-Za-z0-9_.-]+;", leave.headers["set-cookie"])
    assert "Secure" in leave.headers["set-cookie"]
    assert "Secure" in Browser().sign_in(at, "olga@example.com").headers["set-cookie"]


def test_somebody_who_came_by_a_provider_has_no_password(home: Home, issuer: str) -> None:
    change(home, create_people=True)
    register(issuer, "s-np", email="np@example.com", email_verified=True)
    browser = Browser()
    assert through(browser, home.one, "s-np") == "/console/"
    browser.ask(home.one, "GET", "/api/session")
    body = {"current": "whatever", "new": "a good password"}
    answer = browser.ask(home.one, "POST", "/api/session/password", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_password")
    assert Browser().sign_in(home.one, "np@example.com", "a good password").status_code == 401


def test_before_the_first_organization_nobody_comes_in(town: Town, issuer: str) -> None:
    register(issuer, "s-first", email="first@example.com", email_verified=True)
    at = town.instance()
    at.service.openid.providers["corp"] = replace_settings(at, create_people=True)
    assert through(Browser(), at, "s-first") == "/console/signin?error=not_invited"


def replace_settings(at: Instance, **fields: Any) -> OidcProvider:
    return at.service.openid.providers["corp"].model_copy(update=fields)
