"""The one-time token that makes whoever started the server its first owner.

`plinth up` on an empty home prints it once and leaves its SHA-256 in the home (a file that only the
server's user can read). So the first stranger who reaches the port does not own the installation.
"""

from __future__ import annotations

import hmac
from pathlib import Path

from plinth.identity.model import plausible
from plinth.identity.signin.errors import SetupTokenWrong
from plinth.kit.secrets import sha256_hex


class SetupToken:
    """Args: `path` is the file with the digest."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, token: str) -> None:
        """Raises `SetupTokenWrong`."""
        try:
            expected = self._path.read_text("ascii").strip()
        except FileNotFoundError:
            expected = ""
        genuine = plausible(token) and hmac.compare_digest(sha256_hex(token), expected)
        if not genuine:
            raise SetupTokenWrong(param="token")

    def spend(self) -> None:
        self._path.unlink(missing_ok=True)
