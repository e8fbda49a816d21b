"""So many in a second on average, some more at once: a token bucket on the caller's clock."""

from __future__ import annotations


class Rate:
    """`now` is in seconds on any clock that does not go back; a stretch of quiet saves up `burst` at most."""

    __slots__ = ("_burst", "_level", "_per_second", "_seen")

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._level = burst
        self._seen: float | None = None

    def left(self, now: float) -> int:
        """How many may come now."""
        if self._seen is not None and now > self._seen:
            self._level = min(self._burst, self._level + (now - self._seen) * self._per_second)
        self._seen = now
        return int(self._level)

    def try_take(self, now: float) -> bool:
        """Takes one; False when none is left."""
        if self.left(now) < 1:
            return False
        self.take()
        return True

    def take(self, count: int = 1) -> None:
        self._level -= count
