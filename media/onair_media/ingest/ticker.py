"""One tick for all live publishers: their sockets are read together, every 60 ms, instead of at each packet.

A wake-up and a read cost far more than the parsing of what they bring; measured, this is most of the difference to a
C server (docs/decisions/002). The price is half a tick of latency on average, nothing beside a two-second segment.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

TICK_SECONDS = 0.06
# When one turn could not empty every socket, the next follows after the loop has served everyone else.
CATCH_UP_SECONDS = 0.002


class Pumped(Protocol):
    """Something that reads its socket when asked; returns True when more is waiting than one turn may take."""

    def pump(self) -> bool: ...


class Ticker:
    """Runs only while somebody is on it: an idle server does not wake up."""

    def __init__(self, seconds: float = TICK_SECONDS) -> None:
        self._seconds = seconds
        self._members: dict[Pumped, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, member: Pumped) -> None:
        self._members[member] = None
        if self._timer is None:
            self._schedule(self._seconds)

    def discard(self, member: Pumped) -> None:
        self._members.pop(member, None)

    def _schedule(self, delay: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        more = False
        for member in list(self._members):
            if member in self._members:
                more |= member.pump()
        self._timer = None
        if self._members:
            self._schedule(CATCH_UP_SECONDS if more else self._seconds)
