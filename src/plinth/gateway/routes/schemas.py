"""Wire types of routes. A typing mistake in a plan is refused: an ignored field would route in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, ValidationError

from plinth.gateway.routes.errors import BadRoutePlan
from plinth.gateway.routes.model import Plan, Route, RouteVersion, Signal, Sticky, document_of, plan_of
from plinth.kit.http import Wire
from plinth.privacy import DataClass

Model = Annotated[str, Field(min_length=1, max_length=255, description="a base model, a version, or an alias")]
Version = Annotated[int, Field(ge=0, lt=1 << 31)]
Expected = Annotated[
    Version | None, Field(description="answer 409 unless the route is at this version; 0: unless there is none yet")
]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Percent = Annotated[float, Field(description="0 to 100")]


class Strict(Wire):
    model_config = ConfigDict(extra="forbid")


class TargetBody(Strict):
    model: Model
    weight: float = Field(default=1.0, description="a share relative to the other weights, above 0")


class CanaryBody(Strict):
    model: Model
    percent: Percent
    sticky: Sticky = Field(default=Sticky.none, description="by what a request stays on its side")


class MirrorBody(Strict):
    model: Model
    percent: Percent


class CascadeBody(Strict):
    first: Model
    threshold: float = Field(description="confidence below which the request goes on to the targets, above 0, up to 1")
    signal: Signal = Signal.mean_token_probability


class WindowBody(Strict):
    """Other targets at some hours of the week; the first open window counts."""

    targets: list[TargetBody]
    days: list[Day] = Field(default_factory=lambda: list(get_args(Day)))
    start: str = Field(default="00:00", max_length=5, description="local time, HH:MM")
    end: str = Field(
        default="24:00", max_length=5, description="exclusive; before `start` it means the next day's time"
    )
    timezone: str = Field(default="UTC", max_length=64, description="an IANA name, such as Asia/Shanghai")


class TimeoutsBody(Strict):
    """Seconds; null leaves it to the server's settings."""

    connect: float | None = None
    first_token: float | None = None
    between_tokens: float | None = None
    total: float | None = None


class PlanBody(Strict):
    targets: list[TargetBody]
    fallbacks: list[Model] = Field(default_factory=list)
    canary: CanaryBody | None = None
    mirror: MirrorBody | None = None
    cascade: CascadeBody | None = None
    schedule: list[WindowBody] = Field(default_factory=list)
    timeouts: TimeoutsBody = TimeoutsBody()
    retries: int = Field(default=2, description="attempts after the first one, 0 to 10")
    concurrency: int | None = Field(default=None, description="requests at once in each gateway process")
    queue: int = Field(default=100, description="how many more may wait")
    queue_seconds: float = Field(default=30.0, description="how long they wait at most")
    hedge_seconds: float | None = Field(
        default=None, description="embeddings that take longer are asked of a second target as well"
    )
    stay_on_machine: bool = Field(default=False, description="never use a target outside this machine")
    privacy_policy: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="what may leave to targets outside this machine; null: the project's `default`"
    )
    data_class: DataClass | None = Field(default=None, description="what the requests are declared to be")

    def plan(self) -> Plan:
        return plan_of({name: value for name, value in self.model_dump().items() if name in PlanBody.model_fields})


class RouteRequest(PlanBody):
    expected_version: Expected = None


class CanaryPatch(Strict):
    model: Model | None = None
    percent: Percent | None = None
    sticky: Sticky | None = None


class MirrorPatch(Strict):
    model: Model | None = None
    percent: Percent | None = None


class CascadePatch(Strict):
    first: Model | None = None
    threshold: float | None = None
    signal: Signal | None = None


class RoutePatch(Strict):
    """A JSON merge patch (RFC 7396) of the plan: what is named changes, lists are replaced as a
    whole, null removes."""

    targets: list[TargetBody] | None = None
    fallbacks: list[Model] | None = None
    canary: CanaryPatch | None = None
    mirror: MirrorPatch | None = None
    cascade: CascadePatch | None = None
    schedule: list[WindowBody] | None = None
    timeouts: TimeoutsBody | None = None
    retries: int | None = None
    concurrency: int | None = None
    queue: int | None = None
    queue_seconds: float | None = None
    hedge_seconds: float | None = None
    stay_on_machine: bool | None = None
    privacy_policy: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    data_class: DataClass | None = None
    expected_version: Expected = None

    def apply(self, plan: Plan) -> Plan:
        """Raises `BadRoutePlan` when something that has no default was removed or left out."""
        patch = self.model_dump(mode="json", exclude_unset=True, exclude={"expected_version"})
        return read_plan(merged(document_of(plan), patch))


class RollbackRequest(Strict):
    version: Version | None = Field(default=None, description="default: the one before the current one")
    expected_version: Expected = None


class RouteObject(PlanBody):
    id: str
    object: Literal["route"] = "route"
    name: str
    version: int
    created_at: int
    updated_at: int
    missing_models: list[str] | None = Field(
        default=None, description="models of the plan that are gone; only when one route is retrieved"
    )

    @classmethod
    def of(cls, route: Route, missing_models: list[str] | None = None) -> RouteObject:
        return cls(
            id=route.id,
            name=route.name,
            version=route.version,
            created_at=int(route.created_at),
            updated_at=int(route.updated_at),
            missing_models=missing_models,
            **document_of(route.plan),
        )


class RouteVersionObject(Wire):
    id: str
    object: Literal["route.version"] = "route.version"
    version: int
    action: str = Field(description="`created`, `changed`, `rolled_back` or `deleted`")
    restored_version: int | None = Field(description="what a rollback went back to")
    changed_by: str
    created_at: int
    plan: PlanBody | None = Field(description="null where the route was deleted")

    @classmethod
    def of(cls, version: RouteVersion) -> RouteVersionObject:
        return cls(
            id=version.id,
            version=version.number,
            action=version.action,
            restored_version=version.restored,
            changed_by=version.principal,
            created_at=int(version.created_at),
            plan=PlanBody.model_validate(document_of(version.plan)) if version.plan else None,
        )


def read_plan(document: Any) -> Plan:
    """A plan from JSON of any shape. Raises `BadRoutePlan`, which names the field."""
    try:
        return PlanBody.model_validate(document).plan()
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "plan"
        raise BadRoutePlan(field=field, problem=first["msg"], param=field) from None


def merged(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396, for objects."""
    result = dict(document)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            known = result.get(name)
            result[name] = merged(known if isinstance(known, dict) else {}, value)
        else:
            result[name] = value
    return result
