"""Control-plane routes of usage.

`/v1/organization/usage/*` follows the official SDK (`client.admin.organization.usage.*`). An admin
key sees its whole organization, a project's key its own project.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from plinth.gateway.usage.model import FAMILIES, GROUPS, USAGE_LIMITS, Scope, UsageQuestion, grouping, window
from plinth.gateway.usage.schemas import UsagePage, UsageQuery, UsageSummaryOut
from plinth.gateway.usage.service import Shares, export_csv, usage_summary, usage_sums
from plinth.identity import Actor
from plinth.identity.guard import AuthGuard, needs
from plinth.kit.clock import Clock
from plinth.kit.db import Database
from plinth.kit.http import Guard

_DAY_SECONDS = 86_400.0
# families of the hosted API for what nothing here does: no record can belong to them
NEVER_USED = (
    "images",
    "audio_speeches",
    "audio_transcriptions",
    "vector_stores",
    "code_interpreter_sessions",
    "file_search_calls",
    "web_search_calls",
)


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


def organization_router(db: Database, clock: Clock, shares: Shares, guard: AuthGuard) -> APIRouter:
    """The hosted API's usage buckets, and the export of every record with its cost."""
    routes = APIRouter(tags=["usage"])
    reader = needs(guard.any_of("usage:read", "organization:read"))

    @routes.get("/api/usage/export", response_class=StreamingResponse)
    def export(
        since: Annotated[float, Query(ge=0, description="unix seconds")],
        until: Annotated[float | None, Query(ge=0, description="unix seconds, exclusive; default: now")] = None,
        actor: Actor = reader,
    ) -> StreamingResponse:
        """Every usage record of the period as CSV, oldest first."""
        end = clock.unix() if until is None else until
        return csv_attachment(export_csv(db, Scope.of(actor), since, end, shares), "usage.csv")

    def answer(family: str, query: UsageQuery, actor: Actor) -> UsagePage:
        page = window(query.period(), query.bucket_width, USAGE_LIMITS[query.bucket_width], clock.unix())
        operations = FAMILIES.get(family, ())
        groups = grouping(query.group_by, GROUPS)
        if not operations:
            return UsagePage.of(family, page, [])
        question = UsageQuestion(Scope.of(actor), operations, page, groups, query.filter())
        with db.read() as session:
            return UsagePage.of(family, page, usage_sums(session, question))

    def add(family: str) -> None:
        @routes.get(f"/v1/organization/usage/{family}", name=f"usage_{family}")
        def usage(query: Annotated[UsageQuery, Query()], actor: Actor = reader) -> UsagePage:
            return answer(family, query, actor)

    for family in (*FAMILIES, *NEVER_USED):
        add(family)
    return routes


def csv_attachment(lines: Iterator[str], name: str) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
