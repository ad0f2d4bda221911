"""Sessions: signing in and out across processes, acting with a role, CSRF, expiry, one's own sessions."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from integration.identity.signin.town import PASSWORD, Browser, Home
from plinth import __version__
from plinth.gateway.dataplane.authenticate import authenticate
from plinth.gateway.dataplane.snapshot import Snapshot
from plinth.identity import PERMISSIONS, Role
from plinth.kit.errors import Unauthenticated


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_stranger_learns_how_to_sign_in_and_nothing_else(home: Home) -> None:
    told = Browser().ask(home.one, "GET", "/api/session").json()
    assert told == {
        "object": "session",
        "signed_in": False,
        "setup_needed": False,
        "oidc": [],
        "version": __version__,
    }


def test_sign_in_at_one_process_and_use_the_other(home: Home) -> None:
    browser = Browser()
    answer = browser.sign_in(home.one, "  OLGA@example.com ")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    told = browser.ask(home.other, "GET", "/api/session").json()
    assert told == answer.json()
    assert told["user"] == {
        "id": home.owner.id,
        "email": "olga@example.com",
        "name": "Olga",
        "role": "owner",
        "language": "en",
    }
    assert told["organization"] == {"id": home.admin.organization_id, "name": "Acme"}
    assert set(told["organization_permissions"]) == {"organization:read", "organization:write", "catalog:write"}
    assert [(p["id"], p["role"]) for p in told["projects"]] == [
        (home.project_id, "owner"),
        (home.other_project, "owner"),
    ]
    assert set(told["projects"][0]["permissions"]) == PERMISSIONS[Role.owner]
    seen = browser.ask(home.other, "GET", "/probe", x_plinth_project=home.project_id).json()
    assert seen["principal"] == f"user:{home.owner.id}"
    assert seen["key_id"].startswith("session:sess_")


def test_the_cookie_is_for_browsers_only(home: Home) -> None:
    plain = Browser().sign_in(home.one, "olga@example.com").headers["set-cookie"]
    assert plain.startswith("plinth_session=")
    for part in ("HttpOnly", "Path=/", "SameSite=lax", "Max-Age=2592000"):
        assert part in plain
    assert "Secure" not in plain
    safe = Browser().sign_in(home.one, "olga@example.com", x_forwarded_proto="https").headers["set-cookie"]
    assert "Secure" in safe


def test_only_hashes_are_stored(home: Home) -> None:
    browser = home.browser(home.owner)
    with home.town.db.read() as session:
        for table in ("user_sessions", "user_passwords", "sign_in_attempts", "one_time_tokens", "audit_log"):
            rows = str(session.execute(text(f"SELECT * FROM {table}")).all())
            assert browser.cookies["plinth_session"] not in rows
            assert PASSWORD not in rows


def test_a_person_acts_with_their_role_in_the_project(home: Home) -> None:
    developer, viewer = home.person("dora", in_project=Role.developer), home.person("vera", in_project=Role.viewer)
    dora, vera = home.browser(developer), home.browser(viewer)
    here = {"x_plinth_project": home.project_id}
    assert dora.ask(home.one, "POST", "/probe", **here).status_code == 200
    assert vera.ask(home.one, "POST", "/probe", **here).status_code == 403
    assert vera.ask(home.one, "GET", "/probe", **here).status_code == 403
    # no member of the other one, of an unknown one, of one with an odd name
    for project in (home.other_project, "proj_unknown", "x" * 5000, "proj_%00"):
        assert code(dora.ask(home.one, "GET", "/probe", x_plinth_project=project)) == (404, "not_found")
    told = dora.ask(home.one, "GET", "/api/session").json()
    assert [p["id"] for p in told["projects"]] == [home.project_id]
    assert told["organization_permissions"] == []


def test_without_a_project_a_person_acts_on_the_organization(home: Home) -> None:
    manager, developer = home.person("ada", Role.admin), home.person("dora", in_project=Role.developer)
    ada, dora = home.browser(manager), home.browser(developer)
    assert len(ada.ask(home.one, "GET", "/v1/organization/projects").json()["data"]) == 2
    assert code(dora.ask(home.one, "GET", "/v1/organization/projects")) == (403, "insufficient_permissions")
    assert code(ada.ask(home.one, "GET", "/probe")) == (403, "insufficient_permissions")
    # inside a project nobody holds the organization's permissions, as with project keys
    inside = ada.ask(home.one, "GET", "/v1/organization/projects", x_plinth_project=home.project_id)
    assert code(inside) == (403, "insufficient_permissions")


def test_a_role_counts_from_the_next_request_on(home: Home) -> None:
    developer = home.person("dora", in_project=Role.developer)
    dora, here = home.browser(developer), {"x_plinth_project": home.project_id}
    people = home.other.identity.people
    assert dora.ask(home.one, "GET", "/probe", **here).status_code == 200
    with home.town.db.write() as session:
        people.set_member_role(session, home.admin, home.project_id, developer.id, Role.annotator)
    assert dora.ask(home.one, "GET", "/probe", **here).status_code == 403
    with home.town.db.write() as session:
        people.remove_member(session, home.admin, home.project_id, developer.id)
    assert code(dora.ask(home.one, "GET", "/probe", **here)) == (404, "not_found")
    with home.town.db.write() as session:
        people.set_role(session, home.admin, developer.id, Role.admin)
    assert dora.ask(home.one, "GET", "/probe", **here).status_code == 200
    with home.town.db.write() as session:
        people.remove_user(session, home.admin, developer.id)
    assert code(dora.ask(home.one, "GET", "/probe", **here)) == (401, "session_ended")


def test_an_archived_project_is_not_found(home: Home) -> None:
    browser = home.browser(home.owner)
    with home.town.db.write() as session:
        home.one.identity.archive_project(session, home.admin, home.project_id)
    assert code(browser.ask(home.one, "GET", "/probe", x_plinth_project=home.project_id)) == (404, "not_found")
    assert home.project_id not in str(browser.ask(home.one, "GET", "/api/session").json()["projects"])


def test_changes_need_the_csrf_token(home: Home) -> None:
    mine, hers = home.browser(home.owner), home.browser(home.person("ada", Role.admin))
    here = {"x_plinth_project": home.project_id}
    for wrong in ("wrong", hers.csrf):
        assert code(mine.ask(home.one, "POST", "/probe", **here, x_csrf_token=wrong)) == (403, "csrf_failed")
    mine.csrf = ""
    assert code(mine.ask(home.one, "POST", "/probe", **here)) == (403, "csrf_failed")
    assert mine.ask(home.one, "GET", "/probe", **here).status_code == 200
    mine.ask(home.other, "GET", "/api/session")
    assert mine.ask(home.one, "POST", "/probe", **here).status_code == 200


def test_an_authorization_header_ignores_the_cookie(home: Home) -> None:
    vera = home.browser(home.person("vera"))
    key = {"authorization": f"Bearer {home.project_key}"}
    seen = vera.ask(home.one, "POST", "/probe", x_csrf_token="", **key)
    assert seen.json()["project"] == home.project_id
    for header in ("Bearer sk-proj-unknown", "Basic abc", "Bearer", ""):
        assert vera.ask(home.one, "GET", "/api/me", authorization=header).status_code == 401
    assert vera.ask(home.one, "GET", "/api/session", **key).json()["signed_in"] is False


def test_me_names_the_person(home: Home) -> None:
    dora = home.browser(home.person("dora", in_project=Role.developer))
    me = dora.ask(home.one, "GET", "/api/me", x_plinth_project=home.project_id).json()
    assert (me["role"], me["owner"]["user"]["email"], me["api_key"]) == ("developer", "dora@example.com", None)
    assert set(me["permissions"]) == PERMISSIONS[Role.developer]
    outside = dora.ask(home.one, "GET", "/api/me").json()
    assert (outside["role"], outside["permissions"], outside["project"]) == ("viewer", [], None)


def test_signing_out_ends_the_session_on_the_server(home: Home) -> None:
    browser = home.browser(home.owner)
    stolen = Browser(dict(browser.cookies), browser.csrf)
    assert code(browser.ask(home.one, "DELETE", "/api/session", x_csrf_token="no")) == (403, "csrf_failed")
    answer = browser.ask(home.one, "DELETE", "/api/session")
    assert (answer.status_code, answer.json()["signed_in"]) == (200, False)
    assert browser.cookies == {}
    assert code(stolen.ask(home.other, "GET", "/api/me")) == (401, "session_ended")
    assert stolen.ask(home.other, "GET", "/api/session").json()["signed_in"] is False
    assert browser.ask(home.one, "DELETE", "/api/session").status_code == 200


def test_signing_in_again_replaces_the_session_of_the_browser(home: Home) -> None:
    browser = home.browser(home.owner)
    before = Browser(dict(browser.cookies))
    assert browser.sign_in(home.other, "olga@example.com").status_code == 200
    assert before.ask(home.one, "GET", "/api/session").json()["signed_in"] is False
    assert len(browser.ask(home.one, "GET", "/api/sessions").json()["data"]) == 1


def test_a_session_ends_when_it_is_not_used(home: Home) -> None:
    browser = home.browser(home.owner)
    for _ in range(3):  # used now and then it goes on
        home.clock.advance(11 * 3600)
        assert browser.ask(home.one, "GET", "/api/me").status_code == 200
    home.clock.advance(12 * 3600)
    assert code(browser.ask(home.one, "GET", "/api/me")) == (401, "session_ended")


def test_a_session_ends_after_thirty_days_in_any_case(home: Home) -> None:
    browser = home.browser(home.owner)
    for _ in range(59):
        home.clock.advance(12 * 3600 - 1)
        assert browser.ask(home.one, "GET", "/api/me").status_code == 200
    home.clock.advance(12 * 3600 - 1)
    assert browser.ask(home.one, "GET", "/api/me").status_code == 200
    home.clock.advance(61)
    assert code(browser.ask(home.one, "GET", "/api/me")) == (401, "session_ended")


def test_ones_own_sessions(home: Home) -> None:
    laptop = home.browser(home.owner)
    home.clock.advance(100)
    agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Safari/604.1"
    phone = home.browser(home.owner, agent=agent)
    stranger = home.browser(home.person("vera"))
    laptop.ask(home.one, "GET", "/api/me")
    found = laptop.ask(home.one, "GET", "/api/sessions").json()["data"]
    assert [(s["device"], s["current"]) for s in found] == [("Safari on iOS", False), ("Firefox on Linux", True)]
    assert found[0]["last_seen_at"] == found[1]["last_seen_at"]  # both were used just now
    theirs = stranger.ask(home.one, "GET", "/api/sessions").json()["data"][0]["id"]
    assert code(laptop.ask(home.one, "DELETE", f"/api/sessions/{theirs}")) == (404, "not_found")
    assert laptop.ask(home.one, "DELETE", f"/api/sessions/{found[0]['id']}").json()["deleted"] is True
    assert code(phone.ask(home.other, "GET", "/api/me")) == (401, "session_ended")
    assert laptop.ask(home.other, "GET", "/api/me").status_code == 200
    assert home.entries()[0] == "logout.succeeded"


def test_sessions_are_for_people_who_signed_in(home: Home) -> None:
    key = {"authorization": f"Bearer {home.admin_key}"}
    for method, path, body in (
        ("GET", "/api/sessions", None),
        ("DELETE", "/api/sessions/x", None),
        ("PATCH", "/api/session/user", {"name": "x"}),
        ("POST", "/api/session/password", {"current": "x", "new": "y"}),
        ("POST", "/api/session/token", None),
    ):
        assert code(Browser().ask(home.one, method, path, body, **key)) == (403, "session_needed")
        assert Browser().ask(home.one, method, path, body).status_code == 401


def test_name_and_language(home: Home) -> None:
    browser = home.browser(home.owner)
    assert browser.ask(home.one, "GET", "/api/session", accept_language="zh-CN").json()["user"]["language"] == "zh"
    told = browser.ask(home.one, "PATCH", "/api/session/user", {"language": "zh", "name": " Ольга "}).json()
    assert (told["user"]["language"], told["user"]["name"]) == ("zh", "Ольга")
    again = browser.ask(home.other, "PATCH", "/api/session/user", {"language": "en"}).json()
    assert (again["user"]["language"], again["user"]["name"]) == ("en", "Ольга")
    for body in ({"language": "fr"}, {"name": ""}, {"name": "x" * 201}, {"name": "a\x00b"}):
        assert browser.ask(home.one, "PATCH", "/api/session/user", body).status_code == 400


class TestPlaygroundToken:
    def test_it_calls_models_as_the_person_for_ten_minutes(self, home: Home) -> None:
        user = home.person("dora", in_project=Role.developer)
        browser, here = home.browser(user), {"x_plinth_project": home.project_id}
        issued = browser.ask(home.one, "POST", "/api/session/token", **here).json()
        assert issued["expires_at"] == home.clock.unix() + 600
        with home.town.db.read() as session:
            snapshot = Snapshot(projects=home.other.identity.active_projects(session))
        headers = {b"authorization": f"Bearer {issued['token']}".encode()}
        tokens = home.other.identity.tokens
        actor = authenticate(snapshot, headers, tokens, home.clock.unix())
        assert (actor.project_id, actor.principal) == (home.project_id, f"user:{user.id}")
        assert actor.key_id.startswith("session:")
        assert actor.permissions == {"models:read", "models:use"}
        with pytest.raises(Unauthenticated):
            authenticate(snapshot, headers, tokens, home.clock.unix() + 600)

    @pytest.mark.parametrize("role", list(Role))
    def test_it_never_gives_more_than_the_person_has(self, home: Home, role: Role) -> None:
        browser, here = home.browser(home.person("x", in_project=role)), {"x_plinth_project": home.project_id}
        answer = browser.ask(home.one, "POST", "/api/session/token", **here)
        if "models:use" not in PERMISSIONS[role]:
            assert code(answer) == (403, "insufficient_permissions")
            return
        bearer = {"authorization": f"Bearer {answer.json()['token']}"}
        granted = Browser().ask(home.one, "GET", "/api/me", **bearer).json()["permissions"]
        assert set(granted) <= PERMISSIONS[role]
        assert Browser().ask(home.one, "POST", "/probe", **bearer).status_code == 403

    def test_it_opens_nothing_of_the_persons_own(self, home: Home) -> None:
        browser, here = home.browser(home.owner), {"x_plinth_project": home.project_id}
        bearer = {
            "authorization": f"Bearer {browser.ask(home.one, 'POST', '/api/session/token', **here).json()['token']}"
        }
        for method, path in (("POST", "/api/session/token"), ("GET", "/api/sessions"), ("PATCH", "/api/session/user")):
            assert code(Browser().ask(home.one, method, path, {}, **bearer, **here)) == (403, "session_needed")
        assert Browser().ask(home.one, "GET", "/v1/organization/projects", **bearer).status_code == 403

    def test_a_changed_scope_is_a_broken_token(self, home: Home) -> None:
        browser, here = home.browser(home.owner), {"x_plinth_project": home.project_id}
        token = browser.ask(home.one, "POST", "/api/session/token", **here).json()["token"]
        widened = token.replace("~models.", ".")
        assert widened != token
        assert Browser().ask(home.one, "GET", "/api/me", authorization=f"Bearer {widened}").status_code == 401

    def test_it_needs_a_project_and_the_csrf_token(self, home: Home) -> None:
        browser = home.browser(home.owner)
        assert code(browser.ask(home.one, "POST", "/api/session/token")) == (400, "project_needed")
        here = {"x_plinth_project": home.project_id, "x_csrf_token": "no"}
        assert code(browser.ask(home.one, "POST", "/api/session/token", **here)) == (403, "csrf_failed")


def test_the_audit_log_names_the_person_behind_a_session(home: Home) -> None:
    browser = home.browser(home.owner)
    made = browser.ask(home.one, "POST", "/v1/organization/projects", {"name": "New"}).json()
    line = next(entry for entry in home.log() if entry["type"] == "project.created" and made["id"] in str(entry))
    person = {"id": home.owner.id, "email": "olga@example.com"}
    assert line["actor"] == {"type": "session", "session": {"user": person}}
    for filters in ({"actor_ids": home.owner.id}, {"actor_emails": "olga@example.com"}):
        assert line["id"] in [entry["id"] for entry in home.log(**filters)]
    # whoever makes a project is in it, and whoever makes a key owns it
    members = browser.ask(home.one, "GET", f"/v1/organization/projects/{made['id']}/users").json()["data"]
    assert [member["id"] for member in members] == [home.owner.id]
    key = browser.ask(home.one, "POST", f"/api/projects/{made['id']}/api_keys", {"name": "k"}).json()
    assert key["owner"]["user"]["id"] == home.owner.id


def test_an_admin_who_signed_in_is_no_owner(home: Home) -> None:
    ada = home.browser(home.person("ada", Role.admin))
    promoted = ada.ask(home.one, "POST", f"/v1/organization/users/{home.owner.id}", {"role": "viewer"})
    assert code(promoted) == (403, "owner_only")
    olga = home.browser(home.owner)
    other = home.person("otto")
    assert olga.ask(home.one, "POST", f"/v1/organization/users/{other.id}", {"role": "owner"}).status_code == 200


def test_the_last_admin_key_may_go_when_an_owner_can_sign_in(home: Home) -> None:
    olga = home.browser(home.owner)
    keys = olga.ask(home.one, "GET", "/v1/organization/admin_api_keys").json()["data"]
    assert olga.ask(home.one, "DELETE", f"/v1/organization/admin_api_keys/{keys[0]['id']}").status_code == 200
    # and roles can still be given
    vera = home.person("vera")
    assert olga.ask(home.one, "POST", f"/v1/organization/users/{vera.id}", {"role": "developer"}).status_code == 200
    # but not so that nobody is left who can
    other = home.one.identity.people
    with home.town.db.write() as session:
        other.add_user(session, home.admin, "idle@example.com", "Idle", Role.admin)
        session.execute(text("DELETE FROM user_passwords"))
    assert code(olga.ask(home.one, "POST", f"/v1/organization/users/{vera.id}", {"role": "viewer"})) == (
        409,
        "last_admin_key",
    )


def test_errors_speak_chinese(home: Home) -> None:
    answer = Browser().sign_in(home.one, "olga@example.com", "wrong", accept_language="zh-CN")
    assert "邮箱地址或密码不正确" in answer.json()["error"]["message"]
