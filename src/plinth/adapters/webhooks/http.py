"""`Sender` over HTTP (aiohttp).

Every connection is made to an address that was judged in the same breath: the policy sits where the socket is
made, behind the name lookup, so that neither a second lookup (DNS rebinding) nor an odd spelling of an address
gets past it. No redirects, no proxy from the environment, no cookies; of the answer only the status is kept,
because showing its body would let a caller read services that only this machine can reach.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any

import aiohttp
from yarl import URL

from plinth.gateway.webhooks import AddressPolicy, Answer, Outgoing

CONNECT_SECONDS = 5.0
DRAIN_BYTES = 64 << 10
DRAIN_SECONDS = 1.0
USER_AGENT = "Plinth-Webhooks/1"


class AddressRefused(OSError):
    """The policy does not allow this address; the message says why."""


class HttpSender:
    """Safe to use from several event loops.

    Args:
        timeout_seconds: for the whole exchange, name lookup and connecting included.
        ca_file: PEM file of further certificate authorities, empty for the system's only.
    """

    def __init__(self, policy: AddressPolicy, timeout_seconds: float = 15.0, ca_file: str = "") -> None:
        self._policy, self._seconds, self._ca_file = policy, timeout_seconds, ca_file

    async def post(self, outgoing: Outgoing) -> Answer:
        url = URL(outgoing.url, encoded=True)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._exchange(url, outgoing)
        except TimeoutError:
            return Answer(error=f"no answer within {self._seconds:g} seconds.")
        except aiohttp.ClientConnectorDNSError:
            return Answer(error=f"the host name '{url.host}' is not known.")
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            return Answer(error=f"TLS failed: {_tls_reason(error)}. For an in-house authority set webhooks.ca_file.")
        except aiohttp.ClientConnectorError as error:
            return Answer(error=_connect_reason(error.os_error))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(error=f"the connection broke, or what came was no HTTP answer ({type(error).__name__}).")

    async def _exchange(self, url: URL, outgoing: Outgoing) -> Answer:
        def make_socket(info: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, address = info
            if reason := self._policy.refusal(str(address[0]), encrypted=url.scheme == "https"):
                raise AddressRefused(reason)
            return socket.socket(family, kind, protocol)

        connector = aiohttp.TCPConnector(
            ssl=self._tls, socket_factory=make_socket, resolver=aiohttp.ThreadedResolver(), force_close=True
        )
        timeout = aiohttp.ClientTimeout(total=self._seconds, sock_connect=CONNECT_SECONDS)
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            ) as client,
            client.post(
                url,
                data=outgoing.body,
                headers={**outgoing.headers, "user-agent": USER_AGENT},
                allow_redirects=False,
            ) as response,
        ):
            await _drain(response)
            return Answer(response.status, retry_after_seconds=_retry_after(response))

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._ca_file:
            context.load_verify_locations(self._ca_file)
        return context


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Take a little of the body, so that an orderly receiver sees no broken connection; the status is known."""
    taken = 0
    with suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while taken < DRAIN_BYTES and (chunk := await response.content.read(8192)):
                taken += len(chunk)


def _retry_after(response: aiohttp.ClientResponse) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdecimal() and len(value) < 9 else 0.0


def _connect_reason(error: OSError) -> str:
    refusals = [str(cause) for cause in _causes(error) if isinstance(cause, AddressRefused)]
    if refusals:
        return refusals[0]
    return f"could not connect ({error.strerror or type(error).__name__})."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _tls_reason(error: aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError) -> str:
    inner = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error.os_error
    return str(getattr(inner, "verify_message", "") or getattr(inner, "reason", "") or type(inner).__name__)
