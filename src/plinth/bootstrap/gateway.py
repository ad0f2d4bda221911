"""The gateway's parts: routes, limits, costs, webhooks, and the data plane over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING

from plinth.bootstrap.platform import Platform
from plinth.kit.db import Session

if TYPE_CHECKING:
    from plinth.gateway.costs import Bookkeeper, CostReports, CostService, Currencies, Spending
    from plinth.gateway.dataplane.asgi import GatewayPorts
    from plinth.gateway.limits.service import LimitService
    from plinth.gateway.responses import BackgroundRunner, ChatStream, ResponsesService
    from plinth.gateway.routes import RouteService
    from plinth.gateway.webhooks import WebhookService
    from plinth.gateway.webhooks.jobs import DeliveryLoop
    from plinth.kit.journal import Mover


@cache
def parts_of(platform: Platform) -> GatewayParts:
    return GatewayParts(platform)


class GatewayParts:
    """Built once for each process, on first use, like the platform it belongs to."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @cached_property
    def routes(self) -> RouteService:
        from plinth.gateway.routes import RouteService, known_by

        platform = self._platform
        return RouteService(platform.clock, known_by(platform.registry.resolve), platform.identity.audit)

    # money

    @cached_property
    def currencies(self) -> Currencies:
        from plinth.gateway.costs import Currencies

        chosen = self._platform.settings.costs
        return Currencies(chosen.currency, chosen.exchange_rates)

    @cached_property
    def costs(self) -> CostService:
        from plinth.gateway.costs import CostService

        return CostService(self._platform.clock, self._platform.identity.audit, self.currencies)

    @cached_property
    def bookkeeper(self) -> Bookkeeper:
        from plinth.gateway.costs import Bookkeeper

        grace = self._platform.settings.costs.settle_grace_seconds
        return Bookkeeper(self._platform.db, self._platform.clock, grace)

    @cached_property
    def cost_reports(self) -> CostReports:
        from plinth.gateway.costs import CostReports

        return CostReports(self._platform.db, self._platform.clock, self.bookkeeper)

    def spending(self) -> Spending:
        """One for each thread that asks."""
        from plinth.gateway.costs import Spending

        return Spending(self._platform.clock, self.currencies)

    # limits

    @cached_property
    def limits(self) -> LimitService:
        from plinth.gateway.limits.service import LimitPorts, LimitService
        from plinth.gateway.limits.subjects import IdentitySubjects

        platform = self._platform
        return LimitService(
            LimitPorts(
                clock=platform.clock,
                subjects=IdentitySubjects(platform.identity),
                models=self._names,
                spending=self.spending(),
                audit=platform.identity.audit,
                currency=self.currencies.base,
            )
        )

    def _names(self, session: Session, project_id: str) -> Sequence[str]:
        models = [model.name for model in self._platform.registry.models(session, project_id)]
        routes = [plan.name for plan in self.routes.snapshot(session) if plan.project_id == project_id]
        return sorted({*models, *routes})

    # webhooks

    @cached_property
    def webhooks(self) -> WebhookService:
        from plinth.adapters.webhooks.http import HttpSender
        from plinth.gateway.webhooks import WebhookService, address_policy

        platform, chosen = self._platform, self._platform.settings.webhooks
        sender = HttpSender(address_policy(chosen), chosen.timeout_seconds, chosen.ca_file)
        return WebhookService(platform.clock, platform.key, chosen, sender, platform.identity.audit)

    @cached_property
    def webhook_loop(self) -> DeliveryLoop:
        from plinth.gateway.webhooks.jobs import DeliveryLoop

        webhooks, chosen = self.webhooks, self._platform.settings.webhooks
        return DeliveryLoop(self._platform.db, webhooks.deliveries, webhooks.sender, chosen.concurrency)

    # responses

    @cached_property
    def responses(self) -> ResponsesService:
        from plinth.gateway.responses import ConversationService, ResponsesService

        platform = self._platform
        conversations = ConversationService(platform.clock, platform.identity.audit)
        return ResponsesService(platform.clock, platform.settings.responses, platform.identity.audit, conversations)

    @cached_property
    def chat_stream(self) -> ChatStream:
        from plinth.adapters.chat_streams.http import HttpChatStream

        platform = self._platform
        seconds = platform.settings.responses.request_timeout_seconds
        return HttpChatStream(platform.public_address, platform.token_of, seconds)

    @cached_property
    def responses_runner(self) -> BackgroundRunner:
        from plinth.gateway.responses import BackgroundRunner

        platform = self._platform
        return BackgroundRunner(
            platform.db, platform.clock, self.responses, self.chat_stream, platform.settings.responses
        )

    # the data plane

    def ports(self, worker: int) -> GatewayPorts:
        """Everything one gateway process is given. `worker` counts them from 0."""
        from plinth.gateway import DatabaseFacts
        from plinth.gateway.dataplane.asgi import GatewayPorts
        from plinth.gateway.limits import Limiter, open_counters
        from plinth.gateway.limits.keeper import BOOKING_LAG_SECONDS, BudgetKeeper
        from plinth.serving import translate

        platform = self._platform
        facts = DatabaseFacts(
            db=platform.db,
            keys=platform.identity.key_snapshot,
            projects=platform.identity.active_projects,
            models=platform.registry.snapshot,
            endpoints=platform.serving.endpoints,
            retirements=self._retirements,
            routes=self.routes.snapshot,
            limits=self.limits.snapshot,
            prices=self.costs.snapshot,
        )
        workers = platform.settings.gateway.workers
        limiter = Limiter(open_counters(platform.home.counters, workers), platform.clock)
        return GatewayPorts(
            settings=platform.settings.gateway,
            clock=platform.clock,
            facts=facts,
            tokens=platform.identity.tokens,
            wanted=self._wanted,
            translate=translate,
            limiter=limiter,
            api_socket=platform.home.api_socket,
            journal=platform.home.journal,
            budgets=BudgetKeeper(platform.db, self.spending(), limiter, platform.clock, BOOKING_LAG_SECONDS),
            worker=str(worker),
        )

    @cached_property
    def movers(self) -> list[Mover]:
        """What takes the gateways' journals of this machine into the database."""
        from plinth.gateway import UsageTable
        from plinth.gateway.dataplane.journal import usage_mover

        return [usage_mover(self._platform.home.journal, UsageTable(self._platform.db))]

    def _retirements(self, session: Session) -> Mapping[str, str]:
        platform, dates = self._platform, {}
        for project in platform.identity.active_projects(session):
            for base in platform.catalog.list(session, project):
                if base.shutdown_date:
                    dates[base.id] = base.shutdown_date
        return dates

    def _wanted(self, project_id: str, model_id: str) -> None:
        with self._platform.db.write() as session:
            self._platform.serving.ensure(session, project_id, model_id)
