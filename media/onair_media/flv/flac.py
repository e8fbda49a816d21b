"""FLAC: the STREAMINFO block (RFC 9639, 8.2) and how many samples a frame has (9.1)."""

from __future__ import annotations

from onair_media.flv.errors import MediaError
from onair_media.flv.info import AudioInfo

_BAD_HEADER, _BAD_FRAME = "bad FLAC configuration", "bad FLAC frame"
_STREAMINFO = 34
_MARKER = b"fLaC"


def normalise(record: bytes) -> bytes:
    """The STREAMINFO block alone: the specification wants a signature before it, FFmpeg leaves that out."""
    return record[8 : 8 + _STREAMINFO] if record[:4] == _MARKER else record[:_STREAMINFO]


def parse_config(streaminfo: bytes) -> AudioInfo:
    """Reads a STREAMINFO block. Raises `MediaError`."""
    if len(streaminfo) != _STREAMINFO:
        raise MediaError(_BAD_HEADER)
    largest = int.from_bytes(streaminfo[2:4], "big")
    rate = int.from_bytes(streaminfo[10:13], "big") >> 4
    channels = (streaminfo[12] >> 1 & 7) + 1
    if largest < 16 or not rate:
        raise MediaError(_BAD_HEADER)
    return AudioInfo("fLaC", rate, channels, largest)


def frame_samples(frame: memoryview) -> int:
    """Samples of one frame. Raises `MediaError`."""
    if len(frame) < 6 or frame[0] != 0xFF or frame[1] & 0xFE != 0xF8:
        raise MediaError(_BAD_FRAME)
    code = frame[2] >> 4
    if code == 0:
        raise MediaError(_BAD_FRAME)
    if code == 1:
        return 192
    if code <= 5:
        return 144 << code
    if code >= 8:
        return 1 << code
    size = code - 5  # 6: one byte, 7: two bytes behind the coded number
    at = 4 + _coded_number_size(frame[4])
    if at + size > len(frame):
        raise MediaError(_BAD_FRAME)
    return int.from_bytes(frame[at : at + size], "big") + 1


def _coded_number_size(first: int) -> int:
    """Bytes of a number written like UTF-8, by its first byte."""
    if first < 0x80:
        return 1
    size = 8 - (first ^ 0xFF).bit_length()
    if not 2 <= size <= 7:
        raise MediaError(_BAD_FRAME)
    return size
