"""Tag bodies (Adobe FLV 10.1, E.4.2 and E.4.3): the payloads of RTMP audio and video messages."""

from __future__ import annotations

from onair_media.flv import enhanced, hevc
from onair_media.flv.errors import MediaError, UnsupportedCodecError
from onair_media.flv.units import (
    AudioConfig,
    AudioFrame,
    AudioUnit,
    VideoCodec,
    VideoConfig,
    VideoEnd,
    VideoFrame,
    VideoUnit,
)

_AVC, _HEVC = 7, 12  # 12 is no part of any specification, but common before FourCC
_MP3, _AAC, _MP3_8K = 2, 10, 14
_ENHANCED_VIDEO, _ENHANCED_AUDIO = 0x80, 9
_KEYFRAME, _COMMAND = 1, 5
_SEQUENCE_HEADER, _CODED, _END = 0, 1, 2

_VIDEO_NAMES = {
    2: "Sorenson H.263",
    3: "Screen video",
    4: "VP6",
    5: "VP6 with alpha",
    6: "Screen video 2",
}
_AUDIO_NAMES = {
    0: "PCM",
    1: "ADPCM",
    3: "PCM",
    4: "Nellymoser",
    5: "Nellymoser",
    6: "Nellymoser",
    7: "G.711 A-law",
    8: "G.711 mu-law",
    11: "Speex",
}


def parse_video(payload: bytes) -> tuple[VideoUnit, ...]:
    """The units of a video tag body; none: valid and of no interest. Raises `MediaError`."""
    if not payload:
        return ()  # an empty tag: some encoders send them to keep the connection alive
    first = payload[0]
    if first & _ENHANCED_VIDEO:
        return enhanced.parse_video(payload)
    if first >> 4 == _COMMAND:
        return ()
    number = first & 0x0F
    codec: VideoCodec = "avc"
    if number == _HEVC:
        codec = "hevc"
    elif number != _AVC:
        raise UnsupportedCodecError("video", _VIDEO_NAMES.get(number, f"codec {number}"))
    if len(payload) < 5:
        if len(payload) >= 2 and payload[1] == _END:
            return (VideoEnd(),)
        raise MediaError("truncated video tag")
    kind = payload[1]
    if kind == _CODED:
        if len(payload) == 5:
            return ()
        offset = int.from_bytes(payload[2:5], "big")
        if offset & 0x800000:
            offset -= 0x1000000
        return (VideoFrame(codec, first >> 4 == _KEYFRAME, offset, memoryview(payload)[5:]),)
    if kind == _SEQUENCE_HEADER:
        record = payload[5:]
        # OBS before 29.1 could send HEVC under the number of AVC.
        return (VideoConfig("hevc" if hevc.looks_like_record(record) else codec, record),)
    if kind == _END:
        return (VideoEnd(),)
    raise MediaError("unknown AVC packet type")


def parse_audio(payload: bytes) -> tuple[AudioUnit, ...]:
    """The units of an audio tag body; none: valid and of no interest. Raises `MediaError`."""
    if not payload:
        return ()
    number = payload[0] >> 4
    if number == _AAC:
        if len(payload) < 2:
            raise MediaError("truncated audio tag")
        if payload[1] == _CODED:
            return (AudioFrame("aac", memoryview(payload)[2:]),) if len(payload) > 2 else ()
        if payload[1] == _SEQUENCE_HEADER:
            return (AudioConfig("aac", payload[2:]),)
        raise MediaError("unknown AAC packet type")
    if number == _ENHANCED_AUDIO:
        return enhanced.parse_audio(payload)
    if number in (_MP3, _MP3_8K):
        return (AudioFrame("mp3", memoryview(payload)[1:]),) if len(payload) > 1 else ()
    raise UnsupportedCodecError("audio", _AUDIO_NAMES.get(number, f"format {number}"))
