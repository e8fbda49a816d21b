"""How long a publisher is put up with that sends more messages than it may. Pure.

Nothing of it is read meanwhile, so its end has to be looked for: its place would stay taken for as long as there is
something to take, and its own encoder, come back, would hear that another one is publishing.
"""

from __future__ import annotations

from enum import Enum, auto

from onair_media.ingest.wire import PeerState

# What a publisher sent before its end is taken for so long; a goodbye may be behind it. At the usual limits that is
# 10 000 messages: more than a socket holds of media.
FINISHED_SECONDS = 2.0


class Verdict(Enum):
    """What becomes of a publisher that is held back."""

    WAITS = auto()
    LOST = auto()
    TOO_LONG = auto()


class Throttled:
    """One publisher, from the turn on in which it was held back until one in which it is not. Times are in seconds."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._finished_at: float | None = None

    def verdict(self, peer: PeerState, now: float, longest: float) -> Verdict:
        """After a turn. `longest` is for how many seconds it may be held back on end."""
        if peer is PeerState.FINISHED and self._finished_at is None:
            self._finished_at = now
        if peer is PeerState.GONE or (self._finished_at is not None and now - self._finished_at > FINISHED_SECONDS):
            return Verdict.LOST
        return Verdict.TOO_LONG if now - self._since > longest else Verdict.WAITS
