"""One tick for all: nobody's defect and nobody's flood costs another its turn.

The clock is the loop's own: where it would wait it goes on at once, and its time with it. So a turn that comes at the
wrong moment is seen on any machine, and a slow machine makes none come so.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from dataclasses import dataclass, field

import pytest

from onair_media.ingest.ticker import CATCH_UP_SECONDS, Ticker

TICK = 0.06


class WithoutWaiting(selectors.DefaultSelector):
    """No descriptor is ever ready: what a loop would sleep for passes at once."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is planned: it would wait for ever"
        self.now += timeout
        return super().select(0)


class OwnTime(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = WithoutWaiting()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def in_its_own_time(story: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=OwnTime) as runner:
        runner.run(story)


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(eq=False)
class Member:
    has_more: int = 0  # turns that leave something behind
    defect: bool = False
    rests: int = 0
    at: list[float] = field(default_factory=list)  # the time of each turn
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def turns(self) -> int:
        return len(self.at)

    def pump(self) -> bool:
        self.at.append(now())
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


def test_a_member_that_raises_costs_neither_the_others_nor_the_next_tick() -> None:
    async def story() -> None:
        ticker = Ticker(TICK)
        before, broken, after = Member(), Member(defect=True), Member()
        for member in (before, broken, after):
            ticker.add(member)
        await after.turn(5)
        assert before.turns == broken.turns == after.turns

    in_its_own_time(story())


def test_who_has_more_is_served_between_the_ticks_and_alone() -> None:
    async def story() -> None:
        ticker = Ticker(TICK)
        flood, quiet = Member(has_more=10), Member()
        ticker.add(flood)
        ticker.add(quiet)
        await flood.turn(11)
        assert quiet.turns == 1
        assert flood.at == pytest.approx([flood.at[0] + turn * CATCH_UP_SECONDS for turn in range(11)])
        await quiet.turn(2)
        assert flood.turns == 12
        assert quiet.at[1] - quiet.at[0] == pytest.approx(TICK)

    in_its_own_time(story())


def test_who_left_during_a_tick_is_not_read_in_it() -> None:
    async def story() -> None:
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

    in_its_own_time(story())


def test_an_empty_ticker_sleeps_and_wakes_up_again() -> None:
    async def story() -> None:
        ticker = Ticker(TICK)
        first = Member()
        ticker.add(first)
        await first.turn(1)
        ticker.discard(first)
        await asyncio.sleep(3 * TICK)  # of its own time
        assert first.turns == 1 and ticker._timer is None
        second = Member()
        ticker.add(second)
        await second.turn(2)

    in_its_own_time(story())


def test_who_rests_is_left_out_and_nobody_is_woken_up_for_it() -> None:
    async def story() -> None:
        ticker = Ticker(TICK)
        resting, busy = Member(rests=3), Member()
        ticker.add(resting)
        ticker.add(busy)
        await busy.turn(9)
        assert resting.turns == 3
        ticker.discard(busy)
        await resting.turn(5)
        assert ticker._ahead == 4

    in_its_own_time(story())


def test_who_comes_while_others_rest_is_read_at_the_next_tick_and_delays_nobody() -> None:
    async def story() -> None:
        ticker = Ticker(TICK)
        resting = Member(rests=3)
        ticker.add(resting)
        await resting.turn(1)
        assert ticker._ahead == 4
        for _ in range(50):  # a rush
            ticker.add(Member())
        assert ticker._ahead == 1
        newcomer = Member()
        ticker.add(newcomer)
        await newcomer.turn(1)
        assert newcomer.at[0] - resting.at[0] == pytest.approx(TICK)
        await resting.turn(2)
        assert resting.at[1] - resting.at[0] == pytest.approx(4 * TICK)

    in_its_own_time(story())


def test_who_comes_while_the_tick_is_overdue_is_read_in_it() -> None:
    async def story() -> None:
        ticker = Ticker(TICK)
        busy, newcomer = Member(), Member()
        ticker.add(busy)
        ticker._last -= 50 * TICK  # something held the loop up
        ticker.add(newcomer)
        await busy.turn(1)
        assert newcomer.turns == 1

    in_its_own_time(story())
