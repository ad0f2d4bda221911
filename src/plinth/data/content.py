"""Which blobs stay: a blob is removed only when nothing refers to its digest any more.

Bytes and rows live in two places, so each step leaves a state from which the next can go on:

1. `reserve` stores the digest as a candidate for removal, due in one hour;
2. the blob becomes visible;
3. a row (file, part, dataset version) refers to it, in its own transaction.

A crash after 1 or 2 leaves a candidate without a reference: `sweep` removes the blob. Removing a
row makes its digest a candidate at once. `reserve`, `claim` and `sweep` of one digest exclude each
other, so a sweep never takes bytes that somebody is just about to refer to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from plinth.data import store
from plinth.data.errors import ContentGone
from plinth.data.intake import Intake
from plinth.data.ports import BlobUser
from plinth.kit.blobs import BlobRef, Blobs
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session
from plinth.kit.errors import PlinthError
from plinth.kit.ids import new_id

RESERVED_SECONDS = 3600.0
SWEPT_AT_ONCE = 100


class Content:
    """Args: `others` also keep bytes in this store; what they refer to stays."""

    def __init__(self, blobs: Blobs, clock: Clock, others: Sequence[BlobUser] = ()) -> None:
        self._blobs, self._clock, self._others = blobs, clock, others

    def reserve(self, session: Session, digest: str) -> str:
        """Promise that a reference to this digest follows within the hour. Commit before the blob.

        Returns the reservation to hand to `claim`.
        """
        store.serialise(session, digest)
        reservation = new_id("blobres_")
        store.nominate(session, reservation, digest, self._clock.unix() + RESERVED_SECONDS)
        return reservation

    def claim(self, session: Session, digest: str, reservation: str | None = None) -> None:
        """Call in the transaction that refers to the digest. Raises `ContentGone` if its bytes are not there."""
        store.serialise(session, digest)
        if not self._blobs.exists(digest):
            raise ContentGone
        if reservation is not None:
            store.drop_candidate(session, reservation)

    def release(self, session: Session, digests: Iterable[str]) -> None:
        """Call in the transaction that removed references."""
        for digest in sorted(set(digests)):
            store.serialise(session, digest)
            store.nominate(session, new_id("blobrel_"), digest, self._clock.unix())

    @contextmanager
    def keeping(self, db: Database, intake: Intake) -> Iterator[tuple[BlobRef, str]]:
        """Steps 1 and 2 for an intake; the body does step 3 in a transaction of its own.

        If the body refuses (raises a `PlinthError`), the bytes are given up at once.
        """
        with db.write() as session:
            reservation = self.reserve(session, intake.digest)
        blob = intake.commit()
        try:
            yield blob, reservation
        except PlinthError:
            with db.write() as session:
                store.drop_candidate(session, reservation)
                self.release(session, [blob.digest])
            self.sweep_now(db)
            raise

    def sweep_now(self, db: Database) -> None:
        with db.write() as session:
            self.sweep(session)

    def sweep(self, session: Session) -> int:
        """Remove bytes that nothing refers to; returns how many blobs went. Looks at 100 at most."""
        removed, now = 0, self._clock.unix()
        for digest in store.due_digests(session, now, SWEPT_AT_ONCE):
            store.serialise(session, digest)
            if not self._is_needed(session, digest, now):
                self._blobs.delete(digest)
                removed += 1
            store.drop_due_candidates(session, digest, now)
        return removed

    def _is_needed(self, session: Session, digest: str, now: float) -> bool:
        return (
            store.is_referred_to(session, digest)
            or store.is_reserved(session, digest, now)
            or any(other.refers_to(session, digest) for other in self._others)
        )
