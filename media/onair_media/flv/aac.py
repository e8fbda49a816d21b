"""AAC configuration: AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)."""

from __future__ import annotations

from onair_media.flv.bits import BitReader
from onair_media.flv.errors import MediaError
from onair_media.flv.info import AudioInfo

_BAD = "bad AAC configuration"
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 14: 8}
_LC, _SBR, _PS, _ESCAPE = 2, 5, 29, 31
# Main, LC, SSR, LTP, SBR, PS, xHE-AAC (USAC)
_TYPES = frozenset({1, 2, 3, 4, 5, 29, 42})


def parse_config(record: bytes) -> AudioInfo:
    """Reads an AudioSpecificConfig; the sample rate is the core's, not that of SBR. Raises `MediaError`."""
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
    return AudioInfo(f"mp4a.40.{signalled}", rate, _CHANNELS[layout], 960 if short else 1024)


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
