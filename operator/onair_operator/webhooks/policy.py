"""Where OnAir may send requests that its users ask for (DESIGN: Trust). Pure.

Webhook URLs come from people who may edit a namespace, and are fetched from inside the network: without a
policy they would be a way to reach what only the cluster can reach. So only addresses of the public internet
are allowed, by the IANA special-purpose address registries, unless the installation allows more. IPv6
addresses that stand for an IPv4 address are judged as that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED: tuple[tuple[str, Network], ...] = tuple(
    (kind, ip_network(network))
    for kind, networks in {
        "loopback": ("127.0.0.0/8", "::1/128"),
        "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
        "link-local": ("169.254.0.0/16", "fe80::/10"),
        "cloud metadata": ("168.63.129.16/32",),  # Azure's, the only one outside the other ranges
        "carrier-grade NAT": ("100.64.0.0/10",),
        "multicast": ("224.0.0.0/4", "ff00::/8"),
        "unspecified": ("0.0.0.0/8", "::/128"),
        "documentation": ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
        "reserved": (
            "192.0.0.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "240.0.0.0/4",
            "2001::/23",  # protocol assignments, Teredo and ORCHID among them
        ),
    }.items()
    for network in networks
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundPolicy:
    """What this installation adds to the rule that only public addresses may be connected to.

    `deny_networks` is for cluster ranges with public addresses and prevails over `allow_networks`.
    """

    allow_loopback: bool = False
    allow_networks: tuple[Network, ...] = ()
    deny_networks: tuple[Network, ...] = ()

    def refusal(self, address: Address | str) -> str | None:
        """None if this address may be connected to, else its kind: `loopback`, `private`, …"""
        address = _judged(ip_address(address) if isinstance(address, str) else address)
        if _within(address, self.deny_networks):
            return "denied"
        if _within(address, self.allow_networks):
            return None
        kind = next((kind for kind, network in _REFUSED if address in network), None)
        if kind == "loopback" and self.allow_loopback:
            return None
        if kind is None and address.version == 6 and address not in _GLOBAL_UNICAST:
            return "reserved"
        return kind


def url_problem(url: str) -> str | None:
    """None if a request may be made of this URL, else why not; addresses are judged when connecting."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "not a URL"
    if parts.scheme not in ("http", "https"):
        return "only http and https URLs are allowed"
    if not parts.hostname or port == 0:
        return "the URL has no host, or port 0"
    return None


def _judged(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64 (RFC 6052), 6to4 (RFC
    3056).
    """
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
