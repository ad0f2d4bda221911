"""The snapshot's source on the platform's database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from plinth.gateway.costs import PriceTable
from plinth.gateway.dataplane.ports import Endpoint, Facts, PublicModel
from plinth.gateway.limits import LimitTable
from plinth.gateway.routes import RoutePlan
from plinth.identity import KeyEntry
from plinth.kit import events
from plinth.kit.db import Database, Session
from plinth.privacy import Policy


@dataclass(frozen=True)
class DatabaseFacts:
    """Args: each callable reads one part of the picture; all run in one consistent read.

    `keys`: identity's `key_snapshot`; `projects`: identity's `active_projects`; `models`: the
    registry's `snapshot`; `endpoints`: serving's `endpoints`; `retirements`: base model id ->
    `shutdown_date` (YYYY-MM-DD) of every base that has one; `routes`, `limits`, `prices`,
    `policies`: the snapshots of those parts.
    """

    db: Database
    keys: Callable[[Session], Iterable[KeyEntry]]
    projects: Callable[[Session], Mapping[str, str]]
    models: Callable[[Session], Iterable[PublicModel]]
    endpoints: Callable[[Session], Iterable[Endpoint]]
    retirements: Callable[[Session], Mapping[str, str]]
    routes: Callable[[Session], Iterable[RoutePlan]]
    limits: Callable[[Session], LimitTable]
    prices: Callable[[Session], PriceTable]
    policies: Callable[[Session], Mapping[tuple[str, str], Policy]]

    def position(self) -> int:
        return events.position(self.db)

    def kinds(self, after: int, up_to: int) -> set[str]:
        with self.db.read() as session:
            return events.kinds_between(session, after, up_to)

    def load(self) -> Facts:
        with self.db.read() as session:
            return Facts(
                keys=list(self.keys(session)),
                projects=self.projects(session),
                models=list(self.models(session)),
                endpoints=list(self.endpoints(session)),
                retirements=self.retirements(session),
                routes=list(self.routes(session)),
                limits=self.limits(session),
                prices=self.prices(session),
                policies=self.policies(session),
            )
