"""Stored completions: kept, listed, labelled, deleted, and gone when their time has come."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from plinth.gateway.completions import store
from plinth.gateway.completions.errors import BadCursor
from plinth.gateway.completions.model import (
    MAX_ID_CHARACTERS,
    MAX_KEY_CHARACTERS,
    MAX_METADATA,
    MAX_MODEL_CHARACTERS,
    MAX_VALUE_CHARACTERS,
    CompletionRecord,
    Filter,
    Paging,
    StoredMessage,
    messages_of,
)
from plinth.gateway.completions.settings import CompletionSettings
from plinth.identity import Actor
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session
from plinth.kit.errors import BadInput, NotFound

DAY_SECONDS = 86_400.0
EXPIRED_AT_ONCE = 500

log = logging.getLogger(__name__)


class Audit(Protocol):
    def __call__(self, session: Session, actor: Actor, action: str, target: str, detail: dict[str, Any]) -> None: ...


class StoredCompletions:
    """Emits nothing: an event for every stored answer would wake every subscriber for every request.

    Args: `db` is for `add` and `expire`, which make transactions of their own; `audit` is identity's trail.
    """

    def __init__(self, db: Database, clock: Clock, audit: Audit, settings: CompletionSettings) -> None:
        self._db, self._clock, self._audit, self._settings = db, clock, audit, settings

    def add(self, records: list[CompletionRecord]) -> int:
        """Keep these, in one transaction; returns how many were new. Idempotent by project and id, so a
        replay after a crash changes nothing, not even metadata that was edited since."""
        kept = [_fitting(record) for record in records if _storable(record)]
        if not kept:
            return 0
        with self._db.write() as session:
            return store.add(session, kept)

    def page(self, session: Session, actor: Actor, wanted: Filter, paging: Paging) -> list[CompletionRecord]:
        """Up to `paging.limit + 1`, by time. Raises `BadCursor`."""
        project_id = _project(actor)
        if paging.after is not None and store.completion(session, project_id, paging.after) is None:
            raise BadCursor(after=paging.after, param="after")
        return store.page(session, project_id, wanted, paging)

    def get(self, session: Session, actor: Actor, id: str) -> CompletionRecord:
        """Raises `NotFound`, also for another project's."""
        found = store.completion(session, _project(actor), id)
        if found is None:
            raise NotFound(what="stored chat completion", id=id)
        return found

    def messages(self, session: Session, actor: Actor, id: str, paging: Paging) -> list[StoredMessage]:
        """The request's messages, up to `paging.limit + 1`. Raises `NotFound`, `BadCursor`."""
        found = messages_of(self.get(session, actor, id))
        if paging.descending:
            found.reverse()
        if paging.after is None:
            return found[: paging.limit + 1]
        ids = [message.id for message in found]
        if paging.after not in ids:
            raise BadCursor(after=paging.after, param="after")
        start = ids.index(paging.after) + 1
        return found[start : start + paging.limit + 1]

    def set_metadata(self, session: Session, actor: Actor, id: str, metadata: Mapping[str, str]) -> CompletionRecord:
        """Replace the labels; nothing else of a stored completion ever changes. Raises `NotFound`."""
        record = self.get(session, actor, id)
        store.set_metadata(session, record, metadata)
        self._audit(session, actor, "completion.updated", id, {"keys": sorted(metadata)})
        return self.get(session, actor, id)

    def delete(self, session: Session, actor: Actor, id: str) -> None:
        """Really delete it: question, answer and labels. Raises `NotFound`."""
        record = self.get(session, actor, id)
        store.remove(session, record.project_id, id)
        self._audit(session, actor, "completion.deleted", id, {})

    def expire(self) -> int:
        """Delete what is older than the retention, in short transactions; returns how many. For the
        worker's chores."""
        if not self._settings.retention_days:
            return 0
        before, total = self._clock.unix() - self._settings.retention_days * DAY_SECONDS, 0
        while True:
            with self._db.write() as session:
                gone = store.remove_before(session, before, EXPIRED_AT_ONCE)
            total += gone
            if gone < EXPIRED_AT_ONCE:
                return total


def _storable(record: CompletionRecord) -> bool:
    """Whether the tables can hold its id and model. An upstream made the id: if it is no usable one, this
    answer is left out, and said so, rather than every other answer of the batch with it."""
    texts = ((record.id, MAX_ID_CHARACTERS), (record.model, MAX_MODEL_CHARACTERS), (record.request_id, 64))
    fits = bool(record.id) and all(len(text) <= most and "\0" not in text for text, most in texts)
    if not fits:
        log.error("a completion cannot be stored: its id or model is not usable", extra={"id": record.id[:200]})
    return fits


def _fitting(record: CompletionRecord) -> CompletionRecord:
    """The record with labels that the tables can hold. The data plane has checked them against the
    client; this only keeps a mistake there from losing the answers of everybody in the same batch."""
    labels = {
        key.replace("\0", "")[:MAX_KEY_CHARACTERS]: value[:MAX_VALUE_CHARACTERS]
        for key, value in list(record.metadata.items())[:MAX_METADATA]
    }
    if labels == record.metadata:
        return record
    values = {name: getattr(record, name) for name in CompletionRecord.__dataclass_fields__}
    return CompletionRecord(**{**values, "metadata": labels})


def _project(actor: Actor) -> str:
    """The project of the caller; an organization key has none. Raises `BadInput`."""
    if not actor.project_id:
        raise BadInput(reason="Stored completions belong to a project: use a project key (sk-proj-…).")
    return actor.project_id
