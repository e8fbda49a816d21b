"""RTMP's 32-bit milliseconds on a clock that only rises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_media.cmaf.timeline import MediaClock, SampleClock, Unwrapper


@pytest.mark.parametrize("start", [0, 2**24 - 100, 2**31 - 100, 2**32 - 100])
def test_no_power_of_two_is_special(start: int) -> None:
    """4.66 hours (2^24, the extended timestamp), 24.8 days (2^31), 49.7 days (2^32)."""
    unwrap = Unwrapper().unwrap
    seen = [unwrap((start + 40 * n) & 0xFFFFFFFF) for n in range(10)]
    assert seen == [start + 40 * n for n in range(10)]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=50))
def test_unwrapping_follows_any_step_shorter_than_half_the_circle(start: int, steps: list[int]) -> None:
    unwrapper = Unwrapper()
    assert unwrapper.unwrap(start) == start
    true = start
    for step in steps:
        true += step
        assert unwrapper.unwrap(true & 0xFFFFFFFF) == true


def test_a_connection_goes_on_where_the_last_one_ended() -> None:
    clock = MediaClock()
    clock.start(500, 0)
    assert [clock.place("video", 500), clock.place("audio", 510)] == [0, 10]
    clock.start(77_000, 4_000)
    assert [clock.place("video", 77_000), clock.place("audio", 76_990)] == [4_000, 3_990]


@pytest.mark.parametrize("step", [3001, -501, 10**9, -(10**9)])
def test_a_jump_is_no_place_on_the_clock(step: int) -> None:
    clock = MediaClock()
    clock.start(0, 0)
    assert clock.place("video", 40) == 40
    assert clock.place("video", 40 + step) is None


@pytest.mark.parametrize("step", [3000, -500, 0])
def test_jitter_and_pauses_are_no_jumps(step: int) -> None:
    clock = MediaClock()
    clock.start(0, 0)
    clock.place("video", 1000)
    assert clock.place("video", 1000 + step) == 1000 + step


def test_each_track_has_a_step_of_its_own() -> None:
    """Sound that was silent for a while is not judged by the picture's last frame."""
    clock = MediaClock()
    clock.start(0, 0)
    for at in range(0, 20_000, 40):
        assert clock.place("video", at) == at
    assert clock.place("audio", 2_000) == 2_000


def test_frames_from_before_a_jump_are_recognised() -> None:
    clock = MediaClock()
    clock.start(0, 0)
    clock.place("video", 10_000)
    clock.start(5_000_000, 10_040)  # the encoder's clock was set
    assert clock.place("audio", 10_010) is None
    assert clock.is_straggler("audio", 10_010, 10_040)
    assert not clock.is_straggler("audio", 90_000_000, 10_040), "that is another jump"


def test_audio_counts_samples_not_milliseconds() -> None:
    """1024 samples at 48 kHz are 21.33 ms: a playlist made of milliseconds would have a gap in every frame."""
    clock = SampleClock(48_000)
    stamps = [round(n * 1024 / 48) for n in range(1000)]
    assert [clock.place(stamp, 1024) for stamp in stamps] == [n * 1024 for n in range(1000)]


@given(st.lists(st.integers(-25, 25), min_size=2, max_size=300))
def test_jitter_never_makes_a_gap_or_drops_a_frame(jitter: list[int]) -> None:
    clock = SampleClock(44_100)
    placed = [clock.place(1000 + round(n * 1024 / 44.1) + shift, 1024) for n, shift in enumerate(jitter)]
    assert None not in placed
    first = placed[0] or 0
    assert placed == [first + n * 1024 for n in range(len(jitter))]


def test_a_hole_in_the_sound_is_a_hole_in_time() -> None:
    clock = SampleClock(48_000)
    clock.place(0, 1024)
    assert clock.place(500, 1024) == 24_000


def test_sound_that_runs_ahead_of_its_clock_is_dropped_until_it_fits() -> None:
    clock = SampleClock(48_000)
    placed = [clock.place(0, 1024) for _ in range(10)]
    assert placed[:3] == [0, 1024, 2048] and placed[-1] is None
    assert clock.place(200, 1024) is not None


@given(st.lists(st.integers(0, 200), max_size=100))
def test_the_sample_clock_only_rises(steps: list[int]) -> None:
    clock = SampleClock(48_000)
    at, last = 0, -1
    for step in steps:
        at += step
        placed = clock.place(at, 1024)
        if placed is not None:
            assert placed > last
            last = placed
