"""AV1 configuration: `av1C` (AV1 in ISO BMFF, 2.3.3)."""

from __future__ import annotations

from onair_media.flv.errors import MediaError
from onair_media.flv.info import VideoInfo

_BAD = "bad AV1 configuration"


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
