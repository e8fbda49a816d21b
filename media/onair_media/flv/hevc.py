"""H.265 configuration: `hvcC` (ISO/IEC 14496-15, 8.3.2.1)."""

from __future__ import annotations

from onair_media.flv.errors import MediaError
from onair_media.flv.info import VideoInfo

_BAD = "bad HEVC configuration"
_HEADER = 23
_SPS, _PPS = 33, 34
_MAX_SETS = 256


def parse_config(record: bytes) -> VideoInfo:
    """Reads an HEVCDecoderConfigurationRecord. Raises `MediaError`."""
    if len(record) < _HEADER or record[21] & 3 == 2:
        raise MediaError(_BAD)
    if not {_SPS, _PPS} <= _set_types(record):
        raise MediaError(_BAD)
    return VideoInfo(_codec(record), nal_length=(record[21] & 3) + 1)


def looks_like_record(record: bytes) -> bool:
    """Whether it is this record rather than `avcC`: the reserved bits are set where only HEVC has them."""
    return (
        len(record) > _HEADER
        and record[0] <= 1
        and 1 <= record[1] & 0x1F <= 11
        and record[13] >> 4 == 0xF
        and record[15] >> 2 == record[16] >> 2 == 0x3F
        and record[17] >> 3 == record[18] >> 3 == 0x1F
    )


def _set_types(record: bytes) -> set[int]:
    """The NAL unit types of which there is at least one."""
    found: set[int] = set()
    at, sets = _HEADER, 0
    for _ in range(record[22]):
        if at + 3 > len(record):
            raise MediaError(_BAD)
        kind, count = record[at] & 0x3F, int.from_bytes(record[at + 1 : at + 3], "big")
        at += 3
        sets += count
        if sets > _MAX_SETS:
            raise MediaError(_BAD)
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2], "big")
            at += 2 + size
            if size < 3 or at > len(record):
                raise MediaError(_BAD)
            found.add(kind)
    return found


def _codec(record: bytes) -> str:
    """`hvc1.` with profile, compatibility, tier, level and constraints (ISO/IEC 14496-15, annex E.3)."""
    space = ("", "A", "B", "C")[record[1] >> 6]
    tier = "H" if record[1] & 0x20 else "L"
    compatibility = int(f"{int.from_bytes(record[2:6], 'big'):032b}"[::-1], 2)
    constraints = record[6:12].rstrip(b"\0")
    parts = ["hvc1", f"{space}{record[1] & 0x1F}", f"{compatibility:X}", f"{tier}{record[12]}"]
    return ".".join([*parts, *(f"{byte:X}" for byte in constraints)])
