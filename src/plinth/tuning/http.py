"""The router of `/v1/fine_tuning/jobs` and `/v1/fine_tuning/checkpoints`, as the OpenAI SDK uses them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request

from plinth.identity import Actor
from plinth.kit.db import Database
from plinth.kit.errors import BadInput
from plinth.kit.http import Deleted, Guard, ListPage, page
from plinth.tuning.schemas import (
    CheckpointObject,
    CreateJob,
    CreatePermissions,
    EventObject,
    JobObject,
    PermissionObject,
)
from plinth.tuning.service import TuningService

Id = Annotated[str, Path(max_length=64)]
Model = Annotated[str, Path(max_length=255)]
After = Annotated[str | None, Query(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=100)]
CheckpointLimit = Annotated[int, Query(ge=1, le=100)]
MAX_FILTERS = 16


def router(db: Database, service: TuningService, guard: Guard) -> APIRouter:
    routes = APIRouter(prefix="/v1/fine_tuning", tags=["fine-tuning"])
    _jobs(routes, db, service, guard)
    _steering(routes, db, service, guard)
    _history(routes, db, service, guard)
    _permissions(routes, db, service, guard)
    return routes


def _jobs(routes: APIRouter, db: Database, service: TuningService, guard: Guard) -> None:
    read, write = Depends(guard("tuning:read")), Depends(guard("tuning:write"))

    @routes.post("/jobs")
    def create_job(body: CreateJob, actor: Actor = write) -> JobObject:
        return JobObject.of(service.submit(db, actor, body.order()))

    @routes.get("/jobs")
    def list_jobs(request: Request, after: After = None, limit: Limit = 20, actor: Actor = read) -> ListPage[JobObject]:
        pairs = _metadata(request)
        with db.read() as session:
            found = service.jobs(session, actor.project_id, after, limit, pairs)
        return page([JobObject.of(job) for job in found], limit)

    @routes.get("/jobs/{job_id}")
    def retrieve_job(job_id: Id, actor: Actor = read) -> JobObject:
        with db.read() as session:
            return JobObject.of(service.job(session, actor.project_id, job_id))


def _steering(routes: APIRouter, db: Database, service: TuningService, guard: Guard) -> None:
    write = Depends(guard("tuning:write"))

    @routes.post("/jobs/{job_id}/cancel")
    def cancel_job(job_id: Id, actor: Actor = write) -> JobObject:
        with db.write() as session:
            return JobObject.of(service.cancel(session, actor, job_id))

    @routes.post("/jobs/{job_id}/pause")
    def pause_job(job_id: Id, actor: Actor = write) -> JobObject:
        with db.write() as session:
            return JobObject.of(service.pause(session, actor, job_id))

    @routes.post("/jobs/{job_id}/resume")
    def resume_job(job_id: Id, actor: Actor = write) -> JobObject:
        with db.write() as session:
            return JobObject.of(service.resume(session, actor, job_id))


def _history(routes: APIRouter, db: Database, service: TuningService, guard: Guard) -> None:
    read = Depends(guard("tuning:read"))

    @routes.get("/jobs/{job_id}/events")
    def list_events(job_id: Id, after: After = None, limit: Limit = 20, actor: Actor = read) -> ListPage[EventObject]:
        with db.read() as session:
            job = service.job(session, actor.project_id, job_id)
            found = service.job_events(session, job, after, limit)
        return page([EventObject.of(event) for event in found], limit)

    @routes.get("/jobs/{job_id}/checkpoints")
    def list_checkpoints(
        job_id: Id, after: After = None, limit: Limit = 10, actor: Actor = read
    ) -> ListPage[CheckpointObject]:
        with db.read() as session:
            job = service.job(session, actor.project_id, job_id)
            found = service.checkpoints(session, job, after, limit)
        return page([CheckpointObject.of(checkpoint) for checkpoint in found], limit)


def _permissions(routes: APIRouter, db: Database, service: TuningService, guard: Guard) -> None:
    # who may give a model to other projects: those who run the project, not everyone who tunes
    share = Depends(guard("project:write"))

    @routes.post("/checkpoints/{model}/permissions")
    def create_permissions(model: Model, body: CreatePermissions, actor: Actor = share) -> ListPage[PermissionObject]:
        with db.write() as session:
            shares = service.share(session, actor, model, body.project_ids)
        return page([PermissionObject.of(share) for share in shares], limit=len(shares))

    @routes.get("/checkpoints/{model}/permissions")
    def list_permissions(
        model: Model,
        after: After = None,
        limit: CheckpointLimit = 10,
        order: Literal["ascending", "descending"] = "descending",
        project_id: Annotated[str | None, Query(max_length=64)] = None,
        actor: Actor = share,
    ) -> ListPage[PermissionObject]:
        with db.read() as session:
            shares = sorted(service.shares(session, actor, model), key=lambda s: s.id, reverse=order == "descending")
        ids = [share.id for share in shares]
        start = ids.index(after) + 1 if after in ids else 0
        found = [PermissionObject.of(s) for s in shares[start:] if project_id in (None, s.project_id)]
        return page(found, limit)

    @routes.delete("/checkpoints/{model}/permissions/{permission_id}")
    def delete_permission(model: Model, permission_id: Id, actor: Actor = share) -> Deleted:
        with db.write() as session:
            service.unshare(session, actor, model, permission_id)
        return Deleted(id=permission_id, object="checkpoint.permission")


def _metadata(request: Request) -> dict[str, str] | None:
    """`metadata[key]=value` pairs, None for `metadata=null` (jobs that have none)."""
    pairs = {}
    for name, value in request.query_params.multi_items():
        if match := re.fullmatch(r"metadata\[([^\[\]]{1,64})\]", name):
            pairs[match[1]] = value
    if request.query_params.get("metadata") == "null":
        if pairs:
            raise BadInput(reason="Use either metadata=null or metadata[key]=value, not both.", param="metadata")
        return None
    if len(pairs) > MAX_FILTERS:
        raise BadInput(reason=f"At most {MAX_FILTERS} metadata filters are possible.", param="metadata")
    return pairs
