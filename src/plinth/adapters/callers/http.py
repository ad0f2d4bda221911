"""`Caller` over HTTP: the public port, at low priority, on behalf of a project.

On aiohttp: a line of a batch costs 0.25 ms of CPU in all (20,000 lines of 1.6 kB against a small
server on two busy cores), so 100,000 lines take half a minute from the models beside them; httpx
alone adds 2 ms a request (`dataplane/transport.py`). One connection pool a run; every request
carries a short-lived token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
import orjson

from plinth.gateway.batches import BROKEN, UNREACHED, CallFailed, ModelCall, Reply

PRIORITY = {"X-Plinth-Priority": "batch"}
MAX_REPLY_BYTES = 64 << 20


@dataclass(frozen=True)
class Wait:
    """Seconds for the whole of one request, and for connecting."""

    total_seconds: float = 600.0
    connect_seconds: float = 10.0


class HttpCaller:
    """An asynchronous context manager; use each for one run, on one event loop.

    Args:
        base_url: where `/v1` is, for example `http://127.0.0.1:8400`.
        token: gives the bearer token for a call; asked before every request.
    """

    def __init__(self, base_url: str, token: Callable[[ModelCall], str], wait: Wait | None = None) -> None:
        self._base_url, self._token, self._wait = base_url.rstrip("/"), token, wait or Wait()
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=self._wait.total_seconds, sock_connect=self._wait.connect_seconds)
        # the batch's own concurrency is the limit; no proxy from the environment, nothing leaves the machine
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, request: ModelCall) -> Reply:
        headers = {
            **PRIORITY,
            "Authorization": f"Bearer {self._token(request)}",
            "Content-Type": "application/json",
            "X-Request-Id": request.request_id,
        }
        content, url = orjson.dumps(request.body), self._base_url + request.path
        try:
            async with self._session.post(url, data=content, headers=headers, allow_redirects=False) as response:
                return _reply(response, await _content(response), request.request_id)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise CallFailed(UNREACHED, f"the gateway does not answer ({type(error).__name__}).") from error
        except TimeoutError as error:
            raise CallFailed(BROKEN, f"no answer within {self._wait.total_seconds:g} seconds.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise CallFailed(BROKEN, f"the connection broke ({type(error).__name__}).") from error


async def _content(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > MAX_REPLY_BYTES:
            raise CallFailed(BROKEN, f"the answer is longer than {MAX_REPLY_BYTES} bytes.")
    return bytes(content)


def _reply(response: aiohttp.ClientResponse, content: bytes, request_id: str) -> Reply:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if response.status == 200:
            raise CallFailed(BROKEN, "the answer is not JSON.") from error
        body = None
    wanted = response.headers.get("Retry-After", "")
    pause = float(wanted) if wanted.isdecimal() and wanted.isascii() else None
    return Reply(response.status, body, response.headers.get("x-request-id", request_id), pause)
