"""What files and datasets need from the rest of the platform, besides `kit.blobs`."""

from __future__ import annotations

from typing import Protocol

from plinth.kit.db import Session


class BlobUser(Protocol):
    """Somebody else who keeps bytes in the same blob store (the registry's artefacts, for example)."""

    def refers_to(self, session: Session, digest: str) -> bool:
        """Whether a blob with this digest must stay."""
        ...


class RememberedDigests:
    """The twin: refers to the digests in its set."""

    def __init__(self) -> None:
        self.digests: set[str] = set()

    def refers_to(self, session: Session, digest: str) -> bool:
        return digest in self.digests
