"""Secrets at rest (AES-256-GCM under the instance key) and signed internal tokens (HMAC-SHA256).

The instance key is 32 random bytes in `<home>/instance.key` (mode 0600), or given as base64 in
`PLINTH_INSTANCE_KEY`. Losing it makes stored provider secrets unreadable; API keys are hashed and
not affected.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from pathlib import Path

from plinth.kit.errors import PlinthError


class SecretUnreadable(PlinthError):
    """A stored secret cannot be decrypted: the instance key has changed.
    Restore {path} from a backup, or enter the secret again."""

    code = "secret_unreadable"


class InstanceKey:
    """One key per installation; every use derives its own subkey from it."""

    def __init__(self, key: bytes, source: str = "instance.key") -> None:
        if len(key) != 32:
            raise ValueError("the instance key must be 32 bytes")
        self._key, self._source = key, source

    @classmethod
    def load_or_create(cls, path: Path) -> InstanceKey:
        if encoded := os.environ.get("PLINTH_INSTANCE_KEY"):
            return cls(base64.b64decode(encoded), "PLINTH_INSTANCE_KEY")
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return cls(path.read_bytes(), str(path))
        with os.fdopen(descriptor, "wb") as file:
            key = os.urandom(32)
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        return cls(key, str(path))

    def encrypt(self, text: str, purpose: str) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(12)
        sealed = AESGCM(self._derive(purpose)).encrypt(nonce, text.encode(), purpose.encode())
        return base64.b64encode(nonce + sealed).decode()

    def decrypt(self, sealed: str, purpose: str) -> str:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        raw = base64.b64decode(sealed)
        try:
            return AESGCM(self._derive(purpose)).decrypt(raw[:12], raw[12:], purpose.encode()).decode()
        except InvalidTag:
            raise SecretUnreadable(path=self._source) from None

    def sign(self, message: str, purpose: str) -> str:
        """A 43-character URL-safe HMAC of `message`."""
        mac = hmac.digest(self._derive(purpose), message.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def verify(self, message: str, signature: str, purpose: str) -> bool:
        return hmac.compare_digest(self.sign(message, purpose).encode(), signature.encode())

    def _derive(self, purpose: str) -> bytes:
        return hmac.digest(self._key, b"plinth/" + purpose.encode(), "sha256")


def sha256_hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
