"""What one request is to try, in which order: the plan of its route, or just its model."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial

from plinth.gateway.dataplane.forward import Patience
from plinth.gateway.dataplane.guarded import PolicyOf
from plinth.gateway.dataplane.ports import PublicModel
from plinth.gateway.dataplane.resolve import find_model, is_retired
from plinth.gateway.dataplane.snapshot import Snapshot
from plinth.gateway.errors import ModelRetired
from plinth.gateway.model import ModelRequest
from plinth.gateway.routes import Cascade, Choice, RoutePlan, Sticky
from plinth.gateway.settings import GatewaySettings
from plinth.identity import Actor
from plinth.privacy import DEFAULT_POLICY, DataClass, Policy, policy_named
from plinth.registry import UnknownModel

# a model without a route: one more attempt when its engine was lost
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Step:
    """A target in the plan: the model and the name by which the plan calls it."""

    name: str
    model: PublicModel


def _built_in() -> Policy:
    return DEFAULT_POLICY


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` in the order they are tried, at most `attempts` in all. `cascade` is asked before them;
    `mirror` gets a copy; `hedge_seconds`: embeddings that take longer are asked elsewhere as well.
    `policy` says what of the request may leave the machine, `data_class` what it is declared to be."""

    steps: tuple[Step, ...]
    patience: Patience
    attempts: int = _ATTEMPTS
    route: str = ""
    cascade: tuple[Step, Cascade] | None = None
    mirror: Step | None = None
    hedge_seconds: float | None = None
    stay_on_machine: bool = False
    policy: PolicyOf = _built_in
    data_class: DataClass | None = None


class Planner:
    def __init__(self, settings: GatewaySettings) -> None:
        silence = settings.engine_silence_seconds
        self._patience = Patience(silence, silence)
        self._connect_seconds = settings.connect_timeout_seconds

    def plan(self, snapshot: Snapshot, actor: Actor, request: ModelRequest, conversation: str, now: float) -> Plan:
        """Raises `UnknownModel`, `ModelRetired`.

        Args:
            conversation: the client's name for the conversation, "" when it gave none.
            now: unix seconds.
        """
        route = snapshot.routes.get((actor.project_id, request.model))
        if route is None:
            step = Step(request.model, find_model(snapshot, actor, request.model, now))
            policy = partial(policy_named, snapshot.policies, actor.project_id, None)
            return Plan((step,), self._patience, policy=policy)
        sticky = conversation if route.sticky is Sticky.conversation else request.user
        return self._routed(snapshot, route, route.choose(now, sticky, random.random), now)

    def _routed(self, snapshot: Snapshot, route: RoutePlan, choice: Choice, now: float) -> Plan:
        def step(name: str) -> Step | None:
            model = snapshot.names.get((route.project_id, name))
            return None if model is None or is_retired(snapshot, model, now) else Step(name, model)

        steps = tuple(found for name in choice.targets if (found := step(name)) is not None)
        if not steps:
            # the route is right, what it points to is gone: say which, not that the route is unknown
            first = choice.targets[0]
            if (gone := snapshot.names.get((route.project_id, first))) is None:
                raise UnknownModel(id=first, param="model")
            raise ModelRetired(model=first, shutdown_date=is_retired(snapshot, gone, now), param="model")
        plan, cheap = route.plan, step(choice.cascade.first) if choice.cascade else None
        return Plan(
            steps=steps,
            patience=self._patience_of(route),
            attempts=1 + plan.retries,
            route=route.id,
            cascade=(cheap, choice.cascade) if cheap is not None and choice.cascade is not None else None,
            mirror=step(choice.mirror) if choice.mirror else None,
            hedge_seconds=plan.hedge_seconds,
            stay_on_machine=plan.stay_on_machine,
            policy=partial(policy_named, snapshot.policies, route.project_id, plan.privacy_policy),
            data_class=plan.data_class,
        )

    def _patience_of(self, route: RoutePlan) -> Patience:
        times, usual = route.plan.timeouts, self._patience
        return Patience(
            times.first_token or usual.first_token,
            times.between_tokens or usual.between_tokens,
            times.total or 0.0,
            times.connect or 0.0,
        )
