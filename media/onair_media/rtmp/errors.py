"""The one way an RTMP connection fails."""

from __future__ import annotations

PROTOCOL = "protocol"


class ProtocolError(Exception):
    """The peer broke the protocol or a limit; the connection cannot go on. `reason` never contains what it sent.

    `limit` names the limit of `rtmp.limits` that was passed, or is `protocol`: what metrics count it by.
    """

    def __init__(self, reason: str, limit: str = PROTOCOL) -> None:
        super().__init__(reason)
        self.reason = reason
        self.limit = limit
