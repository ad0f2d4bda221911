"""What the gateway needs from the rest of the platform, and in-memory twins for tests.

The shapes are structural: identity's key entries, the registry's public models and serving's
endpoints fit as they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from plinth.gateway.costs import PriceTable
from plinth.gateway.limits import LimitTable
from plinth.gateway.model import UsageRecord
from plinth.gateway.routes import RoutePlan
from plinth.identity import Actor, KeyEntry
from plinth.privacy import Policy


class PublicModel(Protocol):
    """In `project_id`, `name` means the model `id`."""

    @property
    def project_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def base_id(self) -> str: ...


class Endpoint(Protocol):
    """Where a model answers. Exactly one of `socket_path` and `url` (with its `/v1`) is set once it
    is ready. `state` is `ready`, `failed` (then `reason` says why), or anything else: not yet.

    `capabilities` holds `stream` for models that generate and `embed` for models that embed; empty
    means not known. `adapter`, `adapters` and `target` are for `Translate`.
    """

    @property
    def model_id(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def socket_path(self) -> str | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def key(self) -> str | None: ...
    @property
    def adapter(self) -> str | None: ...
    @property
    def adapters(self) -> Sequence[str]: ...
    @property
    def target(self) -> str | None: ...
    @property
    def engine(self) -> str: ...
    @property
    def egress(self) -> bool: ...
    @property
    def capabilities(self) -> frozenset[str]: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str | None: ...


@dataclass(frozen=True)
class Facts:
    """Everything the snapshot is made of. `retirements` maps a base model's id to its
    `shutdown_date` (YYYY-MM-DD); `projects` maps active projects to their organizations; `limits`
    and `prices` are the tables that the limiter and the price list make for the hot path; `policies`
    are the privacy policies by (project id, name)."""

    keys: Iterable[KeyEntry] = ()
    projects: Mapping[str, str] = field(default_factory=dict)
    models: Iterable[PublicModel] = ()
    endpoints: Iterable[Endpoint] = ()
    retirements: Mapping[str, str] = field(default_factory=dict)
    routes: Iterable[RoutePlan] = ()
    limits: LimitTable = field(default_factory=LimitTable)
    prices: PriceTable = field(default_factory=PriceTable)
    policies: Mapping[tuple[str, str], Policy] = field(default_factory=dict)


class FactSource(Protocol):
    """Called from the snapshot thread only; may raise when the database is away."""

    def position(self) -> int:
        """A number that grows with every fact."""
        ...

    def kinds(self, after: int, up_to: int) -> set[str]:
        """The kinds of the facts with `after < position <= up_to`."""
        ...

    def load(self) -> Facts: ...


class UsageStore(Protocol):
    """Where usage records end up; adding a record twice (same id) keeps one."""

    def add(self, records: list[UsageRecord]) -> None: ...


class Tokens(Protocol):
    """Identity's internal tokens `sk-int-…`."""

    def actor(self, token: str, now: float, active_projects: Mapping[str, str]) -> Actor:
        """The caller behind a token. Raises `Unauthenticated`, also for projects that are not active."""
        ...


Wanted = Callable[[str, str], None]
"""`wanted(project_id, model_id)`: ask for a model to be started. Blocking, repeatable."""

Translate = Callable[[dict[str, Any], Endpoint], dict[str, Any]]
"""An OpenAI request body as the endpoint's engine wants it (its model name, its adapter choice)."""


@dataclass(frozen=True)
class MemoryModel:
    project_id: str
    name: str
    id: str
    base_id: str = "base"


@dataclass(frozen=True)
class MemoryEndpoint:
    model_id: str
    group: str = "group"
    socket_path: str | None = None
    url: str | None = None
    key: str | None = None
    adapter: str | None = None
    adapters: tuple[str, ...] = ()
    target: str | None = None
    engine: str = "twin"
    egress: bool = False
    capabilities: frozenset[str] = frozenset()
    state: str = "ready"
    reason: str | None = None


class InMemoryFacts:
    """The twin of the database: `change("serving.endpoints.changed", endpoints=[…])`; while `away`
    is true every call raises."""

    def __init__(self, facts: Facts | None = None) -> None:
        self._facts, self._kinds, self.away = facts or Facts(), ["start"], False
        self.loads = 0
        self._lock = threading.Lock()

    def change(self, kind: str, **parts: Any) -> None:
        with self._lock:
            self._facts = Facts(**{**vars(self._facts), **parts})
            self._kinds.append(kind)

    def position(self) -> int:
        self._check()
        return len(self._kinds)

    def kinds(self, after: int, up_to: int) -> set[str]:
        self._check()
        return set(self._kinds[after:up_to])

    def load(self) -> Facts:
        self._check()
        self.loads += 1
        return self._facts

    def _check(self) -> None:
        if self.away:
            raise ConnectionError("the database is away")


class InMemoryUsage:
    """The twin of the usage table; while `away` is true every call raises."""

    def __init__(self) -> None:
        self.records: dict[str, UsageRecord] = {}
        self.away = False

    def add(self, records: list[UsageRecord]) -> None:
        if self.away:
            raise ConnectionError("the database is away")
        self.records.update({record.id: record for record in records})
