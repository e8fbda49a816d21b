"""When a segment ends (DESIGN: CMAF; RFC 8216bis 4.4.3.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_media.cmaf.segmenter import MAX_SEGMENT_BYTES, CutRule, target_duration

FRAME = 1 / 30


def ends(rule: CutRule, elapsed: float, *, joinable: bool = True, size: int = 0, frame: float = FRAME) -> bool:
    return rule.ends_at(elapsed, joinable=joinable, frame=frame, size=size)


def test_before_it_is_active_every_idr_counts_from_nine_tenths_of_a_second_on() -> None:
    rule = CutRule(2.0)
    assert not ends(rule, 0.8)
    assert ends(rule, 0.9) and ends(rule, 1.0)


def test_afterwards_the_first_idr_at_the_segment_duration_less_a_tolerance() -> None:
    """Timestamps are milliseconds: two seconds of 29.97 frames may be stamped 1.967."""
    rule = CutRule(2.0, steady=True, target_duration=2)
    assert not ends(rule, 1.0) and not ends(rule, 1.94)
    assert ends(rule, 1.95) and ends(rule, 2.0)


def test_nothing_but_an_idr_ends_a_segment_that_may_grow() -> None:
    assert not ends(CutRule(2.0, steady=True, target_duration=4), 3.9, joinable=False)


def test_short_segments_do_not_wait_for_nine_tenths() -> None:
    assert ends(CutRule(0.5), 0.45)


@pytest.mark.parametrize("target", range(1, 11))
def test_extinf_rounded_never_exceeds_the_target_duration(target: int) -> None:
    """A GOP that is too long is cut without an IDR, one frame before it would round up."""
    rule = CutRule(2.0, steady=True, target_duration=target)
    elapsed = 0.0
    while not ends(rule, elapsed, joinable=False):
        elapsed += FRAME
    assert target - 0.5 < elapsed
    assert round(elapsed) <= target


def test_before_the_target_is_fixed_ten_seconds_are_the_most() -> None:
    assert not ends(CutRule(2.0), 10.0, joinable=False)
    assert ends(CutRule(2.0), 10.45, joinable=False)


def test_bytes_count_too() -> None:
    assert not ends(CutRule(2.0), 0.1, joinable=False, size=MAX_SEGMENT_BYTES - 1)
    assert ends(CutRule(2.0), 0.1, joinable=False, size=MAX_SEGMENT_BYTES)


@pytest.mark.parametrize(
    ("wanted", "longest", "target"),
    [
        (2.0, 1.0, 2),
        (2.0, 2.0, 2),
        (2.0, 4.0, 4),
        (1.5, 1.0, 2),
        (2.0, 2.4, 2),
        (2.0, 2.5, 3),
        (2.0, 30.0, 10),
        (0.3, 0.1, 1),
    ],
)
def test_the_target_is_the_configured_or_the_first_gop_and_at_most_ten(
    wanted: float, longest: float, target: int
) -> None:
    assert target_duration(wanted, longest) == target


@given(st.floats(0.2, 10), st.floats(0.04, 10.4))
def test_the_target_holds_for_the_segments_it_was_made_from(wanted: float, longest: float) -> None:
    assert round(longest) <= target_duration(wanted, longest) <= 10
