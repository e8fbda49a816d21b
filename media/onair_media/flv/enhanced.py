"""Tag bodies of Enhanced RTMP (Veovera, v2: "Enhanced Video", "Enhanced Audio").

One message may carry several tracks, and modifiers ahead of them (ModEx). Whatever is not understood drops the
message, never the connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from onair_media.flv.colour import parse_colour
from onair_media.flv.errors import MediaError, UnsupportedCodecError
from onair_media.flv.units import (
    AudioCodec,
    AudioConfig,
    AudioFrame,
    AudioUnit,
    VideoCodec,
    VideoColour,
    VideoConfig,
    VideoEnd,
    VideoFrame,
    VideoUnit,
)

VIDEO_FOURCCS: dict[bytes, VideoCodec] = {b"avc1": "avc", b"hvc1": "hevc", b"av01": "av1", b"vp09": "vp9"}
AUDIO_FOURCCS: dict[bytes, AudioCodec] = {
    b"mp4a": "aac",
    b"Opus": "opus",
    b"fLaC": "flac",
    b"ac-3": "ac3",
    b"ec-3": "eac3",
    b".mp3": "mp3",
}
_OTHER_NAMES = {b"vvc1": "VVC", b"vp08": "VP8"}
MAX_MODIFIERS = 8
MAX_TRACKS = 32

_SEQUENCE_START, _CODED_FRAMES, _SEQUENCE_END = 0, 1, 2
_CODED_FRAMES_X, _METADATA, _MPEG2_TS, _VIDEO_MULTITRACK = 3, 4, 5, 6
_MULTICHANNEL_CONFIG, _AUDIO_MULTITRACK = 4, 5
_MODEX = 7
_TIMESTAMP_OFFSET_NANO = 0
_ONE_TRACK, _MANY_TRACKS, _MANY_TRACKS_MANY_CODECS = 0, 1, 2
_KEYFRAME, _COMMAND = 1, 5
_WITH_COMPOSITION_TIME = ("avc", "hevc")
# Their frames say everything; what stands in a sequence start is not looked at.
_SELF_DESCRIBING = ("ac3", "eac3", "mp3")
# An OBU that MP4 samples go without (AV1 in ISO BMFF, 2.4).
_TEMPORAL_DELIMITER = b"\x12\0"


def parse_video(payload: bytes) -> tuple[VideoUnit, ...]:
    """A video tag body whose first bit is set. Raises `MediaError`."""
    frame_type = payload[0] >> 4 & 7
    reader = _Reader(payload, "video")
    first_kind, nanoseconds = reader.modifiers(payload[0] & 0x0F)
    if frame_type == _COMMAND and first_kind != _METADATA:
        return ()
    units = []
    for kind, fourcc, track, body in reader.tracks(first_kind, _VIDEO_MULTITRACK):
        codec = VIDEO_FOURCCS.get(fourcc)
        if codec is None:
            raise UnsupportedCodecError("video", _name(fourcc))
        unit = _video_unit(kind, codec, track, body, frame_type == _KEYFRAME, nanoseconds)
        if unit is not None:
            units.append(unit)
    return tuple(units)


def parse_audio(payload: bytes) -> tuple[AudioUnit, ...]:
    """An audio tag body of sound format 9. Raises `MediaError`."""
    reader = _Reader(payload, "audio")
    first_kind, nanoseconds = reader.modifiers(payload[0] & 0x0F)
    units: list[AudioUnit] = []
    for kind, fourcc, track, body in reader.tracks(first_kind, _AUDIO_MULTITRACK):
        codec = AUDIO_FOURCCS.get(fourcc)
        if codec is None:
            raise UnsupportedCodecError("audio", _name(fourcc))
        if kind == _SEQUENCE_START:
            if codec not in _SELF_DESCRIBING:
                units.append(AudioConfig(codec, bytes(body), track))
        elif kind == _CODED_FRAMES:
            if body:
                units.append(AudioFrame(codec, body, track, nanoseconds))
        elif kind not in (_SEQUENCE_END, _MULTICHANNEL_CONFIG):
            raise MediaError("unknown audio packet type")
    return tuple(units)


def _video_unit(
    kind: int, codec: VideoCodec, track: int, body: memoryview, keyframe: bool, nanoseconds: int
) -> VideoUnit | None:
    if kind in (_CODED_FRAMES, _CODED_FRAMES_X):
        offset = 0
        if kind == _CODED_FRAMES and codec in _WITH_COMPOSITION_TIME:
            if len(body) < 3:
                raise MediaError("truncated video tag")
            offset = int.from_bytes(body[:3], "big", signed=True)
            body = body[3:]
        elif codec == "av1" and body[:2] == _TEMPORAL_DELIMITER:
            body = body[2:]
        return VideoFrame(codec, keyframe, offset, body, track, nanoseconds) if body else None
    if kind == _SEQUENCE_START:
        return VideoConfig(codec, bytes(body), track)
    if kind == _SEQUENCE_END:
        return VideoEnd(track)
    if kind == _METADATA:
        return VideoColour(parse_colour(bytes(body)), track)
    if kind == _MPEG2_TS:
        raise MediaError("video in MPEG-2 TS form")
    raise MediaError("unknown video packet type")


def _name(fourcc: bytes) -> str:
    """For people: the sender chose these bytes."""
    if fourcc in _OTHER_NAMES:
        return _OTHER_NAMES[fourcc]
    return fourcc.decode("ascii") if fourcc.isascii() and fourcc.decode("ascii").isprintable() else fourcc.hex()


class _Reader:
    """Goes through what precedes the bodies."""

    def __init__(self, payload: bytes, kind: str) -> None:
        self._data = memoryview(payload)
        self._at = 1
        self._truncated = f"truncated {kind} tag"

    def _take(self, count: int) -> memoryview:
        end = self._at + count
        if end > len(self._data):
            raise MediaError(self._truncated)
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _integer(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def modifiers(self, kind: int) -> tuple[int, int]:
        """Takes ModEx packets off; returns the packet type behind them, and nanoseconds to add to the timestamp."""
        nanoseconds = 0
        for _ in range(MAX_MODIFIERS):
            if kind != _MODEX:
                return kind, nanoseconds
            size = self._integer(1) + 1
            if size == 256:
                size = self._integer(2) + 1
            data = self._take(size)
            following = self._integer(1)
            if following >> 4 == _TIMESTAMP_OFFSET_NANO and size >= 3:
                nanoseconds = min(int.from_bytes(data[:3], "big"), 999_999)
            kind = following & 0x0F
        raise MediaError("too many modifiers")

    def tracks(self, kind: int, multitrack: int) -> Iterator[tuple[int, bytes, int, memoryview]]:
        """Packet type, FourCC, track and body of each track in the message."""
        if kind != multitrack:
            yield kind, bytes(self._take(4)), 0, self._data[self._at :]
            return
        first = self._integer(1)
        layout, kind = first >> 4, first & 0x0F
        if layout > _MANY_TRACKS_MANY_CODECS or kind == multitrack:
            raise MediaError("unknown multitrack type")
        shared = b"" if layout == _MANY_TRACKS_MANY_CODECS else bytes(self._take(4))
        for _ in range(MAX_TRACKS):
            fourcc = shared or bytes(self._take(4))
            track = self._integer(1)
            if layout == _ONE_TRACK:
                yield kind, fourcc, track, self._data[self._at :]
                return
            yield kind, fourcc, track, self._take(self._integer(3))
            if self._at == len(self._data):
                return
        raise MediaError("too many tracks")
