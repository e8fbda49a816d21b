"""AC-3 and E-AC-3 (ETSI TS 102 366): what the head of a syncframe says (4.3.1, 4.3.2; E.1.2.2)."""

from __future__ import annotations

from onair_media.flv.bits import BitReader
from onair_media.flv.errors import MediaError
from onair_media.flv.info import AudioInfo

_BAD = "bad AC-3 frame"
_SYNC = b"\x0b\x77"
_RATES = (48_000, 44_100, 32_000)
_CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)
_BLOCKS = (1, 2, 3, 6)
_LAST_PLAIN, _LAST_ENHANCED = 10, 16  # bsid


def record_of(frame: memoryview) -> bytes:
    """Five bytes: enhanced, sample rate code, block count code, audio coding mode, low-frequency channel.

    Raises `MediaError`.
    """
    if len(frame) < 8 or frame[:2] != _SYNC:
        raise MediaError(_BAD)
    version = frame[5] >> 3
    reader = BitReader(bytes(frame[4:8]), _BAD)
    rate = reader.bits(2)
    if _LAST_PLAIN < version <= _LAST_ENHANCED:
        return bytes((1, rate, reader.bits(2), reader.bits(3), reader.bits(1)))
    if version > _LAST_ENHANCED:
        raise MediaError(_BAD)
    reader.bits(6 + 8)
    mode = reader.bits(3)
    # Mix levels that only some modes have stand before the flag.
    reader.bits(2 * (bool(mode & 1 and mode != 1) + bool(mode & 4) + (mode == 2)))
    return bytes((0, rate, 3, mode, reader.bits(1)))


def parse_config(record: bytes) -> AudioInfo:
    """Reads what `record_of` made. Raises `MediaError`."""
    if len(record) != 5 or any(value > most for value, most in zip(record, (1, 3, 3, 7, 1), strict=True)):
        raise MediaError(_BAD)
    enhanced, rate, blocks, mode, low_frequency = record
    sample_rate = _RATES[rate] if rate < 3 else 0
    if enhanced and rate == 3 and blocks < 3:
        # Half rates take the place of the block count, which is six then.
        sample_rate, blocks = _RATES[blocks] // 2, 3
    if not sample_rate:
        raise MediaError(_BAD)
    codec = "ec-3" if enhanced else "ac-3"
    return AudioInfo(codec, sample_rate, _CHANNELS[mode] + low_frequency, 256 * _BLOCKS[blocks])
