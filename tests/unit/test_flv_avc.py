"""H.264 configurations: what encoders send, and what an attacker sends."""

from __future__ import annotations

import pytest
from bit_writer import BitWriter, escaped
from hypothesis import given
from hypothesis import strategies as st

from onair_media.flv import MediaError
from onair_media.flv.avc import parse_config

BASELINE, MAIN, HIGH, HIGH_444 = 66, 77, 100, 244
PPS = b"\x68\xee\x3c\x80"


def sps(
    *,
    profile: int = HIGH,
    chroma: int = 1,
    width: int = 120,
    height: int = 68,
    frames_only: bool = True,
    crop: tuple[int, int, int, int] | None = (0, 0, 0, 4),
    timing: tuple[int, int] | None = (1, 60),
    order_type: int = 0,
    scaling: bool = False,
) -> bytes:
    """`width` and `height` in macroblocks (of a field, when not `frames_only`); `crop` in chroma units."""
    bits = BitWriter().u(8, profile).u(8, 0).u(8, 40).ue(0)
    if profile in (HIGH, HIGH_444):
        bits.ue(chroma)
        if chroma == 3:
            bits.u(1, 0)
        bits.ue(0).ue(0).u(1, 0).u(1, int(scaling))
        if scaling:
            for index in range(12 if chroma == 3 else 8):
                bits.u(1, 1)
                if index % 2:
                    bits.se(-8)  # nextScale 0: the rest of the list is the default
                else:
                    for _ in range(16 if index < 6 else 64):
                        bits.se(1)
    bits.ue(0).ue(order_type)
    if order_type == 0:
        bits.ue(2)
    elif order_type == 1:
        bits.u(1, 0).se(-1).se(1).ue(2).se(3).se(-3)
    bits.ue(4).u(1, 0).ue(width - 1).ue(height - 1).u(1, int(frames_only))
    if not frames_only:
        bits.u(1, 0)
    bits.u(1, 1).u(1, int(crop is not None))
    for side in crop or ():
        bits.ue(side)
    bits.u(1, int(timing is not None))
    if timing is not None:
        # aspect ratio 255 (explicit), overscan, video signal with colours, chroma location: all before the timing
        bits.u(1, 1).u(8, 255).u(16, 1).u(16, 1).u(1, 1).u(1, 0).u(1, 1).u(4, 5).u(1, 1).u(24, 0x010101)
        bits.u(1, 1).ue(0).ue(0).u(1, 1).u(32, timing[0]).u(32, timing[1]).u(1, 1)
    return b"\x67" + escaped(bits.rbsp())


def record(*sets: bytes, pps: bytes = PPS, length_size: int = 4) -> bytes:
    """An AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1.2)."""
    made = b"\1" + sets[0][1:4] + bytes((0xFC | (length_size - 1), 0xE0 | len(sets)))
    for item in sets:
        made += len(item).to_bytes(2, "big") + item
    return made + b"\1" + len(pps).to_bytes(2, "big") + pps


def test_1080p_is_1088_lines_cropped() -> None:
    info = parse_config(record(sps()))
    assert (info.codec, info.width, info.height, info.frame_rate) == ("avc1.640028", 1920, 1080, 30.0)


@pytest.mark.parametrize(
    ("profile", "codec"), [(BASELINE, "avc1.420028"), (MAIN, "avc1.4d0028"), (HIGH_444, "avc1.f40028")]
)
def test_profiles(profile: int, codec: str) -> None:
    info = parse_config(record(sps(profile=profile)))
    assert (info.codec, info.width, info.height) == (codec, 1920, 1080)


@pytest.mark.parametrize(
    ("chroma", "crop", "size"),
    [(0, (1, 2, 3, 4), (1917, 1081)), (2, (1, 1, 0, 8), (1916, 1080)), (3, (1, 1, 4, 4), (1918, 1080))],
)
def test_cropping_counts_in_chroma_samples(chroma: int, crop: tuple[int, int, int, int], size: tuple[int, int]) -> None:
    """H.264 table 6-1 and equations 7-19 to 7-22."""
    info = parse_config(record(sps(profile=HIGH_444, chroma=chroma, crop=crop)))
    assert (info.width, info.height) == size


