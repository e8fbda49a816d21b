"""VP9: its configuration, `vpcC` (VP codec ISO media file format binding, 2.2), with its version and flags ahead; and
which frames are key frames.
"""

from __future__ import annotations

from onair_media.flv.errors import MediaError
from onair_media.flv.info import VideoInfo

_BAD = "bad VP9 configuration"


def parse_config(record: bytes) -> VideoInfo:
    """Reads a VPCodecConfigurationRecord. Raises `MediaError`."""
    if len(record) < 12 or record[0] != 1:
        raise MediaError(_BAD)
    profile, level, depth = record[4], record[5], record[6] >> 4
    if profile > 3 or depth not in (8, 10, 12):
        raise MediaError(_BAD)
    chroma = record[6] >> 1 & 7
    if chroma > 3:
        raise MediaError(_BAD)
    return VideoInfo(
        f"vp09.{profile:02d}.{level:02d}.{depth:02d}", chroma=f"{chroma:02d}", usual_chroma=chroma in (0, 1)
    )


def is_key_frame(data: memoryview) -> bool:
    """Whether a frame, or the first of a superframe, is a key frame (VP9 6.2: frame_marker, profile,
    show_existing_frame, frame_type).
    """
    if not data or data[0] >> 6 != 0b10:
        return False
    reserved = (data[0] >> 4 & 3) == 3  # a bit that only profile 3 has
    return not data[0] >> (1 if reserved else 2) & 0b11
