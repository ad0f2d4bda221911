"""Signatures as in Standard Webhooks 1.0 (standardwebhooks.com), which the official SDK's `unwrap` checks.

HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`; the key is what follows `whsec_`, base64-decoded.
Several signatures, one per active secret, stand side by side, separated by spaces.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def hint(secret: str) -> str:
    """Enough to tell two secrets apart, too little to sign with."""
    return f"{PREFIX}…{secret.rstrip('=')[-4:]}"


def signed_headers(active_secrets: Sequence[str], webhook_id: str, unix: float, body: bytes) -> dict[str, str]:
    """The three headers of a message. Args: `active_secrets`, newest first; `unix`, when it is sent."""
    timestamp = str(int(unix))
    message = b".".join((webhook_id.encode(), timestamp.encode(), body))
    signatures = " ".join("v1," + _signature(secret, message) for secret in active_secrets)
    return {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": signatures}


def _signature(secret: str, message: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, message, "sha256")).decode()
