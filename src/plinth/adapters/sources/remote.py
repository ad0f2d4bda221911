"""Asks an OpenAI-compatible provider which models it has."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx

from plinth.catalog.errors import RemoteUnreachable, SourceRefused
from plinth.catalog.model import RemoteTarget

MAX_ANSWER_BYTES = 4 << 20
MAX_MODELS = 5000


class HttpRemoteModels:
    """`RemoteModels` over HTTP. Redirects are not followed: they could carry the key elsewhere."""

    def __init__(self, timeout_seconds: float = 10.0) -> None:
        self._timeout_seconds = timeout_seconds

    def models(self, target: RemoteTarget) -> Sequence[str]:
        host = urlsplit(target.base_url).hostname or ""
        refuse_address(host)
        headers = {"Authorization": f"Bearer {target.api_key}"} if target.api_key else {}
        try:
            with (
                httpx.Client(timeout=self._timeout_seconds, follow_redirects=False, trust_env=False) as client,
                client.stream("GET", f"{target.base_url}/models", headers=headers) as response,
            ):
                body = _bounded(response, host)
                if response.status_code != 200:
                    raise RemoteUnreachable(host=host, reason=f"status {response.status_code}")
                data = httpx.Response(200, content=body).json()["data"]
                return sorted({str(entry["id"]) for entry in data[:MAX_MODELS]})
        except httpx.HTTPError as error:
            raise RemoteUnreachable(host=host, reason=type(error).__name__) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RemoteUnreachable(host=host, reason="its answer is not a list of models") from error


def refuse_address(host: str) -> None:
    """Link-local, multicast and unspecified addresses are refused (cloud metadata services live
    there). Private and loopback ones are allowed: a provider on one's own network is the rule.

    Raises: SourceRefused, RemoteUnreachable.
    """
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise RemoteUnreachable(host=host, reason="the name is not known") from error
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            raise SourceRefused(reason=f"{host} has an address that is not a provider's ({address}).")


def _bounded(response: httpx.Response, host: str) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise RemoteUnreachable(host=host, reason="its answer is too large")
    return bytes(body)
