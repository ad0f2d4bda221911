"""The public port's application, in plain ASGI: model calls are answered here, everything else is
passed to the control plane. Nothing answered here but `GET /health` and `GET /livez` does without a key."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import orjson

from plinth.gateway.dataplane.answer import answer
from plinth.gateway.dataplane.authenticate import authenticate, require
from plinth.gateway.dataplane.breaker import Breakers
from plinth.gateway.dataplane.call import Call, Message, Receive, Send
from plinth.gateway.dataplane.deliver import circuit_key
from plinth.gateway.dataplane.exposition import CONTENT_TYPE
from plinth.gateway.dataplane.forward import Forwarder
from plinth.gateway.dataplane.health import Health
from plinth.gateway.dataplane.journal import CompletionJournal, UsageJournal
from plinth.gateway.dataplane.metrics import Metrics
from plinth.gateway.dataplane.mirrors import Mirrors
from plinth.gateway.dataplane.plan import Planner
from plinth.gateway.dataplane.ports import FactSource, Tokens, Translate, Wanted
from plinth.gateway.dataplane.proxy import Proxy
from plinth.gateway.dataplane.requestlog import LogFile, LogRules, LogWriter, Pseudonyms, RequestLog
from plinth.gateway.dataplane.resolve import LOOK_SECONDS, Resolver
from plinth.gateway.dataplane.retries import Retries, RetryBudget
from plinth.gateway.dataplane.scrape import Scrape
from plinth.gateway.dataplane.snapshot import Snapshot, SnapshotKeeper
from plinth.gateway.dataplane.spans import NoSpans, Spans, Tracer
from plinth.gateway.dataplane.stages import Stages
from plinth.gateway.dataplane.transport import TransportError
from plinth.gateway.dataplane.turnstile import Gate, Turnstiles
from plinth.gateway.errors import ClientGone, NotReady
from plinth.gateway.limits import Limiter
from plinth.gateway.model import Operation
from plinth.gateway.settings import GatewaySettings
from plinth.identity import Actor
from plinth.kit import i18n, telemetry
from plinth.kit.clock import Clock
from plinth.kit.errors import PlinthError, Unauthenticated
from plinth.privacy import PrivacyGuard

log = logging.getLogger(__name__)

FIRST_SNAPSHOT_SECONDS = 10.0
_OPERATIONS = {f"/v1/{operation}": operation for operation in Operation}


@dataclass(frozen=True)
class TelemetryPorts:
    """Where this process tells about itself.

    Args:
        logs: folder of the request log; None for no such log.
        pages: folder in which the machine's workers leave their metrics for each other; None when
            there is one worker.
        pseudonym_key: hashes what must not be read in the log; give the same to all workers.
    """

    spans: Spans = field(default_factory=NoSpans)
    logs: Path | None = None
    pages: Path | None = None
    pseudonym_key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)


@dataclass(frozen=True)
class GatewayPorts:
    """Everything the gateway is given. `api_socket` is the control plane's unix socket; `journal` is
    the folder from which movers take what was written; `budgets` tells the limiter what was spent;
    `worker` names this process among the gateway's."""

    settings: GatewaySettings
    clock: Clock
    facts: FactSource
    tokens: Tokens
    wanted: Wanted
    translate: Translate
    limiter: Limiter
    guard: PrivacyGuard
    api_socket: Path
    journal: Path
    budgets: Background | None = None
    worker: str = "0"
    telemetry: TelemetryPorts = TelemetryPorts()


