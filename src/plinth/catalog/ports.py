"""What the catalogue needs from outside, each with its in-memory twin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from plinth.catalog.errors import FormNotAvailable, RemoteUnreachable, SourceRefused
from plinth.catalog.model import BaseModel, Check, Description, Form, Memory, RemoteSource, RemoteTarget, Source
from plinth.identity import Actor
from plinth.kit.db import Session

Progress = Callable[[float], None]


class ModelSource(Protocol):
    """Finds, checks and prepares model files. `tests/contract/test_model_source.py` holds every
    adapter and the twin to the same behaviour."""

    def describe(self, source: Source) -> Description:
        """Validate the files and read their facts.

        Raises: FilesRefused, SourceRefused, PackageMissing, HubUnreachable.
        """
        ...

    def materialise(self, base: BaseModel, form: Form, progress: Progress | None = None) -> Path:
        """A local path that holds `base` in that form. Made once; later calls answer at once.
        `progress` is called with fractions of 1 while files are being made.

        Raises: FormNotAvailable, PackageMissing, WeightsDamaged, HubUnreachable, ConversionFailed.
        """
        ...

    def check(self, base: BaseModel) -> Check:
        """Whether the files are there and unchanged (reads them all). Never raises for a bad file."""
        ...

    def forget(self, base: BaseModel) -> None:
        """Delete what was made or downloaded for `base`; never the user's own files."""
        ...


class RemoteModels(Protocol):
    """Asks an OpenAI-compatible provider what it has."""

    def models(self, target: RemoteTarget) -> Sequence[str]:
        """The model ids of `GET <base_url>/models`. Raises: RemoteUnreachable."""
        ...


class Machine(Protocol):
    def memory(self) -> Memory: ...


class Audit(Protocol):
    """`IdentityService.audit`: record who did what, in the caller's transaction."""

    def __call__(self, session: Session, actor: Actor, action: str, target: str, detail: dict[str, Any]) -> None: ...


class InMemoryModelSource:
    """The twin: sources it was told about exist; materialising writes a small real file or folder."""

    def __init__(self, folder: Path, known: dict[Source, Description] | None = None) -> None:
        self._folder = folder
        self.known = dict(known or {})
        self.missing: set[str] = set()
        self.made: list[tuple[str, Form]] = []

    def describe(self, source: Source) -> Description:
        if source not in self.known:
            raise SourceRefused(reason=f"the {source.kind} source is not known here.")
        return self.known[source]

    def materialise(self, base: BaseModel, form: Form, progress: Progress | None = None) -> Path:
        if isinstance(base.source, RemoteSource):
            raise FormNotAvailable(id=base.id, form=str(form), reason="its weights stay with the provider.")
        path = self._folder / f"{base.id}-{base.sha256[:8]}" / str(form)
        if path.exists():
            return path
        if form is Form.huggingface:
            path.mkdir(parents=True)
            (path / "config.json").write_text("{}")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"GGUF")
        self.made.append((base.id, form))
        if progress is not None:
            progress(1.0)
        return path

    def check(self, base: BaseModel) -> Check:
        if base.id in self.missing:
            return Check(ok=False, detail="The files are missing.", code="base_model_package_missing")
        return Check(ok=True, detail="The files are there and unchanged.")

    def forget(self, base: BaseModel) -> None:
        self.made = [entry for entry in self.made if entry[0] != base.id]


class InMemoryRemoteModels:
    """The twin: `answers` maps a base_url to its models; other addresses do not answer."""

    def __init__(self, answers: dict[str, Sequence[str]] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[RemoteTarget] = []

    def models(self, target: RemoteTarget) -> Sequence[str]:
        self.asked.append(target)
        if target.base_url not in self.answers:
            raise RemoteUnreachable(host=target.base_url, reason="connection refused")
        return self.answers[target.base_url]


class FixedMachine:
    def __init__(self, total_bytes: int = 8 << 30, available_bytes: int = 4 << 30) -> None:
        self._memory = Memory(total_bytes, available_bytes)

    def memory(self) -> Memory:
        return self._memory
