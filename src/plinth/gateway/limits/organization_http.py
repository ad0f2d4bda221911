"""The official SDK's `client.admin.organization.{projects.rate_limits, projects.model_permissions,
spend_limit, spend_alerts}`, the last two for projects as well. They take admin keys."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from plinth.gateway.limits.model import Period, Scope, Subject
from plinth.gateway.limits.schemas import (
    Gone,
    Id,
    ModelPermissions,
    ModelPermissionsChange,
    ProjectRateLimit,
    RateLimitChange,
    SpendAlertDraft,
    SpendAlertObject,
    SpendLimit,
    SpendLimitChange,
    cut,
    limited_model,
)
from plinth.gateway.limits.service import LimitService
from plinth.identity import Actor
from plinth.kit.db import Database, Session
from plinth.kit.errors import NotFound
from plinth.kit.http import Deleted, Guard, ListPage

ORGANIZATION = "/v1/organization"
PROJECT = ORGANIZATION + "/projects/{project_id}"

Cursor = Annotated[str | None, Query(max_length=320)]
Hundred = Annotated[int, Query(ge=1, le=100)]
Order = Literal["asc", "desc"]


def router(db: Database, service: LimitService, guard: Guard) -> APIRouter:
    routes = APIRouter(tags=["limits"])
    for part in (_rate_limits, _model_permissions, _spend_limits, _spend_alerts, _project_spend_alerts):
        part(routes, db, service, guard)
    return routes


def _rate_limits(routes: APIRouter, db: Database, service: LimitService, guard: Guard) -> None:
    reader, writer = Depends(guard("organization:read")), Depends(guard("organization:write"))

    @routes.get(PROJECT + "/rate_limits")
    def list_rate_limits(
        project_id: Id, after: Cursor = None, before: Cursor = None, limit: Hundred = 100, actor: Actor = reader
    ) -> ListPage[ProjectRateLimit]:
        with db.read() as session:
            found = service.rate_limits(session, _project(service, session, actor, project_id))
        return cut([ProjectRateLimit.of(entry) for entry in found], after, before, limit)

    # `:path` because a model's name may contain '/'
    @routes.post(PROJECT + "/rate_limits/{rate_limit_id:path}")
    def update_rate_limit(
        project_id: Id, rate_limit_id: str, body: RateLimitChange, actor: Actor = writer
    ) -> ProjectRateLimit:
        model = limited_model(rate_limit_id)
        with db.write() as session:
            project = _project(service, session, actor, project_id)
            return ProjectRateLimit.of(service.change_rate_limit(session, actor, project, model, body.changes()))


def _model_permissions(routes: APIRouter, db: Database, service: LimitService, guard: Guard) -> None:
    reader, writer = Depends(guard("organization:read")), Depends(guard("organization:write"))
    path = PROJECT + "/model_permissions"

    @routes.get(path)
    def retrieve_model_permissions(project_id: Id, actor: Actor = reader) -> ModelPermissions:
        """A deny list with nothing on it while nothing was set."""
        with db.read() as session:
            return ModelPermissions.of(service.rule(session, _project(service, session, actor, project_id)))

    @routes.post(path)
    def update_model_permissions(
        project_id: Id, body: ModelPermissionsChange, actor: Actor = writer
    ) -> ModelPermissions:
        with db.write() as session:
            project = _project(service, session, actor, project_id)
            return ModelPermissions.of(service.set_rule(session, actor, project, body.mode, body.model_ids))

    @routes.delete(path)
    def delete_model_permissions(project_id: Id, actor: Actor = writer) -> Gone:
        with db.write() as session:
            service.delete_rule(session, actor, _project(service, session, actor, project_id))
        return Gone(object="project.model_permissions.deleted")


def _spend_limits(routes: APIRouter, db: Database, service: LimitService, guard: Guard) -> None:
    reader, writer = Depends(guard("organization:read")), Depends(guard("organization:write"))

    def show(actor: Actor, project_id: str | None) -> SpendLimit:
        with db.read() as session:
            subject = _subject(service, session, actor, project_id)
            state = service.budgets.state(session, subject, Period.month)
        if not state.budget.hard:  # it only alerts
            raise NotFound(what="spend limit", id=subject.id)
        return SpendLimit.of(state)

    def change(actor: Actor, project_id: str | None, body: SpendLimitChange) -> SpendLimit:
        with db.write() as session:
            subject = _subject(service, session, actor, project_id)
            known = [s.budget for s in service.budgets.states(session, subject) if s.budget.period is Period.month]
            draft = body.draft(known[0] if known else None)
            return SpendLimit.of(service.budgets.put(session, actor, subject, draft))

    def remove(actor: Actor, project_id: str | None) -> Gone:
        with db.write() as session:
            subject = _subject(service, session, actor, project_id)
            service.budgets.delete(session, actor, subject, Period.month)
        return Gone(object=f"{subject.scope}.spend_limit.deleted")

    @routes.get(ORGANIZATION + "/spend_limit")
    def retrieve_organization_spend_limit(actor: Actor = reader) -> SpendLimit:
        return show(actor, None)

    @routes.post(ORGANIZATION + "/spend_limit")
    def update_organization_spend_limit(body: SpendLimitChange, actor: Actor = writer) -> SpendLimit:
        return change(actor, None, body)

    @routes.delete(ORGANIZATION + "/spend_limit")
    def delete_organization_spend_limit(actor: Actor = writer) -> Gone:
        return remove(actor, None)

    @routes.get(PROJECT + "/spend_limit")
    def retrieve_project_spend_limit(project_id: Id, actor: Actor = reader) -> SpendLimit:
        return show(actor, project_id)

    @routes.post(PROJECT + "/spend_limit")
    def update_project_spend_limit(project_id: Id, body: SpendLimitChange, actor: Actor = writer) -> SpendLimit:
        return change(actor, project_id, body)

    @routes.delete(PROJECT + "/spend_limit")
    def delete_project_spend_limit(project_id: Id, actor: Actor = writer) -> Gone:
        return remove(actor, project_id)


class _Alerts:
    """What both levels of spend alerts do; `project_id` is None for the organization's."""

    def __init__(self, db: Database, service: LimitService) -> None:
        self._db, self._service = db, service

    def list(
        self, actor: Actor, project_id: str | None, order: Order, cursors: tuple[str | None, str | None], limit: int
    ) -> ListPage[SpendAlertObject]:
        with self._db.read() as session:
            subject = _subject(self._service, session, actor, project_id)
            found = [SpendAlertObject.of(alert) for alert in self._service.budgets.alerts(session, subject)]
        return cut(found if order == "asc" else found[::-1], *cursors, limit)

    def create(self, actor: Actor, project_id: str | None, body: SpendAlertDraft) -> SpendAlertObject:
        with self._db.write() as session:
            subject = _subject(self._service, session, actor, project_id)
            return SpendAlertObject.of(self._service.budgets.add_alert(session, actor, subject, body.draft()))

    def retrieve(self, actor: Actor, project_id: str | None, alert_id: str) -> SpendAlertObject:
        with self._db.read() as session:
            subject = _subject(self._service, session, actor, project_id)
            return SpendAlertObject.of(self._service.budgets.alert(session, subject, alert_id))

    def update(self, actor: Actor, project_id: str | None, alert_id: str, body: SpendAlertDraft) -> SpendAlertObject:
        with self._db.write() as session:
            subject = _subject(self._service, session, actor, project_id)
            known = self._service.budgets.alert(session, subject, alert_id)
            return SpendAlertObject.of(self._service.budgets.change_alert(session, actor, known, body.draft()))

    def delete(self, actor: Actor, project_id: str | None, alert_id: str) -> Deleted:
        with self._db.write() as session:
            subject = _subject(self._service, session, actor, project_id)
            known = self._service.budgets.alert(session, subject, alert_id)
            self._service.budgets.delete_alert(session, actor, known)
        return Deleted(id=alert_id, object=f"{subject.scope}.spend_alert.deleted")


