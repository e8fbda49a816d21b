"""For how long a live socket is left alone, and how long one that sends too much is put up with."""

from __future__ import annotations

import pytest

from onair_media.ingest.rests import FULL_BYTES, MAX_TICKS, MAX_UNMARKED_TICKS, WARM_SECONDS, Rests
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


@pytest.mark.parametrize(("megabits", "ticks"), [(3, MAX_TICKS), (6, 5), (20, 1), (40, 0), (400, 0)])
def test_no_rest_brings_more_than_half_of_what_the_socket_has_room_for(megabits: int, ticks: int) -> None:
    rests, now = Rests(-WARM_SECONDS, asks=True), 0.0
    rest = 0
    for _ in range(10):
        passed = (rest + 1) * TICK
        now += passed
        rest = rests.ticks(9.0, int(megabits * 1e6 / 8 * passed), now, TICK)
    assert rest == ticks


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
