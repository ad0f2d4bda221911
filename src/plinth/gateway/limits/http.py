"""/api/limits: what the official SDK cannot express (keys, requests at the same time, the organization,
daily budgets, soft budgets), and the routes that it can."""

from collections.abc import Callable
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Query

from plinth.gateway.limits import organization_http
from plinth.gateway.limits.model import Period, Scope, Subject
from plinth.gateway.limits.schemas import (
    BudgetChange,
    BudgetObject,
    Gone,
    Id,
    LimitDraft,
    LimitObject,
    ModelName,
    ModelPermissions,
    ModelPermissionsChange,
    SubjectObject,
)
from plinth.gateway.limits.service import LimitService
from plinth.identity import Actor
from plinth.kit.db import Database, Session
from plinth.kit.errors import BadInput
from plinth.kit.http import Deleted, ListPage, page


class Door(Protocol):
    """Identity's guard, as far as it is needed here."""

    def __call__(self, permission: str) -> Callable[..., Any]: ...

    def any_of(self, *permissions: str) -> Callable[..., Any]:
        """Enough to have one of these."""
        ...


def router(db: Database, service: LimitService, guard: Door) -> APIRouter:
    routes = APIRouter()
    own = APIRouter(prefix="/api/limits", tags=["limits"])
    for part in (_limits, _budgets, _models):
        part(own, db, service, guard)
    routes.include_router(own)
    routes.include_router(organization_http.router(db, service, guard))
    return routes


def _limits(routes: APIRouter, db: Database, service: LimitService, guard: Door) -> None:
    reader, writer = _doors(guard)

    @routes.get("")
    def list_limits(
        after: Annotated[Id | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        actor: Actor = reader,
    ) -> ListPage[LimitObject]:
        """The organization's limits; to a project's key, those of its project and the project's keys."""
        with db.read() as session:
            found = service.page(session, actor, after, limit)
        return page([LimitObject.of(entry) for entry in found], limit)

    @routes.get("/{scope}/{subject_id}")
    def retrieve_limits(scope: Scope, subject_id: Id, actor: Actor = reader) -> SubjectObject:
        with db.read() as session:
            subject = service.subject(session, actor, scope, subject_id)
            return SubjectObject(
                scope=scope,
                subject_id=subject_id,
                limits=[LimitObject.of(limit) for limit in service.limits(session, subject)],
                budgets=[BudgetObject.of(state) for state in service.budgets.states(session, subject)],
                models=ModelPermissions.of(service.rule(session, subject)),
            )

    @routes.put("/{scope}/{subject_id}")
    def put_limit(scope: Scope, subject_id: Id, body: LimitDraft, actor: Actor = writer) -> LimitObject:
        """Replace the limit of the body's model, or of all models together."""
        with db.write() as session:
            subject = service.subject_to_change(session, actor, scope, subject_id)
            return LimitObject.of(service.set_limit(session, actor, subject, body.model, body.rates()))

    @routes.delete("/{scope}/{subject_id}")
    def delete_limit(
        scope: Scope, subject_id: Id, model: Annotated[ModelName, Query()] = "", actor: Actor = writer
    ) -> Deleted:
        with db.write() as session:
            subject = service.subject_to_change(session, actor, scope, subject_id)
            return Deleted(id=service.delete_limit(session, actor, subject, model), object="limit")


def _budgets(routes: APIRouter, db: Database, service: LimitService, guard: Door) -> None:
    reader, writer = _doors(guard)
    path = "/{scope}/{subject_id}/budgets/{period}"

    @routes.get(path)
    def retrieve_budget(scope: Scope, subject_id: Id, period: Period, actor: Actor = reader) -> BudgetObject:
        with db.read() as session:
            subject = service.subject(session, actor, scope, subject_id)
            return BudgetObject.of(service.budgets.state(session, subject, period))

    @routes.put(path)
    def put_budget(
        scope: Scope, subject_id: Id, period: Period, body: BudgetChange, actor: Actor = writer
    ) -> BudgetObject:
        with db.write() as session:
            subject = service.subject_to_change(session, actor, scope, subject_id)
            return BudgetObject.of(service.budgets.put(session, actor, subject, body.draft(period)))

    @routes.delete(path)
    def delete_budget(scope: Scope, subject_id: Id, period: Period, actor: Actor = writer) -> Deleted:
        with db.write() as session:
            subject = service.subject_to_change(session, actor, scope, subject_id)
            return Deleted(id=service.budgets.delete(session, actor, subject, period), object="budget")


def _models(routes: APIRouter, db: Database, service: LimitService, guard: Door) -> None:
    reader, writer = _doors(guard)
    path = "/{scope}/{subject_id}/models"

    @routes.get(path)
    def retrieve_models(scope: Scope, subject_id: Id, actor: Actor = reader) -> ModelPermissions:
        with db.read() as session:
            return ModelPermissions.of(service.rule(session, service.subject(session, actor, scope, subject_id)))

    @routes.put(path)
    def put_models(
        scope: Scope, subject_id: Id, body: ModelPermissionsChange, actor: Actor = writer
    ) -> ModelPermissions:
        with db.write() as session:
            subject = changeable(session, actor, scope, subject_id)
            return ModelPermissions.of(service.set_rule(session, actor, subject, body.mode, body.model_ids))

    @routes.delete(path)
    def delete_models(scope: Scope, subject_id: Id, actor: Actor = writer) -> Gone:
        with db.write() as session:
            service.delete_rule(session, actor, changeable(session, actor, scope, subject_id))
        return Gone(object=f"{scope}.model_permissions.deleted")

    def changeable(session: Session, actor: Actor, scope: Scope, subject_id: str) -> Subject:
        if scope is Scope.organization:
            raise BadInput(param="scope", reason="Models are permitted per project or per key: use one of those.")
        return service.subject_to_change(session, actor, scope, subject_id)


def _doors(guard: Door) -> tuple[Any, Any]:
    """Who may read, and who may write (of a project's own people: only its keys' limits)."""
    return (
        Depends(guard.any_of("organization:read", "usage:read")),
        Depends(guard.any_of("organization:write", "project:write")),
    )
