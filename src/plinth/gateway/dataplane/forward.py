"""Speak to one target: open the exchange, read its answer, translate its refusals.

Everything that means "this target is gone or broken" becomes `EngineLost`, which the caller may
answer with another attempt; everything that means "this request is wrong" becomes `BadInput`.

Our own engines are always asked for a stream over a fresh connection, because only closing a
stream frees their slot at once. Providers get what the client wants over kept-alive connections.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from plinth.gateway.dataplane.ports import Endpoint, Translate
from plinth.gateway.dataplane.retries import Failure
from plinth.gateway.dataplane.shape import embeddings
from plinth.gateway.dataplane.translator import NotAStream, ProviderError, Translator
from plinth.gateway.dataplane.transport import (
    Address,
    CannotConnect,
    Connection,
    Pool,
    TransportError,
    TransportTimeout,
    request_bytes,
)
from plinth.gateway.errors import CannotDo, ContextLengthExceeded, EngineLost, EngineRefused, ProviderBusy
from plinth.gateway.model import ModelRequest, Operation, Tally

log = logging.getLogger(__name__)

_MAX_ERROR_BYTES = 64 * 1024
_MAX_ANSWER_BYTES = 256 * 1024 * 1024
_DRAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds a target may take: to its first byte, between two, in all, to connect (the last two: 0
    for no limit of their own)."""

    first_token: float
    between_tokens: float
    total: float = 0.0
    connect: float = 0.0


class Forwarder:
    """Belongs to one event loop."""

    def __init__(self, connect_timeout_seconds: float, translate: Translate) -> None:
        self._pool, self._translate = Pool(connect_timeout_seconds), translate

    def close(self) -> None:
        self._pool.close()

    def exchange(self, request: ModelRequest, endpoint: Endpoint, patience: Patience, headers: bytes = b"") -> Exchange:
        """`async with`: sends the request; leaving before the answer's end closes the connection, which
        ends the generation. `headers` are whole lines."""
        exchange = Exchange(request, endpoint, self._pool, patience, self._body(request, endpoint))
        exchange.more_headers = headers
        return exchange

    def _body(self, request: ModelRequest, endpoint: Endpoint) -> bytes:
        fields = request.fields
        if request.operation is Operation.embedding:
            fields = {**fields, "encoding_format": "float"}
        elif request.stream or endpoint.url is None:
            fields = {**fields, "stream": True, "stream_options": {"include_usage": True}}
        return orjson.dumps(self._translate(fields, endpoint))


