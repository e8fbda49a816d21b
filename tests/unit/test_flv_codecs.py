"""Codec configurations, and what frames say of themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_media.flv import AudioConfig, AudioFrame, MediaError, VideoConfig, codecs, hevc, units_in
from onair_media.flv.info import AudioInfo


def audio_info(codec: str, record: bytes) -> AudioInfo:
    return codecs.describe_audio(codecs.normalised(AudioConfig(codec, record)))  # type: ignore[arg-type]


def frame(codec: str, data: bytes) -> AudioFrame:
    return AudioFrame(codec, memoryview(data))  # type: ignore[arg-type]


# HEVC (the sets are only counted)


def hvcc(
    profile: int = 1, compatibility: int = 0x60000000, constraints: str = "900000000000", level: int = 93,
    sets: tuple[tuple[int, bytes], ...] = ((32, b"vps"), (33, b"sps"), (34, b"pps")),
) -> bytes:  # fmt: skip
    head = bytes((1, profile)) + compatibility.to_bytes(4, "big") + bytes.fromhex(constraints) + bytes((level,))
    arrays = b"".join(bytes((kind, 0, 1)) + len(data).to_bytes(2, "big") + data for kind, data in sets)
    return head + b"\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f" + bytes((len(sets),)) + arrays


@pytest.mark.parametrize(
    ("record", "codec"),
    [
        (hvcc(), "hvc1.1.6.L93.90"),
        (hvcc(2, 0x20000000, "b00000000000", 153), "hvc1.2.4.L153.B0"),
        (hvcc(0x21, constraints="000000000000"), "hvc1.1.6.H93"),
        (hvcc(0x41), "hvc1.A1.6.L93.90"),
    ],
)
def test_hevc_is_named_as_14496_15_has_it(record: bytes, codec: str) -> None:
    assert codecs.describe_video(VideoConfig("hevc", record)).codec == codec


@pytest.mark.parametrize(
    "record",
    [
        b"", hvcc()[:22], hvcc(sets=((33, b"sps"),)), hvcc(sets=((32, b"vps"), (34, b"pps"))), hvcc()[:-1],
        hvcc()[:22] + b"\xff" + b"\x21\xff\xff" * 255,
    ],
)  # fmt: skip
def test_a_bad_hevc_record_says_so(record: bytes) -> None:
    with pytest.raises(MediaError, match="bad HEVC configuration"):
        codecs.describe_video(VideoConfig("hevc", record))


def test_hevc_under_the_number_of_avc_is_recognised_and_avc_is_not_taken_for_it() -> None:
    assert hevc.looks_like_record(hvcc())
    assert not hevc.looks_like_record(bytes.fromhex("0142c00bffe1000f6742c00bda0507ec0440000003004001000568ce06e2c8"))


# AV1, VP9


@pytest.mark.parametrize(
    ("record", "codec"),
    [
        ("81000c00", "av01.0.00M.08"),
        ("81084c00", "av01.0.08M.10"),
        ("814de000", "av01.2.13H.12"),
    ],
)
def test_av1_is_named(record: str, codec: str) -> None:
    assert codecs.describe_video(VideoConfig("av1", bytes.fromhex(record))).codec == codec


def test_vp9_is_named() -> None:
    record = bytes.fromhex("01000000021fa20202020000")
    assert codecs.describe_video(VideoConfig("vp9", record)).codec == "vp09.02.31.10"


@pytest.mark.parametrize(
    ("codec", "record"),
    [("av1", "80000c00"), ("av1", "81"), ("av1", "81e00c00"), ("vp9", "0000"), ("vp9", "01000000041fa20202020000")],
)
def test_bad_records(codec: str, record: str) -> None:
    with pytest.raises(MediaError, match="configuration"):
        codecs.describe_video(VideoConfig(codec, bytes.fromhex(record)))  # type: ignore[arg-type]


# Opus


def test_opus() -> None:
    head = b"OpusHead\1\2\x38\1\x80\xbb\0\0\0\0\0"
    assert audio_info("opus", head) == AudioInfo("Opus", 48_000, 2, 960)
    assert audio_info("opus", b"").channels == 2, "an empty start means mono or stereo"


@pytest.mark.parametrize("record", [b"OpusHead\1\0" + bytes(9), b"OpusHead\x12\2" + bytes(9), b"nonsense", b"OpusHead"])
def test_bad_opus(record: bytes) -> None:
    with pytest.raises(MediaError):
        audio_info("opus", record)


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"\xf8x", 960),  # CELT, 20 ms
        (b"\xe0x", 120),  # 2.5 ms
        (b"\x18x", 2880),  # SILK, 60 ms
        (b"\xf9xx", 1920),
        (b"\xfb\x03xxx", 2880),
        (b"\x60x", 480),  # hybrid, 10 ms
    ],
)
def test_an_opus_packet_lasts(packet: bytes, samples: int) -> None:
    assert codecs.frame_samples(frame("opus", packet), 0) == samples


@pytest.mark.parametrize("packet", [b"\xfb", b"\xfb\0", b"\xfb\x3f" + bytes(63), b"\x1b\3xxx"])
def test_an_opus_packet_that_lasts_nothing_or_too_long(packet: bytes) -> None:
    with pytest.raises(MediaError, match="bad Opus packet"):
        codecs.frame_samples(frame("opus", packet), 0)


# FLAC

STREAMINFO = bytes.fromhex("12001200000000004a580bb802f0") + bytes(20)


@pytest.mark.parametrize("before", [b"", b"fLaC\x80\0\0\x22"])
def test_flac_with_and_without_its_signature(before: bytes) -> None:
    """The specification has it, FFmpeg leaves it out."""
    config = codecs.normalised(AudioConfig("flac", before + STREAMINFO))
    assert config.record == STREAMINFO
    assert codecs.describe_audio(config) == AudioInfo("fLaC", 48_000, 2, 4608)


@pytest.mark.parametrize(
    ("head", "samples"),
    [
        ("fff8190000aa", 192),
        ("fff8580000aa", 4608),
        ("fff8c80000aa", 4096),
        ("fff86800003faa", 64),
        ("fff87800000fffaa", 4096),
        ("fff87800c3800fffaa", 4096),  # a coded number of two bytes
    ],
)
def test_a_flac_frame_says_how_long_it_is(head: str, samples: int) -> None:
    assert codecs.frame_samples(frame("flac", bytes.fromhex(head)), 0) == samples


@pytest.mark.parametrize("head", ["", "fff8", "fff8080000aa", "1234567890ab", "fff87800ff0fff", "fff8780000"])
def test_a_bad_flac_frame(head: str) -> None:
    with pytest.raises(MediaError, match="bad FLAC frame"):
        codecs.frame_samples(frame("flac", bytes.fromhex(head)), 0)


# AC-3, E-AC-3, MP3: no sequence header


@pytest.mark.parametrize(
    ("codec", "head", "info"),
    [
        ("ac3", "0b770456144043e1", AudioInfo("ac-3", 48_000, 2, 1536)),
        ("ac3", "0b77564d1e40ebf8", AudioInfo("ac-3", 48_000, 6, 1536)),
        ("eac3", "0b77017f3487c000", AudioInfo("ec-3", 48_000, 2, 1536)),
        ("mp3", "fffb946400000000", AudioInfo("mp4a.40.34", 48_000, 2, 1152)),
        ("mp3", "fffb92640000", AudioInfo("mp4a.40.34", 44_100, 2, 1152)),
        ("mp3", "fff344c40000", AudioInfo("mp4a.40.34", 24_000, 1, 576)),
    ],
)
def test_what_a_frame_says_of_itself(codec: str, head: str, info: AudioInfo) -> None:
    config = codecs.config_in(frame(codec, bytes.fromhex(head)))
    assert config is not None
    assert codecs.describe_audio(config) == info


def test_what_differs_from_frame_to_frame_is_no_new_configuration() -> None:
    first = codecs.config_in(frame("mp3", bytes.fromhex("fffb9464")))
    padded = codecs.config_in(frame("mp3", bytes.fromhex("fffb9664")))
    joint = codecs.config_in(frame("mp3", bytes.fromhex("fffb9444")))
    mono = codecs.config_in(frame("mp3", bytes.fromhex("fffb94c4")))
    assert first == padded == joint != mono
    quiet = codecs.config_in(frame("ac3", bytes.fromhex("0b77ffff144043e1")))
    assert quiet == codecs.config_in(frame("ac3", bytes.fromhex("0b770456144042ff")))


@pytest.mark.parametrize(
    ("codec", "head"),
    [("ac3", "0b77"), ("ac3", "ffff0456144043e1"), ("eac3", "0b77017ff487c000"), ("mp3", "fffb"), ("mp3", "12345678")],
)
def test_a_frame_that_says_nonsense(codec: str, head: str) -> None:
    with pytest.raises(MediaError):
        config = codecs.config_in(frame(codec, bytes.fromhex(head)))
        assert config is not None
        codecs.describe_audio(config)


@given(st.sampled_from(["aac", "opus", "flac", "ac3", "eac3", "mp3"]), st.binary(min_size=1, max_size=64))
def test_sound_of_any_bytes_only_ever_raises_media_error(codec: str, data: bytes) -> None:
    given_frame = frame(codec, data)
    for attempt in (
        lambda: audio_info(codec, data),
        lambda: codecs.config_in(given_frame),
        lambda: codecs.frame_samples(given_frame, 1024),
    ):
        try:
            attempt()
        except MediaError as error:
            assert error.reason


@given(st.sampled_from(["avc", "hevc", "av1", "vp9"]), st.binary(max_size=128))
def test_records_of_any_bytes_only_ever_raise_media_error(codec: str, data: bytes) -> None:
    try:
        codecs.describe_video(VideoConfig(codec, data))  # type: ignore[arg-type]
    except MediaError as error:
        assert error.reason


# NAL units


@pytest.mark.parametrize(
    ("data", "size", "whole"),
    [
        (b"\0\0\0\2ab\0\0\0\1c", 4, True),
        (b"\0\2ab", 2, True),
        (b"\2ab\1c", 1, True),
        (b"\0\0\0\3ab", 4, False),  # past the end
        (b"\0\0\0\2ab\0\0\0", 4, False),  # a length cut short
        (b"\0\0\0\0\0\0\0\2ab", 4, False),  # nothing in it
        (b"\0\0\0\2ab\0\0\0\0", 4, False),
        (b"\xff\xff\xff\xffab", 4, False),
        (b"", 4, False),
        (b"\1a" * 3000, 1, False),  # more than any picture has
    ],
)
def test_nal_units_fit_their_frame_or_do_not(data: bytes, size: int, whole: bool) -> None:
    assert (units_in(memoryview(data), size) is not None) is whole
