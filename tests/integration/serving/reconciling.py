"""A process of its own that reconciles, for tests to kill:

    python reconciling.py DATABASE_URL FOLDER [slow-switch]

`slow-switch` stops the world right before a successor takes over, and says so on standard output.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from plinth.adapters.blobs.folder import FolderBlobs
from plinth.adapters.engines.llamacpp import LlamaCpp
from plinth.catalog import BaseModel, RemoteTarget
from plinth.catalog.model import LocalSource
from plinth.kit.clock import SystemClock
from plinth.kit.db import Database
from plinth.kit.errors import NotFound
from plinth.kit.secrets import InstanceKey
from plinth.registry import RegistryService
from plinth.serving import Parts, Reconciler, ServingService
from plinth.serving.settings import ServingSettings

BASE = "smollm2"


class OneBase:
    """The catalogue: one base, whose file lies in `<folder>/base.gguf`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "base.gguf"

    def get(self, session: Any, project_id: str, base_id: str) -> BaseModel:
        if base_id != BASE:
            raise NotFound(what="base model", id=base_id)
        return BaseModel(
            id=BASE,
            display_name={},
            licence="Apache-2.0",
            licence_note={},
            parameters=134_515_008,
            context_tokens=8192,
            capabilities=frozenset({"generate", "tune"}),
            languages=("en",),
            source=LocalSource(str(self._file), "gguf"),
            sha256="",
            weight_bytes=0,
            memory_bytes=0,
            owned_by="test",
            created=0,
        )

    def list(self, session: Any, project_id: str) -> list[BaseModel]:
        return [self.get(session, project_id, BASE)]

    def materialise(self, base: BaseModel, form: str) -> Path:
        return self._file

    def remote(self, session: Any, base_id: str) -> RemoteTarget:
        raise NotFound(what="remote model", id=base_id)


class Platform:
    def __init__(self, url: str, folder: Path) -> None:
        clock, catalog, key = SystemClock(), OneBase(folder), InstanceKey(b"k" * 32)
        settings = ServingSettings(
            context_tokens=256, slots=1, threads=1, poll_seconds=0.05, health_seconds=0.1, switch_seconds=0.5
        )
        self.db, self.blobs = Database(url), FolderBlobs(folder / "blobs")
        self.registry = RegistryService(clock, catalog, lambda _session: ["proj_a"], lambda *_: None)
        self.service = ServingService(clock, self.registry, catalog, key, settings)
        self.engine = LlamaCpp(folder / "run", folder / "lock")
        parts = Parts(catalog, self.blobs, [self.engine], key)
        self.reconciler = Reconciler(self.db, clock, self.service, parts, folder / "lock", settings)


class SlowSwitch(Reconciler):
    def _switch(self, *arguments: Any) -> None:
        print("switching", flush=True)
        time.sleep(3600)


def main() -> None:
    platform = Platform(sys.argv[1], Path(sys.argv[2]))
    if "slow-switch" in sys.argv:
        platform.reconciler.__class__ = SlowSwitch
    print("reconciling", flush=True)
    platform.reconciler.run(threading.Event())


if __name__ == "__main__":
    main()
