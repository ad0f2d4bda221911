"""Decisions about datasets: importing rows, versions, splits, lineage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from plinth.data import store
from plinth.data.content import Content
from plinth.data.errors import DatasetTooLarge, EmptyDataset, InvalidRows, RowError, TooManyLabels, UnknownSplit
from plinth.data.formats import Reading, detect, open_text, read, write
from plinth.data.formats.json_lines import encode_object
from plinth.data.intake import Intake, taking_in
from plinth.data.model import (
    Dataset,
    DatasetVersion,
    Edge,
    File,
    Kind,
    Layout,
    Row,
    SplitRule,
    check_dataset_name,
    content_hash,
)
from plinth.kit.blobs import BlobRef, Blobs
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session
from plinth.kit.errors import BadInput, NotFound
from plinth.kit.events import emit
from plinth.kit.ids import new_id

if TYPE_CHECKING:
    from plinth.data.settings import DataSettings

LISTED_ROW_ERRORS = 100
SAMPLE_ROWS = 5


@dataclass
class Draft:
    """Rows on their way into a version, with everything that was seen of them.

    `source` is what messages call it. `rows` canonical rows went into `intake`; `errors` lists the
    first 100 of `error_count` bad rows.
    """

    source: str
    layout: Layout | None
    splits: SplitRule
    intake: Intake
    errors: list[RowError] = field(default_factory=list)
    error_count: int = 0
    rows: int = 0
    split_rows: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    split_labels: dict[str, Counter[str]] = field(default_factory=dict)
    sample: list[Row] = field(default_factory=list)

    @property
    def statistics(self) -> dict[str, Any]:
        """`{"rows": 3, "splits": {"train": {"rows": 3, "labels": {…}}}, "labels": {"refund": 2, …}}`."""
        return {
            "rows": self.rows,
            "labels": dict(self.labels.most_common()),
            "splits": {
                name: {"rows": self.split_rows[name], "labels": dict(self.split_labels.get(name, Counter()))}
                for name in self.splits.names
            },
        }

    def add(self, row: Row) -> None:
        split = self.splits.split_of(row)
        self.rows += 1
        self.split_rows[split] += 1
        label = row.get("label")
        if self.layout is not None and self.layout.kind is Kind.classification and isinstance(label, str):
            self.labels[label] += 1
            self.split_labels.setdefault(split, Counter())[label] += 1
        if len(self.sample) < SAMPLE_ROWS:
            self.sample.append(row)
        if not self.error_count:  # with a bad row nothing will be imported; the rest is only checked
            self.intake.write(encode_object(row).encode())

    def reject(self, error: RowError) -> None:
        self.error_count += 1
        if len(self.errors) < LISTED_ROW_ERRORS:
            self.errors.append(error)


class Datasets:
    """Dataset versions. Emits `data.dataset_version.created` {version_id, dataset, number}."""

    def __init__(self, blobs: Blobs, content: Content, clock: Clock, settings: DataSettings) -> None:
        self._blobs, self._content, self._clock, self._settings = blobs, content, clock, settings

    # --- taking rows in

    @contextmanager
    def draft(self, file: File, reading: Reading, splits: SplitRule) -> Iterator[Draft]:
        """Read every row of a file, outside any transaction; bad rows are in the draft, not raised.

        Raises `TooManyLabels`, `DecompressedTooLarge`, `DatasetTooLarge`.
        """
        row_bytes, most = self._settings.max_row_bytes, self._settings.max_decompressed_bytes
        with self._blobs.open(file.digest) as source, open_text(source, most) as text, self._intake() as intake:
            layout = detect(text, file.filename, reading, row_bytes)
            draft = Draft(file.filename, layout if isinstance(layout, Layout) else None, splits, intake)
            if isinstance(layout, RowError):
                draft.reject(layout)
            elif layout is not None:
                text.seek(0)
                self._fill(draft, read(text, layout, row_bytes))
            yield draft

    @contextmanager
    def derive(
        self, parent: DatasetVersion, rows: Iterable[Row] | None = None, splits: SplitRule | None = None
    ) -> Iterator[Draft]:
        """A draft made from a version: with other rows (corrected labels, say), other splits, or both."""
        with self._intake() as intake:
            draft = Draft(parent.dataset, parent.layout, splits or parent.splits, intake)
            self._fill(draft, self.rows(parent) if rows is None else rows)
            yield draft

    def save(self, db: Database, project_id: str, name: str, draft: Draft, parent: Edge) -> DatasetVersion:
        """Make a version of a draft, in short transactions. Raises as `check` and `record` do."""
        check(draft)
        with self._content.keeping(db, draft.intake) as (_, reservation), db.write() as session:
            return self.record(session, project_id, name, draft, parent=parent, reservation=reservation)

    def record(
        self, session: Session, project_id: str, name: str, draft: Draft, *, parent: Edge, reservation: str
    ) -> DatasetVersion:
        """The next version of the dataset `name`, which is made when it is new.

        The draft's intake must have been committed. If the dataset has a version with the same
        content already, that one is returned, with the new parent added to its lineage.
        """
        assert draft.layout is not None
        now = self._clock.unix()
        dataset = self._dataset(session, project_id, check_dataset_name(name))
        blob = BlobRef(draft.intake.digest, draft.intake.size)
        hashed = content_hash(blob.digest, draft.splits)
        self._content.claim(session, blob.digest, reservation)
        version = store.version_by_content(session, dataset.id, hashed)
        if version is None:
            version = DatasetVersion(
                id=new_id("dsv_"),
                project_id=project_id,
                dataset=dataset.name,
                number=dataset.latest + 1,
                content_hash=hashed,
                digest=blob.digest,
                bytes=blob.size,
                layout=draft.layout,
                splits=draft.splits,
                statistics=draft.statistics,
                created_at=now,
            )
            store.add_version(session, version, dataset.id)
            payload = {"version_id": version.id, "dataset": dataset.name, "number": version.number}
            emit(session, self._clock, "data.dataset_version.created", payload, project_id)
        store.add_edge(session, project_id, version.id, parent, now)
        return version

    def save_within(self, session: Session, project_id: str, name: str, draft: Draft, parent: Edge) -> DatasetVersion:
        """As `save`, inside the caller's transaction, which is held while bytes are written."""
        check(draft)
        reservation = self._content.reserve(session, draft.intake.digest)
        draft.intake.commit()
        return self.record(session, project_id, name, draft, parent=parent, reservation=reservation)

    # --- reading

    def version(self, session: Session, project_id: str, version_id: str) -> DatasetVersion:
        """Raises `NotFound`."""
        version = store.version_by_id(session, project_id, version_id)
        if version is None:
            raise NotFound(what="dataset version", id=version_id)
        return version

    def dataset(self, session: Session, project_id: str, name: str) -> Dataset:
        """Raises `NotFound`."""
        dataset = store.dataset_by_name(session, project_id, name)
        if dataset is None:
            raise NotFound(what="dataset", id=name)
        return dataset

    def page(self, session: Session, project_id: str, after: str | None, limit: int) -> list[Dataset]:
        """Up to `limit` + 1 datasets, newest first."""
        return store.list_datasets(session, project_id, after, limit + 1)

    def versions(self, session: Session, dataset: Dataset, after: str | None, limit: int) -> list[DatasetVersion]:
        """Up to `limit` + 1 versions, newest first."""
        return store.list_versions(session, dataset.id, after, limit + 1)

    def parents(self, session: Session, version: DatasetVersion) -> list[Edge]:
        return store.parents_of(session, version.id)

    def children(self, session: Session, project_id: str, parent: Edge) -> list[str]:
        """Ids of the versions that were made from a file or a version."""
        return store.children_of(session, parent, project_id)

    def rows(self, version: DatasetVersion, split: str | None = None) -> Iterator[Row]:
        """Canonical rows in the order of the file, of one split or all. Raises `UnknownSplit`."""
        check_split(version, split)
        return self._rows(version, split)

    def preview(
        self, version: DatasetVersion, split: str | None, after: str | None, limit: int
    ) -> tuple[list[tuple[int, str, Row]], str | None]:
        """Up to `limit` (number, split, row) behind the cursor `after`, and the cursor of the next page, if any.

        Raises `UnknownSplit`, `BadInput` for a cursor that is not one of ours.
        """
        check_split(version, split)
        number, found = 0, []
        with self._blobs.open(version.digest) as source:
            if after is not None:
                number = _seek(source, after, version.bytes)
            while line := source.readline():
                row: Row = json.loads(line)
                place = version.splits.split_of(row)
                if split is None or place == split:
                    found.append((number, place, row))
                number += 1
                if len(found) == limit:
                    break
            position = source.tell()
        return found, f"{number}-{position}" if position < version.bytes else None

    def export(self, version: DatasetVersion, kind: Kind | None, split: str | None) -> Iterator[str]:
        """The rows as text, in their own format unless told otherwise. Raises `NotExpressible`, `UnknownSplit`."""
        return write(self.rows(version, split), version.layout, kind or version.layout.kind)

    def _rows(self, version: DatasetVersion, split: str | None) -> Iterator[Row]:
        with self._blobs.open(version.digest) as source:
            for line in source:
                row: Row = json.loads(line)
                if split is None or version.splits.split_of(row) == split:
                    yield row

    def _intake(self) -> AbstractContextManager[Intake]:
        return taking_in(self._blobs, self._settings.max_dataset_bytes, "data.max_dataset_bytes", DatasetTooLarge)

    def _fill(self, draft: Draft, rows: Iterable[Row | RowError]) -> None:
        for row in rows:
            if isinstance(row, RowError):
                draft.reject(row)
                continue
            draft.add(row)
            if len(draft.labels) > self._settings.max_labels:
                column = draft.layout.label_column if draft.layout else ""
                raise TooManyLabels(column=column, limit=self._settings.max_labels, param="label_column")

    def _dataset(self, session: Session, project_id: str, name: str) -> Dataset:
        store.serialise(session, f"dataset/{project_id}/{name}")
        if store.dataset_by_name(session, project_id, name) is None:
            store.add_dataset(session, new_id("ds_"), project_id, name, self._clock.unix())
        return self.dataset(session, project_id, name)


def check(draft: Draft) -> None:
    """Raises `InvalidRows`, `EmptyDataset` when no version can be made of the draft."""
    if draft.error_count:
        raise InvalidRows(filename=draft.source, rows=draft.errors, total=draft.error_count, param="file_id")
    if not draft.rows:
        raise EmptyDataset(filename=draft.source, param="file_id")


def check_split(version: DatasetVersion, split: str | None) -> None:
    if split is not None and split not in version.splits.names:
        raise UnknownSplit(split=split[:64], splits=", ".join(version.splits.names), param="split")


def _seek(source: BinaryIO, cursor: str, size: int) -> int:
    """Move to the row that a cursor `number-offset` names; returns its number."""
    number, _, offset = cursor.partition("-")
    if number.isdecimal() and offset.isdecimal() and len(cursor) < 40 and 0 < int(offset) <= size:
        source.seek(int(offset) - 1)
        if source.read(1) == b"\n":
            return int(number)
    raise BadInput(reason="`after` is not a cursor of this list. Take `next` of the page before.", param="after")
