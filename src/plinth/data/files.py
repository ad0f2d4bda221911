"""Decisions about files: what is taken in, who sees it, when it goes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO

from plinth.data import store
from plinth.data.content import Content
from plinth.data.intake import Intake, taking_in
from plinth.data.model import OUTPUT_PURPOSES, UPLOAD_PURPOSES, File, FileQuery, NewFile, check_purpose, clean_filename
from plinth.identity import Actor
from plinth.kit.blobs import BlobRef, Blobs
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import NotFound
from plinth.kit.events import emit
from plinth.kit.ids import new_id

if TYPE_CHECKING:
    from plinth.data.settings import DataSettings

EXPIRED_AT_ONCE = 100


class Files:
    """Files of one installation. Emits `data.file.created` and `data.file.deleted` {file_id, purpose}."""

    def __init__(self, blobs: Blobs, content: Content, clock: Clock, settings: DataSettings) -> None:
        self._blobs, self._content, self._clock, self._settings = blobs, content, clock, settings

    def intake(self) -> AbstractContextManager[Intake]:
        """Where the bytes of a new file go, before any transaction; see `Content` for the order."""
        return taking_in(self._blobs, self._settings.max_file_bytes, "data.max_file_bytes")

    def add(
        self, session: Session, project_id: str, blob: BlobRef, new: NewFile, reservation: str | None = None
    ) -> File:
        """Give a stored blob a name in a project. Raises `InvalidPurpose`, `ContentGone`."""
        check_purpose(new.purpose, UPLOAD_PURPOSES + OUTPUT_PURPOSES)
        self._content.claim(session, blob.digest, reservation)
        now = self._clock.unix()
        file = File(
            id=new_id("file-"),
            project_id=project_id,
            filename=clean_filename(new.filename),
            purpose=new.purpose,
            bytes=blob.size,
            digest=blob.digest,
            created_at=now,
            expires_at=None if new.lives_seconds is None else now + new.lives_seconds,
        )
        store.add_file(session, file)
        emit(session, self._clock, "data.file.created", {"file_id": file.id, "purpose": file.purpose}, project_id)
        return file

    def store_file(self, session: Session, owner: Actor | str, filename: str, purpose: str, blob: BlobRef) -> File:
        """A file that the platform itself wrote (results, batch outputs); `owner` is an actor or a project id."""
        project_id = owner if isinstance(owner, str) else owner.project_id
        return self.add(session, project_id, blob, NewFile(filename, purpose))

    def find(self, session: Session, project_id: str, file_id: str) -> File | None:
        return store.file_by_id(session, project_id, file_id, self._clock.unix())

    def get(self, session: Session, project_id: str, file_id: str) -> File:
        """Raises `NotFound`, also for an expired file and for another project's."""
        file = self.find(session, project_id, file_id)
        if file is None:
            raise NotFound(what="file", id=file_id)
        return file

    def page(self, session: Session, project_id: str, query: FileQuery) -> list[File]:
        """Up to `query.limit` + 1 files, so that the caller sees whether there are more."""
        return store.list_files(session, project_id, self._clock.unix(), query)

    def open(self, file: File) -> BinaryIO:
        """A seekable reader of the content; close it."""
        return self._blobs.open(file.digest)

    def delete(self, session: Session, project_id: str, file_id: str) -> File:
        """Forget a file. Dataset versions made from it stay: they hold their own copy of the rows, and
        their lineage still names the file's id. Bytes go with the next `sweep`, if nobody else has them."""
        file = self.get(session, project_id, file_id)
        self._remove(session, file)
        return file

    def expire(self, session: Session) -> int:
        """Delete files whose time has come, 100 at most; returns how many."""
        due = store.expired_files(session, self._clock.unix(), EXPIRED_AT_ONCE)
        for file in due:
            self._remove(session, file)
        return len(due)

    def _remove(self, session: Session, file: File) -> None:
        store.remove_file(session, file.id)
        self._content.release(session, [file.digest])
        payload = {"file_id": file.id, "purpose": file.purpose}
        emit(session, self._clock, "data.file.deleted", payload, file.project_id)
