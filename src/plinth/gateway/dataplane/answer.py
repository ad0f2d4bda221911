"""Answer one model call: read, parse, plan, admit, deliver, account."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from plinth.gateway.completions import CompletionRecord
from plinth.gateway.dataplane.authenticate import require
from plinth.gateway.dataplane.call import Call
from plinth.gateway.dataplane.deliver import Delivery
from plinth.gateway.dataplane.meter import BATCH, Meter
from plinth.gateway.dataplane.parse import parse
from plinth.gateway.dataplane.plan import Plan, Step
from plinth.gateway.dataplane.snapshot import Snapshot
from plinth.gateway.dataplane.stages import Stages
from plinth.gateway.dataplane.turnstile import Priority
from plinth.gateway.errors import ClientGone
from plinth.gateway.limits import Permit
from plinth.gateway.model import ModelRequest, Operation
from plinth.identity import Actor
from plinth.kit.errors import PlinthError
from plinth.kit.ids import new_id
from plinth.registry import UnknownModel

PRIORITY = b"x-plinth-priority"
CONVERSATION = b"x-plinth-conversation"
# a guess that is corrected when the answer is there: most text has about this many bytes a token
_BYTES_PER_TOKEN = 4


async def answer(stages: Stages, call: Call, operation: Operation, snapshot: Snapshot, actor: Actor) -> None:
    """Answer the call and record what it used, however it ends. Raises `PlinthError` for the
    caller to tell the client, `ClientGone` when there is nobody left to tell."""
    meter = Meter(stages.clock, actor, operation, call.request_id)
    meter.prices = snapshot.prices.of(actor.organization_id)
    meter.trace = stages.tracer.begin(call.headers)
    stages.metrics.in_flight += 1
    answering = _Answering(stages, call, snapshot, actor, meter)
    status, code = 500, ""
    try:
        await answering.run(operation)
    except ClientGone:
        status = 499
        raise
    except PlinthError as error:
        status, code = error.status, error.code
        raise
    finally:
        stages.metrics.in_flight -= 1
        await answering.book(status, code)


class _Answering:
    def __init__(self, stages: Stages, call: Call, snapshot: Snapshot, actor: Actor, meter: Meter) -> None:
        self._stages, self._call, self._snapshot, self._actor = stages, call, snapshot, actor
        self._meter = meter
        self._permit: Permit | None = None
        self._booked = False

    async def book(self, status: int, code: str = "") -> None:
        """Record the call, once. A good one is recorded before its last byte is sent: a process that is
        killed between the two has then billed an answer too many at worst, and lost none."""
        if self._booked:
            return
        self._booked = True
        self._meter.status, self._meter.error_code = status, code
        record = self._meter.record()
        if self._permit is not None:
            self._permit.settle(record.prompt_tokens + record.completion_tokens, record.cost_nanos or 0)
        await self._stages.account(record)

    async def run(self, operation: Operation) -> None:
        settings, call, meter = self._stages.settings, self._call, self._meter
        require(self._actor, "models:use")
        body = await call.body(settings.max_body_bytes, settings.body_timeout_seconds)
        request = parse(operation, body, settings.max_json_depth)
        meter.model, meter.end_user, meter.streamed = request.model, request.user, request.stream
        if meter.trace is not None:
            meter.trace.asked(request)
        if call.headers.get(PRIORITY) == b"batch":
            meter.priority = BATCH
        plan = await self._plan(request)
        self._permit = self._admit(request, plan, len(body))
        async with call.watched():
            delivery = await self._deliver(request, plan)
        if request.store and delivery.answer is not None:
            self._keep(request, body, delivery.answer, request.metadata)
        if plan.mirror is not None:
            self._stages.mirrors.start(self._mirror(request, body, plan, plan.mirror))

    async def _plan(self, request: ModelRequest) -> Plan:
        try:
            return self._planned(request)
        except UnknownModel:
            # whoever has just made a model or a route may use it at once
            self._snapshot = await self._stages.resolver.look_again()
            self._meter.prices = self._snapshot.prices.of(self._actor.organization_id)
            return self._planned(request)

    def _planned(self, request: ModelRequest) -> Plan:
        conversation = self._call.headers.get(CONVERSATION, b"").decode("latin-1")[:512]
        plan = self._stages.planner.plan(self._snapshot, self._actor, request, conversation, self._stages.clock.unix())
        self._meter.route = plan.route
        self._meter.resolved(plan.steps[0].model)
        return plan

    def _admit(self, request: ModelRequest, plan: Plan, body_bytes: int) -> Permit:
        """Raises `ModelNotPermitted`, `BudgetExhausted`, `LimitReached`."""
        limiter, model_id = self._stages.limiter, plan.steps[0].model.id
        prompt, longest = body_bytes // _BYTES_PER_TOKEN, int(request.fields.get("max_tokens") or 0)
        price = self._meter.guess_nanos(prompt, longest)
        permit = limiter.admit(self._actor, request.model, prompt + longest, model_id, price)
        self._call.extra_headers = limiter.headers(self._actor, request.model, model_id, prompt + longest)
        return permit

    def _keep(self, request: ModelRequest, body: bytes, answer: dict[str, Any], metadata: dict[str, str]) -> None:
        self._stages.completions.add(
            CompletionRecord(
                id=answer["id"],
                project_id=self._actor.project_id,
                created_at=self._stages.clock.unix(),
                model=request.model,
                request=orjson.loads(body),
                response=answer,
                metadata=metadata,
                principal=self._actor.principal,
                request_id=self._call.request_id,
            )
        )

    async def _mirror(self, request: ModelRequest, body: bytes, plan: Plan, step: Step) -> None:
        """The shadow copy; its answer is found among the stored completions by these labels."""
        meter = self._meter.twin()
        delivery = Delivery(self._stages, self._call, request, plan, meter)
        await delivery.mirror(step)
        if delivery.answer is not None and request.operation is Operation.chat:
            delivery.answer["id"] = new_id("chatcmpl-")
            labels = {"plinth_mirror": step.name, "plinth_request": self._call.request_id}
            self._keep(request, body, delivery.answer, labels)

    async def _deliver(self, request: ModelRequest, plan: Plan) -> Delivery:
        delivery = Delivery(self._stages, self._call, request, plan, self._meter)
        delivery.before_last = partial(self.book, 200)
        turnstile = self._stages.turnstiles.get(plan.route) if plan.route else None
        if turnstile is None:
            await delivery.run()
            return delivery
        async with turnstile.passed(Priority(self._meter.priority)):
            await delivery.run()
        return delivery
