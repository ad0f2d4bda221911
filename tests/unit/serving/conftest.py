"""A whole serving slice on twins: `world.tick()` is one look of the reconciler."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plinth.catalog.model import BaseModel, LocalSource, RemoteSource, RemoteTarget, Source
from plinth.kit import events
from plinth.kit.blobs import InMemoryBlobs, put_bytes
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.errors import NotFound
from plinth.kit.secrets import InstanceKey
from plinth.registry import Artefact, ArtefactFile, ArtefactKind, RegistryService, VersionDraft
from plinth.serving import Deployment, Endpoint, InMemoryEngine, Parts, Reconciler, ServingService, store
from plinth.serving.model import EngineProcess, ProcessState
from plinth.serving.settings import ServingSettings


def base_model(id: str, source: Source | None = None, **changes: Any) -> BaseModel:
    fields: dict[str, Any] = {
        "id": id,
        "display_name": {},
        "licence": "apache-2.0",
        "licence_note": {},
        "parameters": 1,
        "context_tokens": 8192,
        "capabilities": frozenset({"generate", "tune"}),
        "languages": (),
        "source": source or LocalSource("/model.gguf", "gguf"),
        "sha256": hashlib.sha256(id.encode()).hexdigest(),
        "weight_bytes": 1,
        "memory_bytes": 1,
        "owned_by": "test",
        "created": 0,
    }
    return BaseModel(**{**fields, **changes})


class TwinCatalog:
    """Bases everyone may see; `materialise` answers with an empty file, or raises `broken`."""

    def __init__(self, folder: Path, *bases: BaseModel) -> None:
        self.bases = {base.id: base for base in bases}
        self.broken: Exception | None = None
        self._folder = folder

    def get(self, session: Any, project_id: str, base_id: str) -> BaseModel:
        if base_id not in self.bases:
            raise NotFound(what="base model", id=base_id)
        return self.bases[base_id]

    def list(self, session: Any, project_id: str) -> list[BaseModel]:
        return list(self.bases.values())

    def materialise(self, base: BaseModel, form: str) -> Path:
        if self.broken is not None:
            raise self.broken
        path = self._folder / f"{base.id}.{form}"
        path.touch()
        return path

    def remote(self, session: Any, base_id: str) -> RemoteTarget:
        return RemoteTarget("https://provider.test/v1", "their-name", "secret")


class World:
    def __init__(self, db: Database, clock: FixedClock, folder: Path) -> None:
        self.db, self.clock, self.folder = db, clock, folder
        self.settings = ServingSettings(health_seconds=0)
        remote = RemoteSource("https://provider.test/v1", "their-name", egress_allowed=True)
        private = RemoteSource("https://provider.test/v1", "their-name", egress_allowed=False)
        self.catalog = TwinCatalog(
            folder, base_model("smol"), base_model("remote", remote), base_model("kept", private)
        )
        self.registry = RegistryService(clock, self.catalog, lambda _s: ["proj_a", "proj_b"], lambda *_: None)
        self.key = InstanceKey(b"k" * 32)
        self.service = ServingService(clock, self.registry, self.catalog, self.key, self.settings)
        self.blobs = InMemoryBlobs(folder)
        self.engine = InMemoryEngine(folder, kind="llamacpp")
        self.reconciler = self.new_reconciler()
        self._jobs = 0

    def new_reconciler(self) -> Reconciler:
        parts = Parts(self.catalog, self.blobs, [self.engine], self.key)
        return Reconciler(self.db, self.clock, self.service, parts, self.folder / "lock", self.settings)

    def tick(self, times: int = 1, seconds: float = 0.0) -> None:
        """Look `times` times, `seconds` apart; the thread that prepares files is waited for."""
        for _ in range(times):
            self.clock.advance(seconds)
            self.reconciler.run_once()
            for _hash, future in list(self.reconciler._preparing.values()):
                future.exception(timeout=10)

    def settle(self) -> None:
        """Prepare, start, switch."""
        self.tick(4)

    def deploy(self, model: str = "smol", project_id: str = "proj_a", **sizes: Any) -> Deployment:
        with self.db.write() as session:
            return self.service.deploy(session, project_id, model, **sizes)

    def stop(self, deployment: Deployment) -> None:
        with self.db.write() as session:
            self.service.stop(session, deployment.project_id, deployment.id)

    def get(self, deployment: Deployment) -> Deployment:
        with self.db.read() as session:
            return self.service.deployment(session, deployment.project_id, deployment.id)

    def version(self, kind: ArtefactKind = ArtefactKind.gguf_adapter, **changes: Any) -> str:
        self._jobs += 1
        blob = put_bytes(self.blobs, b"GGUF%d" % self._jobs)
        files = (ArtefactFile("adapter.gguf", blob.digest, blob.size),)
        fields: dict[str, Any] = {
            "project_id": "proj_a",
            "organization": "acme",
            "base_id": "smol",
            "suffix": "v",
            "recipe": {},
            "code_version": "0",
            "artefacts": (Artefact(kind, files),),
            "job_id": f"ftjob-{self._jobs}",
        }
        with self.db.write() as session:
            return self.registry.register(session, VersionDraft(**{**fields, **changes})).id

    def remove_base(self, id: str) -> None:
        del self.catalog.bases[id]
        with self.db.write() as session:
            events.emit(session, self.clock, "catalog.base_model.deleted", {"id": id}, "proj_a")

    def endpoint(self, model: str) -> Endpoint:
        with self.db.read() as session:
            return {e.model_id: e for e in self.service.endpoints(session)}[model]

    def processes(self, state: ProcessState | None = None) -> list[EngineProcess]:
        with self.db.read() as session:
            found = store.open_processes(session)
        return [p for p in found if state is None or p.state is state]

    def events(self, kind: str) -> list[events.Event]:
        with self.db.read() as session:
            rows = session.execute(events.events.select().where(events.events.c.kind == kind)).all()
        return [events.Event(r.seq, r.kind, r.project_id, r.payload, r.created_at) for r in rows]


@pytest.fixture
def world(db: Database, clock: FixedClock, tmp_path: Path) -> Iterator[World]:
    made = World(db, clock, tmp_path)
    yield made
    made.reconciler.close()
