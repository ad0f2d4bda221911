"""The gateway's parts: routes, limits, costs, webhooks, and the data plane over them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache, cached_property
from typing import TYPE_CHECKING

from plinth.bootstrap.platform import Platform
from plinth.gateway.routes import UnknownRoute
from plinth.kit.db import Session
from plinth.kit.errors import MissingExtra, NotFound

if TYPE_CHECKING:
    from plinth.evaluation import Completer
    from plinth.gateway.batches import BatchRunner, BatchService, Caller, InputChecker, NewOutput
    from plinth.gateway.completions import StoredCompletions
    from plinth.gateway.costs import Bookkeeper, CostReports, CostService, Currencies, Spending
    from plinth.gateway.dataplane.asgi import GatewayPorts
    from plinth.gateway.dataplane.spans import Spans
    from plinth.gateway.decisions import Asker, CalibrationRunner, CalibrationService, DecisionService
    from plinth.gateway.limits.service import LimitService
    from plinth.gateway.moderations import ModerationService
    from plinth.gateway.responses import BackgroundRunner, ChatStream, ResponsesService
    from plinth.gateway.routes import RouteService
    from plinth.gateway.webhooks import WebhookService
    from plinth.gateway.webhooks.jobs import DeliveryLoop
    from plinth.kit.journal import Mover
    from plinth.privacy import PrivacyGuard, PrivacyService

log = logging.getLogger(__name__)


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
        return RouteService(
            platform.clock, known_by(platform.registry.resolve), platform.identity.audit, self._has_policy
        )

    def _has_policy(self, session: Session, project_id: str, name: str) -> bool:
        return any(stored.policy.name == name for stored in self.privacy.policies(session, project_id))

    # what may leave the machine

    @cached_property
    def guard(self) -> PrivacyGuard:
        from plinth.adapters.detectors import detectors
        from plinth.privacy import PrivacyGuard

        chosen = self._platform.settings.privacy
        return PrivacyGuard(detectors(chosen.detector), chosen, self._platform.clock)

    @cached_property
    def privacy(self) -> PrivacyService:
        from plinth.privacy import PrivacyService

        platform = self._platform
        return PrivacyService(platform.clock, self.guard, platform.identity.audit, self._policy_user)

    def _policy_user(self, session: Session, project_id: str, name: str) -> str | None:
        return self.routes.policy_user(session, project_id, name)

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
        routed = self.routes.names(session, project_id)
        return sorted({model.name for model in self._platform.registry.models(session, project_id)} | routed.keys())

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

    # batches, stored completions, moderations

    @cached_property
    def batches(self) -> BatchService:
        from plinth.gateway.batches import BatchService

        platform = self._platform
        return BatchService(platform.clock, platform.data, platform.identity.audit, platform.settings.batches)

    @cached_property
    def batch_checker(self) -> InputChecker:
        from plinth.gateway.batches import InputChecker

        platform = self._platform
        return InputChecker(platform.db, platform.clock, platform.blobs, platform.settings.batches)

    @cached_property
    def batch_runner(self) -> BatchRunner:
        from plinth.gateway.batches import BatchParts, BatchRunner

        platform = self._platform
        return BatchRunner(
            BatchParts(
                platform.db,
                platform.clock,
                platform.blobs,
                self._caller,
                self._keep_output,
                platform.home.batches,
                platform.settings.batches,
            )
        )

    def _caller(self) -> AbstractAsyncContextManager[Caller]:
        from plinth.adapters.callers.http import HttpCaller, Wait

        platform = self._platform
        wait = Wait(platform.settings.batches.request_timeout_seconds)
        return HttpCaller(
            platform.public_address, lambda call: platform.token_of(call.project_id, call.key_id, call.principal), wait
        )

    def _keep_output(self, session: Session, new: NewOutput) -> str:
        from plinth.data import NewFile

        file = NewFile(new.filename, "batch_output", new.lives_seconds)
        return self._platform.data.files.add(session, new.project_id, new.blob, file).id

    @cached_property
    def completions(self) -> StoredCompletions:
        from plinth.gateway.completions import StoredCompletions

        platform = self._platform
        return StoredCompletions(platform.db, platform.clock, platform.identity.audit, platform.settings.completions)

    @cached_property
    def moderations(self) -> ModerationService:
        from plinth.adapters.completers.http import HttpCompleter, Policy
        from plinth.gateway.moderations import ModerationService

        platform, chosen = self._platform, self._platform.settings.moderations
        # somebody waits for the answer: two tries, not the two minutes of an evaluation
        policy = Policy(chosen.concurrency, 2, 60.0)
        completer = HttpCompleter(platform.public_address, platform.token_of, platform.clock, policy)
        return ModerationService(completer, chosen)

    # decisions

    @cached_property
    def decisions(self) -> DecisionService:
        from plinth.gateway.decisions import DecisionService

        return DecisionService(self._asker(2), self._target, self._platform.settings.decisions)

    @cached_property
    def calibrations(self) -> CalibrationService:
        from plinth.gateway.decisions import CalibrationService

        platform = self._platform
        return CalibrationService(platform.clock, self._target, platform.identity.audit, platform.settings.decisions)

    @cached_property
    def calibration_runner(self) -> CalibrationRunner:
        from plinth.gateway.decisions import CalibrationRunner

        platform = self._platform
        return CalibrationRunner(platform.db, platform.clock, self._asker(6), self._target, platform.settings.decisions)

    def _asker(self, attempts: int) -> Asker:
        """The public port in somebody's name; one pool of connections for all of them."""
        import httpx

        from plinth.adapters.completers.http import HttpCompleter, Policy

        platform, chosen = self._platform, self._platform.settings.decisions
        policy = Policy(chosen.concurrency, attempts, chosen.timeout_seconds)
        pool = httpx.HTTPTransport(trust_env=False, limits=httpx.Limits(max_connections=256))

        def ask(key_id: str, principal: str) -> Completer:
            def token(project_id: str) -> str:
                return platform.token_of(project_id, key_id, principal)

            return HttpCompleter(platform.public_address, token, platform.clock, policy, pool)

        return ask

    def _target(self, session: Session, project_id: str, name: str) -> str | None:
        """What a name means now, in a text that changes with it, also when an alias behind a route moves."""
        resolve = self._platform.registry.resolve
        try:
            try:
                route = self.routes.route(session, project_id, name)
            except UnknownRoute:
                return resolve(session, project_id, name).id
            models = [resolve(session, project_id, model).id for _, model in route.plan.models()]
        except NotFound:
            return None
        digest = hashlib.sha256("\n".join(models).encode()).hexdigest()[:16]
        return f"route:{route.id}@{route.version}:{digest}"

    # the data plane

    def ports(self, worker: int) -> GatewayPorts:
        """Everything one gateway process is given. `worker` counts them from 0."""
        from plinth.gateway import DatabaseFacts
        from plinth.gateway.dataplane.asgi import GatewayPorts, TelemetryPorts
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
            policies=self.privacy.snapshot,
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
            guard=self.guard,
            api_socket=platform.home.api_socket,
            journal=platform.home.journal,
            budgets=BudgetKeeper(platform.db, self.spending(), limiter, platform.clock, BOOKING_LAG_SECONDS),
            worker=str(worker),
            telemetry=TelemetryPorts(
                spans=self._spans(worker),
                logs=platform.home.logs,
                pages=platform.home.run if workers > 1 else None,
                pseudonym_key=platform.key.sign("pseudonyms", "gateway.telemetry").encode(),
            ),
        )

    def _spans(self, worker: int) -> Spans:
        """None are sent where the extra is missing: that must not take the public port down."""
        from plinth.adapters.telemetry.otel import OtlpSpans
        from plinth.gateway.dataplane.spans import NoSpans

        endpoint = self._platform.settings.gateway.otlp_endpoint
        try:
            return OtlpSpans(endpoint, str(worker)) if endpoint else NoSpans()
        except MissingExtra as error:
            log.error("no spans are sent to gateway.otlp_endpoint", extra={"reason": error.message})
            return NoSpans()

    @cached_property
    def movers(self) -> list[Mover]:
        """What takes the gateways' journals of this machine into the database."""
        from plinth.gateway import UsageTable
        from plinth.gateway.dataplane.journal import completion_mover, usage_mover

        folder = self._platform.home.journal
        return [usage_mover(folder, UsageTable(self._platform.db)), completion_mover(folder, self.completions)]

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
