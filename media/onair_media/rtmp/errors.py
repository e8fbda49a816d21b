"""The one way an RTMP connection fails."""

from __future__ import annotations


class ProtocolError(Exception):
    """The peer broke the protocol or a limit; the connection cannot go on. `reason` never contains what it sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
