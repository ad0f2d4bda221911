"""Identifiers that sort by the time they were made: 48 bits of milliseconds, 80 random bits.

Crockford base32, 26 characters, lower case (the layout of a ULID), behind an OpenAI-style prefix:
`file-01kb…`, `ftjob-01kb…`. Lists page by id, so no two rows ever tie.
"""

from __future__ import annotations

import os
import secrets
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# two characters at a time: ids are made several times in every request
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_RANDOM_IDS = 128
_random = b""
_random_used = 0
_lock = threading.Lock()
_last = 0


def new_id(prefix: str, unix: float | None = None) -> str:
    """`prefix` + 26 characters. Strictly increasing inside one process, even within a millisecond."""
    global _last, _random, _random_used
    milliseconds = int((time.time() if unix is None else unix) * 1000)
    with _lock:
        if _random_used == len(_random):  # the kernel is asked for many at a time
            _random, _random_used = secrets.token_bytes(10 * _RANDOM_IDS), 0
        noise = int.from_bytes(_random[_random_used : _random_used + 10], "big")
        _random_used += 10
        value = (milliseconds << 80) | noise
        if unix is None and value <= _last:
            value = _last + 1
        if unix is None:
            _last = value
    return prefix + "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])


def secret_token(nbytes: int = 32) -> str:
    """URL-safe random text with `nbytes` bytes of entropy."""
    return secrets.token_urlsafe(nbytes)


def _forget() -> None:
    """A forked child must not hand out its parent's ids."""
    global _random, _random_used
    _random, _random_used = b"", 0


os.register_at_fork(after_in_child=_forget)
