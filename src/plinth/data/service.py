"""The slice's one door: files, uploads and datasets over one blob store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from plinth.data.content import Content
from plinth.data.datasets import Datasets
from plinth.data.files import Files
from plinth.data.formats import Reading
from plinth.data.model import Dataset, DatasetVersion, Edge, File, Kind, Row, SplitRule, dataset_name_of
from plinth.data.ports import BlobUser
from plinth.data.uploads import Uploads
from plinth.identity import Actor
from plinth.kit.blobs import BlobRef, Blobs
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session

if TYPE_CHECKING:
    from plinth.data.settings import DataSettings


class DataService:
    """Args: `others` are further users of the same blob store, asked before bytes are removed."""

    def __init__(self, blobs: Blobs, clock: Clock, settings: DataSettings, others: Sequence[BlobUser] = ()) -> None:
        self.content = Content(blobs, clock, others)
        self.files = Files(blobs, self.content, clock, settings)
        self.uploads = Uploads(blobs, self.content, self.files, clock, settings)
        self.datasets = Datasets(blobs, self.content, clock, settings)

    def file(self, session: Session, project_id: str, file_id: str) -> File:
        """Raises `NotFound`."""
        return self.files.get(session, project_id, file_id)

    def open_file(self, file: File) -> BinaryIO:
        """A seekable reader of the content; close it."""
        return self.files.open(file)

    def store_file(self, session: Session, owner: Actor | str, filename: str, purpose: str, blob: BlobRef) -> File:
        """Make a file of a blob that the platform wrote. `owner`: an actor or a project id.

        Raises `InvalidPurpose`, `ContentGone`.
        """
        return self.files.store_file(session, owner, filename, purpose, blob)

    def dataset_from_file(
        self, session: Session, project_id: str, file_id: str, *, name: str | None = None, format: str | None = None
    ) -> DatasetVersion:
        """Validate every row of a file and make a dataset version of it; one that exists is returned again.

        It reads the whole file inside the caller's transaction, which on SQLite keeps other writers
        waiting; outside a transaction use `import_file`.

        Args:
            name: the dataset, by default named after the file.
            format: "chat", "prompt_completion" or "classification"; detected when None.

        Raises: `NotFound`, `InvalidRows`, `EmptyDataset`, `TooManyLabels`, `DecompressedTooLarge`.
        """
        file, reading = self.file(session, project_id, file_id), Reading(kind=Kind(format) if format else None)
        with self.datasets.draft(file, reading, SplitRule()) as draft:
            wanted = name or dataset_name_of(file.filename)
            return self.datasets.save_within(session, project_id, wanted, draft, Edge("file", file.id))

    def import_file(
        self,
        db: Database,
        file: File,
        *,
        name: str | None = None,
        reading: Reading | None = None,
        splits: SplitRule | None = None,
    ) -> DatasetVersion:
        """As `dataset_from_file`, in short transactions of its own; the long reading holds none."""
        with self.datasets.draft(file, reading or Reading(), splits or SplitRule()) as draft:
            wanted = name or dataset_name_of(file.filename)
            return self.datasets.save(db, file.project_id, wanted, draft, Edge("file", file.id))

    def derive_version(
        self,
        db: Database,
        parent: DatasetVersion,
        *,
        rows: Iterable[Row] | None = None,
        splits: SplitRule | None = None,
        name: str | None = None,
    ) -> DatasetVersion:
        """A version made from another one, with the lineage edge. By default the next of its own dataset."""
        with self.datasets.derive(parent, rows, splits) as draft:
            return self.datasets.save(db, parent.project_id, name or parent.dataset, draft, Edge("version", parent.id))

    def list_datasets(
        self, session: Session, project_id: str, after: str | None = None, limit: int = 100
    ) -> list[Dataset]:
        """Newest first; up to `limit` + 1, so that the caller sees whether there are more."""
        return self.datasets.page(session, project_id, after, limit)

    def version(self, session: Session, project_id: str, version_id: str) -> DatasetVersion:
        """Raises `NotFound`."""
        return self.datasets.version(session, project_id, version_id)

    def rows(self, version: DatasetVersion, split: str | None = None) -> Iterator[Row]:
        """Canonical chat rows `{"messages": [{"role", "content"}, …]}`, the last message being the answer.

        Raises `UnknownSplit`.
        """
        return self.datasets.rows(version, split)

    def tidy(self, db: Database) -> int:
        """Delete what has expired and free bytes that nothing refers to; call it every minute or so.

        Short transactions of at most 100 items; returns how many were handled.
        """
        handled = 0
        for stage in (self.files.expire, self.uploads.expire, self.content.sweep):
            with db.write() as session:
                handled += stage(session)
        return handled
