"""Stand-ins on real sockets: an engine that speaks llama.cpp's dialect, and a runner for ASGI apps."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvicorn


class LoopThread:
    """An event loop in its own thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def stop(self) -> None:
        async def finish() -> None:
            others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.do(finish())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()


class FakeEngine:
    """A unix-socket server. `mode` decides how the next requests are answered; `requests` holds
    their bodies, `cancelled` counts clients that left before the end, `sent` the bytes written."""

    def __init__(self, path: Path, words: tuple[str, ...] = ("Hello", " dear", " world")) -> None:
        self.path, self.words = path, words
        self.mode = "ok"
        self.pause = 0.0
        self.requests: list[dict[str, Any]] = []
        self.heads: list[str] = []
        self.cancelled = 0
        self.sent = 0
        self._thread = LoopThread()
        self._server = self._thread.do(asyncio.start_unix_server(self._serve, str(path)))

    def stop(self) -> None:
        """Refuse new requests and break the running ones, as a killed process would."""

        async def close() -> None:
            self._server.close()

        self._thread.do(close())
        self._thread.stop()
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = int(next(line for line in head.lower().split("\r\n") if line.startswith("content-length"))[15:])
            body = json.loads(await reader.readexactly(length))
            self.heads.append(head)
            self.requests.append(body)
            await self._answer(head.split(" ")[1], body, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, path: str, body: dict[str, Any], reader: Any, writer: Any) -> None:
        mode = self.mode
        if mode in _REFUSALS:
            status, error = _REFUSALS[mode]
            await self._whole(writer, status, {"error": error})
        elif mode == "die_first":
            return
        elif mode == "not_http":
            writer.write(b"\x00\x01 this is not HTTP\r\n\r\n")
            await writer.drain()
        elif path.endswith("/embeddings"):
            texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
            data = [{"object": "embedding", "index": i, "embedding": [0.5, -0.25, float(i)]} for i in range(len(texts))]
            usage = {"prompt_tokens": 4, "total_tokens": 4}
            await self._whole(writer, 200, {"data": data, "model": "inner", "usage": usage, "extra": 1})
        else:
            leaving = asyncio.create_task(reader.read(1))
            streaming = asyncio.create_task(self._stream(path, body, writer))
            await asyncio.wait({leaving, streaming}, return_when=asyncio.FIRST_COMPLETED)
            if not streaming.done() or isinstance(streaming.exception(), ConnectionError):
                self.cancelled += 1
            streaming.cancel()
            leaving.cancel()
            await asyncio.gather(streaming, leaving, return_exceptions=True)

    async def _stream(self, path: str, body: dict[str, Any], writer: Any) -> None:
        chat, mode = "chat" in path, self.mode
        if mode == "slow_start":
            await asyncio.sleep(self.pause)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        if chat:
            await self._event(writer, _chunk(chat, {"role": "assistant", "content": None}))
        words = self.words * (1_000_000 if mode == "flood" else 1)
        for position, word in enumerate(words):
            if mode == "die_mid" and position == 1:
                return
            if mode == "garbage" and position == 1:
                await self._bytes(writer, b'data: {"choices": 7}\n\n')
            if mode == "error_mid" and position == 1:
                await self._event(writer, {"error": {"code": 500, "message": "boom", "type": "server_error"}})
            if mode == "silent" and position == 1:
                await asyncio.sleep(self.pause)
            await self._event(writer, _chunk(chat, {"content": word}))
            if mode == "slow":
                await asyncio.sleep(self.pause)
        reason = "length" if body.get("max_tokens") == len(self.words) else "stop"
        if mode != "no_reason":
            await self._event(writer, {**_chunk(chat, {}, reason), "timings": {"predicted_n": 3}})
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}}
        await self._event(writer, {**_chunk(chat, {}), "choices": [], "usage": usage, "__verbose": {"slot": 1}})
        await self._bytes(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _event(self, writer: Any, payload: dict[str, Any]) -> None:
        await self._bytes(writer, b"data: " + json.dumps(payload).encode() + b"\n\n")

    async def _bytes(self, writer: Any, data: bytes) -> None:
        self.sent += len(data)
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await writer.drain()

    async def _whole(self, writer: Any, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(data))
        )
        writer.write(data)
        await writer.drain()


_REFUSALS: dict[str, tuple[int, dict[str, Any]]] = {
    "context": (
        400,
        {
            "code": 400,
            "message": "too long",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 3031,
            "n_ctx": 512,
        },
    ),
    "schema": (400, {"code": 400, "message": "unrecognized type foo", "type": "invalid_request_error"}),
    "loading": (503, {"code": 503, "message": "Loading model", "type": "unavailable_error"}),
    "embed_off": (501, {"code": 501, "message": "no embeddings", "type": "not_supported_error"}),
}


def _chunk(chat: bool, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    """The very shape that llama.cpp sends."""
    choice: dict[str, Any] = {"finish_reason": reason, "index": 0}
    if chat:
        choice["delta"] = delta
    else:
        choice.update(text=delta.get("content") or "", logprobs=None)
    return {
        "choices": [choice],
        "created": 1,
        "id": "chatcmpl-inner",
        "model": "inner",
        "system_fingerprint": "b0-unknown",
        "object": "chat.completion.chunk" if chat else "text_completion",
    }


class AppThread:
    """An ASGI app on a real uvicorn, on a free port of 127.0.0.1 or on a unix socket."""

    def __init__(
        self, make: Callable[[], Any], uds: Path | None = None, server: Any = uvicorn.Server, **options: Any
    ) -> None:
        family = socket.AF_INET if uds is None else socket.AF_UNIX
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind(("127.0.0.1", 0) if uds is None else str(uds))
        self._listener.listen(512)
        self.port = 0 if uds else self._listener.getsockname()[1]
        config = uvicorn.Config(
            make(), loop="uvloop", ws="none", log_config=None, access_log=False, proxy_headers=False, **options
        )
        self.server = server(config)
        self._thread = threading.Thread(target=self.server.run, args=([self._listener],), daemon=True)
        self._thread.start()
        while not self.server.started and self._thread.is_alive():
            threading.Event().wait(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(20)
