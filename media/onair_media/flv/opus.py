"""Opus: the ID header (RFC 7845, 5.1) and how long a packet lasts (RFC 6716, 3.1)."""

from __future__ import annotations

from onair_media.flv.errors import MediaError
from onair_media.flv.info import AudioInfo

SAMPLE_RATE = 48_000
_BAD_HEADER, _BAD_PACKET = "bad Opus configuration", "bad Opus packet"
# Samples of one frame by the configuration number of the packet's first byte: SILK, hybrid, CELT.
_FRAME_SAMPLES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4
_MAX_SAMPLES = 5760  # 120 ms
# What stands for an empty sequence start: stereo, which plays mono, too (Enhanced RTMP v2, OpusSequenceHeader).
_STEREO = b"OpusHead\1\2" + (0).to_bytes(2, "little") + SAMPLE_RATE.to_bytes(4, "little") + b"\0\0\0"


def normalise(record: bytes) -> bytes:
    """The ID header that is in force for a sequence start."""
    return record or _STEREO


def parse_config(record: bytes) -> AudioInfo:
    """Reads an ID header. Raises `MediaError`."""
    if len(record) < 19 or record[:8] != b"OpusHead" or record[8] >> 4 != 0:
        raise MediaError(_BAD_HEADER)
    channels, family = record[9], record[18]
    if not channels or (family == 0 and channels > 2) or (family and len(record) < 21 + channels):
        raise MediaError(_BAD_HEADER)
    return AudioInfo("Opus", SAMPLE_RATE, channels, 960)


def packet_samples(packet: memoryview) -> int:
    """Samples at 48 kHz. Raises `MediaError`."""
    first = packet[0]
    code = first & 3
    if code == 3 and len(packet) < 2:
        raise MediaError(_BAD_PACKET)
    frames = 1 if code == 0 else 2 if code < 3 else packet[1] & 0x3F
    samples = frames * _FRAME_SAMPLES[first >> 3]
    if not 0 < samples <= _MAX_SAMPLES:
        raise MediaError(_BAD_PACKET)
    return samples
