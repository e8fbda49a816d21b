"""NAL units behind their lengths, as samples of AVC and HEVC have them (ISO/IEC 14496-15, 4.3.3)."""

from __future__ import annotations

# A picture has one for each slice; what has more than this only wants to be counted.
MAX_UNITS = 2000


def are_whole(data: memoryview, length_size: int) -> bool:
    """Whether the lengths lead exactly to the end. DJI and some hardware send pictures whose do not."""
    at, end = 0, len(data)
    for _ in range(MAX_UNITS):
        size = int.from_bytes(data[at : at + length_size], "big")
        at += length_size + size
        if at >= end:
            return at == end and size > 0
        if not size:
            return False
    return False
