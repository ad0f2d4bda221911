"""Passwords: which are good enough, and argon2id hashes of them, made a few at a time.

A hash takes tens of milliseconds of a core and 64 MiB (the second recommended choice of RFC 9106,
which is argon2-cffi's default), so they run in two threads of their own: a rush of sign-ins waits in
a short line instead of taking the server down.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from plinth.identity.signin.errors import PasswordGuessable, PasswordLength, SignInBusy

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_CHARACTERS, MAX_CHARACTERS = 10, 1024
HASHES_AT_ONCE = 2
WAITING_AT_MOST = 64
_COMMON = Path(__file__).parent / "common_passwords.txt"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """Of one hash. A hash made at a lower cost is made anew when its owner signs in."""

    passes: int = 3
    memory_kibibytes: int = 65_536
    lanes: int = 4


@dataclass(frozen=True)
class Verdict:
    """Whether the password is right; `rehashed` is its hash at today's cost where the stored one is older."""

    right: bool
    rehashed: str | None = field(default=None, repr=False)


class Passwords:
    def __init__(self, cost: Cost | None = None) -> None:
        self._cost = cost or Cost()
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="password")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Raises `SignInBusy`."""
        return await self._run(lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Costs the same without a stored hash. Raises `SignInBusy`."""
        return await self._run(lambda: self._verify(stored, password))

    def _verify(self, stored: str | None, password: str) -> Verdict:
        from argon2.exceptions import InvalidHashError, VerificationError

        # made by the first comparison of any kind: one that is slower must say nothing about the account
        given, nobodys = _bytes(password), self._nobodys
        try:
            self._hasher.verify(stored or nobodys, given)
        except (VerificationError, InvalidHashError):
            return Verdict(right=False)
        if not stored:
            return Verdict(right=False)
        rehashed = self._hasher.hash(given) if self._hasher.check_needs_rehash(stored) else None
        return Verdict(right=True, rehashed=rehashed)

    async def _run(self, work: Callable[[], Result]) -> Result:
        # only touched on the event loop, so it needs no lock
        if self._waiting >= WAITING_AT_MOST:
            raise SignInBusy
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        return PasswordHasher(self._cost.passes, self._cost.memory_kibibytes, self._cost.lanes)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(b"nobody has this password")


def check_new(password: str, email: str, param: str = "password") -> None:
    """Raises `PasswordLength`, `PasswordGuessable`."""
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise PasswordLength(param=param, minimum=MIN_CHARACTERS, maximum=MAX_CHARACTERS)
    plain = unicodedata.normalize("NFKC", password).casefold().strip()
    mine = {email.casefold(), email.casefold().partition("@")[0]}
    if plain in _common() or plain in mine or len(set(plain)) < 4:
        raise PasswordGuessable(param=param)


@cache
def _common() -> frozenset[str]:
    lines = _COMMON.read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def _bytes(password: str) -> bytes:
    # the same characters may be typed in several ways; NFKC makes them one (NIST SP 800-63B, 3.1.1.2)
    return unicodedata.normalize("NFKC", password).encode()
