"""Where a connection comes from, and how many come from there: one way to count publishers and viewers. Pure.

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


class Tally:
    """So many of each address and site, and in all."""

    def __init__(self) -> None:
        self.total = 0
        self._of: dict[str, int] = {}

    def of(self, group: str) -> int:
        return self._of.get(group, 0)

    def add(self, origin: Origin) -> None:
        self.total += 1
        for group in origin.groups:
            self._of[group] = self.of(group) + 1

    def remove(self, origin: Origin) -> None:
        self.total -= 1
        for group in origin.groups:
            left = self.of(group) - 1
            if left:
                self._of[group] = left
            else:
                del self._of[group]

    def full(self, origin: Origin, of_one: int, site_factor: int) -> str:
        """Whether its address or its site has all that it may have, as the end of a limit's name: `per_address` or
        `per_site`, or nothing. A site may have `site_factor` times as much as `of_one` address.
        """
        if self.of(origin.address) >= of_one:
            return "per_address"
        return "per_site" if origin.site and self.of(origin.site) >= of_one * site_factor else ""
