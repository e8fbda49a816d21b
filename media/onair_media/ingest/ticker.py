"""One tick for all live publishers: their sockets are read together, every 60 ms, instead of at each packet.

A wake-up and a read cost far more than the parsing of what they bring; measured, this is most of the difference to a
C server (docs/decisions/002). The price is half a tick of latency on average, nothing beside a two-second segment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.06
# Whoever has more than one turn may take is served again after the loop has served everyone else.
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
        self._behind: list[Pumped] = []  # they alone are served between two ticks
        self._catching_up: asyncio.TimerHandle | None = None

    def add(self, member: Pumped) -> None:
        self._members[member] = None
        if self._timer is None:
            self._schedule()

    def discard(self, member: Pumped) -> None:
        self._members.pop(member, None)

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._tick)

    def _tick(self) -> None:
        self._timer = None
        try:
            self._pump(list(self._members))
        finally:
            if self._members:
                self._schedule()

    def _catch_up(self) -> None:
        self._catching_up = None
        self._pump(self._behind)

    def _pump(self, members: Iterable[Pumped]) -> None:
        self._behind = [member for member in members if member in self._members and _has_more(member)]
        if self._behind and self._catching_up is None:
            self._catching_up = asyncio.get_running_loop().call_later(CATCH_UP_SECONDS, self._catch_up)


def _has_more(member: Pumped) -> bool:
    try:
        return member.pump()
    except Exception:
        # One of them must not cost the others their turn, nor all of them the next tick.
        log.exception("a publisher could not be read")
        return False
