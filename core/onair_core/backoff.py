"""How long to wait after failures in a row. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling delays in seconds from `first` up to `longest`, each shortened by up to the share `jitter`."""

    first: float
    longest: float
    jitter: float = 0.5

    def delay(self, failures: int, random: float) -> float:
        """Seconds after the `failures`-th failure in a row (from 1); `random` is in [0, 1)."""
        # The exponent is bounded: a float overflows at about a thousand failures.
        delay = min(self.first * 2.0 ** min(failures - 1, 64), self.longest)
        return delay * (1 - self.jitter * random)
