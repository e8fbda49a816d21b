"""The end-to-end tests' rules for media segments: the packager's keep them, and whatever is broken is caught."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from cmaf_frames import h264, video

from onair_core.contract import BroadcastRef, PackagingSettings
from onair_media.cmaf import Packager, Segment

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from fmp4_rules import Continuity, runs

FRAMES = 100


def segments() -> list[bytes]:
    """One hundred pictures of 40 ms, with a key frame each second."""
    packager = Packager(PackagingSettings(), broadcast=BroadcastRef("b", 1), tracks=("video",))
    packager.connect(1_790_000_000.0)
    outputs = list(packager.video(0, h264()[0]))
    for number in range(FRAMES):
        outputs += packager.video(number * 40, video(number, key=number % 25 == 0))
    outputs += packager.disconnect()
    return [o.tracks["video"].data for o in outputs if isinstance(o, Segment)]


def test_the_packagers_segments_are_whole_and_without_a_hole() -> None:
    continuity = Continuity()
    for segment in segments():
        continuity.take(segment)
    assert continuity.samples == FRAMES
    assert len(continuity.media) > 2
    assert all(runs(segment)[0].begins_with_sync for segment in continuity.media)


def test_a_missing_segment_is_a_hole() -> None:
    first, _, third, *_ = segments()
    continuity = Continuity()
    continuity.take(first)
    with pytest.raises(AssertionError, match="tfdt"):
        continuity.take(third)
    with pytest.raises(AssertionError, match="tfdt"):
        continuity.take(first)


@pytest.mark.parametrize("lost", [1, 7, 100, 2000])
def test_a_segment_that_is_cut_off_is_not_whole(lost: int) -> None:
    with pytest.raises(AssertionError):
        runs(segments()[0][:-lost])


def test_an_mdat_holds_what_the_samples_say() -> None:
    segment = bytearray(segments()[0])
    size = segment.index(b"trun") + 4 + 12 + 4  # behind flags, count, offset and the first duration
    struct.pack_into(">I", segment, size, struct.unpack_from(">I", segment, size)[0] + 1)
    with pytest.raises(AssertionError, match="in an mdat of"):
        runs(bytes(segment))


def test_nothing_is_no_segment() -> None:
    with pytest.raises(AssertionError, match="no whole fragment"):
        runs(b"")
