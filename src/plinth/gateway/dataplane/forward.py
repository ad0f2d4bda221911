"""Speak to one engine: open the exchange, read its chunks, translate its refusals.

Everything that means "this engine is gone or broken" becomes `EngineLost`, which the caller may
answer with a second attempt; everything that means "this request is wrong" becomes `BadInput`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from plinth.gateway.dataplane.ports import Endpoint, Translate
from plinth.gateway.dataplane.shape import ChunkShaper, embeddings
from plinth.gateway.dataplane.sse import DONE, EventParser, EventTooLong
from plinth.gateway.dataplane.transport import Address, Connection, TransportError, request_bytes
from plinth.gateway.errors import CannotDo, ContextLengthExceeded, EngineLost, EngineRefused
from plinth.gateway.model import ModelRequest, Operation, Tally
from plinth.gateway.settings import GatewaySettings

log = logging.getLogger(__name__)

_MAX_ERROR_BYTES = 64 * 1024
_MAX_ANSWER_BYTES = 256 * 1024 * 1024


class Forwarder:
    def __init__(self, settings: GatewaySettings, translate: Translate) -> None:
        self._settings, self._translate = settings, translate

    @asynccontextmanager
    async def pieces(
        self, request: ModelRequest, endpoint: Endpoint, shaper: ChunkShaper
    ) -> AsyncIterator[PieceStream]:
        """A running generation; leaving the `with` closes the connection, which ends the generation."""
        fields = {**request.fields, "stream": True, "stream_options": {"include_usage": True}}
        exchange = _Exchange(request, self._settings.engine_silence_seconds)
        try:
            await exchange.open(endpoint, self._translate(fields, endpoint), self._settings.connect_timeout_seconds)
            yield PieceStream(exchange, shaper)
        finally:
            exchange.close()

    async def embeddings(self, request: ModelRequest, endpoint: Endpoint, tally: Tally) -> dict[str, Any]:
        """OpenAI's embedding list."""
        fields = {**request.fields, "encoding_format": "float"}
        exchange = _Exchange(request, self._settings.engine_silence_seconds)
        try:
            await exchange.open(endpoint, self._translate(fields, endpoint), self._settings.connect_timeout_seconds)
            raw = await exchange.read_all(_MAX_ANSWER_BYTES)
        finally:
            exchange.close()
        try:
            return embeddings(orjson.loads(raw), request, tally)
        except (KeyError, TypeError, ValueError):
            raise exchange.lost("it sent garbage") from None


class PieceStream:
    """An engine's chunks in the client's shape, one at a time.

    Iterating raises `EngineLost` when the stream breaks off or makes no sense, `BadInput` when the
    engine blames the request.
    """

    def __init__(self, exchange: _Exchange, shaper: ChunkShaper) -> None:
        self._exchange, self._shaper = exchange, shaper
        self._parser = EventParser()
        self._waiting: deque[bytes] = deque()

    def __aiter__(self) -> PieceStream:
        return self

    async def __anext__(self) -> dict[str, Any]:
        while True:
            while not self._waiting:
                await self._receive()
            payload = self._waiting.popleft()
            if payload == DONE:
                if not self._shaper.finished:
                    raise self._exchange.lost("it ended without a reason")
                raise StopAsyncIteration
            if (piece := self._shaped(payload)) is not None:
                return piece

    async def _receive(self) -> None:
        data = await self._exchange.read()
        if not data:
            raise self._exchange.lost("its answer broke off")
        try:
            self._waiting.extend(self._parser.feed(data))
        except EventTooLong:
            raise self._exchange.lost("it sent an event that is too long") from None

    def _shaped(self, payload: bytes) -> dict[str, Any] | None:
        try:
            chunk = orjson.loads(payload)
            if chunk is None:  # llama.cpp opens the answer to several prompts with it
                return None
            if "error" not in chunk:
                return self._shaper.shape(chunk)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise self._exchange.lost("it sent garbage") from None
        raise self._exchange.refusal(500, chunk)


class _Exchange:
    """One request on one connection to an engine."""

    def __init__(self, request: ModelRequest, silence_seconds: float) -> None:
        self._request, self._silence_seconds = request, silence_seconds
        self._connection: Connection | None = None

    async def open(self, endpoint: Endpoint, fields: dict[str, Any], connect_seconds: float) -> None:
        """Send the request and wait for a good status."""
        try:
            address = Address.of(endpoint.socket_path, endpoint.url)
            self._connection = connection = await Connection.connect(address, connect_seconds)
            await connection.write(self._request_bytes(address, endpoint, fields))
            async with asyncio.timeout(self._silence_seconds):
                head = await connection.head()
        except TransportError as error:
            raise self.lost(str(error)) from error
        except TimeoutError:
            raise self.lost("it was silent for too long") from None
        if head.status != 200:
            raise self.refusal(head.status, _decoded(await self.read_all(_MAX_ERROR_BYTES)))
        streams = self._request.operation is not Operation.embedding
        if streams and not head.header(b"content-type").startswith(b"text/event-stream"):
            raise self.lost("it did not stream")

    async def read(self) -> bytes:
        assert self._connection is not None
        try:
            async with asyncio.timeout(self._silence_seconds):
                return await self._connection.read()
        except TransportError as error:
            raise self.lost(str(error)) from error
        except TimeoutError:
            raise self.lost("it was silent for too long") from None

    async def read_all(self, limit_bytes: int) -> bytes:
        pieces, size = [], 0
        while data := await self.read():
            pieces.append(data)
            size += len(data)
            if size > limit_bytes:
                raise self.lost("its answer is too large")
        return b"".join(pieces)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def lost(self, reason: str) -> EngineLost:
        return EngineLost(model=self._request.model, reason=reason, retry_after_seconds=1)

    def refusal(self, status: int, body: dict[str, Any]) -> Exception:
        """What an engine's error object means for the client.

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
        if 400 <= status < 500 and status not in (401, 403, 404, 408, 429):
            return EngineRefused(reason=message[:500])
        log.error("an engine answered with an error", extra={"status": status, "kind": kind})
        return self.lost(f"status {status}")

    def _request_bytes(self, address: Address, endpoint: Endpoint, fields: dict[str, Any]) -> bytes:
        body = orjson.dumps(fields)
        headers = [
            (b"host", address.host.encode()),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if endpoint.key:
            headers.append((b"authorization", b"Bearer " + endpoint.key.encode()))
        return request_bytes("POST", f"{address.prefix}/{self._request.operation}".encode(), headers, body)


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
