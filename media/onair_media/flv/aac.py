"""AAC configuration: AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from onair_media.flv.bits import BitReader
from onair_media.flv.errors import MediaError

_BAD = "bad AAC configuration"
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 14: 8}
_LC, _SBR, _PS, _ESCAPE = 2, 5, 29, 31
# Main, LC, SSR, LTP, SBR, PS, xHE-AAC (USAC)
_TYPES = frozenset({1, 2, 3, 4, 5, 29, 42})


@dataclass(frozen=True, slots=True)
class AacInfo:
    """`codec` for playlists (RFC 6381); `sample_rate` in Hz is the core's, whose frames have `frame_samples`."""

    codec: str
    sample_rate: int
    channels: int
    frame_samples: int


def parse_config(record: bytes) -> AacInfo:
    """Reads an AudioSpecificConfig. Raises `MediaError`."""
    reader = BitReader(record, _BAD)
    object_type = signalled = _object_type(reader)
    rate = _rate(reader)
    layout = reader.bits(4)
    if object_type in (_SBR, _PS):
        _rate(reader)
        object_type = _object_type(reader)
    if signalled not in _TYPES or layout not in _CHANNELS or rate <= 0:
        raise MediaError(_BAD)
    short = object_type in (1, 2, 3, 4) and reader.flag()
    return AacInfo(f"mp4a.40.{signalled}", rate, _CHANNELS[layout], 960 if short else 1024)


def _object_type(reader: BitReader) -> int:
    kind = reader.bits(5)
    return 32 + reader.bits(6) if kind == _ESCAPE else kind


def _rate(reader: BitReader) -> int:
    index = reader.bits(4)
    if index == 15:
        return reader.bits(24)
    if index >= len(_RATES):
        raise MediaError(_BAD)
    return _RATES[index]
