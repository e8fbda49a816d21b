"""For how many ticks a live socket may be left alone (docs/decisions/002). Pure."""

from __future__ import annotations

from collections import deque

# Longest that a live socket is left alone: what a goodbye or a ping may wait.
MAX_TICKS = 8
# The same for a socket that cannot ask to be read.
MAX_UNMARKED_TICKS = 3
# A live socket asks to be read before the next tick when it holds as much: the kernel makes room for twice of it.
FULL_BYTES = 512 * 1024
# No rest may bring more: a sender far away must never find the window closed.
MOST_BYTES = FULL_BYTES * 3 // 4
# Over at least so many ticks the rate is taken: a key frame in one of them is no rate.
_RATE_TICKS = 4.0
# A window grows as its socket is read: until it is as wide as the way is long, nobody rests.
WARM_SECONDS = 10.0
# A socket with this much less than it was to ask at did not wait for it; so often is no coincidence.
_EARLY_BYTES = FULL_BYTES // 4
_EARLY_CALLS = 3


class Rests:
    """Of one publisher, from `now` on, in seconds. `asks`: the socket calls when it holds `FULL_BYTES`, or ends."""

    def __init__(self, now: float, *, asks: bool) -> None:
        self.asks = asks
        self._warm_at = now + WARM_SECONDS
        self._asked_at = now
        self._early_calls = 0
        self._recent: deque[tuple[float, int]] = deque()  # ticks, and the bytes that they brought

    def called(self, taken: int, now: float) -> None:
        """The socket asked to be read, and brought `taken` bytes. Not every system that takes a mark keeps to it.

        While the window is narrow it asks early, because it is full.
        """
        if taken < _EARLY_BYTES and now >= self._warm_at:
            self._early_calls += 1
            self.asks = self.asks and self._early_calls < _EARLY_CALLS

    def ticks(self, quiet_seconds: float, taken: int, now: float, tick_seconds: float) -> int:
        """`taken`: bytes since this was asked last."""
        rate = self._rate(max(1.0, (now - self._asked_at) / tick_seconds), taken)
        self._asked_at = now
        if not taken or now < self._warm_at:
            return 0  # after a stall the first bytes count
        longest = MAX_TICKS if self.asks else MAX_UNMARKED_TICKS
        # It is read at the tick behind its rest.
        return max(0, min(longest, int(quiet_seconds / tick_seconds), int(MOST_BYTES / rate) - 1))

    def _rate(self, passed: float, taken: int) -> float:
        """Bytes a tick."""
        recent = self._recent
        recent.append((passed, taken))
        ticks = sum(ticks for ticks, _ in recent)
        while ticks - recent[0][0] >= _RATE_TICKS:
            ticks -= recent.popleft()[0]
        return sum(size for _, size in recent) / ticks
