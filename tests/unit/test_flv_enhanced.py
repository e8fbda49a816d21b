"""Enhanced RTMP tag bodies (v2): packet types, modifiers, several tracks in one message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_media import amf0
from onair_media.flv import (
    AudioConfig,
    AudioFrame,
    Colour,
    MediaError,
    UnsupportedCodecError,
    VideoColour,
    VideoConfig,
    VideoEnd,
    VideoFrame,
    encode_colour,
    parse_audio,
    parse_video,
)
from onair_media.flv.enhanced import MAX_MODIFIERS, MAX_TRACKS

KEY, INTER, COMMAND = 0x90, 0xA0, 0xD0
START, FRAMES, END, FRAMES_X, METADATA, MPEG2_TS, MULTITRACK, MODEX = range(8)
AUDIO = 0x90
AUDIO_MULTITRACK = 5
ONE, MANY, MANY_CODECS = 0x00, 0x10, 0x20


def only(units: tuple[object, ...]) -> object:
    (unit,) = units
    return unit


@pytest.mark.parametrize(("fourcc", "codec"), [(b"avc1", "avc"), (b"hvc1", "hevc"), (b"av01", "av1"), (b"vp09", "vp9")])
def test_a_sequence_start_names_its_codec(fourcc: bytes, codec: str) -> None:
    assert parse_video(bytes((KEY | START,)) + fourcc + b"record") == (VideoConfig(codec, b"record"),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fourcc", "codec"),
    [(b"mp4a", "aac"), (b"Opus", "opus"), (b"fLaC", "flac"), (b"ac-3", "ac3"), (b"ec-3", "eac3"), (b".mp3", "mp3")],
)
def test_sound_has_fourccs_too(fourcc: bytes, codec: str) -> None:
    frame = only(parse_audio(bytes((AUDIO | FRAMES,)) + fourcc + b"data"))
    assert isinstance(frame, AudioFrame)
    assert (frame.codec, bytes(frame.data), frame.track) == (codec, b"data", 0)


def test_avc_and_hevc_frames_have_a_composition_time_others_none() -> None:
    hevc = only(parse_video(bytes((INTER | FRAMES,)) + b"hvc1\xff\xff\xdfdata"))
    av1 = only(parse_video(bytes((KEY | FRAMES,)) + b"av01\xff\xff\xdfdata"))
    assert isinstance(hevc, VideoFrame) and isinstance(av1, VideoFrame)
    assert (hevc.composition_time, hevc.keyframe, bytes(hevc.data)) == (-33, False, b"data")
    assert (av1.composition_time, av1.keyframe, bytes(av1.data)) == (0, True, b"\xff\xff\xdfdata")


def test_frames_x_leave_the_composition_time_out() -> None:
    frame = only(parse_video(bytes((KEY | FRAMES_X,)) + b"hvc1data"))
    assert isinstance(frame, VideoFrame)
    assert (frame.composition_time, bytes(frame.data)) == (0, b"data")


def test_av1_samples_go_without_a_temporal_delimiter() -> None:
    """FFmpeg sends one ahead of each temporal unit; an MP4 sample has none."""
    frame = only(parse_video(bytes((KEY | FRAMES,)) + b"av01\x12\0data"))
    assert isinstance(frame, VideoFrame) and bytes(frame.data) == b"data"


def test_the_end_of_a_sequence_twice_is_twice_nothing() -> None:
    assert parse_video(bytes((KEY | END,)) + b"hvc1") == (VideoEnd(),)
    assert parse_audio(bytes((AUDIO | END,)) + b"Opus") == ()


def test_commands_and_channel_layouts_are_of_no_interest() -> None:
    assert parse_video(bytes((COMMAND | FRAMES,)) + b"\0") == ()
    assert parse_audio(bytes((AUDIO | 4,)) + b"Opus\1\2\0\0\0\3") == ()


def test_an_empty_opus_start_is_a_configuration_an_empty_one_of_ac3_is_none() -> None:
    assert parse_audio(b"\x90Opus") == (AudioConfig("opus", b""),)
    assert parse_audio(b"\x90ac-3") == parse_audio(b"\x90ac-3record") == ()


# Modifiers


def test_nanoseconds_are_added_to_the_timestamp() -> None:
    offset = (333_333).to_bytes(3, "big")
    frame = only(parse_video(bytes((KEY | MODEX, 2)) + offset + bytes((FRAMES_X,)) + b"hvc1data"))
    assert isinstance(frame, VideoFrame)
    assert (frame.nanoseconds, bytes(frame.data)) == (333_333, b"data")
    sound = only(parse_audio(bytes((AUDIO | MODEX, 2)) + offset + bytes((FRAMES,)) + b"Opusdata"))
    assert isinstance(sound, AudioFrame) and sound.nanoseconds == 333_333


@pytest.mark.parametrize("size", [1, 255, 256, 65_536])
def test_modifiers_of_every_size(size: int) -> None:
    """Up to 255 bytes in one byte, else 255 and two bytes more."""
    length = bytes((size - 1,)) if size <= 255 else b"\xff" + (size - 1).to_bytes(2, "big")
    body = bytes((KEY | MODEX,)) + length + bytes(size) + bytes((0x10 | FRAMES_X,)) + b"hvc1data"
    frame = only(parse_video(body))
    assert isinstance(frame, VideoFrame) and bytes(frame.data) == b"data"


def test_an_offset_of_a_millisecond_or_more_is_held_below_one() -> None:
    frame = only(parse_video(bytes((KEY | MODEX, 2)) + b"\xff\xff\xff" + bytes((FRAMES_X,)) + b"hvc1data"))
    assert isinstance(frame, VideoFrame) and frame.nanoseconds == 999_999


def test_modifiers_without_end_are_not_followed() -> None:
    with pytest.raises(MediaError, match="too many modifiers"):
        parse_video(bytes((KEY | MODEX,)) + b"\0\0\x07" * (MAX_MODIFIERS + 1) + b"hvc1data")


@pytest.mark.parametrize("body", [b"\x97\xff", b"\x97\xff\xff\xff", b"\x97\x05ab", b"\x97\0\0"])
def test_modifiers_past_the_end(body: bytes) -> None:
    for parse in (parse_video, parse_audio):
        with pytest.raises(MediaError, match="truncated"):
            parse(body)


# Several tracks


def test_one_track_with_a_number() -> None:
    frame = only(parse_audio(bytes((AUDIO | AUDIO_MULTITRACK, ONE | FRAMES)) + b"mp4a\3data"))
    assert isinstance(frame, AudioFrame)
    assert (frame.track, bytes(frame.data)) == (3, b"data")


def test_many_tracks_of_one_codec() -> None:
    body = bytes((AUDIO | AUDIO_MULTITRACK, MANY | FRAMES)) + b"mp4a" + b"\0\0\0\3one" + b"\1\0\0\3two"
    frames = parse_audio(body)
    assert [(f.track, bytes(f.data)) for f in frames if isinstance(f, AudioFrame)] == [(0, b"one"), (1, b"two")]


def test_many_tracks_of_many_codecs() -> None:
    body = bytes((KEY | MULTITRACK, MANY_CODECS | START)) + b"avc1\0\0\0\1a" + b"hvc1\1\0\0\1b"
    assert parse_video(body) == (VideoConfig("avc", b"a", 0), VideoConfig("hevc", b"b", 1))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (bytes((KEY | MULTITRACK, MANY | FRAMES)) + b"hvc1\0\xff\xff\xffdata", "truncated video tag"),
        (bytes((KEY | MULTITRACK, 0x30 | FRAMES)) + b"hvc1\0", "unknown multitrack type"),
        (bytes((KEY | MULTITRACK, ONE | MULTITRACK)) + b"hvc1\0", "unknown multitrack type"),
        (bytes((KEY | MULTITRACK, MANY | END)) + b"hvc1" + b"\0\0\0\0" * (MAX_TRACKS + 1), "too many tracks"),
        (bytes((KEY | FRAMES,)) + b"hvc1\0", "truncated video tag"),
        (bytes((KEY | 9,)) + b"hvc1", "unknown video packet type"),
        (bytes((KEY | MPEG2_TS,)) + b"av01desc", "video in MPEG-2 TS form"),
        (b"\x90hv", "truncated video tag"),
    ],
)
def test_video_that_cannot_be_used_says_why(body: bytes, reason: str) -> None:
    with pytest.raises(MediaError, match=reason):
        parse_video(body)


def test_an_unknown_fourcc_is_an_unsupported_codec_with_a_printable_name() -> None:
    for fourcc, name in ((b"vvc1", "VVC"), (b"vvc9", "vvc9"), (b"\0\xff\1\2", "00ff0102")):
        with pytest.raises(UnsupportedCodecError) as caught:
            parse_video(b"\x90" + fourcc)
        assert caught.value.codec == name


# Colour


def test_colour_is_held_to_its_ranges() -> None:
    value = {
        "colorConfig": {"colorPrimaries": 9, "transferCharacteristics": 1e300, "matrixCoefficients": -1},
        "hdrCll": {"maxCLL": float("nan"), "maxFall": 1},
        "hdrMdcv": {"redX": 0.7},
    }
    unit = only(parse_video(bytes((KEY | METADATA,)) + b"hvc1" + amf0.encode("colorInfo", value)))
    assert unit == VideoColour(Colour(primaries=9))


@pytest.mark.parametrize("value", [None, {}])
def test_colour_is_reset_by_nothing(value: object) -> None:
    unit = only(parse_video(bytes((COMMAND | METADATA,)) + b"hvc1" + amf0.encode("colorInfo", value)))
    assert unit == VideoColour(None)


def test_colour_that_is_no_amf_is_dropped() -> None:
    with pytest.raises(MediaError, match="bad colour metadata"):
        parse_video(bytes((KEY | METADATA,)) + b"hvc1\xff\xff")


code_points = st.integers(0, 255)
light = st.floats(0, 10_000).map(lambda x: round(x, 4))


@given(
    st.builds(
        Colour,
        primaries=code_points,
        transfer=code_points,
        matrix=code_points,
        light_level=st.none() | st.tuples(light, light),
        mastering=st.none() | st.tuples(*[st.floats(0, 1)] * 8, st.floats(1, 10_000), st.floats(0, 5)),
    )
)
def test_colour_is_read_back(colour: Colour) -> None:
    assert parse_video(b"\x94hvc1" + encode_colour(colour)) == (VideoColour(colour),)


@given(st.sampled_from([b"\x90", b"\x95", b"\x96", b"\x97", b"\x94"]), st.binary(max_size=80))
def test_any_bytes_only_ever_raise_media_error(first: bytes, data: bytes) -> None:
    for parse in (parse_video, parse_audio):
        for body in (first + data, first + b"hvc1" + data, first + b"\x10Opus" + data):
            try:
                parse(body)
            except MediaError as error:
                assert error.reason
