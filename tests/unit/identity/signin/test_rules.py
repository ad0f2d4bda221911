"""Rules without a database: networks, devices, passwords, the setup token, hashing in a short line."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.cli.supervisor import _make_setup_token
from plinth.identity.signin import Cost, Passwords
from plinth.identity.signin.errors import PasswordGuessable, PasswordLength, SetupTokenWrong, SignInBusy
from plinth.identity.signin.model import device_of, network_of
from plinth.identity.signin.passwords import MAX_CHARACTERS, MIN_CHARACTERS, WAITING_AT_MOST, _common, check_new
from plinth.identity.signin.setup import SetupToken

CHEAP = Cost(passes=1, memory_kibibytes=8, lanes=1)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "unknown"),
        ("", "unknown"),
        ("192.0.2.7, 10.0.0.1", "unknown"),
    ],
)
def test_what_one_client_can_call_from(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/140.0 Safari/537 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537 Chrome/140.0 Mobile Safari/537", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/18 Safari/605", "Safari on macOS"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", ""),
    ],
)
def test_devices_have_names(agent: str, device: str) -> None:
    assert device_of(agent) == device


@given(st.text(max_size=3000))
def test_any_header_makes_a_short_printable_name(agent: str) -> None:
    name = device_of(agent)
    assert len(name) <= 120
    assert name.isprintable()


@given(st.text(min_size=MIN_CHARACTERS, max_size=MAX_CHARACTERS))
def test_a_new_password_is_taken_or_refused_with_a_reason(password: str) -> None:
    with contextlib.suppress(PasswordGuessable):
        check_new(password, "olga@example.com")


@pytest.mark.parametrize("length", [0, MIN_CHARACTERS - 1, MAX_CHARACTERS + 1])
def test_lengths(length: int) -> None:
    with pytest.raises(PasswordLength, match="10 to 1024"):
        check_new(("abcdefghij" * 200)[:length], "olga@example.com")


def test_the_list_of_common_passwords_holds_what_the_length_lets_through() -> None:
    words = _common()
    assert len(words) > 200
    assert all(len(word) >= MIN_CHARACTERS and word == word.casefold() for word in words)


class TestHashing:
    async def test_hashes_are_salted_argon2id(self) -> None:
        passwords = Passwords(CHEAP)
        first, second = await asyncio.gather(passwords.hash("one password"), passwords.hash("one password"))
        assert first != second
        assert first.startswith("$argon2id$v=19$m=8,t=1,p=1$")
        assert (await passwords.verify(first, "one password")).right
        for stored, typed in ((first, "other"), (None, "one password"), ("no hash", "one password"), ("", "x")):
            assert not (await passwords.verify(stored, typed)).right

    async def test_nobody_has_the_password_that_stands_in(self) -> None:
        assert not (await Passwords(CHEAP).verify(None, "nobody has this password")).right

    async def test_the_default_cost_is_the_recommended_one(self) -> None:
        assert "$m=65536,t=3,p=4$" in await Passwords().hash("one password")

    async def test_two_at_a_time_and_a_short_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        passwords, gate = Passwords(CHEAP), threading.Event()
        running, most, lock = 0, 0, threading.Lock()

        class Slow:
            def hash(self, password: bytes) -> str:
                nonlocal running, most
                with lock:
                    running += 1
                    most = max(most, running)
                gate.wait(10)
                with lock:
                    running -= 1
                return "x"

        monkeypatch.setattr(passwords, "_hasher", Slow(), raising=False)
        waiting = [asyncio.create_task(passwords.hash("p")) for _ in range(WAITING_AT_MOST)]
        await asyncio.sleep(0.1)
        with pytest.raises(SignInBusy):
            await passwords.hash("one too many")
        gate.set()
        assert len(await asyncio.gather(*waiting)) == WAITING_AT_MOST
        assert most == 2
        assert await passwords.hash("p") == "x"


class TestSetupToken:
    def test_the_supervisor_makes_what_the_server_accepts_once(self, tmp_path: Path) -> None:
        file = tmp_path / "setup.token"
        older, token = _make_setup_token(file), _make_setup_token(file)
        assert file.stat().st_mode & 0o777 == 0o600
        assert token not in file.read_text()
        door = SetupToken(file)
        door.check(token)
        for wrong in (older, "", token[:-1], "ü", file.read_text()):
            with pytest.raises(SetupTokenWrong):
                door.check(wrong)
        door.spend()
        door.spend()
        with pytest.raises(SetupTokenWrong):
            door.check(token)
