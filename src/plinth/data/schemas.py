"""Wire types. `/v1` as in the OpenAI API reference (Files, Uploads); `/api` is ours."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from plinth.data.datasets import Draft
from plinth.data.errors import RowError
from plinth.data.formats import Reading
from plinth.data.model import (
    Dataset,
    DatasetVersion,
    Edge,
    File,
    Kind,
    Part,
    SplitRule,
    Upload,
    check_expiry,
)
from plinth.data.uploads import NewUpload
from plinth.kit.http import Wire

NO_NUL = r"^[^\x00]*$"  # PostgreSQL has no text with NUL characters
Format = Literal["chat", "prompt_completion", "classification"]


class FileObject(Wire):
    """A file, as the OpenAI SDK's `FileObject`."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None = None
    filename: str
    purpose: str
    status: str = "processed"
    status_details: str | None = None

    @classmethod
    def of(cls, file: File) -> FileObject:
        return cls(
            id=file.id,
            bytes=file.bytes,
            created_at=int(file.created_at),
            expires_at=None if file.expires_at is None else int(file.expires_at),
            filename=file.filename,
            purpose=file.purpose,
        )


class ExpiresAfter(Wire):
    anchor: str
    seconds: int


class UploadRequest(Wire):
    bytes: int = Field(gt=0, le=1 << 50)
    filename: str = Field(min_length=1, max_length=1024)
    mime_type: str = Field(max_length=255, pattern=NO_NUL)
    purpose: str = Field(max_length=64)
    expires_after: ExpiresAfter | None = None

    def to_new(self) -> NewUpload:
        policy = self.expires_after
        anchor, wanted = (policy.anchor, policy.seconds) if policy else (None, None)
        seconds = check_expiry(anchor, wanted, self.purpose)
        return NewUpload(self.filename, self.purpose, self.mime_type, self.bytes, seconds)


class CompleteRequest(Wire):
    part_ids: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=10_000)
    md5: str | None = Field(default=None, max_length=64)


class UploadObject(Wire):
    """An upload, as the OpenAI SDK's `Upload`."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    mime_type: str
    status: str
    file: FileObject | None = None

    @classmethod
    def of(cls, upload: Upload, file: File | None = None) -> UploadObject:
        return cls(
            id=upload.id,
            bytes=upload.bytes,
            created_at=int(upload.created_at),
            expires_at=int(upload.expires_at),
            filename=upload.filename,
            purpose=upload.purpose,
            mime_type=upload.mime_type,
            status=upload.status.value,
            file=FileObject.of(file) if file else None,
        )


class PartObject(Wire):
    """A part, as the OpenAI SDK's `UploadPart`, with its size and SHA-256 so that a client can resume."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, part: Part) -> PartObject:
        return cls(
            id=part.id,
            created_at=int(part.created_at),
            upload_id=part.upload_id,
            bytes=part.bytes,
            sha256=part.digest,
        )


class DatasetRequest(Wire):
    """A dataset version from a file. `splits` are shares by name that add up to 1."""

    name: str = Field(min_length=1, max_length=64)
    file_id: str = Field(max_length=64, pattern=NO_NUL)
    format: Format | None = None
    text_column: str | None = Field(default=None, max_length=1024)
    label_column: str | None = Field(default=None, max_length=1024)
    instruction: str | None = Field(default=None, min_length=1, max_length=100_000, pattern=NO_NUL)
    splits: dict[str, float] | None = None
    split_seed: int = Field(default=0, ge=0, lt=1 << 31)
    dry_run: bool = False

    def to_reading(self) -> Reading:
        kind = Kind(self.format) if self.format else None
        return Reading(kind, self.text_column, self.label_column, self.instruction)

    def to_splits(self) -> SplitRule:
        return SplitRule(self.splits, self.split_seed) if self.splits is not None else SplitRule(seed=self.split_seed)


class DeriveRequest(Wire):
    """A version with the rows of another and other splits."""

    from_version_id: str = Field(max_length=64, pattern=NO_NUL)
    splits: dict[str, float]
    split_seed: int = Field(default=0, ge=0, lt=1 << 31)


class RowProblem(Wire):
    line: int
    column: str | None
    code: str
    reason: str

    @classmethod
    def of(cls, error: RowError) -> RowProblem:
        return cls(line=error.line, column=error.column, code=error.code, reason=error.reason)


class DryRunObject(Wire):
    """What an import would give: nothing is stored. `ok` says whether it would succeed."""

    object: Literal["dataset.dry_run"] = "dataset.dry_run"
    ok: bool
    format: str | None
    columns: list[str]
    text_column: str | None
    label_column: str | None
    statistics: dict[str, Any]
    sample: list[dict[str, Any]]
    bad_rows: list[RowProblem]
    bad_row_count: int

    @classmethod
    def of(cls, draft: Draft) -> DryRunObject:
        layout = draft.layout
        return cls(
            ok=draft.rows > 0 and not draft.error_count,
            format=layout.kind.value if layout else None,
            columns=list(layout.columns) if layout else [],
            text_column=(layout.text_column or None) if layout else None,
            label_column=(layout.label_column or None) if layout else None,
            statistics=draft.statistics,
            sample=draft.sample,
            bad_rows=[RowProblem.of(error) for error in draft.errors],
            bad_row_count=draft.error_count,
        )


class DatasetObject(Wire):
    id: str
    object: Literal["dataset"] = "dataset"
    name: str
    created_at: int
    latest_version: int

    @classmethod
    def of(cls, dataset: Dataset) -> DatasetObject:
        return cls(id=dataset.id, name=dataset.name, created_at=int(dataset.created_at), latest_version=dataset.latest)


class EdgeObject(Wire):
    kind: str
    id: str


class VersionObject(Wire):
    """An immutable dataset version. `sources` and `derived` are its lineage, one step each way."""

    id: str
    object: Literal["dataset.version"] = "dataset.version"
    dataset: str
    version: int
    format: str
    content_hash: str
    rows: int
    bytes: int
    splits: dict[str, float]
    split_seed: int
    instruction: str | None
    statistics: dict[str, Any]
    created_at: int
    sources: list[EdgeObject] | None = None
    derived: list[str] | None = None

    @classmethod
    def of(
        cls, version: DatasetVersion, parents: list[Edge] | None = None, children: list[str] | None = None
    ) -> VersionObject:
        return cls(
            id=version.id,
            dataset=version.dataset,
            version=version.number,
            format=version.layout.kind.value,
            content_hash=version.content_hash,
            rows=version.rows,
            bytes=version.bytes,
            splits=dict(version.splits.shares),
            split_seed=version.splits.seed,
            instruction=version.layout.instruction,
            statistics=version.statistics,
            created_at=int(version.created_at),
            sources=None if parents is None else [EdgeObject(kind=p.kind, id=p.id) for p in parents],
            derived=children,
        )


class RowObject(Wire):
    """A canonical row with its place; `number` counts from 0."""

    number: int
    split: str
    row: dict[str, Any]


class RowPage(Wire):
    """`next` is the `after` of the next page, null on the last."""

    object: Literal["list"] = "list"
    data: list[RowObject]
    next: str | None
