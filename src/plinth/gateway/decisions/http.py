"""`POST /v1/decisions` (needs `models:use`) and `/api/calibrations` (`evals:read`, `evals:write`)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from plinth.gateway.decisions.calibration_schemas import (
    CalibrationObject,
    CalibrationRequest,
    ThresholdObject,
    ThresholdRequest,
    rows_of,
)
from plinth.gateway.decisions.calibrations import CalibrationService
from plinth.gateway.decisions.ports import Files
from plinth.gateway.decisions.schemas import NO_NUL, DecisionObject, DecisionRequest
from plinth.gateway.decisions.service import DecisionService, project_of
from plinth.gateway.decisions.settings import DecisionSettings
from plinth.identity import Actor
from plinth.kit.db import Database
from plinth.kit.errors import BadInput
from plinth.kit.http import Guard, ListPage, page

Id = Annotated[str, Path(max_length=64, pattern=NO_NUL)]
Text = Annotated[str | None, Query(max_length=256, pattern=NO_NUL)]
Limit = Annotated[int, Query(ge=1, le=100)]


def decisions_router(db: Database, service: DecisionService, guard: Guard) -> APIRouter:
    routes = APIRouter(prefix="/v1/decisions", tags=["decisions"])
    use = Depends(guard("models:use"))

    @routes.post("")
    def create_decision(body: DecisionRequest, actor: Actor = use) -> DecisionObject:
        ask = body.ask()
        with db.read() as session:
            chosen = service.prepare(session, actor, ask)
        # the model is asked with no transaction open
        return DecisionObject.of(service.decide(actor, ask, chosen))

    return routes


def router(
    db: Database, service: CalibrationService, files: Files, settings: DecisionSettings, guard: Guard
) -> APIRouter:
    """`/api/calibrations`."""
    routes = APIRouter(prefix="/api/calibrations", tags=["decisions"])
    _reading(routes, db, service, guard)
    write = Depends(guard("evals:write"))

    @routes.post("", status_code=202)
    def create_calibration(body: CalibrationRequest, actor: Actor = write) -> CalibrationObject:
        """Asked and fitted in the background; look at `status`."""
        if (body.rows is None) == (body.file_id is None):
            raise BadInput(reason="Give either 'rows' or 'file_id'.", param="rows")
        if body.file_id is None:
            draft = body.draft(body.inline(), "inline")
        else:
            with db.read() as session:
                file = files.file(session, project_of(actor), body.file_id)
            with files.open_file(file) as content:
                rows = rows_of(content, settings.max_calibration_rows, settings.max_calibration_bytes)
            draft = body.draft(rows, body.file_id)
        with db.write() as session:
            return CalibrationObject.of(service.create(session, actor, draft), set())

    @routes.post("/{calibration_id}/default")
    def make_default(calibration_id: Id, actor: Actor = write) -> CalibrationObject:
        """Requests to the model go through it from now on, where it fits."""
        with db.write() as session:
            found = service.make_default(session, actor, calibration_id)
            return CalibrationObject.of(found, service.defaults(session, actor))

    @routes.delete("/{calibration_id}/default")
    def drop_default(calibration_id: Id, actor: Actor = write) -> CalibrationObject:
        with db.write() as session:
            found = service.drop_default(session, actor, calibration_id)
            return CalibrationObject.of(found, service.defaults(session, actor))

    return routes


def _reading(routes: APIRouter, db: Database, service: CalibrationService, guard: Guard) -> None:
    read = Depends(guard("evals:read"))

    @routes.get("")
    def list_calibrations(
        model: Text = None, after: Text = None, limit: Limit = 20, actor: Actor = read
    ) -> ListPage[CalibrationObject]:
        """Newest first."""
        with db.read() as session:
            found, defaults = service.page(session, actor, model, after, limit), service.defaults(session, actor)
        return page([CalibrationObject.of(calibration, defaults) for calibration in found], limit)

    @routes.get("/{calibration_id}")
    def retrieve_calibration(calibration_id: Id, actor: Actor = read) -> CalibrationObject:
        with db.read() as session:
            found = service.get(session, actor, calibration_id)
            return CalibrationObject.of(found, service.defaults(session, actor))

    @routes.post("/{calibration_id}/threshold")
    def find_threshold(calibration_id: Id, body: ThresholdRequest, actor: Actor = read) -> ThresholdObject:
        """When to act at these costs; changes nothing."""
        with db.read() as session:
            rule, measured = service.threshold(session, actor, calibration_id, body.costs())
        return ThresholdObject.of(calibration_id, rule, measured)
