"""How much of this process viewers may take: connections, bytes of a request's head, time."""

from __future__ import annotations

from dataclasses import dataclass

from onair_core.open_files import allow_open_files
from onair_media.origins import Origin, Tally

_VIEWERS_SHARE = 0.75
"""Of the files a process may open. The rest is for publishers, recordings, journals and webhooks."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers are generous: a viewer has one to six connections, and an idle one costs a few kilobytes.

    The names are the reasons that metrics count by.
    """

    connections: int = 12_288
    per_address: int = 6_144
    """Half of them: everybody may come through one proxy or NAT, and yet one address never locks out all others."""

    site_factor: int = 1
    """How many times as much as one address all addresses of one IPv6 site, a /48, may have: no more, for the same
    reason. Metrics count it as `per_site`."""

    head_bytes: int = 16_384
    """Of one request's head; browsers send one to two thousand, more with the cookies of a large site."""

    head_seconds: float = 10.0
    """From the first byte of a head to its last. A head is one packet: who takes longer only holds the connection."""

    idle_seconds: float = 75.0
    """Without a byte in either direction: longer than any player waits between two requests."""


def limits_of_process() -> Limits:
    """Raises the number of files the process may open as far as it may, and gives viewers their share of it."""
    connections = int(allow_open_files() * _VIEWERS_SHARE)
    return Limits(connections=connections, per_address=connections // 2)


def answer_seconds(length: int) -> float:
    """How long a viewer may take to receive `length` bytes; half of what the poorest video needs (256 kbit/s).

    Nobody has to change it: it follows from the media, not from the installation.
    """
    return 75.0 + length / 32_768


class Crowd:
    """Counts connections."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._inside = Tally()

    def enter(self, origin: Origin) -> str | None:
        """The limit that leaves no room for one more from there; None: there is room, and it counts until it leaves."""
        limits, inside = self.limits, self._inside
        if inside.total >= limits.connections:
            return "connections"
        if full := inside.full(origin, limits.per_address, limits.site_factor):
            return full
        inside.add(origin)
        return None

    def leave(self, origin: Origin) -> None:
        self._inside.remove(origin)