def test_interlaced_heights_are_those_of_frames() -> None:
    info = parse_config(record(sps(height=34, frames_only=False, crop=(0, 0, 0, 2))))
    assert info.height == 1080


@pytest.mark.parametrize("order_type", [0, 1, 2])
@pytest.mark.parametrize("scaling", [False, True])
def test_what_stands_before_the_size_is_skipped_exactly(order_type: int, scaling: bool) -> None:
    for chroma in (1, 3):
        info = parse_config(
            record(sps(profile=HIGH_444, chroma=chroma, order_type=order_type, scaling=scaling, crop=None))
        )
        assert (info.width, info.height) == (1920, 1088)


@pytest.mark.parametrize("timing", [None, (0, 60), (1, 0), (1, 0xFFFFFFFF), (0xFFFFFFFF, 1)])
def test_a_frame_rate_that_is_not_told_or_makes_no_sense_is_unknown(timing: tuple[int, int] | None) -> None:
    assert parse_config(record(sps(timing=timing))).frame_rate is None


def test_ntsc_rates_are_exact() -> None:
    assert parse_config(record(sps(timing=(1001, 60000)))).frame_rate == pytest.approx(29.97003)


def test_a_broken_vui_does_not_cost_the_picture() -> None:
    whole = sps()
    info = parse_config(record(whole[:-9]))
    assert (info.width, info.frame_rate) == (1920, None)


@pytest.mark.parametrize(("width", "height"), [(1025, 68), (120, 1025), (2**16, 2**16), (2**31, 68)])
def test_absurd_sizes_are_refused(width: int, height: int) -> None:
    with pytest.raises(MediaError, match=r"bad H\.264 parameter set"):
        parse_config(record(sps(width=width, height=height, crop=None)))


def test_cropped_to_nothing_is_refused() -> None:
    with pytest.raises(MediaError):
        parse_config(record(sps(crop=(480, 480, 0, 0))))


def test_an_endless_exp_golomb_code_is_refused() -> None:
    with pytest.raises(MediaError):
        parse_config(record(b"\x67\x64\x00\x28" + bytes(200)))


def test_every_truncation_is_refused_or_costs_the_vui_only() -> None:
    whole = record(sps())
    for length in range(len(whole)):
        with pytest.raises(MediaError):
            parse_config(whole[:length])


@pytest.mark.parametrize("length_size", [1, 2, 4])
def test_nal_lengths(length_size: int) -> None:
    assert parse_config(record(sps(), length_size=length_size)).width == 1920


def test_three_byte_nal_lengths_do_not_exist() -> None:
    with pytest.raises(MediaError, match="bad AVC configuration"):
        parse_config(record(sps(), length_size=3))


@pytest.mark.parametrize("pps", [b"", PPS[:0]])
def test_a_record_without_parameter_sets_is_refused(pps: bytes) -> None:
    with pytest.raises(MediaError):
        parse_config(record(sps(), pps=pps))
    with pytest.raises(MediaError):
        parse_config(b"\1\x64\0\x28\xff\xe0\1\0\4" + PPS)


def test_the_first_of_several_parameter_sets_counts() -> None:
    assert parse_config(record(sps(), sps(width=40, height=22, crop=None))).width == 1920


@given(st.binary(max_size=200))
def test_any_bytes_only_ever_raise_media_error(data: bytes) -> None:
    for candidate in (data, b"\1" + data, record(b"\x67" + data + bytes(4))):
        try:
            info = parse_config(candidate)
        except MediaError:
            continue
        assert 0 < info.width <= 16_384 and 0 < info.height <= 16_384


@given(st.data())
def test_any_damage_to_a_real_record_only_ever_raises_media_error(data: st.DataObject) -> None:
    damaged = bytearray(record(sps()))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_config(bytes(damaged))
    except MediaError as error:
        assert error.reason in ("bad AVC configuration", "bad H.264 parameter set")
