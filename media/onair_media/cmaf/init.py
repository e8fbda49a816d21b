"""Init segments (`ftyp` + `moov`), made by libavformat from a sequence header and a first frame.

An output stream cannot be given codec parameters by hand, so a minimal FLV file is made in memory, and its stream
serves as the template.
"""

from __future__ import annotations

import io

import av

VIDEO_TIMESCALE = 90_000

_OPTIONS = {
    "movflags": "empty_moov+default_base_moof+frag_custom+skip_sidx+skip_trailer",
    "brand": "iso6",
    "use_editlist": "0",
    "video_track_timescale": str(VIDEO_TIMESCALE),
}


class InitError(Exception):
    """libavformat does not accept this configuration; the message says why."""


def video_init(record: bytes, frame: bytes) -> bytes:
    """For H.264: `avcC` and one key frame (length-prefixed NAL units). Timescale 90000, track 1."""
    tags = _tag(9, b"\x17\0\0\0\0" + record) + _tag(9, b"\x17\1\0\0\0" + frame)
    return _init(b"FLV\1\1\0\0\0\x09\0\0\0\0" + tags)


def audio_init(record: bytes, frame: bytes) -> bytes:
    """For AAC: AudioSpecificConfig and one frame. The timescale is the sample rate, track 1."""
    tags = _tag(8, b"\xaf\0" + record) + _tag(8, b"\xaf\1" + frame)
    return _init(b"FLV\1\4\0\0\0\x09\0\0\0\0" + tags)


def _tag(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + bytes(7) + body + (11 + len(body)).to_bytes(4, "big")


def _init(flv: bytes) -> bytes:
    target = io.BytesIO()
    try:
        with av.open(io.BytesIO(flv), "r", format="flv") as source:
            template = source.streams[0]
            packet = next(packet for packet in source.demux(template) if packet.size)
            with av.open(target, "w", format="mp4", options=_OPTIONS) as sink:
                packet.stream = sink.add_stream_from_template(template)
                sink.mux_one(packet)
    except (av.FFmpegError, StopIteration, IndexError, ValueError) as error:
        raise InitError(f"{type(error).__name__}: {error}") from error
    data = target.getvalue()
    end = 0
    while data[end + 4 : end + 8] in (b"ftyp", b"moov"):
        end += int.from_bytes(data[end : end + 4], "big")
    if not end or data[:end].count(b"moov") == 0:
        raise InitError("no moov was written")
    return data[:end]
