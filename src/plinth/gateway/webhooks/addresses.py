"""Which network addresses a webhook may be sent to (server-side request forgery, OWASP SSRF cheat sheet).

Whoever may create an endpoint chooses an address that *this server* then connects to. Metadata services
hand out the machine's credentials, so they are refused whatever the settings say. An IPv6 address that
carries an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo) is judged by both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# metadata services outside the link-local range: AWS and Google over IPv6, Alibaba, Azure, Oracle's old one
METADATA = frozenset(
    map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"))
)
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
_RESERVED = IPv4Network("240.0.0.0/4")
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = IPv6Network("::/96")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class AddressPolicy:
    """Where deliveries may go. Public addresses are always allowed, over TLS."""

    allow_private: bool = True
    allow_loopback: bool = False

    def refusal(self, text: str, *, encrypted: bool) -> str | None:
        """Why no connection is made to this numeric address, as a sentence; None when it may be.

        Args: `encrypted` is False for plain http, which is for one's own network only.
        """
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return f"'{text}' is not an address in its usual form."
        reasons = (self._refusal(form, encrypted) for form in _forms(address))
        return next((reason for reason in reasons if reason), None)

    def _refusal(self, address: Address, encrypted: bool) -> str | None:
        if address.is_loopback:
            return None if self.allow_loopback else _closed(address, "this machine", "allow_loopback_addresses")
        if _never(address):
            return f"the address {address} is never used for webhooks (metadata, link-local, multicast or reserved)."
        if not address.is_global:
            return None if self.allow_private else _closed(address, "a private network", "allow_private_addresses")
        return None if encrypted else f"{address} is a public address, which needs https."


def _closed(address: Address, where: str, setting: str) -> str:
    return f"the address {address} is on {where}, which the setting webhooks.{setting} does not allow."


def _never(address: Address) -> bool:
    if address in METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return True
    return isinstance(address, IPv4Address) and (address in _THIS_NETWORK or address in _RESERVED)


def _forms(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 addresses inside it."""
    if isinstance(address, IPv4Address):
        yield address
        return
    embedded: list[IPv4Address] = []
    if address.ipv4_mapped:
        yield address.ipv4_mapped  # nothing but another spelling of it
        return
    if address.sixtofour:
        embedded.append(address.sixtofour)
    if address.teredo:
        embedded += address.teredo
    carries_four = any(address in network for network in _NAT64) or address in _COMPATIBLE
    if carries_four and not address.is_loopback and not address.is_unspecified:
        embedded.append(IPv4Address(int(address) & 0xFFFFFFFF))
    yield address
    yield from embedded
