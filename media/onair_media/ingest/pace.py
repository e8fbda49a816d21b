"""How often one channel may begin anew: each time costs events, webhooks, a journal's sync, perhaps a recording.

A publisher with a key could otherwise make more of them than anything behind the channel can take in.
"""

from __future__ import annotations

from onair_media.rtmp.rate import Rate

# Encoders that lose their network come back once a second, two that fight for a channel all the time.
ARRIVALS_PER_SECOND, ARRIVALS_AT_ONCE = 1.0, 30
# Nobody changes the codec in the middle of a connection but by hand.
CODECS_PER_SECOND, CODECS_AT_ONCE = 0.1, 5


class Pace:
    """One channel's; `now` in Unix seconds."""

    def __init__(self) -> None:
        self._arrivals = Rate(ARRIVALS_PER_SECOND, ARRIVALS_AT_ONCE)
        self._codecs = Rate(CODECS_PER_SECOND, CODECS_AT_ONCE)

    def may_arrive(self, now: float) -> bool:
        """Whether one more publisher may be let in."""
        return self._arrivals.try_take(now)

    def may_change_codec(self, now: float) -> bool:
        """Whether the publisher may begin another broadcast by changing its codec."""
        return self._codecs.try_take(now)
