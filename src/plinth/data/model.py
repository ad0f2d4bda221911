"""Files, uploads and dataset versions, and the rules that need no database."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from plinth.data.errors import InvalidDatasetName, InvalidExpiry, InvalidPurpose, InvalidSplits

Row = dict[str, Any]
"""A canonical row: `{"messages": [{"role", "content"}, …]}`, the last message being the assistant's
answer. Classification rows add `label`; columns that mean nothing to us are kept under `metadata`."""

UPLOAD_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
OUTPUT_PURPOSES = ("assistants_output", "batch_output", "fine-tune-results")
TEXT_PURPOSES = frozenset({"fine-tune", "evals"})

EXPIRY_SECONDS = (3600, 30 * 24 * 3600)
BATCH_EXPIRY_SECONDS = 30 * 24 * 3600
EVERYTHING = {"train": 1.0}
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class UploadStatus(StrEnum):
    pending = "pending"
    completed = "completed"
    cancelled = "cancelled"
    expired = "expired"


class Kind(StrEnum):
    """What a dataset's rows were before they became chat rows."""

    chat = "chat"
    prompt_completion = "prompt_completion"
    classification = "classification"


@dataclass(frozen=True)
class File:
    """Bytes somebody sent or the platform wrote. Times are unix seconds; `digest` names the blob."""

    id: str
    project_id: str
    filename: str
    purpose: str
    bytes: int
    digest: str
    created_at: float
    expires_at: float | None


@dataclass(frozen=True)
class NewFile:
    """What a stored blob is to be called; `lives_seconds` is None for ever."""

    filename: str
    purpose: str
    lives_seconds: int | None = None


@dataclass(frozen=True)
class FileQuery:
    """Which files to list: behind the id `after`, newest first unless `ascending`."""

    purpose: str | None = None
    after: str | None = None
    limit: int = 10_000
    ascending: bool = False


@dataclass(frozen=True)
class Upload:
    """A file that arrives in parts. `bytes` is what was declared."""

    id: str
    project_id: str
    filename: str
    purpose: str
    mime_type: str
    bytes: int
    status: UploadStatus
    created_at: float
    expires_at: float
    file_seconds: int | None
    part_ids: tuple[str, ...]
    file_id: str | None


@dataclass(frozen=True)
class Part:
    id: str
    upload_id: str
    bytes: int
    digest: str
    created_at: float


@dataclass(frozen=True)
class Layout:
    """How rows looked in the file they came from; enough to write them back the same way.

    `columns` is the header of a table, empty for JSON lines.
    """

    kind: Kind
    container: str
    columns: tuple[str, ...] = ()
    text_column: str = ""
    label_column: str = ""
    instruction: str | None = None

    @property
    def delimiter(self) -> str:
        return "\t" if self.container == "tsv" else ","


@dataclass(frozen=True)
class SplitRule:
    """Puts a row into a split by what it asks, never by where it stands.

    A row's place is SHA-256(seed, the messages before the answer) read as a fraction of one. The
    same question is therefore in the same split in every version, together with its duplicates,
    and stays there when its answer or label is corrected. Shares are laid out in the order of
    their names.
    """

    shares: Mapping[str, float] = field(default_factory=lambda: dict(EVERYTHING))
    seed: int = 0

    def __post_init__(self) -> None:
        names_fit = all(re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name) for name in self.shares)
        shares_fit = all(0 < share <= 1 for share in self.shares.values())
        total_fits = abs(sum(self.shares.values()) - 1) < 1e-6
        if not (1 <= len(self.shares) <= 10 and names_fit and shares_fit and total_fits):
            raise InvalidSplits(param="splits")

    @property
    def names(self) -> list[str]:
        return sorted(self.shares)

    def split_of(self, row: Row) -> str:
        """The split of a canonical row. Instructions (system messages) do not move a row."""
        names = self.names
        if len(names) == 1:
            return names[0]
        messages = row["messages"]
        asked = [m for m in messages[:-1] if m["role"] != "system"] or messages[:-1] or messages
        digest = hashlib.sha256(f"{self.seed}\n{stable_json(asked)}".encode()).digest()
        place, reached = int.from_bytes(digest[:8]) / 2**64, 0.0
        for name in names:
            reached += self.shares[name]
            if place < reached:
                return name
        return names[-1]


@dataclass(frozen=True)
class Edge:
    """Where a dataset version came from: `kind` is "file" or "version"."""

    kind: str
    id: str


@dataclass(frozen=True)
class DatasetVersion:
    """An immutable snapshot of rows.

    `content_hash` covers the canonical rows and the split rule: equal hashes mean equal training
    data. `digest` names the blob with one canonical row a line (JSON, UTF-8).
    """

    id: str
    project_id: str
    dataset: str
    number: int
    content_hash: str
    digest: str
    bytes: int
    layout: Layout
    splits: SplitRule
    statistics: dict[str, Any]
    created_at: float

    @property
    def rows(self) -> int:
        return int(self.statistics["rows"])


@dataclass(frozen=True)
class Dataset:
    """A name for versions; `latest` is the newest one's number."""

    id: str
    project_id: str
    name: str
    created_at: float
    latest: int


def stable_json(value: Any) -> str:
    """The same text for equal values, whatever the order of their keys."""
    return _ENCODER.encode(value)


def content_hash(digest: str, splits: SplitRule) -> str:
    rule = {"seed": splits.seed, "shares": dict(splits.shares)}
    return hashlib.sha256(stable_json({"rows": digest, "splits": rule}).encode()).hexdigest()


def check_purpose(purpose: str | None, allowed: tuple[str, ...] = UPLOAD_PURPOSES) -> str:
    if purpose not in allowed:
        raise InvalidPurpose(param="purpose", purpose=(purpose or "")[:64], allowed=", ".join(allowed))
    return purpose


def check_expiry(anchor: str | None, seconds: int | str | None, purpose: str) -> int | None:
    """Seconds that a file lives, None for ever. Batch files live 30 days unless told otherwise."""
    if anchor is None and seconds is None:
        return BATCH_EXPIRY_SECONDS if purpose == "batch" else None
    least, most = EXPIRY_SECONDS
    number = int(seconds) if re.fullmatch(r"\d{1,9}", str(seconds), re.ASCII) else 0  # type: ignore[arg-type]
    if anchor != "created_at" or not least <= number <= most:
        raise InvalidExpiry(param="expires_after", least=least, most=most)
    return number


def clean_filename(name: str | None) -> str:
    """The last path component without control characters, at most 255 characters; 'upload' if nothing is left."""
    last = re.split(r"[/\\]", name or "")[-1]
    return "".join(c for c in last if c.isprintable()).strip()[:255] or "upload"


def check_dataset_name(name: str) -> str:
    if not re.fullmatch(r"[^\W_][\w.\- ]{0,63}", name):
        raise InvalidDatasetName(param="name", name=name[:64])
    return name


def dataset_name_of(filename: str) -> str:
    """A dataset's name for a file that was imported without one: its stem."""
    stem = re.split(r"\.(?:jsonl|ndjson|json|csv|tsv|txt|gz)\b", filename, maxsplit=1, flags=re.IGNORECASE)[0]
    cleaned = re.sub(r"[^\w.\- ]", "-", stem).lstrip("_.- ")[:64].rstrip()
    return cleaned or "dataset"
