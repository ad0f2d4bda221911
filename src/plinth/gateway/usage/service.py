"""Questions about usage. The records themselves are written by the data plane (`usage.py`)."""

from __future__ import annotations

from plinth.gateway.model import UsageRecord, UsageSummary
from plinth.gateway.usage import store
from plinth.kit.db import Database, Session
from plinth.kit.errors import BadInput


class UsageTable:
    """The `UsageStore` on the platform's database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, records: list[UsageRecord]) -> None:
        with self._db.write() as session:
            store.insert_records(session, records)


def usage_summary(session: Session, project_id: str, since: float, until: float) -> UsageSummary:
    """What a project used per model in `since <= time < until` (unix seconds)."""
    if until <= since:
        raise BadInput(reason="'until' must be later than 'since'.", param="until")
    return UsageSummary(project_id, since, until, tuple(store.totals(session, project_id, since, until)))
