"""AAC configurations (ISO/IEC 14496-3, 1.6.2.1)."""

from __future__ import annotations

import pytest
from bit_writer import BitWriter
from hypothesis import given
from hypothesis import strategies as st

from onair_media.flv import MediaError
from onair_media.flv.aac import parse_config


def config(kind: int = 2, rate: int = 3, channels: int = 2, *, short: bool = False) -> bytes:
    bits = BitWriter()
    if kind >= 31:
        bits.u(5, 31).u(6, kind - 32)
    else:
        bits.u(5, kind)
    return bits.u(4, rate).u(4, channels).u(1, int(short)).u(2, 0).padded()


def test_what_every_encoder_sends() -> None:
    info = parse_config(b"\x11\x90")
    assert (info.codec, info.sample_rate, info.channels, info.frame_samples) == ("mp4a.40.2", 48_000, 2, 1024)


@pytest.mark.parametrize(("index", "rate"), [(0, 96_000), (4, 44_100), (11, 8_000), (12, 7_350)])
def test_rates(index: int, rate: int) -> None:
    assert parse_config(config(rate=index)).sample_rate == rate


def test_a_rate_written_out() -> None:
    data = BitWriter().u(5, 2).u(4, 15).u(24, 44_056).u(4, 1).u(3, 0).padded()
    assert parse_config(data).sample_rate == 44_056


@pytest.mark.parametrize(("layout", "channels"), [(1, 1), (6, 6), (7, 8), (11, 7), (12, 8), (14, 8)])
def test_layouts(layout: int, channels: int) -> None:
    """ISO/IEC 14496-3 table 1.19: configuration 7 is 7.1."""
    assert parse_config(config(channels=layout)).channels == channels


def test_short_frames() -> None:
    assert parse_config(config(short=True)).frame_samples == 960


@pytest.mark.parametrize(("kind", "codec"), [(5, "mp4a.40.5"), (29, "mp4a.40.29")])
def test_explicit_he_aac_counts_in_core_frames(kind: int, codec: str) -> None:
    """The rate is the core's: its frames have 1024 of its samples, however many the decoder makes of them."""
    data = BitWriter().u(5, kind).u(4, 6).u(4, 2).u(4, 3).u(5, 2).u(3, 0).padded()
    info = parse_config(data)
    assert (info.codec, info.sample_rate, info.frame_samples) == (codec, 24_000, 1024)


@pytest.mark.parametrize(
    "data",
    [config(rate=13), config(rate=14), config(channels=0), config(channels=8), config(channels=15), config(kind=22)],
)
def test_what_means_nothing_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match="bad AAC configuration"):
        parse_config(data)


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(MediaError):
        parse_config(BitWriter().u(5, 2).u(4, 15).u(24, 0).u(4, 1).u(3, 0).padded())


@given(st.binary(max_size=40))
def test_any_bytes_only_ever_raise_media_error(data: bytes) -> None:
    try:
        info = parse_config(data)
    except MediaError:
        return
    assert info.sample_rate > 0 and 1 <= info.channels <= 8 and info.frame_samples in (960, 1024)
