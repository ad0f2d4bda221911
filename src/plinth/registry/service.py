"""Decisions of the registry: register, look up, share, name, delete. Every method takes the session first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import BadInput, NotFound
from plinth.kit.ids import new_id
from plinth.registry import store
from plinth.registry.errors import (
    BaseModelUndeletable,
    ModelInUse,
    NameTaken,
    NothingToRollBack,
    NotModelOwner,
    UnknownModel,
)
from plinth.registry.model import (
    Alias,
    AliasChange,
    ListedModel,
    ModelKind,
    ModelVersion,
    PublicModel,
    Report,
    Resolved,
    Share,
    VersionDraft,
    check_alias_name,
    version_id,
)
from plinth.registry.ports import Audit, Base, Bases, Projects


class RegistryService:
    """Args: `bases` is the catalogue; `projects` lists every project id; `audit` is identity's trail.

    Emits `registry.version.registered`, `registry.version.deleted`, `registry.version.shared`,
    `registry.version.unshared`, `registry.report.added` and `registry.alias.changed`.
    """

    def __init__(self, clock: Clock, bases: Bases, projects: Projects, audit: Audit) -> None:
        self._clock, self._bases, self._projects, self._audit = clock, bases, projects, audit

    # versions

    def register(self, session: Session, draft: VersionDraft) -> ModelVersion:
        """Store a version and announce it. Idempotent per `(job_id, checkpoint_step)`: a repeated
        call returns the first call's version."""
        key = store.origin(draft.job_id, draft.checkpoint_step)
        if key is not None and (known := store.version_by_origin(session, key)):
            return known
        self._bases.get(session, draft.project_id, draft.base_id)
        if draft.parent_id is not None:
            self.version(session, draft.project_id, draft.parent_id)
        fields = {name: value for name, value in vars(draft).items() if name not in ("organization", "suffix")}
        version = ModelVersion(id=version_id(draft), created_at=self._clock.unix(), **fields)
        store.insert_version(session, version, new_id("mv-"))
        self._emit(session, "registry.version.registered", version, artefacts=[str(a.kind) for a in version.artefacts])
        return version

    def version(self, session: Session, project_id: str, id: str) -> ModelVersion:
        """A live version that the project owns or that is shared with it. Raises `UnknownModel`."""
        found = store.version_by_id(session, id)
        if found is None or found.deleted_at is not None or not self._visible(session, project_id, found):
            raise UnknownModel(id=id, param="model")
        return found

    def lineage(self, session: Session, project_id: str, id: str) -> ModelVersion:
        """Like `version`, but also finds deleted ones: lineage outlives use."""
        found = store.version_by_id(session, id)
        if found is None or not self._visible(session, project_id, found):
            raise NotFound(what="model version", id=id)
        return found

    def refers_to(self, session: Session, digest: str) -> bool:
        """Whether the blob with this digest belongs to a live version, so that nobody deletes it."""
        return store.refers_to(session, digest)

    def versions(self, session: Session, project_id: str, after: str | None, limit: int) -> list[ModelVersion]:
        """Up to `limit + 1` live versions of the project's own, oldest first."""
        return store.versions_of(session, project_id, after, limit + 1)

    def delete(self, session: Session, actor: Actor, id: str) -> str:
        """Take a version out of use; its row stays for lineage. Returns the id.

        Raises `BaseModelUndeletable`, `ModelInUse`, `NotModelOwner`, `UnknownModel`.
        """
        version = self._deletable(session, actor.project_id, id)
        if version.project_id != actor.project_id:
            raise NotModelOwner(id=id)
        if alias := store.alias_to(session, id):
            raise ModelInUse(id=id, alias=alias.name)
        store.mark_deleted(session, id, self._clock.unix())
        self._audit(session, actor, "model.deleted", id, {})
        self._emit(session, "registry.version.deleted", version)
        return id

    def add_report(self, session: Session, version_id: str, kind: str, report: dict[str, Any]) -> Report:
        """Append a finding. `kind` is at most 64 characters. Raises `NotFound` for an unknown version."""
        version = store.version_by_id(session, version_id)
        if version is None:
            raise NotFound(what="model version", id=version_id)
        entry = Report(new_id("report-"), version_id, kind, report, self._clock.unix())
        store.insert_report(session, entry)
        self._emit(session, "registry.report.added", version, kind=kind, report_id=entry.id)
        return entry

    def reports(self, session: Session, version_id: str) -> list[Report]:
        """Oldest first. The caller has looked the version up (and so checked that it may see it)."""
        return store.reports_of(session, version_id)

    # sharing

    def share(self, session: Session, version_id: str, project_id: str) -> Share:
        """Let another project use a version. Idempotent. The caller has checked that the actor owns it."""
        version = store.version_by_id(session, version_id)
        if version is None or version.deleted_at is not None:
            raise UnknownModel(id=version_id)
        if known := store.share_between(session, version_id, project_id):
            return known
        if version.project_id == project_id:
            raise BadInput(reason="The model already belongs to that project.", param="project_ids")
        share = Share(new_id("cp_"), version_id, project_id, self._clock.unix())
        store.insert_share(session, share)
        self._emit(session, "registry.version.shared", version, with_project=project_id)
        return share

    def shares(self, session: Session, version_id: str) -> list[Share]:
        return store.shares_of(session, version_id)

    def unshare(self, session: Session, version_id: str, share_id: str) -> None:
        """Withdraw a permission. Raises `NotFound`."""
        version = store.version_by_id(session, version_id)
        if version is None or not store.delete_share(session, version_id, share_id):
            raise NotFound(what="permission", id=share_id)
        self._emit(session, "registry.version.unshared", version, share_id=share_id)

    # names

    def resolve(self, session: Session, project_id: str, name: str) -> Resolved:
        """What `name` (alias, version id or base id) means to the project. Raises `UnknownModel`.

        A name the project gave goes first: it must not change under its clients when the
        catalogue grows a base of the same name.
        """
        entry = store.alias(session, project_id, name)
        target = entry.target if entry else name
        if target.startswith("ft:"):
            version = self.version(session, project_id, target)
            return Resolved(ModelKind.version, version.id, version.base_id)
        try:
            base = self._bases.get(session, project_id, target)
        except NotFound:
            raise UnknownModel(id=name, param="model") from None
        return Resolved(ModelKind.base, base.id, base.id)

    def set_alias(self, session: Session, actor: Actor, name: str, target: str) -> Alias:
        """Point a name at a base, a version, or at what another name means now.

        Raises `BadModelName`, `NameTaken`, `UnknownModel`.
        """
        check_alias_name(name)
        known = store.alias(session, actor.project_id, name)
        if known is None and self._is_base(session, actor.project_id, name):
            raise NameTaken(name=name, param="name")
        resolved = self.resolve(session, actor.project_id, target)
        if known is not None and known.target == resolved.id:
            return known
        now = self._clock.unix()
        entry = Alias(actor.project_id, name, resolved.id, known.created_at if known else now, now)
        store.put_alias(session, entry)
        self._record_change(session, actor, name, known.target if known else None, resolved.id)
        return entry

    def delete_alias(self, session: Session, actor: Actor, name: str) -> None:
        """Raises `NotFound`."""
        known = self.alias(session, actor.project_id, name)
        store.delete_alias(session, actor.project_id, name)
        self._record_change(session, actor, name, known.target, None)

    def roll_back_alias(self, session: Session, actor: Actor, name: str, change_id: str | None = None) -> Alias:
        """Point the name at what it meant before its last change, or after the change `change_id`.

        Raises `NothingToRollBack`; `UnknownModel` when that target has been deleted since.
        """
        changes = store.changes_of(session, actor.project_id, name)
        if change_id is None:
            target = changes[0].previous if changes else None
        else:
            target = next((c.target for c in changes if c.id == change_id), None)
        if target is None:
            raise NothingToRollBack(name=name)
        return self.set_alias(session, actor, name, target)

    def alias(self, session: Session, project_id: str, name: str) -> Alias:
        """Raises `NotFound`."""
        entry = store.alias(session, project_id, name)
        if entry is None:
            raise NotFound(what="model name", id=name)
        return entry

    def aliases(self, session: Session, project_id: str) -> list[Alias]:
        return store.aliases_of(session, project_id)

    def alias_history(self, session: Session, project_id: str, name: str) -> list[AliasChange]:
        """Newest first; survives the name itself. Raises `NotFound` for a name that never was."""
        changes = store.changes_of(session, project_id, name)
        if not changes:
            raise NotFound(what="model name", id=name)
        return changes

    # lists

    def models(self, session: Session, project_id: str, routed: Mapping[str, str] | None = None) -> list[ListedModel]:
        """Everything the project can name: bases, own versions, shared versions, aliases, and the names
        that are `routed` to one of these."""
        bases = {base.id: base for base in self._bases.list(session, project_id)}
        listed = [_listed_base(base) for base in bases.values()]
        own = store.versions_of(session, project_id)
        shared = store.versions_shared_with(session, project_id)
        listed += [_listed_version(version, bases.get(version.base_id)) for version in (*own, *shared)]
        by_id = {entry.name: entry for entry in listed}
        for alias in store.aliases_of(session, project_id):
            if target := by_id.get(alias.target):
                listed.append(ListedModel(**{**vars(target), "name": alias.name, "created_at": alias.created_at}))
        if routed:
            by_id = {entry.name: entry for entry in listed}
            over = [ListedModel(**{**vars(by_id[m]), "name": name}) for name, m in routed.items() if m in by_id]
            listed = [entry for entry in listed if entry.name not in routed] + over
        return listed

    def model(
        self, session: Session, project_id: str, name: str, routed: Mapping[str, str] | None = None
    ) -> ListedModel:
        """One entry of `models`. Raises `UnknownModel`."""
        if routed and name in routed:
            return ListedModel(**{**vars(self.model(session, project_id, routed[name])), "name": name})
        resolved = self.resolve(session, project_id, name)
        if resolved.kind is ModelKind.base:
            entry = _listed_base(self._bases.get(session, project_id, resolved.id))
        else:
            version = self.version(session, project_id, resolved.id)
            entry = _listed_version(version, self._base_or_none(session, project_id, version.base_id))
        if name == resolved.id:
            return entry
        alias = self.alias(session, project_id, name)
        return ListedModel(**{**vars(entry), "name": name, "created_at": alias.created_at})

    def snapshot(self, session: Session) -> list[PublicModel]:
        """All names of all projects, for the gateway's memory. An alias whose target is gone is left out."""
        public: dict[tuple[str, str], PublicModel] = {}
        for project_id in self._projects(session):
            for base in self._bases.list(session, project_id):
                public[project_id, base.id] = PublicModel(project_id, base.id, ModelKind.base, base.id, base.id)
        for project_id, id, base_id in store.visible_versions(session):
            public[project_id, id] = PublicModel(project_id, id, ModelKind.version, id, base_id)
        named = {}
        for alias in store.all_aliases(session):
            if target := public.get((alias.project_id, alias.target)):
                named[alias.project_id, alias.name] = PublicModel(**{**vars(target), "name": alias.name})
        return list({**public, **named}.values())

    # helpers

    def _visible(self, session: Session, project_id: str, version: ModelVersion) -> bool:
        return version.project_id == project_id or store.share_between(session, version.id, project_id) is not None

    def _deletable(self, session: Session, project_id: str, id: str) -> ModelVersion:
        if not id.startswith("ft:"):
            if store.alias(session, project_id, id) is None and self._is_base(session, project_id, id):
                raise BaseModelUndeletable(id=id, param="model")
            raise UnknownModel(id=id, param="model")
        return self.version(session, project_id, id)

    def _base_or_none(self, session: Session, project_id: str, base_id: str) -> Base | None:
        try:
            return self._bases.get(session, project_id, base_id)
        except NotFound:
            return None

    def _is_base(self, session: Session, project_id: str, name: str) -> bool:
        return self._base_or_none(session, project_id, name) is not None

    def _record_change(
        self, session: Session, actor: Actor, name: str, previous: str | None, target: str | None
    ) -> None:
        change = AliasChange(new_id("change-"), name, previous, target, actor.principal, self._clock.unix())
        store.insert_change(session, actor.project_id, change)
        detail = {"previous": previous, "target": target}
        self._audit(session, actor, "alias.changed", name, detail)
        events.emit(session, self._clock, "registry.alias.changed", {"name": name, **detail}, actor.project_id)

    def _emit(self, session: Session, event: str, version: ModelVersion, **more: Any) -> None:
        payload = {"version_id": version.id, "base_id": version.base_id, "job_id": version.job_id, **more}
        events.emit(session, self._clock, event, payload, version.project_id)


def _listed_base(base: Base) -> ListedModel:
    return ListedModel(
        name=base.id,
        resolved=Resolved(ModelKind.base, base.id, base.id),
        created_at=base.created,
        owned_by=base.owned_by,
        shutdown_date=base.shutdown_date,
        capabilities=base.capabilities,
        context_tokens=base.context_tokens,
        licence=base.licence,
    )


def _listed_version(version: ModelVersion, base: Base | None) -> ListedModel:
    """A version shuts down with its base; `base` is None when a share outlived the base's visibility."""
    return ListedModel(
        name=version.id,
        resolved=Resolved(ModelKind.version, version.id, version.base_id),
        created_at=version.created_at,
        owned_by=version.project_id,
        shutdown_date=base.shutdown_date if base else None,
        capabilities=base.capabilities - {"tune"} if base else frozenset(),
        context_tokens=base.context_tokens if base else None,
        licence=base.licence if base else None,
    )
