"""Time for the ingest: wall-clock values that advance with the monotonic clock (DESIGN: Clocks)."""

from __future__ import annotations

import time


class Clock:
    """`now()` is Unix seconds, but never jumps when the system clock is set.

    Deadlines are stored as wall time, because they outlive the process, and run on the monotonic clock, because a
    corrected system clock must not end a broadcast. The two are tied together once, when the process starts.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()
