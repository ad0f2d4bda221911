"""Writing and reading the audit log, and telling other slices that keys or projects changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plinth.identity import audit_store
from plinth.identity.model import Actor, AuditEntry, AuditQuery
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.ids import new_id
from plinth.kit.telemetry import redact

KEY_CHANGED = "identity.key.changed"
PROJECT_CHANGED = "identity.project.changed"


@dataclass(frozen=True)
class Change:
    """What happened to what. `action` is `noun.verb` in the past tense, as in `project.created`;
    `target` the id of the thing; `detail` JSON without secrets and without personal data."""

    action: str
    target: str
    project_id: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AuditPage:
    """Newest first."""

    entries: list[AuditEntry]
    has_more: bool


class AuditLog:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def record(self, session: Session, actor: Actor, change: Change) -> None:
        """Append one entry in the caller's transaction."""
        audit_store.append(
            session,
            id=new_id("audit_log_"),
            organization_id=actor.organization_id,
            project_id=change.project_id or actor.project_id,
            type=change.action,
            effective_at=self._clock.unix(),
            principal=actor.principal,
            key_id=actor.key_id,
            target=change.target[:200],
            # the last line of defence: what looks like a key is masked even here
            detail=json.loads(redact(json.dumps(dict(change.detail)))),
        )

    def page(self, session: Session, organization_id: str, query: AuditQuery) -> AuditPage:
        found = audit_store.list_audit(session, organization_id, query)
        entries = found[: query.limit]
        if audit_store.reads_backwards(query):
            entries.reverse()
        return AuditPage(entries, has_more=len(found) > query.limit)

    def keys_changed(self, session: Session, payload: dict[str, Any], project_id: str | None = None) -> None:
        """Somebody's key, role or access changed: whoever holds a copy must read it again."""
        events.emit(session, self._clock, KEY_CHANGED, payload, project_id)

    def project_changed(self, session: Session, project_id: str, status: str) -> None:
        payload = {"project_id": project_id, "status": status}
        events.emit(session, self._clock, PROJECT_CHANGED, payload, project_id)
