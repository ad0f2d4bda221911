"""Decisions about routes: write, change, roll back, delete, read. Every method takes the session first."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.exc import IntegrityError

from plinth.gateway.routes import store
from plinth.gateway.routes.choice import RoutePlan
from plinth.gateway.routes.errors import (
    NoEarlierVersion,
    RouteChanged,
    TooManyRoutes,
    UnknownPrivacyPolicy,
    UnknownRoute,
    UnknownRouteVersion,
    UnknownTarget,
)
from plinth.gateway.routes.model import (
    Action,
    Plan,
    Route,
    RouteVersion,
    check,
    check_name,
    document_of,
    is_route_name,
)
from plinth.gateway.routes.ports import Audit, Resolvable
from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.ids import new_id

MAX_ROUTES_A_PROJECT = 1000
CHANGED = "gateway.route.changed"

Edit = Callable[[Plan], Plan]


class RouteService:
    """Args: `resolvable` says which names are models of a project, `has_policy` which are its privacy
    policies; `audit` is identity's trail.

    `expected_version` makes a change fail with `RouteChanged` unless the route is at that version;
    0 expects that there is no such route yet. Emits `gateway.route.changed`.
    """

    def __init__(
        self, clock: Clock, resolvable: Resolvable, audit: Audit, has_policy: Resolvable | None = None
    ) -> None:
        self._clock, self._resolvable, self._audit, self._has_policy = clock, resolvable, audit, has_policy
        self._compiled: dict[tuple[str, int], RoutePlan] = {}

    # changes

    def put(self, session: Session, actor: Actor, name: str, plan: Plan, expected_version: int | None = None) -> Route:
        """Create the route or replace its plan; the same plan again makes no new version.

        Raises `BadRouteName`, `RouteChanged`, `TooManyRoutes` and what is wrong with the plan.
        """
        check_name(name)
        known = self._locked(session, actor, name, expected_version)
        if known is None:
            return self._create(session, actor, name, plan)
        if known.plan == plan:
            return known
        return self._replace(session, actor, known, plan, Action.changed)

    def change(
        self, session: Session, actor: Actor, name: str, edit: Edit, expected_version: int | None = None
    ) -> Route:
        """Replace the plan by `edit(plan)`; nobody can change the route in between.

        Raises `UnknownRoute`, `RouteChanged` and what is wrong with the new plan.
        """
        known = self._locked(session, actor, name, expected_version)
        if known is None:
            raise UnknownRoute(name=name[:80])
        plan = edit(known.plan)
        return known if plan == known.plan else self._replace(session, actor, known, plan, Action.changed)

    def roll_back(
        self,
        session: Session,
        actor: Actor,
        name: str,
        version: int | None = None,
        expected_version: int | None = None,
    ) -> Route:
        """Make a new version of an earlier one's plan: of `version`, else of the one before the
        current one. Brings a deleted route back.

        Raises `UnknownRoute`, `UnknownRouteVersion`, `NoEarlierVersion`, `RouteChanged`, and
        `UnknownTarget` when a model of that plan is gone.
        """
        known = self._locked(session, actor, name, expected_version)
        held = store.lock(session, actor.project_id, name) if is_route_name(name) else None
        if held is None:
            raise UnknownRoute(name=name[:80])
        route_id, current = held
        earlier = store.version(session, route_id, current - 1 if version is None else version)
        if earlier is None or earlier.plan is None:
            if version is None:
                raise NoEarlierVersion(name=name)
            raise UnknownRouteVersion(name=name, version=version, param="version")
        if known is None:
            return self._create(session, actor, name, earlier.plan, earlier.number)
        return self._replace(session, actor, known, earlier.plan, Action.rolled_back, earlier.number)

    def delete(self, session: Session, actor: Actor, name: str, expected_version: int | None = None) -> Route:
        """The name means the model of that name again, if there is one. The history stays.

        Raises `UnknownRoute`, `RouteChanged`.
        """
        known = self._locked(session, actor, name, expected_version)
        if known is None:
            raise UnknownRoute(name=name[:80])
        version = self._version(actor, known.version + 1, Action.deleted, None)
        store.add_version(session, known.id, version)
        self._tell(session, actor, known, version, known.plan)
        return known

    # reading

    def route(self, session: Session, project_id: str, name: str) -> Route:
        """Raises `UnknownRoute`."""
        found = store.route(session, project_id, name) if is_route_name(name) else None
        if found is None:
            raise UnknownRoute(name=name[:80])
        return found

    def routes(self, session: Session, project_id: str, after: str | None, limit: int) -> list[Route]:
        """Up to `limit + 1` routes; `after` is a route's id."""
        return store.routes_of(session, project_id, after, limit + 1)

    def history(
        self, session: Session, project_id: str, name: str, after: str | None, limit: int
    ) -> list[RouteVersion]:
        """Up to `limit + 1` versions, newest first; `after` is a version's id. Survives the route.

        Raises `UnknownRoute` for a name that never was one.
        """
        found = store.history(session, project_id, name, after, limit + 1) if is_route_name(name) else []
        if not found and after is None:
            raise UnknownRoute(name=name[:80])
        return found

    def missing_models(self, session: Session, route: Route) -> list[str]:
        """The models of the plan that the project cannot name any more; requests pass them over."""
        named = dict.fromkeys(model for _, model in route.plan.models())
        return [model for model in named if not self._resolvable(session, route.project_id, model)]

    def snapshot(self, session: Session) -> list[RoutePlan]:
        """Every route of every project, ready for the data plane. Plans of versions that it has seen
        before are handed out again."""
        live, seen = store.live_versions(session), self._compiled
        fresh = [route_id for route_id, version in live if (route_id, version) not in seen]
        made = {(route.id, route.version): _compile(route) for route in store.routes_by_id(session, fresh)}
        known = {**seen, **made}
        plans = {key: known[key] for key in live}
        self._compiled = plans
        return list(plans.values())

    def names(self, session: Session, project_id: str) -> dict[str, str]:
        """The project's routes, each with its heaviest target."""
        return {
            route.name: max(route.plan.targets, key=lambda target: target.weight).model
            for route in self._all_of(session, project_id)
        }

    def policy_user(self, session: Session, project_id: str, policy: str) -> str | None:
        """Which route names this privacy policy, in words; None when none does."""
        named = (r.name for r in self._all_of(session, project_id) if r.plan.privacy_policy == policy)
        found = next(named, None)
        return None if found is None else f"the route '{found}'"

    # helpers

    def _all_of(self, session: Session, project_id: str) -> list[Route]:
        return store.routes_of(session, project_id, None, MAX_ROUTES_A_PROJECT)

    def _locked(self, session: Session, actor: Actor, name: str, expected: int | None) -> Route | None:
        """The live route, safe from other writers. Raises `RouteChanged`."""
        if not is_route_name(name):
            return None
        store.lock(session, actor.project_id, name)
        known = store.route(session, actor.project_id, name)
        current = known.version if known else 0
        if expected is not None and expected != current:
            raise RouteChanged(name=name, version=current, expected=expected, param="expected_version")
        return known

    def _create(self, session: Session, actor: Actor, name: str, plan: Plan, restored: int | None = None) -> Route:
        self._check(session, actor.project_id, plan)
        if store.count_of(session, actor.project_id) >= MAX_ROUTES_A_PROJECT:
            raise TooManyRoutes(limit=MAX_ROUTES_A_PROJECT)
        now = self._clock.unix()
        held = store.lock(session, actor.project_id, name)
        if held is None:
            held = new_id("route_"), 0
            try:
                with session.begin_nested():
                    store.insert_route(session, held[0], actor.project_id, name, now)
            except IntegrityError:
                # on PostgreSQL a name that is not there yet cannot be locked: the other writer won
                raise RouteChanged(name=name, version=1, expected=0) from None
        action = Action.created if restored is None else Action.rolled_back
        version = self._version(actor, held[1] + 1, action, plan, restored)
        store.add_version(session, held[0], version)
        route = self.route(session, actor.project_id, name)
        self._tell(session, actor, route, version, None)
        return route

    def _replace(
        self, session: Session, actor: Actor, known: Route, plan: Plan, action: Action, restored: int | None = None
    ) -> Route:
        self._check(session, known.project_id, plan)
        version = self._version(actor, known.version + 1, action, plan, restored)
        store.add_version(session, known.id, version)
        self._tell(session, actor, known, version, known.plan)
        return self.route(session, known.project_id, known.name)

    def _check(self, session: Session, project_id: str, plan: Plan) -> None:
        check(plan)
        policy = plan.privacy_policy
        if policy and self._has_policy is not None and not self._has_policy(session, project_id, policy):
            raise UnknownPrivacyPolicy(policy=policy[:64], param="privacy_policy")
        for field, model in plan.models():
            if not self._resolvable(session, project_id, model):
                raise UnknownTarget(field=field, model=model, param=field)

    def _version(
        self, actor: Actor, number: int, action: Action, plan: Plan | None, restored: int | None = None
    ) -> RouteVersion:
        id, now = new_id("routever_"), self._clock.unix()
        return RouteVersion(id, number, action, plan, restored, actor.principal, now)

    def _tell(self, session: Session, actor: Actor, route: Route, version: RouteVersion, before: Plan | None) -> None:
        detail = {
            "version": version.number,
            "restored": version.restored,
            "before": document_of(before) if before else None,
            "after": document_of(version.plan) if version.plan else None,
        }
        self._audit(session, actor, f"route.{version.action}", route.name, detail)
        payload = {"route_id": route.id, "name": route.name, "version": version.number, "action": str(version.action)}
        events.emit(session, self._clock, CHANGED, payload, route.project_id)


def _compile(route: Route) -> RoutePlan:
    return RoutePlan(route.id, route.project_id, route.name, route.version, route.plan)
