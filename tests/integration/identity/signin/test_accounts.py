"""Passwords: wrong ones, limits, changes, resets, invitations, the first owner."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from sqlalchemy import text

from integration.identity.signin.town import PASSWORD, Browser, Home, Town
from plinth.identity import Role
from plinth.identity.signin import Cost
from plinth.identity.signin.passwords import WAITING_AT_MOST

NEW = "another good password"


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


class TestWrongCredentials:
    def test_the_answer_is_the_same_whether_the_account_exists(self, home: Home) -> None:
        with home.town.db.write() as session:
            home.one.identity.people.add_user(session, home.admin, "none@example.com", "No Password", Role.viewer)
        answers = [
            Browser(address=f"192.0.2.{number}").sign_in(home.one, email, "wrong password")
            for number, email in enumerate(("olga@example.com", "nobody@example.com", "none@example.com", "no address"))
        ]
        assert {code(answer) for answer in answers} == {(401, "wrong_credentials")}
        assert len({answer.json()["error"]["message"] for answer in answers}) == 1
        assert not any("www-authenticate" in answer.headers for answer in answers)

    def test_the_work_is_the_same_whether_the_account_exists(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        from argon2 import PasswordHasher

        made: list[str] = []
        verify = PasswordHasher.verify

        def counted(self: PasswordHasher, hash: str, password: bytes) -> bool:
            made.append(hash.rpartition("$")[0].rpartition("$")[0])  # the parameters
            return bool(verify(self, hash, password))

        monkeypatch.setattr(PasswordHasher, "verify", counted)
        for email in ("olga@example.com", "nobody@example.com"):
            Browser().sign_in(home.one, email, "wrong password")
        assert len(made) == 2
        assert made[0] == made[1]

    def test_failures_are_in_the_audit_log_without_what_was_typed(self, home: Home) -> None:
        Browser().sign_in(home.one, "olga@example.com", "wrong password")
        Browser().sign_in(home.one, "my-secret-password", "x")
        unknown, known = [entry for entry in home.log() if entry["type"] == "login.failed"]
        assert known["login.failed"]["id"] == home.owner.id
        assert unknown["login.failed"]["id"] == "unknown"
        assert known["login.failed"]["error_code"] == "wrong_credentials"
        assert "my-secret-password" not in str(home.log())

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"email": "olga@example.com"},
            {"email": "olga@example.com", "password": ""},
            {"email": "olga@example.com", "password": "x" * 1025},
            {"email": "x" * 255, "password": "x"},
            {"email": ["olga@example.com"], "password": "x"},
            {"email": "a\x00b", "password": "x"},
            {"email": "olga@example.com", "password": "\ud800"},
            [],
        ],
    )
    def test_bad_input_is_a_400(self, home: Home, body: Any) -> None:
        home.one.client.cookies.clear()
        answer = home.one.client.post(
            "/api/session", content=json.dumps(body), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400


class TestLimits:
    def test_an_account_waits_after_too_many_failures_whoever_makes_them(self, home: Home) -> None:
        for number in range(5):
            at = (home.one, home.other)[number % 2]
            assert Browser(address=f"192.0.2.{number}").sign_in(at, "olga@example.com", "wrong").status_code == 401
            home.clock.advance(10)
        refused = Browser(address="198.51.100.1").sign_in(home.other, "Olga@example.com")
        assert code(refused) == (429, "too_many_attempts")
        assert refused.headers["retry-after"] == "850"
        # an account that does not exist behaves alike, and nobody else waits
        vera = home.person("vera")
        assert Browser(address="198.51.100.1").sign_in(home.one, vera.email).status_code == 200
        home.clock.advance(850)
        assert Browser().sign_in(home.one, "olga@example.com").status_code == 200

    def test_unknown_accounts_are_limited_alike(self, home: Home) -> None:
        statuses = [
            Browser(address=f"192.0.2.{n}").sign_in(home.one, "nobody@example.com", "x").status_code for n in range(6)
        ]
        assert statuses == [401] * 5 + [429]

    def test_an_address_waits_after_too_many_failures(self, home: Home) -> None:
        for number in range(12):
            assert Browser().sign_in(home.one, f"p{number}@example.com", "wrong").status_code == 401
        assert code(Browser().sign_in(home.other, "olga@example.com")) == (429, "too_many_attempts")
        assert Browser(address="198.51.100.7").sign_in(home.other, "olga@example.com").status_code == 200

    def test_neighbours_in_an_ipv6_network_count_as_one(self, home: Home) -> None:
        for number in range(12):
            Browser(address=f"2001:db8::{number:x}").sign_in(home.one, f"p{number}@example.com", "wrong")
        assert Browser(address="2001:db8::ffff").sign_in(home.one, "olga@example.com").status_code == 429
        assert Browser(address="2001:db8:0:1::1").sign_in(home.one, "olga@example.com").status_code == 200

    def test_a_success_clears_the_account_but_not_the_address(self, home: Home) -> None:
        vera = home.person("vera")
        for _ in range(3):
            for number in range(3):
                Browser().sign_in(home.one, f"p{number}@example.com", "wrong")
            # the own account of an attacker buys no further guesses
            assert Browser().sign_in(home.one, vera.email).status_code == 200
        for number in range(3):
            Browser().sign_in(home.one, f"p{number}@example.com", "wrong")
        assert Browser().sign_in(home.one, vera.email).status_code == 429

    def test_many_guesses_at_once_are_no_more_than_one_after_the_other(self, home: Home) -> None:
        statuses: list[int] = []

        instances = (home.one, home.other)

        def guess(number: int) -> None:
            body = {"email": "olga@example.com", "password": f"guess number {number}"}
            at = instances[number % 2]
            answer = at.client.post("/api/session", json=body, headers={"x-forwarded-for": f"192.0.2.{number}"})
            statuses.append(answer.status_code)

        threads = [threading.Thread(target=guess, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [401] * 5 + [429] * 7

    def test_a_busy_moment_is_no_failure(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(home.one.service.passwords, "_waiting", WAITING_AT_MOST)
        for _ in range(6):
            busy = Browser().sign_in(home.one, "olga@example.com")
            assert code(busy) == (503, "sign_in_busy")
            assert busy.headers["retry-after"] == "2"
        monkeypatch.setattr(home.one.service.passwords, "_waiting", 0)
        assert Browser().sign_in(home.one, "olga@example.com").status_code == 200

    def test_a_refusal_is_no_line_in_the_log(self, home: Home) -> None:
        for _ in range(9):
            Browser().sign_in(home.one, "olga@example.com", "wrong")
        assert home.entries().count("login.failed") == 5


class TestPasswords:
    def test_a_hash_of_lower_cost_is_made_anew(self, home: Home) -> None:
        dearer = home.town.instance(Cost(passes=2, memory_kibibytes=16, lanes=1))

        def stored() -> str:
            with home.town.db.read() as session:
                return str(session.execute(text("SELECT hash FROM user_passwords")).scalar_one())

        assert "m=8,t=1" in stored()
        assert Browser().sign_in(dearer, "olga@example.com", "wrong").status_code == 401
        assert "m=8,t=1" in stored()
        assert Browser().sign_in(dearer, "olga@example.com").status_code == 200
        assert "$argon2id$" in stored()
        assert "m=16,t=2" in stored()
        assert Browser().sign_in(dearer, "olga@example.com").status_code == 200

    def test_changing_it_ends_the_other_sessions(self, home: Home) -> None:
        here, elsewhere = home.browser(home.owner), home.browser(home.owner)
        with home.town.db.write() as session:
            link = home.one.service.accounts.issue_reset(session, home.admin, home.owner.id).token
        body = {"current": PASSWORD, "new": NEW}
        assert here.ask(home.one, "POST", "/api/session/password", body).json()["signed_in"] is True
        assert here.ask(home.other, "GET", "/api/me").status_code == 200
        assert code(elsewhere.ask(home.other, "GET", "/api/me")) == (401, "session_ended")
        assert Browser().sign_in(home.one, "olga@example.com").status_code == 401
        assert Browser().sign_in(home.one, "olga@example.com", NEW).status_code == 200
        # a link that was made before is worth nothing now
        spent = Browser().ask(home.one, "POST", "/api/password_reset", {"token": link, "password": NEW + "!"})
        assert code(spent) == (400, "reset_token_spent")
        assert "password.changed" in home.entries()

    def test_a_wrong_current_one_changes_nothing_and_counts(self, home: Home) -> None:
        browser = home.browser(home.owner)
        for _ in range(5):
            answer = browser.ask(home.one, "POST", "/api/session/password", {"current": "guess", "new": NEW})
            assert code(answer) == (400, "wrong_password")
            assert answer.json()["error"]["param"] == "current"
        answer = browser.ask(home.one, "POST", "/api/session/password", {"current": PASSWORD, "new": NEW})
        assert code(answer) == (429, "too_many_attempts")
        assert home.entries().count("password.change_failed") == 5

    @pytest.mark.parametrize(
        ("password", "wrong"),
        [
            ("short", "password_length"),
            ("x" * 9, "password_length"),
            ("aaaaaaaaaaaaaaa", "password_guessable"),
            ("1234567890", "password_guessable"),
            ("Password123", "password_guessable"),
            ("woaini1314", "password_guessable"),
            ("OLGA@example.com", "password_guessable"),
        ],
    )
    def test_a_bad_new_one_is_refused(self, home: Home, password: str, wrong: str) -> None:
        browser = home.browser(home.owner)
        answer = browser.ask(home.one, "POST", "/api/session/password", {"current": PASSWORD, "new": password})
        assert code(answer) == (400, wrong)
        assert answer.json()["error"]["param"] == "new"
        assert Browser().sign_in(home.one, "olga@example.com").status_code == 200

    @pytest.mark.parametrize(
        "password", ["密码密码一二三四五六", "x" * 1000 + "密码 and so on", "ﬁve little ducks", "tab\tand\x00nul!"]
    )
    def test_unusual_ones_work(self, home: Home, password: str) -> None:
        browser = home.browser(home.owner)
        answer = browser.ask(home.one, "POST", "/api/session/password", {"current": PASSWORD, "new": password})
        assert answer.status_code == 200
        assert Browser().sign_in(home.one, "olga@example.com", password).status_code == 200
        assert Browser().sign_in(home.one, "olga@example.com", password + "x").status_code in (400, 401)

    def test_the_same_characters_typed_otherwise_are_the_same_password(self, home: Home) -> None:
        browser = home.browser(home.owner)
        body = {"current": PASSWORD, "new": "caf\u00e9 con leche"}
        assert browser.ask(home.one, "POST", "/api/session/password", body).status_code == 200
        assert Browser().sign_in(home.one, "olga@example.com", "cafe\u0301 con leche").status_code == 200


class TestReset:
    def test_by_an_admin_once(self, home: Home) -> None:
        vera = home.person("vera")
        lost, ada = home.browser(vera), home.browser(home.person("ada", Role.admin))
        for _ in range(5):
            Browser(address="203.0.113.1").sign_in(home.one, vera.email, "forgotten")
        first = ada.ask(home.one, "POST", f"/api/users/{vera.id}/password_reset").json()
        issued = ada.ask(home.one, "POST", f"/api/users/{vera.id}/password_reset").json()
        assert issued["expires_at"] == home.clock.unix() + 86_400
        browser = Browser()
        for token in (first["token"], "reset-unknown", "x" * 200, "ü"):
            answer = browser.ask(home.other, "POST", "/api/password_reset", {"token": token, "password": NEW})
            assert code(answer) == (400, "reset_token_spent")
        weak = browser.ask(home.other, "POST", "/api/password_reset", {"token": issued["token"], "password": "short"})
        assert code(weak) == (400, "password_length")
        body = {"token": issued["token"], "password": NEW}
        told = browser.ask(home.other, "POST", "/api/password_reset", body).json()
        assert (told["signed_in"], told["user"]["id"]) == (True, vera.id)
        assert browser.ask(home.one, "GET", "/api/me").status_code == 200
        assert code(lost.ask(home.one, "GET", "/api/me")) == (401, "session_ended")
        assert code(Browser().ask(home.one, "POST", "/api/password_reset", body)) == (400, "reset_token_spent")
        # whoever was locked out by failures gets in again
        assert Browser().sign_in(home.one, vera.email, NEW).status_code == 200
        entries = home.entries()
        assert entries.count("password_reset.issued") == 2
        assert "password_reset.used" in entries
        assert issued["token"] not in str(home.log())

    def test_it_expires(self, home: Home) -> None:
        olga = home.browser(home.owner)
        token = olga.ask(home.one, "POST", f"/api/users/{home.owner.id}/password_reset").json()["token"]
        home.clock.advance(86_400)
        answer = Browser().ask(home.one, "POST", "/api/password_reset", {"token": token, "password": NEW})
        assert code(answer) == (400, "reset_token_spent")

    def test_only_an_owner_makes_one_for_an_owner(self, home: Home) -> None:
        ada, dora = home.browser(home.person("ada", Role.admin)), home.browser(home.person("dora"))
        path = f"/api/users/{home.owner.id}/password_reset"
        assert code(ada.ask(home.one, "POST", path)) == (403, "owner_only")
        assert code(dora.ask(home.one, "POST", path)) == (403, "insufficient_permissions")
        assert code(ada.ask(home.one, "POST", "/api/users/user_unknown/password_reset")) == (404, "not_found")
        key = {"authorization": f"Bearer {home.admin_key}"}
        assert Browser().ask(home.one, "POST", path, **key).status_code == 200

    def test_two_at_once_use_it_once(self, home: Home) -> None:
        with home.town.db.write() as session:
            token = home.one.service.accounts.issue_reset(session, home.admin, home.owner.id).token
        statuses: list[int] = []
        instances = (home.one, home.other)

        def use(number: int) -> None:
            at = instances[number % 2]
            body = {"token": token, "password": f"{NEW} {number}"}
            statuses.append(at.client.post("/api/password_reset", json=body).status_code)

        threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, 400, 400, 400]


class TestInvitation:
    def invite(self, home: Home) -> str:
        grants = [{"id": home.project_id, "role": "developer"}]
        body = {"email": "New@example.com", "role": "viewer", "projects": grants}
        told = home.browser(home.owner).ask(home.one, "POST", "/v1/organization/invites", body).json()
        return str(told["token"])

    def test_accepting_signs_in_without_keys(self, home: Home) -> None:
        token = self.invite(home)
        shown = Browser().ask(home.other, "GET", f"/api/invitations/{token}").json()
        assert (shown["email"], shown["organization"], shown["expired"]) == ("new@example.com", "Acme", False)
        browser, body = Browser(), {"token": token, "name": "Newman", "password": NEW}
        weak = browser.ask(home.other, "POST", "/api/invitations/accept", {**body, "password": "new@example.com"})
        assert code(weak) == (400, "password_guessable")
        told = browser.ask(home.other, "POST", "/api/invitations/accept", body).json()
        assert [(p["id"], p["role"]) for p in told["projects"]] == [(home.project_id, "developer")]
        assert browser.ask(home.one, "POST", "/probe", x_plinth_project=home.project_id).status_code == 200
        keys = f"/v1/organization/projects/{home.project_id}/api_keys"
        held = home.browser(home.owner).ask(home.one, "GET", keys).json()["data"]
        assert told["user"]["id"] not in str(held)
        assert Browser().sign_in(home.one, "new@example.com", NEW).status_code == 200
        assert code(Browser().ask(home.one, "POST", "/api/invitations/accept", body)) == (409, "invite_spent")
        assert Browser().ask(home.one, "GET", f"/api/invitations/{token}").json()["expired"] is True
        assert {"invite.accepted", "login.succeeded"} <= set(home.entries())

    def test_an_old_or_unknown_one(self, home: Home) -> None:
        token = self.invite(home)
        home.clock.advance(8 * 86_400)
        assert Browser().ask(home.one, "GET", f"/api/invitations/{token}").json()["expired"] is True
        body = {"token": token, "name": "Newman", "password": NEW}
        assert code(Browser().ask(home.one, "POST", "/api/invitations/accept", body)) == (409, "invite_spent")
        for unknown in ("invite-unknown", "x" * 200, "%C3%BC"):
            assert code(Browser().ask(home.one, "GET", f"/api/invitations/{unknown}")) == (404, "not_found")


class TestSetup:
    def body(self, token: str, **more: Any) -> dict[str, Any]:
        return {
            "token": token,
            "organization": "Acme 公司",
            "name": "Olga",
            "email": "Olga@Example.com",
            "password": PASSWORD,
            "language": "zh",
            "sample": True,
            **more,
        }

    def test_whoever_started_the_server_becomes_its_owner(self, town: Town) -> None:
        one, other, browser = town.instance(), town.instance(), Browser()
        assert browser.ask(one, "GET", "/api/session").json()["setup_needed"] is True
        token = town.expect_setup()
        told = browser.ask(one, "POST", "/api/setup", self.body(token)).json()
        assert (told["user"]["email"], told["user"]["role"]) == ("olga@example.com", "owner")
        assert (told["user"]["language"], told["sample"]) == ("zh", "loaded")
        assert told["organization"]["name"] == "Acme 公司"
        assert town.samples == [told["projects"][0]["id"]]
        assert not town.setup_file.exists()
        assert browser.ask(other, "GET", "/api/session").json()["setup_needed"] is False
        # everything can be done from here, without any API key
        here = {"x_plinth_project": told["projects"][0]["id"]}
        assert browser.ask(other, "POST", "/probe", **here).status_code == 200
        assert browser.ask(other, "POST", "/v1/organization/projects", {"name": "Next"}).status_code == 200
        town.expect_setup()
        assert code(Browser().ask(other, "POST", "/api/setup", self.body(token))) == (409, "setup_done")
        assert Browser().sign_in(other, "olga@example.com").status_code == 200

    def test_a_stranger_cannot(self, town: Town) -> None:
        one = town.instance()
        assert code(Browser().ask(one, "POST", "/api/setup", self.body("x"))) == (400, "setup_token_wrong")
        token = town.expect_setup()
        for wrong in ("x", token + "x", "ü", "x" * 200):
            assert code(Browser().ask(one, "POST", "/api/setup", self.body(wrong))) == (400, "setup_token_wrong")
        assert Browser().ask(one, "GET", "/api/session").json()["setup_needed"] is True
        assert code(Browser().sign_in(one, "olga@example.com")) == (401, "wrong_credentials")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"password": "short"},
            {"password": "password123"},
            {"email": "nobody"},
            {"organization": " "},
            {"organization": "a\x00b"},
            {"name": ""},
            {"language": "fr"},
        ],
    )
    def test_bad_input_spends_nothing(self, town: Town, wrong: dict[str, Any]) -> None:
        one, token = town.instance(), town.expect_setup()
        assert Browser().ask(one, "POST", "/api/setup", self.body(token, **wrong)).status_code == 400
        assert Browser().ask(one, "POST", "/api/setup", self.body(token, sample=False)).json()["sample"] == "skipped"
        assert town.samples == []

    def test_the_owner_is_there_even_when_the_sample_fails(self, town: Town) -> None:
        town.sample_fails = True
        one, token, browser = town.instance(), town.expect_setup(), Browser()
        assert browser.ask(one, "POST", "/api/setup", self.body(token)).json()["sample"] == "failed"
        assert browser.ask(one, "GET", "/api/session").json()["signed_in"] is True

    def test_two_at_once_make_one_owner(self, town: Town) -> None:
        instances, token = [town.instance(), town.instance()], town.expect_setup()
        statuses: list[int] = []

        def set_up(number: int) -> None:
            body = self.body(token, email=f"p{number}@example.com")
            statuses.append(instances[number % 2].client.post("/api/setup", json=body).status_code)

        threads = [threading.Thread(target=set_up, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses.count(200) == 1
        assert set(statuses) <= {200, 400, 409}


def test_pages_of_other_sites_can_start_nothing(home: Home) -> None:
    for path in ("/api/session", "/api/setup", "/api/password_reset", "/api/invitations/accept"):
        body = {"email": "olga@example.com", "password": PASSWORD, "token": "x", "name": "x", "organization": "x"}
        answer = Browser().ask(home.one, "POST", path, body, sec_fetch_site="cross-site")
        assert code(answer) == (403, "csrf_failed")
    form = {"content-type": "text/plain"}
    sent = json.dumps({"email": "olga@example.com", "password": PASSWORD})
    assert home.one.client.post("/api/session", content=sent, headers=form).status_code == 400
