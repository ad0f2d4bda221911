"""What base models there are for a project, and their files on this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from plinth.catalog import store
from plinth.catalog.errors import BuiltInReadOnly, EgressDenied, SourceRefused, TooManyEntries
from plinth.catalog.model import (
    CAPABILITIES,
    BaseModel,
    Check,
    Description,
    Fit,
    Form,
    HubSource,
    RemoteSource,
    RemoteTarget,
    Scope,
    Source,
    estimated_memory,
)
from plinth.catalog.ports import Audit, Machine, ModelSource, Progress, RemoteModels
from plinth.identity import Actor
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import BadInput, NotFound, PlinthError
from plinth.kit.events import emit
from plinth.kit.ids import new_id
from plinth.kit.secrets import InstanceKey

SECRET_PURPOSE = "provider-secret"  # noqa: S105 the name of a purpose, not a secret
CREATED = "catalog.base_model.created"
CHANGED = "catalog.base_model.changed"
DELETED = "catalog.base_model.deleted"

Organizations = Callable[[Session], Mapping[str, str]]
"""Project id -> organization id; `IdentityService.active_projects`."""


@dataclass(frozen=True)
class CatalogPorts:
    """Everything the catalogue needs from outside.

    Args:
        read: opens a read session (`db.read`), for `materialise`, which jobs call without one.
    """

    clock: Clock
    source: ModelSource
    remotes: RemoteModels
    machine: Machine
    key: InstanceKey
    audit: Audit
    organizations: Organizations
    read: Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True)
class Draft:
    """What a user says about a model they add. Facts left out are read from its files.

    Args:
        api_key: of a remote provider; stored encrypted, never shown again.
    """

    name: str
    source: Source
    display_name: dict[str, str]
    licence: str = "NOASSERTION"
    languages: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()
    context_tokens: int = 0
    dimensions: int | None = None
    chat_template: str | None = None
    owned_by: str = ""
    shutdown_date: str | None = None
    api_key: str = ""


@dataclass(frozen=True)
class Changes:
    """None leaves a field as it is."""

    display_name: dict[str, str] | None = None
    shutdown_date: str | None = None
    egress_allowed: bool | None = None
    api_key: str | None = None


class CatalogService:
    def __init__(self, ports: CatalogPorts, max_entries_per_project: int = 100) -> None:
        self._ports, self._max_entries = ports, max_entries_per_project

    # --- reading ---

    def list(self, session: Session, project_id: str) -> Sequence[BaseModel]:
        """Built-in models, then the organization's and the project's own."""
        return [*_built_in().values(), *store.visible(session, self._organization(session, project_id), project_id)]

    def get(self, session: Session, project_id: str, base_id: str) -> BaseModel:
        """Raises: NotFound, also for another project's model."""
        if base := _built_in().get(base_id):
            return base
        found = store.one_visible(session, self._organization(session, project_id), project_id, base_id)
        if found is None:
            raise NotFound(what="base model", id=base_id)
        return found

    def visible_to(self, session: Session, actor: Actor) -> Sequence[BaseModel]:
        """`list` for the caller of a request; an organization's admin key sees what is shared by all."""
        return [*_built_in().values(), *store.visible(session, actor.organization_id, actor.project_id)]

    def get_for(self, session: Session, actor: Actor, base_id: str) -> BaseModel:
        found = _built_in().get(base_id) or store.one_visible(session, actor.organization_id, actor.project_id, base_id)
        if found is None:
            raise NotFound(what="base model", id=base_id)
        return found

    def fit(self, base: BaseModel) -> Fit:
        """Whether this machine can serve and tune it now, from the entry's memory estimates."""
        memory = self._ports.machine.memory()
        remote = isinstance(base.source, RemoteSource)
        return Fit(
            serve=remote or base.memory_bytes <= memory.available_bytes,
            tune="tune" in base.capabilities and base.tune_memory_bytes <= memory.available_bytes,
            serve_bytes=base.memory_bytes,
            tune_bytes=base.tune_memory_bytes,
            available_bytes=memory.available_bytes,
            total_bytes=memory.total_bytes,
        )

    # --- files ---

    def materialise(self, base: BaseModel | str, form: Form | str, progress: Progress | None = None) -> Path:
        """The path of the model's files in that form; may take minutes the first time.

        Call it outside transactions. The caller has already checked, with `get`, that its project
        may use the model; an id alone is looked up whoever it belongs to.

        Raises: NotFound, FormNotAvailable, PackageMissing, WeightsDamaged, HubUnreachable, ConversionFailed.
        """
        if isinstance(base, str):
            base = self._any(base)
        return self._ports.source.materialise(base, Form(form), progress)

    def check(self, base: BaseModel, target: RemoteTarget | None) -> Check:
        """Ask the provider, or read all the files. Call it outside transactions.

        Args:
            target: of a remote model, from `remote`; None for others.
        """
        if target is None:
            return self._ports.source.check(base)
        try:
            models = tuple(self._ports.remotes.models(target))
        except PlinthError as error:
            return Check(ok=False, detail=error.message, code=error.code)
        if target.model not in models:
            detail = f"The provider answered, but it has no model '{target.model}'."
            return Check(ok=False, detail=detail, code="remote_model_missing", models=models)
        return Check(ok=True, detail="The provider answered and has the model.", models=models)

    def remote(self, session: Session, base_id: str) -> RemoteTarget:
        """Where to send requests for a remote model, with the key decrypted.

        The caller has already checked, with `get`, that its project may use the model.
        Raises: NotFound, BadInput (not remote), EgressDenied, SecretUnreadable.
        """
        base = store.one(session, base_id)
        if base is None:
            raise NotFound(what="base model", id=base_id)
        if not isinstance(base.source, RemoteSource):
            raise BadInput(reason=f"Base model '{base_id}' runs on this server; it has no remote address.")
        if not base.source.egress_allowed:
            raise EgressDenied(id=base_id)
        sealed = store.sealed_key(session, base_id)
        key = self._ports.key.decrypt(sealed, SECRET_PURPOSE) if sealed else ""
        return RemoteTarget(base_url=base.source.base_url, model=base.source.model, api_key=key)

    # --- users' own entries ---

    def prepare(self, draft: Draft) -> BaseModel:
        """Look at the files and make the entry, not yet saved. Slow for hubs: call it outside transactions.

        Raises: FilesRefused, SourceRefused, HubUnreachable, BadInput.
        """
        if isinstance(draft.source, RemoteSource):
            return self._entry(draft, draft.source, _nothing_known())
        described = self._ports.source.describe(draft.source)
        source: Source = draft.source
        if isinstance(source, HubSource) and described.revision:
            source = replace(source, revision=described.revision)
        return self._entry(draft, source, described)

    def create(self, session: Session, actor: Actor, base: BaseModel, api_key: str = "") -> BaseModel:
        """Save a prepared entry for the actor's project, or with an admin key for the organization.
        Emits `catalog.base_model.created`. Raises: TooManyEntries."""
        if store.count(session, actor.organization_id, actor.project_id) >= self._max_entries:
            raise TooManyEntries(limit=self._max_entries)
        base = replace(base, scope=Scope.project if actor.project_id else Scope.organization)
        sealed = self._ports.key.encrypt(api_key, SECRET_PURPOSE) if api_key else None
        store.add(session, base, (actor.organization_id, actor.project_id, actor.principal), sealed)
        self._tell(session, actor, CREATED, base)
        return base

    def update(self, session: Session, actor: Actor, base_id: str, changes: Changes) -> BaseModel:
        """Emits `catalog.base_model.changed`. Raises: NotFound, BuiltInReadOnly, BadInput."""
        base = self._owned(session, actor, base_id)
        for_remote = changes.egress_allowed is not None or changes.api_key is not None
        if for_remote and not isinstance(base.source, RemoteSource):
            raise BadInput(reason="Only a remote base model has a key and `egress_allowed`.", param="egress_allowed")
        if changes.display_name is not None:
            base = replace(base, display_name=changes.display_name)
        if changes.shutdown_date is not None:
            base = replace(base, shutdown_date=changes.shutdown_date or None)
        if changes.egress_allowed is not None and isinstance(base.source, RemoteSource):
            base = replace(base, source=replace(base.source, egress_allowed=changes.egress_allowed))
        if changes.api_key is not None:
            store.set_key(session, base_id, self._ports.key.encrypt(changes.api_key, SECRET_PURPOSE))
        store.replace(session, base)
        self._tell(session, actor, CHANGED, base)
        return base

    def delete(self, session: Session, actor: Actor, base_id: str) -> BaseModel:
        """Forget the entry. Its files go with `forget`, once this is committed.
        Emits `catalog.base_model.deleted`. Raises: NotFound, BuiltInReadOnly."""
        base = self._owned(session, actor, base_id)
        store.remove(session, base_id)
        self._tell(session, actor, DELETED, base)
        return base

    def forget(self, base: BaseModel) -> None:
        """Remove downloaded and converted files of a deleted entry; the user's own files stay."""
        self._ports.source.forget(base)

    # --- helpers ---

    def _any(self, base_id: str) -> BaseModel:
        if base := _built_in().get(base_id):
            return base
        with self._ports.read() as session:
            found = store.one(session, base_id)
        if found is None:
            raise NotFound(what="base model", id=base_id)
        return found

    def _organization(self, session: Session, project_id: str) -> str:
        # an unknown project gets no organization's entries; "" owns none
        return self._ports.organizations(session).get(project_id, "") if project_id else ""

    def _owned(self, session: Session, actor: Actor, base_id: str) -> BaseModel:
        if base_id in _built_in():
            raise BuiltInReadOnly(id=base_id)
        found = store.owned(session, actor.organization_id, actor.project_id, base_id)
        if found is None:
            raise NotFound(what="base model", id=base_id)
        return found

    def _entry(self, draft: Draft, source: Source, described: Description) -> BaseModel:
        capabilities = draft.capabilities or _capabilities(source, described)
        _refuse_capabilities(capabilities, source, described)
        context_tokens = described.context_tokens or draft.context_tokens
        if not context_tokens:
            raise BadInput(
                reason="The context length is not known from the source. Send `context_tokens`.", param="context_tokens"
            )
        serve_bytes, tune_bytes = estimated_memory(described.weight_bytes, described.parameters, capabilities)
        return BaseModel(
            id=_new_id(draft.name),
            display_name=draft.display_name,
            licence=draft.licence,
            licence_note={},
            parameters=described.parameters,
            context_tokens=context_tokens,
            capabilities=capabilities,
            languages=draft.languages,
            source=source,
            sha256=described.sha256,
            weight_bytes=described.weight_bytes,
            memory_bytes=0 if isinstance(source, RemoteSource) else serve_bytes,
            tune_memory_bytes=tune_bytes,
            owned_by=draft.owned_by or _owner(source),
            created=int(self._ports.clock.unix()),
            dimensions=(draft.dimensions or described.dimensions) if "embed" in capabilities else None,
            chat_template=described.chat_template or draft.chat_template,
            shutdown_date=draft.shutdown_date,
        )

    def _tell(self, session: Session, actor: Actor, kind: str, base: BaseModel) -> None:
        emit(session, self._ports.clock, kind, {"id": base.id}, actor.project_id or None)
        detail: dict[str, Any] = {"source": base.source.kind}
        if isinstance(base.source, RemoteSource):
            detail["egress_allowed"] = base.source.egress_allowed
        self._ports.audit(session, actor, kind.removeprefix("catalog."), base.id, detail)


