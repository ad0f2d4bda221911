"""Identifiers that sort by the time they were made: 48 bits of milliseconds, 60 random bits, a count.

Crockford base32, 26 characters, lower case (the layout of a ULID), behind an OpenAI-style prefix:
`file-01kb…`, `ftjob-01kb…`. Lists page by id, so no two rows ever tie. They are no secrets.
"""

from __future__ import annotations

import base64
import os
import secrets
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET.encode())
# two characters at a time: ids are made in every request
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_NOISE_BYTES = 960
_NOISE = 12
_COUNTS = 1 << 20

_noise = ""
_noise_used = 0
_lock = threading.Lock()
_millisecond = -1
_begin = ""
_count = 0


def new_id(prefix: str, unix: float | None = None) -> str:
    """`prefix` + 26 characters. Strictly increasing inside one process, even within a millisecond and
    when the clock is set back; with `unix` (seconds) an id of that time, in no order among its like."""
    global _millisecond, _begin, _count
    now = int((time.time() if unix is None else unix) * 1000)
    with _lock:
        if unix is not None:
            return prefix + _time(now) + _random() + _random()[:4]
        _count += 1
        if now > _millisecond or _count == _COUNTS:
            _millisecond, _count = max(now, _millisecond + 1), 0
            _begin = _time(_millisecond) + _random()
        return f"{prefix}{_begin}{_PAIRS[_count >> 10]}{_PAIRS[_count & 1023]}"


def _time(milliseconds: int) -> str:
    return "".join([_PAIRS[(milliseconds >> shift) & 1023] for shift in (40, 30, 20, 10, 0)])


def _random() -> str:
    """60 bits; the kernel is asked for many at a time."""
    global _noise, _noise_used
    if _noise_used == len(_noise):
        _noise = base64.b32encode(secrets.token_bytes(_NOISE_BYTES)).translate(_CROCKFORD).decode()
        _noise_used = 0
    _noise_used += _NOISE
    return _noise[_noise_used - _NOISE : _noise_used]


def secret_token(nbytes: int = 32) -> str:
    """URL-safe random text with `nbytes` bytes of entropy."""
    return secrets.token_urlsafe(nbytes)


def _forget() -> None:
    """A forked child must not hand out its parent's ids."""
    global _noise, _noise_used, _millisecond
    _noise, _noise_used, _millisecond = "", 0, -1


os.register_at_fork(after_in_child=_forget)
