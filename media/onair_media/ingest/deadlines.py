"""How long a connection may take for what a publisher does at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. Metrics count what is cut for them as `handshake_deadline`, `publish_deadline` and `media_deadline`."""

    handshake: float = 10.0
    """From the connection on, TLS included; absolute, however slowly it trickles in."""
    publish: float = 20.0
    """From the handshake's end until a publish is accepted."""
    media: float = 15.0
    """Between two audio or video messages of a publisher. One that has vanished is noticed by TCP keepalive, too."""
