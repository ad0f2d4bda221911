"""Identifiers that sort by the time they were made: 48 bits of milliseconds, 80 random bits.

Crockford base32, 26 characters, lower case (the layout of a ULID), behind an OpenAI-style prefix:
`file-01kb…`, `ftjob-01kb…`. Lists page by id, so no two rows ever tie.
"""

from __future__ import annotations

import secrets
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# two characters at a time: ids are made several times in every request
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_lock = threading.Lock()
_last = 0


def new_id(prefix: str, unix: float | None = None) -> str:
    """`prefix` + 26 characters. Strictly increasing inside one process, even within a millisecond."""
    global _last
    milliseconds = int((time.time() if unix is None else unix) * 1000)
    with _lock:
        value = (milliseconds << 80) | secrets.randbits(80)
        if unix is None and value <= _last:
            value = _last + 1
        if unix is None:
            _last = value
    return prefix + "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])


def secret_token(nbytes: int = 32) -> str:
    """URL-safe random text with `nbytes` bytes of entropy."""
    return secrets.token_urlsafe(nbytes)
