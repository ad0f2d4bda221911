"""Control-plane routes of the gateway: `/api/usage/summary`. The data plane itself is `asgi.py`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from plinth.gateway.usage.schemas import UsageSummaryOut
from plinth.gateway.usage.service import usage_summary
from plinth.identity import Actor
from plinth.kit.clock import Clock
from plinth.kit.db import Database
from plinth.kit.http import Guard

_DAY_SECONDS = 86_400.0


def router(db: Database, clock: Clock, guard: Guard) -> APIRouter:
    routes = APIRouter(prefix="/api/usage", tags=["usage"])
    reader = Depends(guard("usage:read"))

    @routes.get("/summary")
    def summary(
        since: Annotated[float | None, Query(ge=0, description="unix seconds; default: a day before `until`")] = None,
        until: Annotated[float | None, Query(ge=0, description="unix seconds, exclusive; default: now")] = None,
        actor: Actor = reader,
    ) -> UsageSummaryOut:
        """Requests and tokens of the key's project, per model."""
        end = clock.unix() if until is None else until
        start = max(0.0, end - _DAY_SECONDS) if since is None else since
        with db.read() as session:
            return UsageSummaryOut.of(usage_summary(session, actor.project_id, start, end))

    return routes
