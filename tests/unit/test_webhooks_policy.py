"""Which addresses OnAir connects to on behalf of its users."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_operator.webhooks import OutboundPolicy
from onair_operator.webhooks.policy import url_problem


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("fd00:ec2::254", "private"),
        ("fec0::1", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("168.63.129.16", "cloud metadata"),
        ("100.100.100.200", "carrier-grade NAT"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        ("192.0.0.192", "reserved"),
        ("198.18.0.1", "reserved"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "reserved"),
        ("100::1", "reserved"),
        ("64:ff9b:1::1", "reserved"),
        ("203.0.113.7", "documentation"),
        ("2001:db8::1", "documentation"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:a9fe:a9fe", "link-local"),
        ("::127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::169.254.169.254", "link-local"),
        ("2002:7f00:1::", "loopback"),
        ("2002:c0a8:1::1", "private"),
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str, kind: str) -> None:
    assert OutboundPolicy().refusal(address) == kind


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert OutboundPolicy().refusal(address) is None


@given(st.ip_addresses(v=4))
def test_an_ipv6_address_for_an_ipv4_address_is_judged_as_that(address: IPv4Address) -> None:
    policy = OutboundPolicy()
    for embedded in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert policy.refusal(embedded) == policy.refusal(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_can_be_allowed_alone(address: str) -> None:
    policy = OutboundPolicy(allow_loopback=True)
    assert policy.refusal(address) is None
    assert policy.refusal("10.0.0.1") == "private"
    assert policy.refusal("169.254.169.254") == "link-local"


def test_networks_can_be_allowed_and_denied() -> None:
    policy = OutboundPolicy(
        allow_networks=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
        deny_networks=(ip_network("10.96.0.0/12"), ip_network("8.8.0.0/16")),
    )
    assert policy.refusal("10.1.0.1") is None
    assert policy.refusal("::ffff:10.1.0.1") is None
    assert policy.refusal("fd00::1") is None
    assert policy.refusal("10.96.0.1") == "denied"
    assert policy.refusal("8.8.8.8") == "denied"
    assert policy.refusal("192.168.0.1") == "private"


@pytest.mark.parametrize("url", ["http://example.com", "https://example.com:8443/hook?x=1", "http://[2606:4700::1]/"])
def test_http_urls_are_requested(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "unix:///var/run/docker.sock",
        "javascript:alert(1)",
        "http://",
        "http://x:0/",
        "http://x:99999/",
        "http://[::1",
    ],
)
def test_other_urls_are_not(url: str) -> None:
    assert url_problem(url) is not None
