"""Pass everything that is not a model call to the control plane's unix socket, as it is.

Bodies stream both ways with back-pressure: nothing is collected here, so an upload of any size
and an endless event stream cost the same memory. Authentication is the control plane's.
"""

from __future__ import annotations

import asyncio

from plinth.gateway.dataplane.call import Call
from plinth.gateway.dataplane.transport import Address, Connection, Head, Headers, TransportError, request_bytes
from plinth.gateway.errors import ApiUnavailable, ClientGone
from plinth.kit.errors import BadInput

# RFC 9110, section 7.6.1, and what the gateway answers for itself
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_FORWARDED = _HOP_BY_HOP | {
    b"expect",
    b"x-request-id",
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
}
_NOT_RETURNED = _HOP_BY_HOP | {b"x-request-id", b"date", b"server"}
_CONNECT_SECONDS = 2.0


class Proxy:
    """Args: `body_timeout_seconds` is how long a client may pause while it uploads."""

    def __init__(self, socket_path: str, body_timeout_seconds: float) -> None:
        self._address = Address("localhost", socket_path=socket_path)
        self._body_timeout_seconds = body_timeout_seconds

    async def relay(self, call: Call) -> None:
        """Raises `ApiUnavailable` before the response has begun, `ClientGone`."""
        try:
            connection = await Connection.connect(
                self._address, _CONNECT_SECONDS, bodiless=call.method == "HEAD", salvage=not call.body_consumed
            )
        except TransportError:
            raise ApiUnavailable(retry_after_seconds=1) from None
        try:
            await connection.write(_request_head(call))
            async with call.watched(lambda: self._upload(call, connection)):
                head = await connection.head()
                await self._respond(call, head, connection)
        except TransportError:
            if call.started:
                raise  # the length that was promised cannot be kept: the client must see it break
            raise ApiUnavailable(retry_after_seconds=1) from None
        finally:
            connection.close()

    async def alive(self, timeout_seconds: float) -> bool:
        """Whether the control plane answers HTTP at all."""
        try:
            async with asyncio.timeout(timeout_seconds):
                connection = await Connection.connect(self._address, timeout_seconds)
                try:
                    await connection.write(request_bytes("GET", b"/livez", [(b"host", b"localhost")]))
                    return (await connection.head()).status < 500
                finally:
                    connection.close()
        except (TransportError, TimeoutError):
            return False

    async def _upload(self, call: Call, connection: Connection) -> None:
        """Send the request body, then wait; returns when the client has gone."""
        chunked = b"transfer-encoding" in call.headers
        try:
            uploads = call.uploads()
            while True:
                async with asyncio.timeout(self._body_timeout_seconds):
                    data = await anext(uploads, None)
                if data is None:
                    break
                await connection.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            if chunked:
                await connection.write(b"0\r\n\r\n")
        except (ClientGone, TimeoutError):
            return
        except TransportError:
            pass  # it answered without reading everything; the answer says why
        await call.gone()

    async def _respond(self, call: Call, head: Head, connection: Connection) -> None:
        await call.start(head.status, _end_to_end(head.headers, _NOT_RETURNED), flush=True)
        while data := await connection.read():
            await call.send(data)
        await call.finish()


def _request_head(call: Call) -> bytes:
    target = call.scope["raw_path"] + (b"?" + call.scope["query_string"] if call.scope["query_string"] else b"")
    if not target.startswith(b"/") or any(byte <= 0x20 or byte == 0x7F for byte in target):
        raise BadInput(reason="The request's path is not valid.")
    headers = _end_to_end(call.scope["headers"], _NOT_FORWARDED)
    client = call.scope.get("client")
    headers += [
        (b"x-request-id", call.request_id.encode()),
        (b"x-forwarded-for", client[0].encode() if client else b"unknown"),
        (b"x-forwarded-proto", call.scope["scheme"].encode()),
        (b"connection", b"close"),
    ]
    if b"transfer-encoding" in call.headers:
        headers = [(name, value) for name, value in headers if name != b"content-length"]
        headers.append((b"transfer-encoding", b"chunked"))
    return request_bytes(call.method, target, headers)


def _end_to_end(headers: Headers, dropped: frozenset[bytes]) -> Headers:
    named = {token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")}
    return [(name, value) for name, value in headers if name not in dropped and name not in named]
