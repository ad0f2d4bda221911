"""Bring one answer from a target to the client, trying the plan's targets while the client has seen
nothing of an answer."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import orjson

from plinth import __version__
from plinth.gateway.dataplane.breaker import REFUSED
from plinth.gateway.dataplane.call import Call
from plinth.gateway.dataplane.forward import Exchange
from plinth.gateway.dataplane.guarded import Guarded, guard_request
from plinth.gateway.dataplane.meter import Meter
from plinth.gateway.dataplane.plan import Plan, Step
from plinth.gateway.dataplane.ports import Endpoint
from plinth.gateway.dataplane.relay import Relay
from plinth.gateway.dataplane.reply import EventReply
from plinth.gateway.dataplane.restream import Restream
from plinth.gateway.dataplane.retries import Attempt, Failure
from plinth.gateway.dataplane.shape import Assembler, ChunkShaper, Identity, as_chunks, confidence
from plinth.gateway.dataplane.stages import Stages
from plinth.gateway.dataplane.translator import Translator
from plinth.gateway.errors import (
    CannotDo,
    ContextLengthExceeded,
    EngineLost,
    ModelFailed,
    ModelStarting,
    ProviderBusy,
    StaysHere,
)
from plinth.gateway.model import ModelRequest, Operation, RecordKind
from plinth.kit.errors import PlinthError
from plinth.kit.ids import new_id

log = logging.getLogger(__name__)

# what another target may do better
_ELSEWHERE = (EngineLost, ProviderBusy, ModelFailed, ModelStarting, StaysHere, ContextLengthExceeded)
_FAILURES = {ProviderBusy: Failure.throttled, ContextLengthExceeded: Failure.unreachable}


class Delivery:
    """One request's way through its plan."""

    def __init__(self, stages: Stages, call: Call, request: ModelRequest, plan: Plan, meter: Meter) -> None:
        self._stages, self._call, self._request = stages, call, request
        self._plan, self._meter = plan, meter
        self._reply = EventReply(call)
        self._lost: Endpoint | None = None
        self.before_last: Callable[[], Awaitable[None]] = _nothing
        # the answer as the client got it, where somebody wants to keep it
        self.answer: dict[str, Any] | None = None

    async def mirror(self, step: Step) -> None:
        """Ask a shadow target; the answer is only kept and accounted for."""
        endpoint = await self._endpoint(step, patient=False)
        self._meter.dispatch(step.model, endpoint)
        status, code = 500, "internal_error"
        try:
            self.answer = await self._whole(replace(self._request, stream=False), endpoint, self._meter)
            status, code = 200, ""
        except PlinthError as error:
            status, code = error.status, error.code
            raise
        finally:
            if record := self._meter.lost(status, code, RecordKind.mirror):
                await self._stages.account(record)

    async def run(self) -> None:
        """Raises what the last target said when none could answer."""
        self._stages.retries.budget.earn()
        if not self._request.stream:
            await self._through_plan()
            return
        async with self._reply.kept_alive(self._stages.settings.keepalive_comment_seconds):
            await self._through_plan()
        await self.before_last()
        await self._reply.finish()

    async def _through_plan(self) -> None:
        if self._plan.cascade is not None and self._request.operation is Operation.chat and await self._cheaply():
            return
        if self._plan.hedge_seconds and self._request.operation is Operation.embedding and len(self._plan.steps) > 1:
            await self._hedge(self._plan.hedge_seconds)
            return
        steps, place, number = self._plan.steps, 0, 1
        while True:
            others_left = number < len(steps)
            try:
                await self._attempt(steps[place], self._meter, patient=not others_left)
                return
            except _ELSEWHERE as error:
                pause = self._pause(error, number, elsewhere=len(steps) > 1)
                if pause is None:
                    raise
                await self._account_for_lost(error, steps[place], number)
            if pause:
                await asyncio.sleep(pause)
            place, number = (place + 1) % len(steps), number + 1
            if len(steps) > 1:
                self._lost = None

    def _pause(self, error: PlinthError, number: int, elsewhere: bool) -> float | None:
        """How long to wait before the next attempt, None when there is none."""
        if not elsewhere and not isinstance(error, EngineLost | ProviderBusy):
            return None
        failure = error.fields.get("failure") or _FAILURES.get(type(error), Failure.unreachable)
        wanted = error.fields["retry_after_seconds"] if isinstance(error, ProviderBusy) else None
        return self._stages.retries.pause(
            Attempt(
                number=number,
                allowed=self._plan.attempts,
                failure=failure,
                started=self._reply.committed,
                elsewhere=elsewhere,
                retry_after_seconds=wanted,
            )
        )

    async def _account_for_lost(self, error: PlinthError, step: Step, number: int) -> None:
        extra = {"target": step.name, "attempt": number, "code": error.code, "reason": error.fields.get("reason", "")}
        log.warning("a target did not answer; trying again", extra=extra)
        self._stages.metrics.retried(step.name, error.code)
        if record := self._meter.lost(error.status, error.code):
            await self._stages.account(record)

    async def _attempt(self, step: Step, meter: Meter, patient: bool) -> None:
        """One attempt at one target, watched by its circuit."""
        endpoint = await self._endpoint(step, patient)
        breaker = self._stages.breakers.of(circuit_key(endpoint))
        ticket = breaker.enter()
        if ticket == REFUSED:
            raise EngineLost(
                model=self._request.model,
                reason="its circuit is open after repeated failures",
                retry_after_seconds=max(1, math.ceil(breaker.retry_in_seconds)),
                failure=Failure.unreachable,
            )
        meter.dispatch(step.model, endpoint)
        try:
            await self._deliver(endpoint, meter)
        except EngineLost:
            breaker.failed(ticket)
            self._lost = endpoint
            raise
        except PlinthError:  # an answer, though not the one that was wanted
            breaker.succeeded(ticket)
            raise
        except BaseException:
            breaker.withdrawn(ticket)
            raise
        breaker.succeeded(ticket)

    async def _endpoint(self, step: Step, patient: bool) -> Endpoint:
        resolver = self._stages.resolver
        if self._lost is not None:
            endpoint = await resolver.replacement(step.model, self._lost)
        else:
            endpoint = resolver.ready(step.model) or await resolver.endpoint(step.model, patient)
        if endpoint.egress and self._plan.stay_on_machine:
            raise StaysHere(model=self._request.model)
        needed = "embed" if self._request.operation is Operation.embedding else "stream"
        if endpoint.capabilities and needed not in endpoint.capabilities:
            raise CannotDo(model=step.name, operation=self._request.operation.value, param="model")
        return endpoint

    async def _deliver(self, endpoint: Endpoint, meter: Meter) -> None:
        if self._request.operation is Operation.embedding:
            await self._respond(await self._embeddings(endpoint, meter))
        elif self._request.stream:
            await self._stream(endpoint, meter)
        else:
            await self._respond(await self._whole(self._request, endpoint, meter))

    async def _respond(self, answer: dict[str, Any]) -> None:
        if self._request.store:
            answer["id"] = new_id(self._request.operation.id_prefix)  # a provider's may come twice
            self.answer = answer
        await self.before_last()
        await self._call.respond(200, orjson.dumps(answer))

    async def _guarded(self, request: ModelRequest, endpoint: Endpoint) -> Guarded:
        """The request as it may go to this target. Raises `BlockedByPolicy`, `GuardUnavailable`."""
        policy = self._plan.policy()
        if not policy.guards(remote=endpoint.egress):
            return Guarded(request, None)
        found = self._stages.metrics.found
        return await guard_request(self._stages.guard, policy, self._plan.data_class, request, found)

    def _exchange(self, guarded: Guarded, endpoint: Endpoint, meter: Meter) -> Exchange:
        patience, headers = self._plan.patience, meter.trace_headers
        return self._stages.forwarder.exchange(guarded.request, endpoint, patience, headers)

    async def _stream(self, endpoint: Endpoint, meter: Meter) -> None:
        guarded = await self._guarded(self._request, endpoint)
        async with self._exchange(guarded, endpoint, meter) as exchange:
            if endpoint.url is not None and guarded.answers is None and not self._request.store:
                relay = Relay(self._request.model, self._request.include_usage, meter.tally)
                await self._send(exchange, relay, meter)
                return
            shaper = self._shaper(endpoint, meter)
            kept = Assembler(self._request) if self._request.store else None
            each = [] if guarded.answers is None else [guarded.answers.piece]
            await self._send(exchange, Restream(shaper, each if kept is None else [*each, kept.add]), meter)
        shaper.tally.settle()
        if self._request.include_usage:
            await self._reply.event(shaper.usage_chunk())
        if kept is not None:
            self.answer = kept.answer(shaper.identity, shaper.tally)

    async def _send(self, exchange: Exchange, translator: Translator, meter: Meter) -> None:
        def push(ready: bytes) -> bool:
            meter.saw_piece()
            return self._reply.push(ready)

        async for ready in exchange.translated(translator, push):
            meter.saw_piece()
            await self._reply.events(ready)

    async def _whole(self, request: ModelRequest, endpoint: Endpoint, meter: Meter) -> dict[str, Any]:
        """A complete answer: a provider's, or an engine's stream put together."""
        guarded = await self._guarded(request, endpoint)
        async with self._exchange(guarded, endpoint, meter) as exchange:
            if endpoint.url is not None:
                answer = await exchange.answer(meter.tally)
                meter.saw_piece()
                return guarded.answers.whole(answer) if guarded.answers else answer
            shaper, assembler = self._shaper(endpoint, meter), Assembler(request)

            def add(chunk: dict[str, Any]) -> None:
                meter.saw_piece()
                assembler.add(chunk)

            async for _ in exchange.translated(Restream(shaper, [add], encode=False), lambda _: True):
                pass
        shaper.tally.settle()
        return assembler.answer(shaper.identity, shaper.tally)

    async def _embeddings(self, endpoint: Endpoint, meter: Meter) -> dict[str, Any]:
        guarded = await self._guarded(self._request, endpoint)
        async with self._exchange(guarded, endpoint, meter) as exchange:
            return await exchange.embeddings(meter.tally)

    async def _cheaply(self) -> bool:
        """Ask the cascade's first model; True when its answer was good enough and is delivered."""
        assert self._plan.cascade is not None
        step, cascade = self._plan.cascade
        request = replace(self._request, fields={**self._request.fields, "logprobs": True}, stream=False)
        try:
            endpoint = await self._endpoint(step, patient=False)
            self._meter.dispatch(step.model, endpoint)
            answer = await self._whole(request, endpoint, self._meter)
        except PlinthError as error:  # the cascade only saves money: the route's targets decide
            await self._account_for_lost(error, step, 0)
            return False
        sure = confidence(answer, cascade.signal.value)
        if sure is None or sure < cascade.threshold:
            if record := self._meter.lost(200, ""):
                await self._stages.account(record)
            return False
        if not self._request.fields.get("logprobs"):
            for choice in answer["choices"]:
                choice["logprobs"] = None
        if not self._request.stream:
            await self._respond(answer)
            return True
        self.answer = answer
        for chunk in as_chunks(answer, self._request.include_usage):
            await self._reply.event(chunk)
        return True

    async def _hedge(self, seconds: float) -> None:
        """Ask a second target when the first one takes long; the faster answer counts, both are paid."""
        first, second = self._plan.steps[:2]
        spare = self._meter.twin()
        tasks = {asyncio.create_task(self._fetch(first, self._meter)): self._meter}
        try:
            done, _ = await asyncio.wait(tasks, timeout=seconds)
            if not done or next(iter(done)).exception() is not None:
                tasks[asyncio.create_task(self._fetch(second, spare))] = spare
            pending = set(tasks)
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                good = next((task for task in done if task.exception() is None), None)
                if good is not None:
                    self._meter.become(tasks[good])
                    await self._respond(good.result())
                    return
            next(iter(tasks)).result()  # raises what the first one met
        finally:
            for task, meter in tasks.items():
                task.cancel()
                if meter is not self._meter.winner and (record := meter.lost(499, "")):
                    await self._stages.account(record)

    async def _fetch(self, step: Step, meter: Meter) -> dict[str, Any]:
        endpoint = await self._endpoint(step, patient=True)
        meter.dispatch(step.model, endpoint)
        return await self._embeddings(endpoint, meter)

    def _shaper(self, endpoint: Endpoint, meter: Meter) -> ChunkShaper:
        identity = Identity(
            id=new_id(self._request.operation.id_prefix),
            created=int(self._stages.clock.unix()),
            model=self._request.model,
            system_fingerprint=f"plinth-{__version__}/{endpoint.engine}",
        )
        return ChunkShaper(self._request, identity, meter.tally)


async def _nothing() -> None:
    pass


def circuit_key(endpoint: Endpoint) -> str:
    """A restarted engine has another socket, and so a circuit that knows nothing bad of it."""
    return endpoint.socket_path or f"{endpoint.url} {endpoint.target or endpoint.model_id}"
