"""One tick for all: nobody's defect and nobody's flood costs another its turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from onair_media.ingest.ticker import Ticker

TICK = 0.01


@dataclass(eq=False)
class Member:
    has_more: int = 0  # turns that leave something behind
    defect: bool = False
    turns: int = 0
    rests: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def pump(self) -> bool:
        self.turns += 1
        self.changed.set()
        if self.defect:
            raise RecursionError
        self.has_more -= 1
        return self.has_more >= 0

    def rest_ticks(self, tick_seconds: float) -> int:
        return self.rests

    async def turn(self, number: int) -> None:
        async with asyncio.timeout(10):
            while self.turns < number:
                self.changed.clear()
                await self.changed.wait()


async def test_a_member_that_raises_costs_neither_the_others_nor_the_next_tick() -> None:
    ticker = Ticker(TICK)
    before, broken, after = Member(), Member(defect=True), Member()
    for member in (before, broken, after):
        ticker.add(member)
    await after.turn(5)
    assert before.turns == broken.turns == after.turns


async def test_who_has_more_is_served_between_the_ticks_and_alone() -> None:
    ticker = Ticker(0.5)
    flood, quiet = Member(has_more=10), Member()
    ticker.add(flood)
    ticker.add(quiet)
    await flood.turn(11)
    assert quiet.turns == 1
    await quiet.turn(2)
    assert flood.turns == 12


async def test_who_left_during_a_tick_is_not_read_in_it() -> None:
    ticker = Ticker(TICK)
    gone, last = Member(), Member()

    class Leaving(Member):
        def pump(self) -> bool:
            ticker.discard(gone)
            return super().pump()

    for member in (Leaving(), gone, last):
        ticker.add(member)
    await last.turn(2)
    assert gone.turns == 0


async def test_an_empty_ticker_sleeps_and_wakes_up_again() -> None:
    ticker = Ticker(TICK)
    first = Member()
    ticker.add(first)
    await first.turn(1)
    ticker.discard(first)
    await asyncio.sleep(3 * TICK)
    assert first.turns == 1 and ticker._timer is None
    second = Member()
    ticker.add(second)
    await second.turn(2)


async def test_who_rests_is_left_out_and_nobody_is_woken_up_for_it() -> None:
    ticker = Ticker(TICK)
    resting, busy = Member(rests=3), Member()
    ticker.add(resting)
    ticker.add(busy)
    await busy.turn(9)
    assert resting.turns == 3
    ticker.discard(busy)
    await resting.turn(5)
    assert ticker._ahead == 4


async def test_who_comes_while_others_rest_is_read_at_the_next_tick_and_delays_nobody() -> None:
    ticker = Ticker(0.2)
    resting = Member(rests=3)
    ticker.add(resting)
    await resting.turn(1)
    assert ticker._ahead == 4
    planned = ticker._last + 4 * ticker._seconds
    for _ in range(50):  # a rush
        ticker.add(Member())
    assert ticker._ahead == 1
    newcomer = Member()
    ticker.add(newcomer)
    await newcomer.turn(1)
    assert ticker._last + (1 + ticker._members[resting]) * ticker._seconds <= planned + ticker._seconds


async def test_who_comes_while_the_tick_is_overdue_is_read_in_it() -> None:
    ticker = Ticker(0.2)
    busy, newcomer = Member(), Member()
    ticker.add(busy)
    ticker._last -= 10  # something held the loop up
    ticker.add(newcomer)
    await busy.turn(1)
    assert newcomer.turns == 1
