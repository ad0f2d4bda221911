"""Answer one model call: read, parse, resolve, forward, shape, account."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import orjson

from plinth import __version__
from plinth.gateway.dataplane.authenticate import require
from plinth.gateway.dataplane.call import Call
from plinth.gateway.dataplane.forward import Forwarder
from plinth.gateway.dataplane.journal import UsageJournal
from plinth.gateway.dataplane.meter import Meter
from plinth.gateway.dataplane.metrics import Metrics
from plinth.gateway.dataplane.parse import parse
from plinth.gateway.dataplane.ports import Endpoint, PublicModel
from plinth.gateway.dataplane.reply import EventReply
from plinth.gateway.dataplane.resolve import Resolver, find_model
from plinth.gateway.dataplane.shape import Assembler, ChunkShaper, Identity
from plinth.gateway.dataplane.snapshot import Snapshot
from plinth.gateway.errors import CannotDo, ClientGone, EngineLost
from plinth.gateway.model import ModelRequest, Operation
from plinth.gateway.settings import GatewaySettings
from plinth.identity import Actor
from plinth.kit.clock import Clock
from plinth.kit.errors import PlinthError
from plinth.kit.ids import new_id

log = logging.getLogger(__name__)

_ATTEMPTS = 2


@dataclass(frozen=True)
class Stages:
    """The parts that take turns in answering."""

    settings: GatewaySettings
    clock: Clock
    resolver: Resolver
    forwarder: Forwarder
    usage: UsageJournal
    metrics: Metrics


async def answer(stages: Stages, call: Call, operation: Operation, snapshot: Snapshot, actor: Actor) -> None:
    """Answer the call and record what it used, however it ends. Raises `PlinthError` for the
    caller to tell the client, `ClientGone` when there is nobody left to tell."""
    meter = Meter(stages.clock, actor, operation, call.request_id)
    stages.metrics.in_flight.inc()
    try:
        require(actor, "models:use")
        body = await call.body(stages.settings.max_body_bytes, stages.settings.body_timeout_seconds)
        request = parse(operation, body, stages.settings.max_json_depth)
        meter.model = request.model
        model = find_model(snapshot, actor, request.model, stages.clock.unix())
        meter.model_id = model.id
        async with call.watched():
            await _Delivery(stages, call, request, model, meter).run()
        meter.status = 200
    except ClientGone:
        meter.status = 499
        raise
    except PlinthError as error:
        meter.status = error.status
        raise
    finally:
        stages.metrics.in_flight.dec()
        record = meter.record()
        stages.metrics.finished(record)
        await stages.usage.add(record)


class _Delivery:
    """One answer on its way from an engine to the client."""

    def __init__(self, stages: Stages, call: Call, request: ModelRequest, model: PublicModel, meter: Meter) -> None:
        self._stages, self._call, self._request = stages, call, request
        self._model, self._meter = model, meter
        self._reply = EventReply(call)

    async def run(self) -> None:
        """A lost engine gets a second attempt while the client has seen nothing of the answer."""
        endpoint = await self._stages.resolver.endpoint(self._model)
        for attempt in range(1, _ATTEMPTS + 1):
            self._meter.restart(endpoint.group)
            try:
                await self._deliver(endpoint)
                return
            except EngineLost as lost:
                extra = {"model": self._model.id, "attempt": attempt, "reason": lost.fields["reason"]}
                log.warning("an engine was lost", extra=extra)
                if self._reply.committed or attempt == _ATTEMPTS:
                    raise
            endpoint = await self._stages.resolver.replacement(self._model, endpoint)

    async def _deliver(self, endpoint: Endpoint) -> None:
        needed = "embed" if self._request.operation is Operation.embedding else "stream"
        if endpoint.capabilities and needed not in endpoint.capabilities:
            raise CannotDo(model=self._request.model, operation=self._request.operation.value, param="model")
        if self._request.operation is Operation.embedding:
            await self._embed(endpoint)
        elif self._request.stream:
            async with self._reply.kept_alive(self._stages.settings.keepalive_comment_seconds):
                await self._stream(endpoint)
            await self._reply.finish()
        else:
            await self._assemble(endpoint)

    async def _stream(self, endpoint: Endpoint) -> None:
        shaper = self._shaper(endpoint)
        async with self._stages.forwarder.pieces(self._request, endpoint, shaper) as pieces:
            async for piece in pieces:
                self._meter.saw_piece()
                await self._reply.event(piece)
        if self._request.include_usage:
            shaper.tally.settle()
            await self._reply.event(shaper.usage_chunk())

    async def _assemble(self, endpoint: Endpoint) -> None:
        """Streams inside, because only closing a stream frees an engine's slot at once."""
        shaper, assembler = self._shaper(endpoint), Assembler(self._request)
        async with self._stages.forwarder.pieces(self._request, endpoint, shaper) as pieces:
            async for piece in pieces:
                self._meter.saw_piece()
                assembler.add(piece)
        shaper.tally.settle()
        await self._call.respond(200, orjson.dumps(assembler.answer(shaper.identity, shaper.tally)))

    async def _embed(self, endpoint: Endpoint) -> None:
        answer = await self._stages.forwarder.embeddings(self._request, endpoint, self._meter.tally)
        await self._call.respond(200, orjson.dumps(answer))

    def _shaper(self, endpoint: Endpoint) -> ChunkShaper:
        identity = Identity(
            id=new_id(self._request.operation.id_prefix),
            created=int(self._stages.clock.unix()),
            model=self._request.model,
            system_fingerprint=f"plinth-{__version__}/{endpoint.engine}",
        )
        return ChunkShaper(self._request, identity, self._meter.tally)