def _spend_alerts(routes: APIRouter, db: Database, service: LimitService, guard: Guard) -> None:
    reader, writer = Depends(guard("organization:read")), Depends(guard("organization:write"))
    alerts, path = _Alerts(db, service), ORGANIZATION + "/spend_alerts"

    @routes.get(path)
    def list_organization_spend_alerts(
        after: Cursor = None,
        before: Cursor = None,
        limit: Hundred = 20,
        order: Order = "asc",
        actor: Actor = reader,
    ) -> ListPage[SpendAlertObject]:
        return alerts.list(actor, None, order, (after, before), limit)

    @routes.post(path)
    def create_organization_spend_alert(body: SpendAlertDraft, actor: Actor = writer) -> SpendAlertObject:
        return alerts.create(actor, None, body)

    @routes.get(path + "/{alert_id}")
    def retrieve_organization_spend_alert(alert_id: Id, actor: Actor = reader) -> SpendAlertObject:
        return alerts.retrieve(actor, None, alert_id)

    @routes.post(path + "/{alert_id}")
    def update_organization_spend_alert(alert_id: Id, body: SpendAlertDraft, actor: Actor = writer) -> SpendAlertObject:
        return alerts.update(actor, None, alert_id, body)

    @routes.delete(path + "/{alert_id}")
    def delete_organization_spend_alert(alert_id: Id, actor: Actor = writer) -> Deleted:
        return alerts.delete(actor, None, alert_id)


def _project_spend_alerts(routes: APIRouter, db: Database, service: LimitService, guard: Guard) -> None:
    reader, writer = Depends(guard("organization:read")), Depends(guard("organization:write"))
    alerts, path = _Alerts(db, service), PROJECT + "/spend_alerts"

    @routes.get(path)
    def list_project_spend_alerts(
        project_id: Id,
        after: Cursor = None,
        before: Cursor = None,
        limit: Hundred = 20,
        order: Order = "asc",
        actor: Actor = reader,
    ) -> ListPage[SpendAlertObject]:
        return alerts.list(actor, project_id, order, (after, before), limit)

    @routes.post(path)
    def create_project_spend_alert(project_id: Id, body: SpendAlertDraft, actor: Actor = writer) -> SpendAlertObject:
        return alerts.create(actor, project_id, body)

    @routes.get(path + "/{alert_id}")
    def retrieve_project_spend_alert(project_id: Id, alert_id: Id, actor: Actor = reader) -> SpendAlertObject:
        return alerts.retrieve(actor, project_id, alert_id)

    @routes.post(path + "/{alert_id}")
    def update_project_spend_alert(
        project_id: Id, alert_id: Id, body: SpendAlertDraft, actor: Actor = writer
    ) -> SpendAlertObject:
        return alerts.update(actor, project_id, alert_id, body)

    @routes.delete(path + "/{alert_id}")
    def delete_project_spend_alert(project_id: Id, alert_id: Id, actor: Actor = writer) -> Deleted:
        return alerts.delete(actor, project_id, alert_id)


def _project(service: LimitService, session: Session, actor: Actor, project_id: str) -> Subject:
    return service.subject(session, actor, Scope.project, project_id)


def _subject(service: LimitService, session: Session, actor: Actor, project_id: str | None) -> Subject:
    if project_id is None:
        return service.subject(session, actor, Scope.organization, actor.organization_id)
    return _project(service, session, actor, project_id)
