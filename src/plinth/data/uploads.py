"""Files that arrive in parts: in any order, over restarts, within an hour."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plinth.data import store
from plinth.data.content import Content
from plinth.data.errors import (
    ChecksumMismatch,
    TooManyParts,
    UnknownPart,
    UploadNotPending,
    UploadSizeMismatch,
)
from plinth.data.files import Files
from plinth.data.intake import Intake, taking_in
from plinth.data.model import NewFile, Part, Upload, UploadStatus, check_purpose, clean_filename
from plinth.kit.blobs import CHUNK_BYTES, BlobRef, Blobs
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import NotFound, TooLarge
from plinth.kit.ids import new_id

if TYPE_CHECKING:
    from plinth.data.settings import DataSettings

MOST_PARTS = 10_000
CLOSED_AT_ONCE = 100


@dataclass(frozen=True)
class NewUpload:
    """What a client declares before it sends parts. `file_seconds`: how long the finished file lives."""

    filename: str
    purpose: str
    mime_type: str
    bytes: int
    file_seconds: int | None = None


class Uploads:
    def __init__(self, blobs: Blobs, content: Content, files: Files, clock: Clock, settings: DataSettings) -> None:
        self._blobs, self._content, self._files = blobs, content, files
        self._clock, self._settings = clock, settings

    def create(self, session: Session, project_id: str, new: NewUpload) -> Upload:
        """Raises `InvalidPurpose`, `TooLarge`."""
        check_purpose(new.purpose)
        if new.bytes > self._settings.max_upload_bytes:
            raise TooLarge(limit_bytes=self._settings.max_upload_bytes, setting="data.max_upload_bytes", param="bytes")
        now = self._clock.unix()
        upload = Upload(
            id=new_id("upload_"),
            project_id=project_id,
            filename=clean_filename(new.filename),
            purpose=new.purpose,
            mime_type=new.mime_type,
            bytes=new.bytes,
            status=UploadStatus.pending,
            created_at=now,
            expires_at=now + self._settings.upload_seconds,
            file_seconds=new.file_seconds,
            part_ids=(),
            file_id=None,
        )
        store.add_upload(session, upload)
        return upload

    def get(self, session: Session, project_id: str, upload_id: str, *, lock: bool = False) -> Upload:
        """Raises `NotFound`. A pending upload whose hour is over reads as expired."""
        upload = store.upload_by_id(session, project_id, upload_id, lock=lock)
        if upload is None:
            raise NotFound(what="upload", id=upload_id)
        if upload.status is UploadStatus.pending and upload.expires_at <= self._clock.unix():
            return replace(upload, status=UploadStatus.expired)
        return upload

    def pending(self, session: Session, project_id: str, upload_id: str, *, lock: bool = False) -> Upload:
        """The upload if it still takes changes. Raises `NotFound`, `UploadNotPending`."""
        upload = self.get(session, project_id, upload_id, lock=lock)
        if upload.status is not UploadStatus.pending:
            raise UploadNotPending(id=upload.id, status=upload.status.value)
        return upload

    def part_intake(self) -> AbstractContextManager[Intake]:
        return taking_in(self._blobs, self._settings.max_part_bytes, "data.max_part_bytes")

    def add_part(
        self, session: Session, project_id: str, upload_id: str, blob: BlobRef, reservation: str | None = None
    ) -> Part:
        """Keep one part. Sending a part again makes a second part; `complete` names those that count.

        Raises `UploadNotPending`, `TooManyParts` (far more bytes than were declared).
        """
        upload = self.pending(session, project_id, upload_id, lock=True)
        count, received = store.part_totals(session, upload.id)
        room = 2 * upload.bytes + self._settings.max_part_bytes
        if count >= MOST_PARTS or received + blob.size > room:
            raise TooManyParts(param="data")
        self._content.claim(session, blob.digest, reservation)
        part = Part(new_id("part_"), upload.id, blob.size, blob.digest, self._clock.unix())
        store.add_part(session, part, project_id)
        return part

    def parts(
        self, session: Session, project_id: str, upload_id: str, *, after: str | None = None, limit: int = MOST_PARTS
    ) -> list[Part]:
        """Up to `limit` + 1 parts in the order they arrived; none once the upload is closed."""
        upload = self.get(session, project_id, upload_id)
        return store.parts_of(session, upload.id, after, limit + 1)

    def choose(self, session: Session, upload: Upload, part_ids: Sequence[str]) -> list[Part]:
        """The parts that make the file, in order. Raises `UnknownPart`, `UploadSizeMismatch`."""
        known = {part.id: part for part in store.parts_of(session, upload.id)}
        chosen = []
        for part_id in part_ids:
            part = known.pop(part_id, None)
            if part is None:
                raise UnknownPart(id=part_id, param="part_ids")
            chosen.append(part)
        received = sum(part.bytes for part in chosen)
        if received != upload.bytes:
            raise UploadSizeMismatch(received=received, declared=upload.bytes, param="part_ids")
        return chosen

    @contextmanager
    def assemble(self, upload: Upload, parts: Sequence[Part], md5: str | None) -> Iterator[Intake]:
        """The parts joined, checked and ready to commit; outside any transaction, it copies every byte.

        Raises `ChecksumMismatch`, `EmptyFile`, `InvalidEncoding`.
        """
        checksum = hashlib.md5(usedforsecurity=False)
        with taking_in(self._blobs, self._settings.max_upload_bytes, "data.max_upload_bytes") as intake:
            for part in parts:
                with self._blobs.open(part.digest) as source:
                    while chunk := source.read(CHUNK_BYTES):
                        intake.write(chunk)
                        checksum.update(chunk)
            if md5 is not None and md5.lower() != checksum.hexdigest():
                raise ChecksumMismatch(actual=checksum.hexdigest(), expected=md5[:64], param="md5")
            intake.check(upload.filename, upload.purpose)
            yield intake

    def complete(
        self, session: Session, upload: Upload, part_ids: Sequence[str], blob: BlobRef, reservation: str
    ) -> Upload:
        """Turn the assembled blob into a file and forget the parts.

        Completing once more with the same parts returns the finished upload, so a client whose
        connection broke can ask again. Raises `UploadNotPending`.
        """
        current = self.get(session, upload.project_id, upload.id, lock=True)
        if is_repeat(current, part_ids):
            return current
        self.pending(session, upload.project_id, upload.id)
        new = NewFile(upload.filename, upload.purpose, upload.file_seconds)
        file = self._files.add(session, upload.project_id, blob, new, reservation)
        self._close(session, upload.id, UploadStatus.completed, part_ids, file.id)
        return self.get(session, upload.project_id, upload.id)

    def cancel(self, session: Session, project_id: str, upload_id: str) -> Upload:
        """Raises `UploadNotPending`; cancelling twice is fine."""
        if (upload := self.get(session, project_id, upload_id, lock=True)).status is UploadStatus.cancelled:
            return upload
        self.pending(session, project_id, upload_id)
        self._close(session, upload_id, UploadStatus.cancelled)
        return self.get(session, project_id, upload_id)

    def expire(self, session: Session) -> int:
        """Close uploads whose hour is over and free their parts, 100 at most; returns how many."""
        overdue = store.overdue_uploads(session, self._clock.unix(), CLOSED_AT_ONCE)
        for upload in overdue:
            self._close(session, upload.id, UploadStatus.expired)
        return len(overdue)

    def _close(
        self,
        session: Session,
        upload_id: str,
        status: UploadStatus,
        part_ids: Sequence[str] = (),
        file_id: str | None = None,
    ) -> None:
        digests = [part.digest for part in store.parts_of(session, upload_id)]
        store.close_upload(session, upload_id, status, part_ids, file_id)
        store.remove_parts(session, upload_id)
        self._content.release(session, digests)


def is_repeat(upload: Upload, part_ids: Sequence[str]) -> bool:
    """Whether this upload was completed with exactly these parts before."""
    return upload.status is UploadStatus.completed and upload.part_ids == tuple(part_ids)
