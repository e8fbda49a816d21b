"""One tick for all live publishers: their sockets are read together, every 60 ms, instead of at each packet.

A wake-up and a read cost far more than the parsing of what they bring; measured, this is most of the difference to a
C server (docs/decisions/002). The price is half a tick of latency on average, nothing beside a two-second segment.

Most of what a publisher sends makes no difference to anybody until its segment ends. Who says that nothing can come of
what arrives for a while is left alone for as many ticks, and nobody is woken up for it.
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
    """Something that reads its socket when asked."""

    def pump(self) -> bool:
        """True when more is waiting than one turn may take."""

    def rest_ticks(self, tick_seconds: float) -> int:
        """How many ticks it may be left out now."""


class Ticker:
    """Runs only while somebody is on it: an idle server does not wake up."""

    def __init__(self, seconds: float = TICK_SECONDS) -> None:
        self._seconds = seconds
        self._members: dict[Pumped, int] = {}  # with the ticks that each is left out
        self._timer: asyncio.TimerHandle | None = None
        self._last = 0.0  # the loop's time of the last tick
        self._ahead = 0  # ticks from there to the next
        self._behind: list[Pumped] = []  # they alone are served between two ticks
        self._catching_up: asyncio.TimerHandle | None = None

    def add(self, member: Pumped) -> None:
        """Reads it from the next tick on."""
        now = asyncio.get_running_loop().time()
        if self._timer is None:
            self._last = now
        # The next tick that there would be if nobody was left out: never later than what was planned.
        ticks = int((now - self._last) / self._seconds) + 1
        if self._timer is not None:
            ticks = min(ticks, self._ahead)  # the planned one may be overdue: then that is the next
        self._members[member] = ticks - 1
        if self._timer is None or ticks < self._ahead:
            self._schedule(ticks)

    def discard(self, member: Pumped) -> None:
        self._members.pop(member, None)

    def _schedule(self, ticks: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._ahead = ticks
        self._timer = asyncio.get_running_loop().call_at(self._last + ticks * self._seconds, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._last = asyncio.get_running_loop().time()
        passed = self._ahead
        due = []
        for member, rest in self._members.items():
            if rest < passed:
                due.append(member)
            else:
                self._members[member] = rest - passed
        try:
            self._pump(due)
            for member in due:
                if member in self._members:
                    self._members[member] = 0 if member in self._behind else _rest(member, self._seconds)
        finally:
            if self._members and self._timer is None:
                self._schedule(1 + min(self._members.values()))

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


def _rest(member: Pumped, seconds: float) -> int:
    try:
        return member.rest_ticks(seconds)
    except Exception:
        log.exception("a publisher could not be asked")
        return 0
