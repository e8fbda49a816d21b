"""MPEG audio, layer III (ISO/IEC 11172-3 and 13818-3): what a frame header says."""

from __future__ import annotations

from onair_media.flv.errors import MediaError
from onair_media.flv.info import AudioInfo

_BAD = "bad MP3 frame"
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_MPEG1, _LAYER_3, _MONO = 3, 1, 3


def record_of(frame: memoryview) -> bytes:
    """Version and layer, sample rate, whether it is mono: a header without what differs from frame to frame.

    Raises `MediaError`.
    """
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        raise MediaError(_BAD)
    mono = frame[3] >> 6 == _MONO
    return bytes((0xFF, frame[1] & 0xFE, frame[2] & 0x0C, 0xC0 if mono else 0))


def parse_config(record: bytes) -> AudioInfo:
    """Reads what `record_of` has kept. Raises `MediaError`."""
    if len(record) != 4:
        raise MediaError(_BAD)
    version, layer, rate = record[1] >> 3 & 3, record[1] >> 1 & 3, record[2] >> 2 & 3
    if version not in _RATES or layer != _LAYER_3 or rate == 3:
        raise MediaError(_BAD)
    # What Apple and FFmpeg write for it in playlists: MPEG-4 audio object type 34.
    return AudioInfo("mp4a.40.34", _RATES[version][rate], 1 if record[3] else 2, 1152 if version == _MPEG1 else 576)
