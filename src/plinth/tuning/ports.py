"""What tuning needs from others: a trainer, base models, rows, and a place to register the result.

`Trainer` is tuning's own port, with its in-memory twin; `tests/contract/test_trainers.py` holds
every adapter and the twin to the same behaviour. The other protocols describe the parts of the
catalogue, data and registry services that are used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from plinth.kit.blobs import BlobRef
from plinth.kit.db import Session
from plinth.registry.model import ModelVersion, Share, VersionDraft
from plinth.tuning.folder import Busy, ProgressLog, RunFailed, RunFolder, read_json, write_json
from plinth.tuning.model import Outcome, OutcomeKind, StopMode, TrainingSpec


class TrainerHandle(Protocol):
    """One trainer at work in one run folder."""

    def wait(self, timeout_seconds: float) -> Outcome | None:
        """How it ended, or None when it still works after that time."""
        ...

    def request_stop(self, mode: StopMode) -> None:
        """Ask it to stop: `pause` keeps a checkpoint, `cancel` need not. Returns at once."""
        ...

    def kill(self) -> None:
        """End it now; what the last checkpoint holds stays."""
        ...


class Trainer(Protocol):
    """Trains in a run folder (`plinth.tuning.folder` describes it); progress is read from there."""

    def start(self, run_folder: Path, spec: TrainingSpec) -> TrainerHandle:
        """Start, or go on from the folder's last checkpoint. A finished folder finishes at once; a
        folder that another trainer works in ends as `busy`."""
        ...


class BaseLike(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def capabilities(self) -> frozenset[str]: ...
    @property
    def context_tokens(self) -> int: ...
    @property
    def chat_template(self) -> str | None: ...
    @property
    def shutdown_date(self) -> str | None: ...


class Bases(Protocol):
    """The catalogue."""

    def get(self, session: Session, project_id: str, base_id: str) -> BaseLike: ...
    def list(self, session: Session, project_id: str) -> Sequence[BaseLike]: ...


Materialise = Callable[[str, str], Path]
"""`materialise(project_id, base_id)`: the folder with config, safetensors and tokenizer. May take a while."""


class FileLike(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def purpose(self) -> str: ...


class VersionLike(Protocol):
    """A dataset version."""

    @property
    def id(self) -> str: ...


class Datasets(Protocol):
    """The data slice."""

    def file(self, session: Session, project_id: str, file_id: str) -> FileLike: ...
    def dataset_from_file(self, session: Session, project_id: str, file_id: str) -> VersionLike: ...
    def version(self, session: Session, project_id: str, version_id: str) -> VersionLike: ...
    def rows(self, version: Any) -> Iterator[dict[str, Any]]: ...
    def store_file(
        self, session: Session, project_id: str, filename: str, purpose: str, blob: BlobRef
    ) -> FileLike: ...


class Versions(Protocol):
    """The registry."""

    def register(self, session: Session, draft: VersionDraft) -> ModelVersion: ...
    def version(self, session: Session, project_id: str, id: str) -> ModelVersion: ...
    def share(self, session: Session, version_id: str, project_id: str) -> Share: ...
    def shares(self, session: Session, version_id: str) -> list[Share]: ...
    def unshare(self, session: Session, version_id: str, share_id: str) -> None: ...


Projects = Callable[[Session], Iterable[str]]
"""Every project's id."""

Opener = Callable[[Path], BinaryIO]
