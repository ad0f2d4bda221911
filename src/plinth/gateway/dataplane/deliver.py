"""Bring one answer from a target to the client, trying the plan's targets while the client has seen
nothing of an answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import orjson

from plinth import __version__
from plinth.gateway.dataplane.call import Call
from plinth.gateway.dataplane.meter import Meter
from plinth.gateway.dataplane.plan import Plan
from plinth.gateway.dataplane.ports import Endpoint
from plinth.gateway.dataplane.relay import Relay
from plinth.gateway.dataplane.reply import EventReply
from plinth.gateway.dataplane.shape import Assembler, ChunkShaper, Identity
from plinth.gateway.errors import CannotDo, EngineLost
from plinth.gateway.model import ModelRequest, Operation
from plinth.kit.ids import new_id

if TYPE_CHECKING:
    from plinth.gateway.dataplane.answer import Stages

log = logging.getLogger(__name__)


class Delivery:
    """One request's way through its plan."""

    def __init__(self, stages: Stages, call: Call, request: ModelRequest, plan: Plan, meter: Meter) -> None:
        self._stages, self._call, self._request = stages, call, request
        self._plan, self._meter = plan, meter
        self._reply = EventReply(call)

    async def run(self) -> None:
        model = self._plan.targets[0]
        endpoint = await self._stages.resolver.endpoint(model)
        for attempt in range(1, self._plan.attempts + 1):
            self._meter.dispatch(model, endpoint)
            try:
                await self._deliver(endpoint)
                return
            except EngineLost as lost:
                extra = {"model": model.id, "attempt": attempt, "reason": lost.fields["reason"]}
                log.warning("a target was lost", extra=extra)
                if self._reply.committed or attempt == self._plan.attempts:
                    raise
                await self._account_for_lost(lost)
            endpoint = await self._stages.resolver.replacement(model, endpoint)

    async def _account_for_lost(self, lost: EngineLost) -> None:
        if record := self._meter.lost(lost.status, lost.code):
            await self._stages.account(record)

    async def _deliver(self, endpoint: Endpoint) -> None:
        operation = self._request.operation
        needed = "embed" if operation is Operation.embedding else "stream"
        if endpoint.capabilities and needed not in endpoint.capabilities:
            raise CannotDo(model=self._request.model, operation=operation.value, param="model")
        if operation is Operation.embedding:
            await self._embed(endpoint)
        elif self._request.stream:
            async with self._reply.kept_alive(self._stages.settings.keepalive_comment_seconds):
                await (self._stream if endpoint.url is None else self._relay)(endpoint)
            await self._reply.finish()
        else:
            await (self._assemble if endpoint.url is None else self._whole)(endpoint)

    async def _stream(self, endpoint: Endpoint) -> None:
        shaper = self._shaper(endpoint)
        async with self._stages.forwarder.exchange(self._request, endpoint, self._plan.patience) as exchange:
            async for piece in exchange.pieces(shaper):
                self._meter.saw_piece()
                await self._reply.event(piece)
        if self._request.include_usage:
            shaper.tally.settle()
            await self._reply.event(shaper.usage_chunk())

    async def _assemble(self, endpoint: Endpoint) -> None:
        shaper, assembler = self._shaper(endpoint), Assembler(self._request)
        async with self._stages.forwarder.exchange(self._request, endpoint, self._plan.patience) as exchange:
            async for piece in exchange.pieces(shaper):
                self._meter.saw_piece()
                assembler.add(piece)
        shaper.tally.settle()
        await self._call.respond(200, orjson.dumps(assembler.answer(shaper.identity, shaper.tally)))

    async def _relay(self, endpoint: Endpoint) -> None:
        """A provider's stream, as it comes."""
        relay = Relay(self._request.model, self._request.include_usage, self._meter.tally)
        async with self._stages.forwarder.exchange(self._request, endpoint, self._plan.patience) as exchange:
            async for ready in exchange.relayed(relay):
                self._meter.saw_piece()
                await self._reply.events(ready)

    async def _whole(self, endpoint: Endpoint) -> None:
        """A provider's complete answer."""
        async with self._stages.forwarder.exchange(self._request, endpoint, self._plan.patience) as exchange:
            answer = await exchange.answer(self._meter.tally)
        self._meter.saw_piece()
        await self._call.respond(200, orjson.dumps(answer))

    async def _embed(self, endpoint: Endpoint) -> None:
        async with self._stages.forwarder.exchange(self._request, endpoint, self._plan.patience) as exchange:
            answer = await exchange.embeddings(self._meter.tally)
        await self._call.respond(200, orjson.dumps(answer))

    def _shaper(self, endpoint: Endpoint) -> ChunkShaper:
        identity = Identity(
            id=new_id(self._request.operation.id_prefix),
            created=int(self._stages.clock.unix()),
            model=self._request.model,
            system_fingerprint=f"plinth-{__version__}/{endpoint.engine}",
        )
        return ChunkShaper(self._request, identity, self._meter.tally)
