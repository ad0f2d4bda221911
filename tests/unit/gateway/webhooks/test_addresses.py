"""Where webhooks may go, whatever spelling an address comes in."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.gateway.webhooks import AddressPolicy
from plinth.gateway.webhooks.errors import BadEndpointUrl
from plinth.gateway.webhooks.model import checked_url

OPEN = AddressPolicy(allow_private=True, allow_loopback=True)
DEFAULT = AddressPolicy()
CLOSED = AddressPolicy(allow_private=False)

NEVER = [
    "169.254.169.254", "169.254.170.2", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200",
    "168.63.129.16", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", NEVER)
def test_metadata_link_local_multicast_and_unspecified_are_never_allowed(address: str) -> None:
    assert OPEN.refusal(address, encrypted=True)


@given(st.integers(0, 0xFFFF))
def test_no_ipv6_spelling_hides_a_metadata_service(low: int) -> None:
    inner = IPv4Address(0xA9FE0000 | low)  # 169.254.x.x
    number = int(inner)
    spellings = [
        f"::ffff:{inner}",
        f"64:ff9b::{inner}",
        str(IPv6Address(0x2002 << 112 | number << 80)),
        str(IPv6Address(0x20010000 << 96 | (number ^ 0xFFFFFFFF))),
        str(IPv6Address(number)),
    ]
    assert all(OPEN.refusal(text, encrypted=True) for text in spellings)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"])
def test_loopback_is_a_setting_that_starts_closed(address: str) -> None:
    assert "allow_loopback_addresses" in (DEFAULT.refusal(address, encrypted=True) or "")
    assert OPEN.refusal(address, encrypted=True) is None


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1"]
)
def test_the_own_network_is_a_setting_that_starts_open(address: str) -> None:
    assert DEFAULT.refusal(address, encrypted=False) is None
    assert "allow_private_addresses" in (CLOSED.refusal(address, encrypted=True) or "")


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_need_tls(address: str) -> None:
    assert CLOSED.refusal(address, encrypted=True) is None
    assert "https" in (OPEN.refusal(address, encrypted=False) or "")


@pytest.mark.parametrize("text", ["127.1", "2130706433", "0177.0.0.1", "1.2.3.4.5", "", "localhost", "1.2.3.4:80"])
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    assert OPEN.refusal(text, encrypted=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example/a?b=c%20d", "https://hooks.example:8443", "http://receiver.internal:9000/x",
        "http://10.0.0.5/x", "https://[fd12::1]:8443/x", "https://a_b.example/", "https://xn--fiqs8s.cn/",
    ],
)  # fmt: skip
def test_usable_urls_are_kept_letter_by_letter(url: str) -> None:
    assert checked_url(url, DEFAULT) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.example", "ftp://hooks.example/", "file:///etc/passwd", "unix:///run/api.sock", "https://",
        "https:///x",
        "https://user:secret@hooks.example/", "https://hooks.example/#part", "https://hooks.example:0/",
        "https://hooks.example:99999/", "https://hooks.example:x/", "https://hooks example/",
        "https://hooks.example/\r\nX: y",
        "https://中国.cn/", "https://hooks.example/" + "a" * 2048, "https://[::1", "https://[fe80::1%25eth0]/",
        "https://169.254.169.254/latest/meta-data", "https://127.1/", "https://2130706433/", "https://0/", "https://-x/",
        "http://127.0.0.1:8400/v1/models", "http://93.184.215.14/", "https://hooks.example\\@169.254.169.254/",
        "https://%31%36%39.254.169.254/",
    ],
)  # fmt: skip
def test_unusable_urls_are_refused_with_a_reason(url: str) -> None:
    with pytest.raises(BadEndpointUrl) as refused:
        checked_url(url, DEFAULT)
    assert refused.value.param == "url"
    assert refused.value.fields["reason"].endswith(".")


@given(st.text(max_size=40))
def test_any_text_is_either_kept_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://host.example/{text}"):
        try:
            assert checked_url(url, OPEN) == url
        except BadEndpointUrl:
            pass
