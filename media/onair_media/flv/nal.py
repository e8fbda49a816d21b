"""NAL units behind their lengths, as samples of AVC and HEVC have them (ISO/IEC 14496-15, 4.3.3)."""

from __future__ import annotations

# A picture has one for each slice; what has more than this only wants to be counted.
MAX_UNITS = 2000


def units_in(data: memoryview, length_size: int) -> list[memoryview] | None:
    """None: the lengths do not lead exactly to the end. DJI and some hardware send such pictures."""
    at, end, found = 0, len(data), []
    for _ in range(MAX_UNITS):
        begin = at + length_size
        size = int.from_bytes(data[at:begin], "big")
        at = begin + size
        if not size or at > end:
            return None
        found.append(data[begin:at])
        if at == end:
            return found
    return None
