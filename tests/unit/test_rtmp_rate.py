"""So many in a second on average, some more at once."""

from __future__ import annotations

from onair_media.rtmp.rate import Rate


def taken(rate: Rate, now: float) -> int:
    """As many as may come now, taken."""
    left = rate.left(now)
    rate.take(left)
    return left


def test_a_burst_then_the_average() -> None:
    rate = Rate(per_second=10, burst=30)
    assert [taken(rate, now) for now in (100.0, 100.0, 100.5, 101.5, 101.5625, 101.625)] == [30, 0, 5, 10, 0, 1]


def test_quiet_saves_up_a_burst_and_no_more() -> None:
    rate = Rate(per_second=10, burst=30)
    taken(rate, 0.0)
    assert taken(rate, 1_000_000.0) == 30


def test_what_was_taken_beyond_it_is_owed() -> None:
    rate = Rate(per_second=10, burst=10)
    assert rate.left(0.0) == 10
    rate.take(30)
    assert [rate.left(now) > 0 for now in (1.0, 2.0, 2.5)] == [False, False, True]
