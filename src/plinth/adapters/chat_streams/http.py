"""`ChatStream` over HTTP: our own public port, as a client would use it.

A call carries its caller's key, or a short-lived internal token of its project. Nothing is tried
again here: a client does that itself, and background work has its own patience.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import httpx

from plinth.gateway.responses import ChatCall, ModelCallFailed

MAX_EVENT_BYTES = 8 << 20
MAX_ERROR_BYTES = 1 << 20
CONNECT_SECONDS = 10.0
_DONE = b"[DONE]"


class HttpChatStream:
    """Thread-safe, and usable from any event loop: each call has a client of its own.

    Args:
        base_url: where `/v1` is, for example `http://127.0.0.1:8400`.
        token: gives a bearer token for a project id, for calls without a secret.
        timeout_seconds: how long the model may send nothing.
        transport: for tests.
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[str], str],
        timeout_seconds: float = 600.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base_url, self._token, self._transport = base_url, token, transport
        self._timeout = httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS)
        self._tls = ssl.create_default_context()  # once: it takes milliseconds

    async def open(self, call: ChatCall) -> HttpChunks:
        # trust_env off: a proxy from the environment must not see what stays on this machine
        client = httpx.AsyncClient(
            base_url=self._base_url, timeout=self._timeout, verify=self._tls, trust_env=False, transport=self._transport
        )
        try:
            secret = call.secret or self._token(call.project_id)
            request = client.build_request(
                "POST",
                "/v1/chat/completions",
                content=json.dumps(call.body).encode(),
                headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
            )
            response = await client.send(request, stream=True)
            if response.status_code != 200:
                raise await _refusal(response)
        except httpx.HTTPError as error:
            await client.aclose()
            raise _broken(error) from error
        except BaseException:
            await client.aclose()
            raise
        return HttpChunks(client, response)


class HttpChunks:
    """The chunks of one answer."""

    def __init__(self, client: httpx.AsyncClient, response: httpx.Response) -> None:
        self._client, self._response = client, response

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        try:
            async for data in _events(self._response):
                if data == _DONE:
                    return
                yield _chunk(data)
        except httpx.HTTPError as error:
            raise _broken(error) from error

    async def close(self) -> None:
        await self._response.aclose()
        await self._client.aclose()


async def _events(response: httpx.Response) -> AsyncIterator[bytes]:
    """The payloads of the server-sent events. Not httpx's own lines: those break at characters that JSON may hold."""
    rest = b""
    async for data in response.aiter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
        if len(rest) > MAX_EVENT_BYTES:
            raise ModelCallFailed(reason="The model's answer has a piece that is too long.")


def _chunk(data: bytes) -> dict[str, Any]:
    found = _object(data)
    if found is None:
        raise ModelCallFailed(reason="The model's answer is not a chat completion.")
    if isinstance(error := found.get("error"), dict):
        raise ModelCallFailed(reason=_reason(error, 502), answer=error)
    return found


def _object(data: bytes) -> dict[str, Any] | None:
    with suppress(ValueError, RecursionError):
        text = data.decode("utf-8", "replace")
        found = json.loads(text)
        if "\\ud" in text or "\\uD" in text:
            # half a surrogate pair can be stored nowhere and shown to nobody: it becomes "?"
            found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
        return found if isinstance(found, dict) else None
    return None


async def _refusal(response: httpx.Response) -> ModelCallFailed:
    body = b""
    async for data in response.aiter_bytes():
        body += data
        if len(body) > MAX_ERROR_BYTES:
            break
    error = (_object(body) or {}).get("error")
    answer = error if isinstance(error, dict) else {}
    after = response.headers.get("retry-after", "")
    return ModelCallFailed(
        reason=_reason(answer, response.status_code),
        status=response.status_code if response.status_code >= 400 else 502,
        answer=answer,
        retry_after_seconds=float(after) if after.isdecimal() else None,
    )


def _reason(error: dict[str, Any], status: int) -> str:
    """The server's own sentence, if it has one."""
    return str(error.get("message") or "")[:500] or f"The model call was answered with status {status}."


def _broken(error: httpx.HTTPError) -> ModelCallFailed:
    return ModelCallFailed(reason=f"The connection to the model failed ({type(error).__name__}).")