def _built_in() -> Mapping[str, BaseModel]:
    from plinth.catalog.entries import built_in  # yaml and pydantic, only when asked

    return built_in()


def _nothing_known() -> Description:
    return Description("gguf", sha256="", weight_bytes=0, parameters=0, context_tokens=0, architecture="")


def _new_id(name: str) -> str:
    """A readable id that no other project can collide with."""
    return f"{name}-{new_id('')[-8:]}"


def _capabilities(source: Source, described: Description) -> frozenset[str]:
    if isinstance(source, RemoteSource):
        return frozenset({"generate"})
    if described.embeds:
        return frozenset({"embed"})
    return frozenset({"generate", "tune"}) if described.format == "huggingface" else frozenset({"generate"})


def _refuse_capabilities(capabilities: frozenset[str], source: Source, described: Description) -> None:
    if unknown := capabilities - CAPABILITIES:
        raise BadInput(reason=f"Unknown capabilities: {', '.join(sorted(unknown))}.", param="capabilities")
    if "tune" in capabilities and (isinstance(source, RemoteSource) or described.embeds):
        raise SourceRefused(reason="this model cannot be tuned here.", param="capabilities")


def _owner(source: Source) -> str:
    if isinstance(source, RemoteSource):
        return urlsplit(source.base_url).hostname or "remote"
    if isinstance(source, HubSource):
        return re.split("/", source.repository)[0]
    return "local"
