"""What a picture is to those around it: H.264 table 7-1, H.265 table 7-1 and 7.4.2.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_media.flv import Picture, VideoFrame, as_broken_link, picture_of
from onair_media.flv.nal import MAX_UNITS
from onair_media.flv.nal import units_in as nal_units
from onair_media.flv.units import VideoCodec

HEVC_KINDS = {
    **dict.fromkeys(range(6), Picture.DELTA),
    6: Picture.RADL,
    7: Picture.RADL,
    8: Picture.RASL,
    9: Picture.RASL,
    **dict.fromkeys((16, 17, 18, 19, 20), Picture.KEY),
    21: Picture.CRA,
}
PARAMETERS_AND_SEI = (35, 32, 33, 34, 39)


def units(*content: bytes, length: int = 4) -> memoryview:
    return memoryview(b"".join(len(one).to_bytes(length, "big") + one for one in content))


def hevc_units(*kinds: int, length: int = 4) -> memoryview:
    return units(*(bytes((kind << 1, 1)) + b"data" for kind in kinds), length=length)


def of(frame: VideoFrame, nal_length: int) -> Picture:
    return picture_of(frame, frame.codec, nal_units(frame.data, nal_length) or ())


def frame(data: memoryview, *, key: bool, codec: VideoCodec = "hevc") -> VideoFrame:
    return VideoFrame(codec, key, 0, data)


@pytest.mark.parametrize("kind", HEVC_KINDS)
@pytest.mark.parametrize("length", [1, 2, 4])
def test_the_nal_unit_type_decides_for_hevc(kind: int, length: int) -> None:
    data = hevc_units(*PARAMETERS_AND_SEI, kind, kind, length=length)
    expected = HEVC_KINDS[kind]
    assert of(frame(data, key=expected >= Picture.RECOVERY), length) is expected
    if expected is not Picture.DELTA:
        assert of(frame(data, key=expected < Picture.RECOVERY), length) is expected, "whatever is claimed"


@pytest.mark.parametrize("kind", [0, 1])
def test_a_claimed_key_frame_of_hevc_that_is_none_is_not_trusted(kind: int) -> None:
    assert of(frame(hevc_units(kind), key=True), 4) is Picture.RECOVERY


def test_of_h264_only_an_idr_is_a_certain_beginning() -> None:
    sei, sps = b"\x06sei", b"\x67sps"
    idr, other = units(sps, sei, b"\x65idr"), units(sei, b"\x41i", b"\x41i")
    assert of(frame(idr, key=True, codec="avc"), 4) is Picture.KEY
    assert of(frame(other, key=True, codec="avc"), 4) is Picture.RECOVERY, "x264 with open GOPs"
    assert of(frame(other, key=False, codec="avc"), 4) is Picture.DELTA
    assert of(frame(units(sei), key=True, codec="avc"), 4) is Picture.RECOVERY


def test_an_idr_of_h264_needs_no_flag() -> None:
    assert of(frame(units(b"\x09\xf0", b"\x67sps", b"\x68pps", b"\x65idr"), key=False, codec="avc"), 4) is Picture.KEY


@pytest.mark.parametrize(
    ("messages", "recovers"),
    [
        (b"\x06\x01\xc4\x80", True),
        (b"\x06\x01\x44\x80", False),  # after one more frame: an intra refresh
        (b"\x05\xff\x02" + bytes((0, 0, 3)) * 129 + b"x" + b"\x06\x01\xc4\x80", False),  # 258 bytes, and less here
        (b"\x05\xff\x04" + bytes((0, 0, 3)) * 129 + b"x" + b"\x06\x01\xc4\x80", True),
        (b"\x01\x02\xc4\xc4" + b"\x06\x01\xc4\x80", True),
        (b"\xff\x06\x01\xc4\x80", False),  # type 261
        (b"\x06\x01", False),
        (b"\x06", False),
        (b"", False),
    ],
)
def test_a_recovery_point_of_h264_needs_no_flag_if_nothing_has_to_come_before_it(
    messages: bytes, recovers: bool
) -> None:
    expected = Picture.RECOVERY if recovers else Picture.DELTA
    assert of(frame(units(b"\x06" + messages, b"\x41i"), key=False, codec="avc"), 4) is expected


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ("0a0b0000002d4cffb3c502000032051000000000", True),  # sequence header, frame
        ("12000a02000032051000000000", True),  # behind a delimiter
        ("1a0110", True),  # a frame header
        ("3c0005100000000032053000000000", False),  # no unit is of type 7
        ("3600051000000000", True),  # with an extension
        ("3010", True),  # without its size: the rest
        ("32053000000000", False),  # INTER_FRAME
        ("32055000000000", False),  # INTRA_ONLY_FRAME
        ("32050000000000", False),  # a key frame that is shown later
        ("32059000000000", False),  # show_existing_frame
        ("0a", False),
        ("0affffffffffffffffff3010", False),
        ("32", False),
        ("3200", False),
    ],
)
def test_a_key_frame_of_av1_says_so(data: str, key: bool) -> None:
    subject = memoryview(bytes.fromhex(data))
    assert of(frame(subject, key=False, codec="av1"), 0) is (Picture.KEY if key else Picture.DELTA)
    assert of(frame(subject, key=True, codec="av1"), 0) is (Picture.KEY if key else Picture.RECOVERY)


@pytest.mark.parametrize(
    ("first", "key"),
    [
        (0b10_00_0_0_10, True),
        (0b10_01_0_0_10, True),  # profile 2
        (0b10_11_0_0_0_1, True),  # profile 3
        (0b10_00_0_1_10, False),
        (0b10_11_0_0_1_1, False),
        (0b10_00_1_0_10, False),  # shows a frame that is there
        (0b01_00_0_0_10, False),
    ],
)
def test_a_key_frame_of_vp9_says_so(first: int, key: bool) -> None:
    subject = memoryview(bytes((first,)) + b"rest")
    assert of(frame(subject, key=False, codec="vp9"), 0) is (Picture.KEY if key else Picture.DELTA)
    assert of(frame(subject, key=True, codec="vp9"), 0) is (Picture.KEY if key else Picture.RECOVERY)


def test_a_broken_link_differs_in_nothing_but_its_type() -> None:
    layers = units(b"\x2b\xf9slice", b"\x4e\x01suffix")  # CRA, layer 63, temporal id 0; suffix SEI
    assert as_broken_link(layers, 4) == bytes(units(b"\x23\xf9slice", b"\x4e\x01suffix"))
    several = hevc_units(*PARAMETERS_AND_SEI, 21, 21, 40, length=2)
    assert as_broken_link(several, 2) == bytes(hevc_units(*PARAMETERS_AND_SEI, 17, 17, 40, length=2))


def test_units_without_number_are_not_looked_at() -> None:
    """A frame of 16 MB can have 16 million of them; each costs the event loop a step."""
    first, rest = hevc_units(21, length=1).tobytes(), bytes(MAX_UNITS - 1)
    changed = hevc_units(17, length=1).tobytes()
    assert as_broken_link(memoryview(first + rest + first), 1) == changed + rest + first


@given(st.binary(max_size=64), st.sampled_from([1, 2, 4]), st.booleans())
def test_any_bytes_are_some_picture(data: bytes, length: int, key: bool) -> None:
    given_frame = frame(memoryview(data), key=key)
    if of(given_frame, length) is Picture.CRA:
        assert len(as_broken_link(given_frame.data, length)) == len(data)
    others: tuple[VideoCodec, ...] = ("avc", "av1", "vp9")
    for codec in others:
        assert of(frame(memoryview(data), key=key, codec=codec), length) >= (Picture.RECOVERY if key else Picture.DELTA)
