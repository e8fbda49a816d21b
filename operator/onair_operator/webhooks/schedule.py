"""When a delivery is tried again: growing delays with bounded jitter, for 24 hours. Pure.

5 s, 15 s, 45 s, about 2, 7 and 20 minutes, then every hour; each ±10 %, so that streams that failed together
do not come back together. The last try of an event is made when its time is over, so nothing is given up while a
try was still due.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """All in seconds. `jitter` is the share by which a delay may be shorter or longer."""

    first: float = 5.0
    factor: float = 3.0
    longest: float = 3600.0
    jitter: float = 0.1
    time_to_live: float = 86400.0

    def delay(self, failures: int, random: float) -> float:
        """How long to wait after the `failures`-th failure in a row (from 1); `random` is in [0, 1)."""
        # The exponent is bounded: a float overflows at a few hundred failures.
        delay = min(self.first * self.factor ** min(failures - 1, 64), self.longest)
        return delay * (1 + self.jitter * (2 * random - 1))

    def failing_since(self, now: float, due: float | None, since: float | None) -> float:
        """When the endpoint began to fail, as of a try that failed `now`; `due` is when that was due.

        A try that comes over an hour late was not made because nobody ran who could have made it: the
        endpoint is judged from now on.
        """
        away = due is not None and now - due > self.longest
        return now if since is None or away else since

    def deadline(self, recorded_at: float, failing_since: float) -> float:
        """From when on an entry may be given up: its time runs from when it could have been delivered and was not."""
        return max(recorded_at, failing_since) + self.time_to_live

    def next_at(self, now: float, failures: int, deadline: float, random: float) -> float | None:
        """When the next try comes, at the latest at the deadline; None when it has passed."""
        if now >= deadline:
            return None
        return min(now + self.delay(failures, random), deadline)

    @property
    def max_attempts(self) -> int:
        """About how many tries fit into the time to live."""
        elapsed, attempts = 0.0, 1
        while elapsed < self.time_to_live:
            elapsed += self.delay(attempts, 0.5)
            attempts += 1
        return attempts
