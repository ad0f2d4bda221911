"""The gateway's picture of keys, models and endpoints: immutable, in memory, swapped whole.

A thread watches the facts' position and rebuilds the picture when a relevant one appeared. While
the database is away the last good picture keeps serving. Nothing on the request path waits for it,
except requests that want news of a model (`changed`) or know a name that the picture does not (`look`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from plinth.gateway.costs import PriceTable
from plinth.gateway.dataplane.ports import Endpoint, Facts, FactSource, PublicModel
from plinth.gateway.limits import LimitTable
from plinth.gateway.routes import RoutePlan
from plinth.identity import Actor, KeyEntry
from plinth.privacy import Policy

log = logging.getLogger(__name__)

RELEVANT = (
    "identity.",
    "registry.",
    "serving.",
    "catalog.",
    "gateway.route.",
    "gateway.limit.",
    "gateway.model_permissions.",
    "gateway.budget.changed",
    "gateway.spend_limit.",
    "gateway.price.",
    "privacy.",
)


@dataclass(frozen=True, slots=True)
class Credential:
    """`digest` is the SHA-256 of the secret in hex; `expires_at` is unix seconds, None for never."""

    digest: str
    actor: Actor
    expires_at: float | None


@dataclass(frozen=True)
class Snapshot:
    """`keys` is keyed by digest, `names`, `routes` and (privacy) `policies` by (project id, name),
    `endpoints` by model id; `projects` maps active projects to organizations, `retired_at` base ids to unix seconds."""

    keys: Mapping[str, Credential] = field(default_factory=dict)
    projects: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[tuple[str, str], PublicModel] = field(default_factory=dict)
    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    retired_at: Mapping[str, float] = field(default_factory=dict)
    routes: Mapping[tuple[str, str], RoutePlan] = field(default_factory=dict)
    limits: LimitTable = field(default_factory=LimitTable)
    prices: PriceTable = field(default_factory=PriceTable)
    policies: Mapping[tuple[str, str], Policy] = field(default_factory=dict)


def build(facts: Facts) -> Snapshot:
    endpoints: dict[str, list[Endpoint]] = {}
    for endpoint in facts.endpoints:
        endpoints.setdefault(endpoint.model_id, []).append(endpoint)
    return Snapshot(
        keys={entry.digest: _credential(entry) for entry in facts.keys},
        projects=dict(facts.projects),
        names={(model.project_id, model.name): model for model in facts.models},
        endpoints={model_id: tuple(found) for model_id, found in endpoints.items()},
        retired_at={base_id: _midnight(day) for base_id, day in facts.retirements.items()},
        routes={(route.project_id, route.name): route for route in facts.routes},
        limits=facts.limits,
        prices=facts.prices,
        policies=facts.policies,
    )


def _credential(entry: KeyEntry) -> Credential:
    actor = Actor(entry.organization_id, entry.project_id, entry.key_id, entry.principal, entry.permissions)
    return Credential(entry.digest, actor, entry.expires_at)


def _midnight(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def _nothing(_: Snapshot) -> None:
    pass


class SnapshotKeeper:
    """Keeps `current` fresh. `start`, `changed` and `look` belong to the event loop's thread.

    Each new snapshot is given to `before` on the keeper's thread, before any request can see it, and
    to `after` on the event loop.
    """

    def __init__(
        self,
        source: FactSource,
        poll_seconds: float,
        before: Callable[[Snapshot], None] = _nothing,
        after: Callable[[Snapshot], None] = _nothing,
    ) -> None:
        self._source, self._poll_seconds = source, poll_seconds
        self._before, self._after = before, after
        self.current: Snapshot | None = None
        self.database_away = False
        # when the facts were last looked at with success, by the monotonic clock
        self.seen_at: float | None = None
        self._position = -1
        self._force = True
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Future[None] | None = None
        self._looking: deque[asyncio.Future[None]] = deque()

    def is_stale(self, limit_seconds: float) -> bool:
        """Whether the snapshot is too old to be relied on."""
        return self.database_away and time.monotonic() - (self.seen_at or 0.0) > limit_seconds

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="gateway-snapshot", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    async def changed(self, timeout_seconds: float) -> bool:
        """Wait for the next rebuilt snapshot; False when none came in time."""
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
        done, _ = await asyncio.wait({self._news}, timeout=timeout_seconds)
        return bool(done)

    async def look(self, timeout_seconds: float) -> None:
        """Wait until the facts were looked at once more: what was committed before this call is then in
        `current`. Returns at once while the database is away, and after `timeout_seconds` at the latest.
        Causes no look of its own, so that strangers with invented names cost the database nothing."""
        if self.database_away:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._looking.append(waiter)
        await asyncio.wait({waiter}, timeout=timeout_seconds)

    def refresh(self) -> bool:
        """Look once; True when a new snapshot was built. Raises what the source raises."""
        position = self._source.position()
        if not self._force and position == self._position:
            return False
        relevant = self._force or any(
            kind.startswith(RELEVANT) for kind in self._source.kinds(self._position, position)
        )
        if relevant:
            snapshot = build(self._source.load())
            self._before(snapshot)
            self.current = snapshot
            self._force = False
        self._position = position
        return relevant

    def _run(self) -> None:
        while not self._stop.is_set():
            waiters = [self._looking.popleft() for _ in range(len(self._looking))]
            try:
                rebuilt = self.refresh()
            except Exception:  # any outage or bad fact: the last good snapshot keeps serving
                if not self.database_away:
                    log.exception("the snapshot cannot be refreshed; serving the last good one")
                self.database_away, self._force, rebuilt = True, True, False
            else:
                if self.database_away:
                    log.warning("the snapshot is fresh again")
                self.database_away, self.seen_at = False, time.monotonic()
            if rebuilt or waiters:
                self._announce(rebuilt, waiters)
            self._wake.wait(self._poll_seconds)

    def _announce(self, rebuilt: bool, waiters: list[asyncio.Future[None]]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._tell, rebuilt, waiters)
        except RuntimeError:  # the loop was closed while this thread was reading
            self._stop.set()

    def _tell(self, rebuilt: bool, waiters: list[asyncio.Future[None]]) -> None:
        if rebuilt:
            if self.current is not None:
                self._after(self.current)
            if self._news is not None and not self._news.done():
                self._news.set_result(None)
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
