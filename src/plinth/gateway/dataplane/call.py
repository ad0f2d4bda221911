"""One HTTP request and its response, over plain ASGI.

`headers` keeps the first value of a repeated header. Every send is awaited, so a client that does
not read slows its own answer down and nothing piles up. `watched` cancels the work inside it as
soon as the client has gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from itertools import count
from typing import Any

import orjson

from plinth.gateway.dataplane import sse
from plinth.gateway.dataplane.transport import Headers
from plinth.gateway.errors import BodyTooSlow, ClientGone
from plinth.kit import i18n
from plinth.kit.errors import PlinthError, TooLarge
from plinth.kit.ids import new_id

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = b"application/json"
# in the scope, from our own listener: functions to call when the client's connection is lost
WATCHERS = "plinth.watchers"
# in the scope, from our own listener: takes the body at once if it has arrived within a limit
BODY = "plinth.body"
# in the scope, from our own listener: sends a piece of the body at once if the client keeps up
PUSH = "plinth.push"
# in a start message, for our own listener: send the head now, do not wait for the body
FLUSH = "plinth.flush"
_DISCARD_FACTOR = 4


class Call:
    """Args: `stall_seconds` is how long a client may read nothing while there is something to read."""

    def __init__(self, scope: Message, receive: Receive, send: Send, stall_seconds: float) -> None:
        self.scope, self.receive, self._send, self._stall_seconds = scope, receive, send, stall_seconds
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        self.request_id = _request_id(self.headers.get(b"x-request-id", b""))
        self.extra_headers: Headers = []
        self.started = False
        self.finished = False
        self.is_event_stream = False
        self.body_consumed = False
        self._unread = False

    async def body(self, limit_bytes: int, timeout_seconds: float) -> bytes:
        """The whole request body. Raises `TooLarge`, `BodyTooSlow`, `ClientGone`."""
        arrived = self.scope.get(BODY)
        if arrived is not None and (body := arrived(limit_bytes)) is not None:
            self.body_consumed = True
            return body  # type: ignore[no-any-return]
        declared = self.headers.get(b"content-length", b"0")
        pieces, size = [], 0
        try:
            async with asyncio.timeout(timeout_seconds):
                if declared.isdigit() and int(declared) > limit_bytes:
                    await self._refuse_large(limit_bytes)
                while not self.body_consumed:
                    data = await self._upload()
                    size += len(data)
                    if size > limit_bytes:
                        await self._refuse_large(limit_bytes)
                    pieces.append(data)
        except TimeoutError:
            self._unread = True
            raise BodyTooSlow(seconds=timeout_seconds) from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def uploads(self) -> AsyncIterator[bytes]:
        """The request body piece by piece. Raises `ClientGone`."""
        while not self.body_consumed:
            if data := await self._upload():
                yield data

    async def _upload(self) -> bytes:
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self.body_consumed = not message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body

    async def gone(self) -> None:
        """Returns when the client has closed its connection. Call it after the body was read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    def watched(self, watch: Callable[[], Awaitable[object]] | None = None) -> _Watched:
        """`async with`: run the block until it ends or `watch` (default: the client's disconnect)
        returns, which raises `ClientGone` inside the block."""
        return _Watched(self, watch)

    async def start(self, status: int, headers: Headers, flush: bool = False) -> None:
        """`flush`: the body may take its time, the head must not."""
        headers = [*headers, *self.extra_headers, (b"x-request-id", self.request_id.encode())]
        if self._unread:
            headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": status, "headers": headers, FLUSH: flush})
        self.started = True

    def push(self, data: bytes) -> bool:
        """Send a piece of the body without waiting. False, and nothing is sent, when that cannot be:
        the response has not begun, the client does not keep up, or the listener is not ours."""
        push = self.scope.get(PUSH) if self.started else None
        return push is not None and push(data)

    async def send(self, data: bytes) -> None:
        """Raises `ClientGone` when the client has stopped reading for too long."""
        if self.push(data):
            return
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
        except TimeoutError:
            raise ClientGone from None

    async def finish(self, data: bytes = b"") -> None:
        self.finished = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def respond(
        self, status: int, body: bytes, content_type: bytes = JSON, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        """A complete response."""
        await self.start(status, [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers])
        await self.finish(b"" if self.method == "HEAD" else body)

    async def refuse(self, error: PlinthError) -> None:
        """The error as a complete response, in the client's language."""
        headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
        await self.respond(error.status, orjson.dumps(self._error_object(error)), headers=headers)

    async def fail(self, error: PlinthError) -> None:
        """Tell the client in whatever way is still open: a status, an event, or by breaking off."""
        if not self.started:
            await self.refuse(error)
        elif self.is_event_stream and not self.finished:
            await self.finish(sse.event(self._error_object(error)))
        else:
            raise error

    def _error_object(self, error: PlinthError) -> dict[str, Any]:
        language = i18n.negotiate(self.headers.get(b"accept-language", b"").decode("latin-1"))
        return error.to_openai(i18n.error_message(error, language))

    async def _refuse_large(self, limit_bytes: int) -> None:
        """Read on a little before refusing: most clients look for the answer only after sending."""
        if self.headers.get(b"expect", b"").lower() != b"100-continue":
            discarded = 0
            async for data in self.uploads():
                discarded += len(data)
                if discarded > _DISCARD_FACTOR * limit_bytes:
                    break
        self._unread = not self.body_consumed
        raise TooLarge(limit_bytes=limit_bytes, setting="gateway.max_body_bytes")


class _Watched:
    """ASGI tells about a disconnect only to those who ask, which takes a task; our own listener calls
    a function that was left with it."""

    __slots__ = ("_call", "_left", "_task", "_watch", "_watcher", "_watchers")

    def __init__(self, call: Call, watch: Callable[[], Awaitable[object]] | None) -> None:
        self._call, self._watch, self._left = call, watch, False
        self._watchers: set[Callable[[], None]] | None = call.scope.get(WATCHERS)
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        if self._watch is not None or self._watchers is None:
            self._watcher = asyncio.create_task(self._wait(self._watch or self._call.gone))
        if self._watchers is not None:
            self._watchers.add(self._leave)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        if self._watchers is not None:
            self._watchers.discard(self._leave)
        if self._left and kind is not None and issubclass(kind, asyncio.CancelledError):
            assert self._task is not None
            self._task.uncancel()
            raise ClientGone from None

    async def _wait(self, watch: Callable[[], Awaitable[object]]) -> None:
        await watch()
        self._leave()

    def _leave(self) -> None:
        if not self._call.finished and not self._left:
            self._left = True
            assert self._task is not None
            self._task.cancel()


_ids = count()
_process = new_id("req_")


def _request_id(given: bytes) -> str:
    """The client's own id when it is short printable ASCII, else a new one."""
    text = given.decode("latin-1")
    return text if 0 < len(text) <= 64 and text.isascii() and text.isprintable() else f"{_process}{next(_ids):08x}"
