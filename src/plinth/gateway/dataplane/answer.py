"""Answer one model call: read, parse, plan, deliver, account."""

from __future__ import annotations

from dataclasses import dataclass

from plinth.gateway.dataplane.authenticate import require
from plinth.gateway.dataplane.call import Call
from plinth.gateway.dataplane.deliver import Delivery
from plinth.gateway.dataplane.forward import Forwarder
from plinth.gateway.dataplane.journal import UsageJournal
from plinth.gateway.dataplane.meter import Meter
from plinth.gateway.dataplane.metrics import Metrics
from plinth.gateway.dataplane.parse import parse
from plinth.gateway.dataplane.plan import Planner
from plinth.gateway.dataplane.resolve import Resolver
from plinth.gateway.dataplane.snapshot import Snapshot
from plinth.gateway.errors import ClientGone
from plinth.gateway.model import Operation, UsageRecord
from plinth.gateway.settings import GatewaySettings
from plinth.identity import Actor
from plinth.kit.clock import Clock
from plinth.kit.errors import PlinthError


@dataclass(frozen=True)
class Stages:
    """The parts that take turns in answering."""

    settings: GatewaySettings
    clock: Clock
    planner: Planner
    resolver: Resolver
    forwarder: Forwarder
    journal: UsageJournal
    metrics: Metrics

    async def account(self, record: UsageRecord) -> None:
        self.metrics.finished(record)
        await self.journal.add(record)


async def answer(stages: Stages, call: Call, operation: Operation, snapshot: Snapshot, actor: Actor) -> None:
    """Answer the call and record what it used, however it ends. Raises `PlinthError` for the
    caller to tell the client, `ClientGone` when there is nobody left to tell."""
    meter = Meter(stages.clock, actor, operation, call.request_id)
    stages.metrics.in_flight += 1
    try:
        require(actor, "models:use")
        body = await call.body(stages.settings.max_body_bytes, stages.settings.body_timeout_seconds)
        request = parse(operation, body, stages.settings.max_json_depth)
        meter.model, meter.end_user, meter.streamed = request.model, request.user, request.stream
        plan = stages.planner.plan(snapshot, actor, request, stages.clock.unix())
        meter.route = plan.route
        meter.resolved(plan.targets[0])
        async with call.watched():
            await Delivery(stages, call, request, plan, meter).run()
        meter.status = 200
    except ClientGone:
        meter.status = 499
        raise
    except PlinthError as error:
        meter.status, meter.error_code = error.status, error.code
        raise
    finally:
        stages.metrics.in_flight -= 1
        await stages.account(meter.record())
