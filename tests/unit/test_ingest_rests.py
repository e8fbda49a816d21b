"""For how long a live socket is left alone, and how long one that sends too much is put up with."""

from __future__ import annotations

import pytest

from onair_media.ingest.rests import FULL_BYTES, MAX_TICKS, MAX_UNMARKED_TICKS, MOST_BYTES, WARM_SECONDS, Rests
from onair_media.ingest.throttling import FINISHED_SECONDS, Throttled, Verdict
from onair_media.ingest.wire import PeerState

TICK = 0.06
WARM = WARM_SECONDS + TICK
LITTLE = 1000


@pytest.mark.parametrize(
    ("asks", "quiet", "ticks"),
    [(True, 0.0, 0), (True, 0.13, 2), (True, 9.0, MAX_TICKS), (False, 0.13, 2), (False, 9.0, MAX_UNMARKED_TICKS)],
)
def test_a_rest_is_as_long_as_nothing_can_come_of_what_comes(asks: bool, quiet: float, ticks: int) -> None:
    assert Rests(0.0, asks=asks).ticks(quiet, LITTLE, WARM, TICK) == ticks


def test_who_sent_nothing_is_asked_at_the_next_tick() -> None:
    assert Rests(0.0, asks=True).ticks(9.0, 0, WARM, TICK) == 0


def test_nobody_rests_before_the_window_is_wide() -> None:
    rests = Rests(100.0, asks=True)
    assert rests.ticks(9.0, LITTLE, 100.0 + WARM_SECONDS - TICK, TICK) == 0
    assert rests.ticks(9.0, LITTLE, 100.0 + WARM, TICK) == MAX_TICKS


class Sender:
    """Sends `megabits` a second, and is read when its rests are over; `brought`: what the last turn has."""

    def __init__(self, megabits: float) -> None:
        self.megabits = megabits
        self.rest = self.brought = 0
        self._now = 0.0
        self._rests = Rests(self._now, asks=True)
        while self._now < WARM:
            self.turn()

    def turn(self, more: int = 0) -> int:
        """`more` bytes came beside the usual; the ticks of the rest that follows."""
        passed = (self.rest + 1) * TICK
        self._now += passed
        self.brought = int(self.megabits * 1e6 / 8 * passed)
        self.rest = self._rests.ticks(9.0, self.brought + more, self._now, TICK)
        return self.rest


@pytest.mark.parametrize(("megabits", "ticks"), [(3, MAX_TICKS), (6, 7), (20, 1), (40, 0), (400, 0)])
def test_no_rest_brings_more_than_three_quarters_of_the_mark(megabits: float, ticks: int) -> None:
    sender = Sender(megabits)
    for _ in range(20):
        assert sender.turn() == ticks
        assert not ticks or sender.brought <= MOST_BYTES


def test_a_key_frame_is_no_rate() -> None:
    sender = Sender(3)
    sender.rest = 0  # read at the tick at which the segment may end
    assert sender.turn(more=230_000) >= 5


def test_a_sender_that_becomes_fast_is_left_alone_for_less_at_once() -> None:
    sender = Sender(3)
    assert sender.turn() == MAX_TICKS
    sender.megabits = 20
    assert sender.turn() == 1


def test_a_mark_that_is_taken_and_not_kept_to_is_none() -> None:
    rests = Rests(0.0, asks=True)
    for taken in (1448, FULL_BYTES, 1448):
        rests.called(taken, WARM)
    assert rests.asks, "once or twice is a window that was full"
    rests.called(1448, WARM)
    assert not rests.asks


def test_a_narrow_window_is_full_early() -> None:
    rests = Rests(0.0, asks=True)
    for _ in range(100):
        rests.called(1448, WARM_SECONDS - TICK)
    assert rests.asks


def test_who_is_gone_is_not_waited_for() -> None:
    assert Throttled(0.0).verdict(PeerState.GONE, 0.0, 30.0) is Verdict.LOST


def test_what_came_before_the_end_is_taken_for_a_while() -> None:
    throttled = Throttled(0.0)
    assert throttled.verdict(PeerState.OPEN, 20.0, 30.0) is Verdict.WAITS
    assert throttled.verdict(PeerState.FINISHED, 21.0, 30.0) is Verdict.WAITS
    assert throttled.verdict(PeerState.FINISHED, 21.0 + FINISHED_SECONDS, 30.0) is Verdict.WAITS
    assert throttled.verdict(PeerState.FINISHED, 21.1 + FINISHED_SECONDS, 30.0) is Verdict.LOST


def test_nobody_sends_too_much_for_ever() -> None:
    throttled = Throttled(100.0)
    assert throttled.verdict(PeerState.OPEN, 130.0, 30.0) is Verdict.WAITS
    assert throttled.verdict(PeerState.OPEN, 130.1, 30.0) is Verdict.TOO_LONG
