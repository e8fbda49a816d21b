"""Time for the ingest: wall-clock values that advance with a clock nobody sets (DESIGN: Clocks)."""

from __future__ import annotations

import time

# Without it (not Linux) a suspended machine's deadlines wait with it.
_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)
_NOTICED_SECONDS = 1.0


def elapsed() -> float:
    """Seconds since some moment, the time in suspend included where the system counts it."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


class Clock:
    """`now()` is Unix seconds, but does not jump when the system clock is set, except in `tie`.

    Deadlines are stored as wall time, because they outlive the process, and run on a clock that nobody sets, because a
    corrected system clock must not end a broadcast. The two are tied together when nothing runs on them.
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._asleep = _asleep()
        self.tie()

    def now(self) -> float:
        return self._offset + elapsed()

    def tie(self) -> None:
        """Takes over what the system clock says now. Only while no deadline is kept."""
        self._offset = time.time() - elapsed()

    def slept(self) -> bool:
        """Whether the machine was suspended since the last call: timers of the event loop are late by that time."""
        before, self._asleep = self._asleep, _asleep()
        return self._asleep - before > _NOTICED_SECONDS


def _asleep() -> float:
    """Seconds in suspend, up to a constant."""
    return elapsed() - time.monotonic()
