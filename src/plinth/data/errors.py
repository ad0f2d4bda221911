"""What can go wrong with files, uploads and datasets.

BadInput 400
├── InvalidPurpose, MissingFilePart, InvalidMultipart, UploadTruncated, EmptyFile
├── InvalidEncoding, InvalidExpiry
├── UploadNotPending, UploadSizeMismatch, ChecksumMismatch, UnknownPart, TooManyParts
├── InvalidRows            every bad row, with line, column and reason
├── EmptyDataset, TooManyLabels, InvalidSplits, InvalidDatasetName, UnknownSplit, NotExpressible
└── TooLarge 413
    └── DecompressedTooLarge, DatasetTooLarge
Conflict 409
└── ContentGone
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from plinth.kit.errors import BadInput, Conflict, TooLarge


@dataclass(frozen=True)
class RowError:
    """Why one row cannot be used.

    `line` is the 1-based line of the file where the row begins. `column` is a column's name, a path
    such as `messages[1].role`, or `character 17`; None when the whole row is meant. `code` is stable.
    """

    line: int
    column: str | None
    code: str
    reason: str


class InvalidPurpose(BadInput):
    """'{purpose}' is not a purpose a file can have. Send `purpose` as one of: {allowed}."""

    code = "invalid_purpose"


class MissingFilePart(BadInput):
    """The form has no file in a part named '{field}'. Send the content as multipart/form-data with that part."""

    code = "missing_file"


class InvalidMultipart(BadInput):
    """The body is not valid multipart/form-data: {reason}. Send it with a client library, such as the OpenAI SDK."""

    code = "invalid_multipart"


class UploadTruncated(BadInput):
    """The body ended before the closing multipart boundary, so nothing was stored. Send the file again."""

    code = "upload_truncated"


class EmptyFile(BadInput):
    """The file '{filename}' has no bytes. Send a file with content."""

    code = "empty_file"


class InvalidEncoding(BadInput):
    """The file '{filename}' is not UTF-8: the byte at offset {offset} cannot be decoded, and it looks like {encoding}.
    Save it as UTF-8 and send it again."""

    code = "invalid_encoding"


class InvalidExpiry(BadInput):
    """`expires_after` must have the anchor 'created_at' and between {least} and {most} seconds."""

    code = "invalid_expires_after"


class UploadNotPending(BadInput):
    """The upload '{id}' is {status}, so it takes no more changes. Create a new upload."""

    code = "upload_not_pending"


class UploadSizeMismatch(BadInput):
    """The parts hold {received} bytes, but the upload was declared with {declared}.
    Send the missing parts, or name every part once in `part_ids`."""

    code = "upload_size_mismatch"


class ChecksumMismatch(BadInput):
    """The content has the MD5 {actual}, not {expected}. Check the order of the parts and send damaged parts again."""

    code = "checksum_mismatch"


class UnknownPart(BadInput):
    """The upload has no part '{id}', or it is named twice. Send the ids of this upload's parts, in order."""

    code = "unknown_part"


class TooManyParts(BadInput):
    """The upload already holds more than it declared. Complete it, or cancel it and begin again."""

    code = "too_many_parts"


class InvalidRows(BadInput):
    """'{filename}' cannot be imported because of {total} bad row(s), the first on line {line}, column {column}:
    {reason}."""

    code = "invalid_rows"

    def __init__(self, *, filename: str, rows: Sequence[RowError], total: int, param: str | None = None) -> None:
        first = rows[0]
        self.rows, self.total = list(rows), total
        super().__init__(
            param=param,
            filename=filename,
            total=total,
            line=first.line,
            column=first.column or "-",
            reason=first.reason,
        )

    def to_openai(self, message: str | None = None) -> dict[str, Any]:
        """The error object with two fields more: `rows` (the first 100) and `total_rows` (how many are bad)."""
        body = super().to_openai(message)
        body["error"] |= {"rows": [asdict(row) for row in self.rows], "total_rows": self.total}
        return body


class EmptyDataset(BadInput):
    """'{filename}' has no rows. Send a file with at least one row."""

    code = "empty_dataset"


class TooManyLabels(BadInput):
    """The column '{column}' has more than {limit} different labels. Name the right column in `label_column`,
    or raise `data.max_labels`."""

    code = "too_many_labels"


class InvalidSplits(BadInput):
    """`splits` must give one to ten names of letters, digits, '-' or '_' a positive share each, adding up to 1."""

    code = "invalid_splits"


class InvalidDatasetName(BadInput):
    """'{name}' cannot name a dataset. Use 1 to 64 letters, digits, spaces, '.', '-' or '_', beginning with a letter or
    digit."""

    code = "invalid_dataset_name"


class UnknownSplit(BadInput):
    """There is no split '{split}' in this dataset version. It has: {splits}."""

    code = "unknown_split"


class NotExpressible(BadInput):
    """Row {row} cannot be written as {format}: {reason}. Export the version as 'chat' instead."""

    code = "not_expressible"


class DecompressedTooLarge(TooLarge):
    """The compressed file holds more than {limit_bytes} bytes. Send less, or raise `{setting}`."""

    code = "decompressed_too_large"


class DatasetTooLarge(TooLarge):
    """The dataset's rows would take more than {limit_bytes} bytes. Import fewer rows, or raise `{setting}`."""

    code = "dataset_too_large"


class ContentGone(Conflict):
    """The content was removed while it was being used. Send it again."""

    code = "content_gone"
