"""Tag bodies (Adobe FLV 10.1, E.4.2 and E.4.3): the payloads of RTMP audio and video messages."""

from __future__ import annotations

from onair_media.flv.errors import MediaError
from onair_media.flv.units import AudioConfig, AudioFrame, AudioUnit, VideoConfig, VideoEnd, VideoFrame, VideoUnit

_AVC, _AAC = 7, 10
_ENHANCED = 0x80
_KEYFRAME, _COMMAND = 1, 5
_SEQUENCE_HEADER, _CODED, _END = 0, 1, 2


def parse_video(payload: bytes) -> VideoUnit | None:
    """A video tag body. None: valid and of no interest. Raises `MediaError`."""
    if not payload:
        return None  # an empty tag: some encoders send them to keep the connection alive
    first = payload[0]
    if first & _ENHANCED or first & 0x0F != _AVC:
        raise MediaError("unsupported video codec")
    if first >> 4 == _COMMAND:
        return None
    if len(payload) < 5:
        if len(payload) >= 2 and payload[1] == _END:
            return VideoEnd()
        raise MediaError("truncated video tag")
    kind = payload[1]
    if kind == _SEQUENCE_HEADER:
        return VideoConfig("avc", payload[5:])
    if kind == _CODED:
        if len(payload) == 5:
            return None
        offset = int.from_bytes(payload[2:5], "big")
        if offset & 0x800000:
            offset -= 0x1000000
        return VideoFrame("avc", first >> 4 == _KEYFRAME, offset, memoryview(payload)[5:])
    if kind == _END:
        return VideoEnd()
    raise MediaError("unknown AVC packet type")


def parse_audio(payload: bytes) -> AudioUnit | None:
    """An audio tag body. None: valid and of no interest. Raises `MediaError`."""
    if not payload:
        return None
    if payload[0] >> 4 != _AAC:
        raise MediaError("unsupported audio codec")
    if len(payload) < 2:
        raise MediaError("truncated audio tag")
    if payload[1] == _SEQUENCE_HEADER:
        return AudioConfig("aac", payload[2:])
    if payload[1] == _CODED:
        return AudioFrame("aac", memoryview(payload)[2:]) if len(payload) > 2 else None
    raise MediaError("unknown AAC packet type")
