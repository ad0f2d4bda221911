"""The parts that take turns in answering, made once for a process."""

from __future__ import annotations

from dataclasses import dataclass

from plinth.gateway.dataplane.breaker import Breakers
from plinth.gateway.dataplane.forward import Forwarder
from plinth.gateway.dataplane.journal import CompletionJournal, UsageJournal
from plinth.gateway.dataplane.metrics import Metrics
from plinth.gateway.dataplane.mirrors import Mirrors
from plinth.gateway.dataplane.plan import Planner
from plinth.gateway.dataplane.requestlog import RequestLog
from plinth.gateway.dataplane.resolve import Resolver
from plinth.gateway.dataplane.retries import Retries
from plinth.gateway.dataplane.spans import Tracer
from plinth.gateway.dataplane.turnstile import Turnstiles
from plinth.gateway.limits import Limiter
from plinth.gateway.model import UsageRecord
from plinth.gateway.settings import GatewaySettings
from plinth.kit.clock import Clock
from plinth.privacy import PrivacyGuard


@dataclass(frozen=True)
class Stages:
    """The parts that take turns in answering."""

    settings: GatewaySettings
    clock: Clock
    planner: Planner
    limiter: Limiter
    turnstiles: Turnstiles
    breakers: Breakers
    retries: Retries
    guard: PrivacyGuard
    resolver: Resolver
    forwarder: Forwarder
    journal: UsageJournal
    completions: CompletionJournal
    mirrors: Mirrors
    metrics: Metrics
    tracer: Tracer
    request_log: RequestLog | None

    async def account(self, record: UsageRecord) -> None:
        self.metrics.finished(record)
        if self.request_log is not None:
            self.request_log.add(record)
        await self.journal.add(record)