class Exchange:
    """One request to one target. Every way of reading its answer raises `EngineLost` when the target
    breaks off or makes no sense, and `BadInput` when it blames the request."""

    def __init__(self, request: ModelRequest, endpoint: Endpoint, pool: Pool, patience: Patience, body: bytes) -> None:
        self._request, self._endpoint, self._pool, self._patience = request, endpoint, pool, patience
        self._body = body
        self._connection: Connection | None = None
        self._total: asyncio.TimerHandle | None = None
        self.streams = False
        self.more_headers = b""

    async def __aenter__(self) -> Exchange:
        try:
            await self._open(self._body)
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def _open(self, body: bytes) -> None:
        """Send the request and wait for a good status."""
        try:
            self._address = address = Address.of(self._endpoint.socket_path, self._endpoint.url)
            head = _request_head(address, self._request.operation, self._endpoint.key)
            message = b"%b%d\r\n%b\r\n%b" % (head, len(body), self.more_headers, body)
            try:
                await self._send(message, fresh=self._endpoint.url is None)
            except TransportError as error:
                if not error.stale:
                    raise
                await self._send(message, fresh=True)
        except TransportError as error:
            raise self._lost_by(error) from error
        assert self._connection is not None
        answer = await self._connection.head()
        if answer.status != 200:
            raise self.refusal(
                answer.status, _decoded(await self.read_all(_MAX_ERROR_BYTES)), answer.header(b"retry-after")
            )
        self.streams = answer.header(b"content-type").startswith(b"text/event-stream")

    async def _send(self, message: bytes, fresh: bool) -> None:
        self.close()
        self._connection = connection = await self._pool.take(self._address, fresh, self._patience.connect)
        if self._patience.total:
            loop = asyncio.get_running_loop()
            self._total = loop.call_later(self._patience.total, connection.expire)
        connection.limit(self._patience.first_token)
        await connection.write(message)
        await connection.head()

    async def translated(self, translator: Translator, push: Callable[[bytes], bool]) -> AsyncIterator[bytes]:
        """The target's stream as bytes for the client. What `push` takes is gone already, straight from
        the socket; what it does not take (it returned False) is yielded, and so is the beginning."""
        if not self.streams:
            raise self.lost("it did not stream")
        while not translator.finished:
            if ready := translator.feed(await self._more()):
                yield ready
            self._check(translator)
            if not translator.finished and (ready := await self._pumped(translator, push)):
                yield ready
            self._check(translator)
        if self._endpoint.url is not None:
            await self._drain()

    async def _pumped(self, translator: Translator, push: Callable[[bytes], bool]) -> bytes:
        """Returns what `push` did not take, b"" when the stream has come to some end."""
        left = b""

        def sink(data: bytes) -> bool:
            nonlocal left
            ready = translator.feed(data)
            if ready and not push(ready):
                left = ready
            return not (left or translator.finished or translator.failure)

        assert self._connection is not None
        try:
            await self._connection.pump(sink)
        except TransportError as error:
            raise self._lost_by(error) from error
        return left

    def _check(self, translator: Translator) -> None:
        failure = translator.failure
        if isinstance(failure, ProviderError):
            raise self.refusal(500, failure.body)
        if isinstance(failure, NotAStream):
            raise self.lost(str(failure))
        if failure is not None:
            raise failure

    async def answer(self, tally: Tally) -> dict[str, Any]:
        """A provider's whole answer, as it is but for the model's public name."""
        decoded = _decoded(await self.read_all(_MAX_ANSWER_BYTES))
        if not _has_choices(decoded, "message" if self._request.operation is Operation.chat else "text"):
            if "error" in decoded:
                raise self.refusal(500, decoded)
            raise self.lost("it sent garbage")
        if isinstance(usage := decoded.get("usage"), dict):
            tally.report(usage)
        tally.pieces += 1
        decoded["model"] = self._request.model
        return decoded

    async def embeddings(self, tally: Tally) -> dict[str, Any]:
        """OpenAI's embedding list."""
        raw = await self.read_all(_MAX_ANSWER_BYTES)
        try:
            return embeddings(orjson.loads(raw), self._request, tally)
        except (KeyError, TypeError, ValueError):
            raise self.lost("it sent garbage") from None

    async def read(self) -> bytes:
        assert self._connection is not None
        try:
            return await self._connection.read()
        except TransportError as error:
            raise self._lost_by(error) from error

    async def read_all(self, limit_bytes: int) -> bytes:
        pieces, size = [], 0
        while data := await self.read():
            pieces.append(data)
            size += len(data)
            if size > limit_bytes:
                raise self.lost("its answer is too large")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        if self._total is not None:
            self._total.cancel()
            self._total = None
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._endpoint.url is None:
            connection.close()
        else:
            self._pool.give(self._address, connection)

    def lost(self, reason: str, failure: Failure = Failure.broken) -> EngineLost:
        return EngineLost(model=self._request.model, reason=reason, retry_after_seconds=1, failure=failure)

    def _lost_by(self, error: TransportError) -> EngineLost:
        failure = Failure.too_slow if isinstance(error, TransportTimeout) else Failure.broken
        return self.lost(str(error), Failure.unreachable if isinstance(error, CannotConnect) else failure)

    def refusal(self, status: int, body: dict[str, Any], retry_after: bytes = b"") -> Exception:
        """What a target's error object means for the client.

        llama.cpp: `{"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens", "n_ctx"}}`;
        vLLM and remote providers: `{"error": {"message", "type", "code"}}`.
        """
        error = body.get("error")
        error = error if isinstance(error, dict) else {"message": str(error or body)}
        message, kind = str(error.get("message", "")), str(error.get("type", ""))
        if isinstance(code := error.get("code"), int) and 400 <= code < 600:
            status = code
        if kind == "exceed_context_size_error" or error.get("code") == "context_length_exceeded":
            return ContextLengthExceeded(
                prompt_tokens=error.get("n_prompt_tokens", "too many"),
                context_tokens=error.get("n_ctx", "fewer"),
                param="messages" if self._request.operation is Operation.chat else "prompt",
            )
        if status == 501:
            return CannotDo(model=self._request.model, operation=str(self._request.operation), param="model")
        if status == 429:
            seconds = min(int(retry_after), 3600) if retry_after.isdigit() else 1
            return ProviderBusy(model=self._request.model, retry_after_seconds=seconds)
        if 400 <= status < 500 and status not in (401, 403, 404, 408):
            return EngineRefused(reason=message[:500])
        log.error("a target answered with an error", extra={"status": status, "kind": kind[:100]})
        return self.lost(f"status {status}", Failure.server_error)

    async def _drain(self) -> None:
        """The last bytes of a finished stream's framing, so that the connection can be used again."""
        assert self._connection is not None
        self._connection.limit(_DRAIN_SECONDS)
        with suppress(EngineLost):
            while await self.read():
                pass

    async def _more(self) -> bytes:
        """The next bytes of a stream."""
        data = await self.read()
        if not data:
            raise self.lost("its answer broke off")
        assert self._connection is not None
        self._connection.limit(self._patience.between_tokens)
        return data


@lru_cache(maxsize=4096)
def _request_head(address: Address, operation: Operation, key: str | None) -> bytes:
    """Everything before the length's digits; the same for every request to a target."""
    host = address.host.encode() + (b":%d" % address.port if address.port not in (None, 80, 443) else b"")
    headers = [(b"host", host), (b"content-type", b"application/json")]
    if key:
        headers.append((b"authorization", b"Bearer " + key.encode()))
    if address.socket_path:
        headers.append((b"connection", b"close"))
    head = request_bytes("POST", f"{address.prefix}/{operation}".encode(), headers)
    return head.removesuffix(b"\r\n") + b"content-length: "


def _has_choices(answer: dict[str, Any], part: str) -> bool:
    choices = answer.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(choice, dict) and isinstance(choice.get(part), dict | str) for choice in choices)
    )


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
