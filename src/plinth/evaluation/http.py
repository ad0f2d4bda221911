"""/v1/evals, /v1/fine_tuning/alpha/graders, and what only Plinth has: comparison and report."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from plinth.evaluation import specs
from plinth.evaluation.grading import GraderRunner
from plinth.evaluation.model import ItemStatus, RunStatus
from plinth.evaluation.schemas import (
    ITEM_STATUSES,
    EvalCreate,
    EvalDeleted,
    EvalObject,
    EvalUpdate,
    GraderRunObject,
    GraderRunRequest,
    GraderValidated,
    GraderValidateRequest,
    OutputItemObject,
    RunCreate,
    RunDeleted,
    RunObject,
)
from plinth.evaluation.service import EvaluationService, owner
from plinth.identity import Actor
from plinth.kit.db import Database
from plinth.kit.http import Guard, ListPage, page

Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(max_length=64)]
Identifier = Annotated[str, Query(max_length=64)]
Order = Literal["asc", "desc"]
ItemFilter = Literal["pass", "fail", "passed", "failed", "error"]
REPORT_ITEMS = 50


class PageQuery:
    """The list parameters that every list here has."""

    def __init__(self, after: After = None, limit: Limit = 20, order: Order = "asc") -> None:
        self.limit = limit
        self.page: dict[str, Any] = {"after": after, "limit": limit, "descending": order == "desc"}


Paging = Annotated[PageQuery, Depends()]


def router(
    db: Database, service: EvaluationService, grader_runner: GraderRunner, guard: Guard, public_url: str = ""
) -> APIRouter:
    """Args: `public_url` makes `report_url`s absolute."""
    routes = APIRouter()
    _evals(routes, db, service, guard)
    _runs(routes, db, service, guard, public_url)
    _output_items(routes, db, service, guard)
    _graders(routes, service, grader_runner, guard)
    _reports(routes, db, service, guard, public_url)
    return routes


def _evals(routes: APIRouter, db: Database, service: EvaluationService, guard: Guard) -> None:
    tags: list[str | Enum] = ["evals"]
    read, write = Depends(guard("evals:read")), Depends(guard("evals:write"))

    @routes.post("/v1/evals", tags=tags, status_code=201)
    def create_eval(body: EvalCreate, actor: Actor = write) -> EvalObject:
        draft = service.draft_eval(owner(actor), body.name, body.model_dump())
        with db.write() as session:
            return EvalObject.of(service.create_eval(session, draft))

    @routes.get("/v1/evals", tags=tags)
    def list_evals(
        paging: Paging,
        order_by: Literal["created_at", "updated_at"] = "created_at",
        actor: Actor = read,
    ) -> ListPage[EvalObject]:
        with db.read() as session:
            found = service.list_evals(session, owner(actor), paging.page, order_by)
        return page([EvalObject.of(entry) for entry in found], paging.limit)

    @routes.get("/v1/evals/{eval_id}", tags=tags)
    def retrieve_eval(eval_id: str, actor: Actor = read) -> EvalObject:
        with db.read() as session:
            return EvalObject.of(service.eval(session, owner(actor), eval_id))

    @routes.post("/v1/evals/{eval_id}", tags=tags)
    def update_eval(eval_id: str, body: EvalUpdate, actor: Actor = write) -> EvalObject:
        changes = body.model_dump(exclude_unset=True)
        if changes.get("name", "") is None:
            del changes["name"]
        with db.write() as session:
            return EvalObject.of(service.update_eval(session, owner(actor), eval_id, changes))

    @routes.delete("/v1/evals/{eval_id}", tags=tags)
    def delete_eval(eval_id: str, actor: Actor = write) -> EvalDeleted:
        with db.write() as session:
            service.delete_eval(session, owner(actor), eval_id)
        return EvalDeleted(eval_id=eval_id)


def _runs(routes: APIRouter, db: Database, service: EvaluationService, guard: Guard, public_url: str) -> None:
    tags: list[str | Enum] = ["evals"]
    read, write = Depends(guard("evals:read")), Depends(guard("evals:write"))

    @routes.post("/v1/evals/{eval_id}/runs", tags=tags, status_code=201)
    def create_run(eval_id: str, body: RunCreate, actor: Actor = write) -> RunObject:
        # rows are read and checked before the write lock is taken
        with db.read() as session:
            plan = service.plan_run(session, owner(actor), eval_id, body.model_dump())
        with db.write() as session:
            return RunObject.of(service.create_run(session, plan), public_url)

    @routes.get("/v1/evals/{eval_id}/runs", tags=tags)
    def list_runs(
        eval_id: str,
        paging: Paging,
        status: RunStatus | None = None,
        actor: Actor = read,
    ) -> ListPage[RunObject]:
        with db.read() as session:
            found = service.list_runs(session, owner(actor), eval_id, paging.page, status)
        return page([RunObject.of(view, public_url) for view in found], paging.limit)

    @routes.get("/v1/evals/{eval_id}/runs/{run_id}", tags=tags)
    def retrieve_run(eval_id: str, run_id: str, actor: Actor = read) -> RunObject:
        with db.read() as session:
            return RunObject.of(service.run(session, owner(actor), eval_id, run_id), public_url)

    # SDK 1.x and 2.x cancel by posting to the run itself
    @routes.post("/v1/evals/{eval_id}/runs/{run_id}", tags=tags, include_in_schema=False)
    @routes.post("/v1/evals/{eval_id}/runs/{run_id}/cancel", tags=tags)
    def cancel_run(eval_id: str, run_id: str, actor: Actor = write) -> RunObject:
        with db.write() as session:
            return RunObject.of(service.cancel_run(session, owner(actor), eval_id, run_id), public_url)

    @routes.delete("/v1/evals/{eval_id}/runs/{run_id}", tags=tags)
    def delete_run(eval_id: str, run_id: str, actor: Actor = write) -> RunDeleted:
        with db.write() as session:
            service.delete_run(session, owner(actor), eval_id, run_id)
        return RunDeleted(run_id=run_id)


def _output_items(routes: APIRouter, db: Database, service: EvaluationService, guard: Guard) -> None:
    tags: list[str | Enum] = ["evals"]
    read = Depends(guard("evals:read"))
    path = "/v1/evals/{eval_id}/runs/{run_id}/output_items"

    @routes.get(path, tags=tags)
    def list_output_items(
        eval_id: str,
        run_id: str,
        paging: Paging,
        status: ItemFilter | None = None,
        actor: Actor = read,
    ) -> ListPage[OutputItemObject]:
        wanted = ITEM_STATUSES[status] if status else None
        with db.read() as session:
            found = service.output_items(session, (owner(actor), eval_id, run_id), paging.page, wanted)
        return page([OutputItemObject.of(item, eval_id) for item in found], paging.limit)

    @routes.get(path + "/{output_item_id}", tags=tags)
    def retrieve_output_item(eval_id: str, run_id: str, output_item_id: str, actor: Actor = read) -> OutputItemObject:
        with db.read() as session:
            found = service.output_item(session, (owner(actor), eval_id, run_id), output_item_id)
        return OutputItemObject.of(found, eval_id)


def _graders(routes: APIRouter, service: EvaluationService, runner: GraderRunner, guard: Guard) -> None:
    tags: list[str | Enum] = ["graders"]
    write = Depends(guard("evals:write"))

    @routes.post("/v1/fine_tuning/alpha/graders/validate", tags=tags)
    def validate_grader(body: GraderValidateRequest, actor: Actor = write) -> GraderValidated:
        owner(actor)
        return GraderValidated(grader=specs.dump(service.check_grader(body.grader)))

    @routes.post("/v1/fine_tuning/alpha/graders/run", tags=tags)
    def run_grader(body: GraderRunRequest, actor: Actor = write) -> GraderRunObject:
        spec = service.check_grader(body.grader)
        return GraderRunObject.of(spec, runner.run(owner(actor), spec, body.model_sample, body.item))


def _reports(routes: APIRouter, db: Database, service: EvaluationService, guard: Guard, public_url: str) -> None:
    tags: list[str | Enum] = ["evals"]
    read = Depends(guard("evals:read"))

    @routes.get("/api/evals/{eval_id}/compare", tags=tags)
    def compare_runs(
        eval_id: str,
        run_a: Identifier,
        run_b: Identifier,
        actor: Actor = read,
    ) -> dict[str, Any]:
        """Two runs over the same items: rates and paired difference with 95 % intervals, exact McNemar
        p, the agreement matrix and the items that flipped. A difference is run_b minus run_a."""
        with db.read() as session:
            return service.compare(session, owner(actor), eval_id, run_a, run_b)

    @routes.get("/api/evals/{eval_id}/runs/{run_id}/report", tags=tags)
    def run_report(eval_id: str, run_id: str, actor: Actor = read) -> dict[str, Any]:
        """The run with the first rows that failed and that could not be graded."""
        ids, first = (owner(actor), eval_id, run_id), PageQuery(limit=REPORT_ITEMS).page
        with db.read() as session:
            run = RunObject.of(service.run(session, *ids), public_url)
            shown = {
                name: [
                    OutputItemObject.of(item, eval_id).model_dump()
                    for item in service.output_items(session, ids, first, status)[:REPORT_ITEMS]
                ]
                for name, status in (("failed_items", ItemStatus.failed), ("errored_items", ItemStatus.errored))
            }
        return {"object": "eval.run.report", "run": run.model_dump(), **shown}
