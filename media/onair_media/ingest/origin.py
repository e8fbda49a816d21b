"""Where a connection comes from, as limits count it. Pure.

An address is one IPv4 address, or a /64 of IPv6: the least that a customer of a provider has. Many have more of those,
a home often a /56, a site up to a /48 (RFC 6177, RIPE-690), so the /48 is counted as well (docs/decisions/010).
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

_ADDRESS_PREFIX, _SITE_PREFIX = 64, 48


class Origin(NamedTuple):
    """`address` is an IPv4 address or a network of IPv6, `site` the wider network around the latter, or empty."""

    address: str
    site: str = ""

    @property
    def groups(self) -> tuple[str, ...]:
        """All that a connection counts for."""
        return (self.address, self.site) if self.site else (self.address,)


def origin_of(host: str) -> Origin:
    """Of an IP address as the socket names it; anything else is an address as it stands."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return Origin(host)
    if isinstance(address, ipaddress.IPv4Address):
        return Origin(str(address))
    if address.ipv4_mapped is not None:
        return Origin(str(address.ipv4_mapped))
    return Origin(_network(address, _ADDRESS_PREFIX), _network(address, _SITE_PREFIX))


def _network(address: ipaddress.IPv6Address, prefix: int) -> str:
    return str(ipaddress.ip_network((address, prefix), strict=False))
