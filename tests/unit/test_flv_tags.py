"""Tag bodies (Adobe FLV 10.1, E.4.2 and E.4.3): what is media, what is a configuration, what is neither."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_media.flv import (
    AudioConfig,
    AudioFrame,
    MediaError,
    VideoConfig,
    VideoEnd,
    VideoFrame,
    parse_audio,
    parse_video,
)


def test_a_sequence_header_is_compared_by_its_bytes() -> None:
    assert parse_video(b"\x17\0\0\0\0record") == (VideoConfig("avc", b"record"),)
    assert parse_audio(b"\xaf\0\x11\x90") == (AudioConfig("aac", b"\x11\x90"),)


@pytest.mark.parametrize(
    ("offset", "milliseconds"),
    [
        (b"\0\0\0", 0),
        (b"\0\0\x43", 67),
        (b"\x7f\xff\xff", 8_388_607),
        (b"\xff\xff\xdf", -33),
        (b"\x80\0\0", -8_388_608),
    ],
)
def test_composition_times_are_signed(offset: bytes, milliseconds: int) -> None:
    (frame,) = parse_video(b"\x27\1" + offset + b"data")
    assert isinstance(frame, VideoFrame)
    assert (frame.composition_time, frame.keyframe, bytes(frame.data)) == (milliseconds, False, b"data")


def test_key_frames() -> None:
    (frame,) = parse_video(b"\x17\1\0\0\0data")
    assert isinstance(frame, VideoFrame) and frame.keyframe
    (disposable,) = parse_video(b"\x37\1\0\0\0data")
    assert isinstance(disposable, VideoFrame) and not disposable.keyframe


def test_audio_frames() -> None:
    (frame,) = parse_audio(b"\xaf\1data")
    assert isinstance(frame, AudioFrame) and bytes(frame.data) == b"data"
    assert isinstance(parse_audio(b"\xa3\1data")[0], AudioFrame), "rate and size bits mean nothing for AAC"


@pytest.mark.parametrize("payload", [b"\x17\2\0\0\0", b"\x17\2"])
def test_the_end_of_a_sequence(payload: bytes) -> None:
    """FFmpeg sends it with a composition time, some encoders without."""
    assert parse_video(payload) == (VideoEnd(),)


@pytest.mark.parametrize("payload", [b"", b"\x57\0", b"\x17\1\0\0\0"])
def test_empty_video_tags_and_seek_commands_are_nothing(payload: bytes) -> None:
    assert parse_video(payload) == ()


@pytest.mark.parametrize("payload", [b"", b"\xaf\1"])
def test_empty_audio_tags_are_nothing(payload: bytes) -> None:
    assert parse_audio(payload) == ()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x12data", "unsupported video codec"),  # Sorenson
        (b"\x14\1\0\0\0data", "unsupported video codec"),  # VP6
        (b"\x90vvc1", "unsupported video codec"),  # Enhanced RTMP
        (b"\x17", "truncated video tag"),
        (b"\x17\1\0", "truncated video tag"),
        (b"\x17\3\0\0\0data", "unknown AVC packet type"),
    ],
)
def test_video_that_cannot_be_used_says_why(payload: bytes, reason: str) -> None:
    with pytest.raises(MediaError, match=reason):
        parse_video(payload)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xbfdata", "unsupported audio codec"),  # Speex
        (b"\x90dtsc", "unsupported audio codec"),  # Enhanced RTMP
        (b"\xaf", "truncated audio tag"),
        (b"\xaf\2data", "unknown AAC packet type"),
    ],
)
def test_audio_that_cannot_be_used_says_why(payload: bytes, reason: str) -> None:
    with pytest.raises(MediaError, match=reason):
        parse_audio(payload)


@given(st.binary(max_size=60))
def test_any_bytes_only_ever_raise_media_error(data: bytes) -> None:
    for parse in (parse_video, parse_audio):
        try:
            parse(data)
        except MediaError as error:
            assert error.reason