class Background(Protocol):
    """A thread that lives as long as the gateway."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Gateway:
    """The ASGI application; its lifespan starts and stops the snapshot thread."""

    def __init__(self, ports: GatewayPorts) -> None:
        settings = ports.settings
        self._clock, self._tokens = ports.clock, ports.tokens
        self._keeper = SnapshotKeeper(ports.facts, settings.snapshot_poll_seconds, self._prepare, self._follow)
        self._journal = UsageJournal(ports.journal, settings.usage_flush_seconds, settings.usage_held_records)
        self._metrics = Metrics(ports.worker)
        pseudonyms = Pseudonyms(ports.telemetry.pseudonym_key)
        request_log, self._log_writer = _request_log(ports, pseudonyms)
        self._spans = ports.telemetry.spans
        self._forwarder = Forwarder(settings.connect_timeout_seconds, ports.translate)
        self._stages = Stages(
            settings=settings,
            clock=ports.clock,
            planner=Planner(settings),
            limiter=ports.limiter,
            turnstiles=Turnstiles(ports.clock),
            breakers=Breakers(ports.clock),
            retries=Retries(RetryBudget(ports.clock), random.random),
            guard=ports.guard,
            resolver=Resolver(self._keeper, ports.wanted, ports.clock, settings),
            forwarder=self._forwarder,
            journal=self._journal,
            completions=CompletionJournal(ports.journal, settings.usage_flush_seconds),
            mirrors=Mirrors(settings.mirrors_at_once),
            metrics=self._metrics,
            tracer=Tracer(self._spans, settings.trace_sample, settings.trace_outside, pseudonyms.plain),
            request_log=request_log,
        )
        self._scrape = Scrape(self._stages, self._keeper, ports.telemetry.pages)
        self._budgets = ports.budgets
        self._proxy = Proxy(str(ports.api_socket), settings.body_timeout_seconds)
        self._health = Health(self._keeper, self._proxy, ports.clock)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._handle(Call(scope, receive, send, self._stages.settings.client_stall_seconds))
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _handle(self, call: Call) -> None:
        token = telemetry.request_id.set(call.request_id)
        try:
            await self._route(call)
        except ClientGone:
            pass
        except TransportError:
            log.warning("the control plane broke off in the middle of an answer", extra={"path": call.path})
        except PlinthError as error:
            if error.status >= 500:
                log.error("request failed", extra={"path": call.path, "code": error.code, "reason": error.message})
            await call.fail(error)
        except Exception:  # the client must get an error object whatever went wrong in here
            log.exception("unexpected error", extra={"path": call.path})
            await call.fail(PlinthError())
        finally:
            telemetry.request_id.reset(token)

    async def _route(self, call: Call) -> None:
        operation = _OPERATIONS.get(call.path)
        if operation is not None and call.method == "POST":
            snapshot, actor = await self._caller_of_model(call, operation)
            await answer(self._stages, call, operation, snapshot, actor)
        elif call.path == "/livez" and call.method in ("GET", "HEAD"):
            await call.respond(200, b'{"status":"ok"}')
        elif call.path == "/health" and call.method in ("GET", "HEAD"):
            status, body = await self._health.report()
            await call.respond(status, orjson.dumps(body))
        elif call.path == "/metrics" and call.method in ("GET", "HEAD"):
            require(self._caller(call)[1], "usage:read")
            await call.respond(200, await self._scrape.page(), CONTENT_TYPE)
        else:
            self._metrics.proxied += 1
            await self._proxy.relay(call)

    def _caller(self, call: Call) -> tuple[Snapshot, Actor]:
        """Raises `Unauthenticated`; `NotReady` before the first snapshot and when it is too old."""
        snapshot = self._keeper.current
        if snapshot is None or self._keeper.is_stale(self._stages.settings.stale_limit_seconds):
            raise NotReady(retry_after_seconds=1)
        return snapshot, authenticate(snapshot, call.headers, self._tokens, self._clock.unix())

    async def _caller_of_model(self, call: Call, operation: Operation) -> tuple[Snapshot, Actor]:
        """Like `_caller`; who is turned away here is known to nobody and has no usage record."""
        try:
            try:
                return self._caller(call)
            except Unauthenticated:
                if b"authorization" not in call.headers:
                    raise
                await self._keeper.look(LOOK_SECONDS)  # the key may be a moment old
                return self._caller(call)
        except PlinthError as error:
            self._metrics.refused(error.code)
            if (request_log := self._stages.request_log) is not None:
                request_log.refused(call.request_id, operation.value, error.status, error.code)
            raise

    def _prepare(self, snapshot: Snapshot) -> None:
        """On the keeper's thread, before a request can see the snapshot."""
        self._stages.limiter.update(snapshot.limits)

    def _follow(self, snapshot: Snapshot) -> None:
        """On the event loop, with each new snapshot."""
        self._stages.turnstiles.sync(
            {
                route.id: Gate(route.name, route.plan.concurrency, route.plan.queue, route.plan.queue_seconds)
                for route in snapshot.routes.values()
            }
        )
        self._stages.breakers.keep(circuit_key(e) for group in snapshot.endpoints.values() for e in group)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        i18n.error_message(PlinthError(), "zh")  # reads the texts now and not in the middle of a request
        self._keeper.start()
        # no request is taken before keys and models are known: those of a restarted process wait, and work
        await self._keeper.changed(FIRST_SNAPSHOT_SECONDS)
        if self._budgets is not None:
            self._budgets.start()
        if self._log_writer is not None:
            self._log_writer.start()
        self._scrape.start()
        # what was loaded stays: the collector need not walk through it (0.1 s) in the middle of requests
        gc.collect()
        gc.freeze()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._keeper.stop()
        if self._budgets is not None:
            self._budgets.stop()
        await self._stages.mirrors.stop()
        self._journal.stop()
        self._stages.completions.stop()
        self._forwarder.close()
        self._stages.limiter.close()
        await self._scrape.stop()
        if self._log_writer is not None:
            self._log_writer.stop()
        await asyncio.to_thread(self._spans.stop)
        await send({"type": "lifespan.shutdown.complete"})


def _request_log(ports: GatewayPorts, pseudonyms: Pseudonyms) -> tuple[RequestLog | None, LogWriter | None]:
    settings, folder = ports.settings, ports.telemetry.logs
    if folder is None or not settings.log_requests:
        return None, None
    rules = LogRules(settings.log_sample, settings.log_slow_seconds * 1000, settings.log_bytes_per_second)
    request_log = RequestLog(rules, ports.clock, pseudonyms, ports.worker)
    file = LogFile(folder / f"requests-{ports.worker}.jsonl", settings.log_file_bytes, settings.log_files)
    return request_log, LogWriter(request_log, file)


def create_app(ports: GatewayPorts) -> Gateway:
    return Gateway(ports)
