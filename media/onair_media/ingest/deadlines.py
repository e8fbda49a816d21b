"""How long a connection may take for what a publisher does at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. Metrics count what is cut for them by the name with `_deadline` behind it: `handshake_deadline`, …"""

    handshake: float = 10.0
    """From the connection on, TLS included; absolute, however slowly it trickles in."""
    publish: float = 20.0
    """From the handshake's end until a publish is accepted."""
    media: float = 15.0
    """Between two audio or video messages of a publisher; empty ones are none. One that has vanished is noticed by TCP
    keepalive, too."""
    throttled: float = 30.0
    """For which a publisher may send more messages than the limit of their rate, on end. An encoder that catches up
    after its network was away brings in that time what it would send in minutes."""
