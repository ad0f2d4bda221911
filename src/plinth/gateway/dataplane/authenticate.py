"""Who is calling: a key of the snapshot, or an internal token. Deny by default."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from plinth.gateway.dataplane.ports import Tokens
from plinth.gateway.dataplane.snapshot import Snapshot
from plinth.identity import INTERNAL_PREFIX, Actor
from plinth.kit.errors import Forbidden, Unauthenticated

_MAX_SECRET_BYTES = 4096


def authenticate(snapshot: Snapshot, headers: Mapping[bytes, bytes], tokens: Tokens, now: float) -> Actor:
    """The caller behind `Authorization: Bearer …`. Raises `Unauthenticated`.

    Args:
        now: unix seconds, to refuse keys that have expired since the snapshot was taken.
    """
    scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
    secret = secret.strip()
    if scheme.lower() != b"bearer" or not secret or len(secret) > _MAX_SECRET_BYTES or not secret.isascii():
        raise Unauthenticated
    if secret.startswith(INTERNAL_PREFIX.encode()):
        return _internal(snapshot, secret.decode(), tokens, now)
    digest = hashlib.sha256(secret).hexdigest()
    found = snapshot.keys.get(digest)
    if found is None or not hmac.compare_digest(found.digest, digest):
        raise Unauthenticated
    if found.expires_at is not None and found.expires_at <= now:
        raise Unauthenticated
    return found.actor


def require(actor: Actor, permission: str) -> None:
    """Raises `Forbidden`."""
    if not actor.may(permission):
        raise Forbidden(permission=permission)


def _internal(snapshot: Snapshot, token: str, tokens: Tokens, now: float) -> Actor:
    return tokens.actor(token, now, snapshot.projects)
