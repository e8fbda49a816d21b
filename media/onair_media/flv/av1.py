"""AV1: its configuration, `av1C` (AV1 in ISO BMFF, 2.3.3), and which frames are key frames."""

from __future__ import annotations

from onair_media.flv.errors import MediaError
from onair_media.flv.info import VideoInfo

_BAD = "bad AV1 configuration"
_FRAMES = (3, 6)  # a frame header, or a frame with its header
# What may stand before the frame: a sequence header, metadata, padding, a few each.
_MAX_UNITS = 16
_MAX_SIZE_BYTES = 8


def parse_config(record: bytes) -> VideoInfo:
    """Reads an AV1CodecConfigurationRecord. Raises `MediaError`."""
    if len(record) < 4 or record[0] != 0x81:
        raise MediaError(_BAD)
    profile, level = record[1] >> 5, record[1] & 0x1F
    high_tier, high_depth, twelve_bits = record[2] & 0x80, record[2] & 0x40, record[2] & 0x20
    if profile > 2 or (level > 23 and level != 31):
        raise MediaError(_BAD)
    depth = 8 if not high_depth else 12 if twelve_bits and profile == 2 else 10
    monochrome, x, y, position = record[2] >> 4 & 1, record[2] >> 3 & 1, record[2] >> 2 & 1, record[2] & 3
    # The position of chroma samples counts only where both directions are subsampled (AV1 in ISO BMFF, 5).
    chroma = f"{monochrome}.{x}{y}{position if x and y else 0}"
    return VideoInfo(
        f"av01.{profile}.{level:02d}{'H' if high_tier else 'M'}.{depth:02d}",
        chroma=chroma,
        usual_chroma=not monochrome and bool(x and y),
    )


def is_key_frame(data: memoryview) -> bool:
    """Whether the first frame of a temporal unit is a key frame, and shown (AV1 5.9.2, 7.6)."""
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(data):
            return False
        kind, extended, sized = data[at] >> 3 & 15, data[at] & 4, data[at] & 2
        at += 2 if extended else 1
        size = len(data) - at
        if sized:
            size, at = _leb128(data, at)
        if kind in _FRAMES:
            # show_existing_frame 0, frame_type 0 (KEY_FRAME), show_frame 1
            return at < len(data) and data[at] >> 4 == 0b0001
        at += size
    return False


def _leb128(data: memoryview, at: int) -> tuple[int, int]:
    """A number (AV1 4.10.5), and where it ends."""
    value = 0
    for number, byte in enumerate(data[at : at + _MAX_SIZE_BYTES]):
        value |= (byte & 0x7F) << 7 * number
        if not byte & 0x80:
            return value, at + number + 1
    return len(data), at  # it has no end: nothing follows
