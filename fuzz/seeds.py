"""Where fuzzing begins: real bytes of real encoders, so that mutations reach what lies behind the first checks."""

from __future__ import annotations

import io
import struct

import av
from av.video.frame import PictureType

from onair_media import amf0


def seeds(target: str) -> list[bytes]:
    """Inputs for one target."""
    return {"chunks": _wire, "session": _wire, "amf": _amf, "tags": _tags, "records": _records, "inits": _inits}[
        target
    ]()


def _encoded(video: str, audio: str, **options: str) -> list[tuple[int, int, bytes]]:
    """(message type, milliseconds, body) of half a second of a stream."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flv") as out:
        picture = out.add_stream(video, rate=25, options=options)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = out.add_stream(audio, rate=48_000)
        sound.layout = "stereo"
        for number in range(12):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.pict_type = number, PictureType.NONE
            out.mux(picture.encode(frame))
        out.mux(picture.encode())
        size = sound.codec_context.frame_size or 1024
        for number in range(12):
            samples = av.AudioFrame(sound.format.name, "stereo", size)
            samples.rate, samples.pts = 48_000, number * size
            for plane in samples.planes:
                plane.update(bytes(plane.buffer_size))
            out.mux(sound.encode(samples))
        out.mux(sound.encode())
    data, at, tags = buffer.getvalue(), 13, []
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        if data[at] in (8, 9):
            tags.append((data[at], int.from_bytes(data[at + 4 : at + 7], "big"), data[at + 11 : at + 11 + size]))
        at += 15 + size
    return tags


_STREAMS = (
    ("libx264", "aac", {"preset": "ultrafast"}),
    ("libx265", "ac3", {"x265-params": "log-level=none", "preset": "ultrafast"}),
    ("libvpx-vp9", "libopus", {"deadline": "realtime", "cpu-used": "8"}),
    ("libsvtav1", "flac", {"preset": "12"}),
    ("libx264", "libmp3lame", {"preset": "ultrafast"}),
)


def _streams() -> list[list[tuple[int, int, bytes]]]:
    return [_encoded(video, audio, **options) for video, audio, options in _STREAMS]


def _tags() -> list[bytes]:
    multitrack = b"\x95\x10mp4a" + b"\0\0\0\3one" + b"\1\0\0\3two"
    modex = b"\x97\2\0\1\2\3hvc1data"
    return [body for stream in _streams() for _, _, body in stream[:8]] + [multitrack, modex]


def _records() -> list[bytes]:
    found = []
    for index, stream in enumerate(_streams()):
        for kind, _, body in stream[:4]:
            found.append(bytes((index if kind == 9 else 128 + index,)) + body[5:])
    return found


def _inits() -> list[bytes]:
    found = []
    for codec, stream in enumerate(_streams()[:1]):
        record = next(body[5:] for kind, _, body in stream if kind == 9)
        frame = [body[5:] for kind, _, body in stream if kind == 9][1]
        found.append(bytes((codec, min(len(record), 255))) + record[:255] + frame)
    return found


def _amf() -> list[bytes]:
    return [
        amf0.encode(
            "connect", 1, {"app": "app", "tcUrl": "rtmp://h/app", "fourCcList": ["hvc1", "av01"], "capsEx": 15}
        ),
        amf0.encode("publish", 3, None, "key", "live"),
        amf0.encode("@setDataFrame", "onMetaData", {"width": 1280, "audioTrackIdInfoMap": {"1": {"language": "de"}}}),
        amf0.encode("colorInfo", {"colorConfig": {"colorPrimaries": 9}, "hdrCll": {"maxCLL": 1000, "maxFall": 400}}),
        bytes.fromhex("0a00000002000000000000000000010108000000010001610000000000000000000009"),
    ]


def _wire() -> list[bytes]:
    """A publisher's bytes behind its handshake, in chunks of 128 and 4096 bytes."""
    found = []
    for stream in _streams():
        for chunk in (128, 4096):
            data = b"" if chunk == 128 else b"\2\0\0\0" + b"\0\0\4" + b"\1" + bytes(4) + struct.pack(">I", chunk)
            for number, values in enumerate((("connect", 1.0, {"app": "app"}), ("publish", 2.0, None, "key", "live"))):
                data += _message(20, 0, amf0.encode(*values), chunk, stream=number)
            for kind, stamp, body in stream:
                data += _message(kind, stamp, body, chunk, stream=1)
            found.append(data)
    return found


def _message(kind: int, stamp: int, body: bytes, chunk: int, *, stream: int) -> bytes:
    csid = {8: 4, 9: 6}.get(kind, 3)
    header = (
        bytes((csid,))
        + stamp.to_bytes(3, "big")
        + len(body).to_bytes(3, "big")
        + bytes((kind,))
        + struct.pack("<I", stream)
    )
    return header + bytes((0xC0 | csid,)).join(body[at : at + chunk] for at in range(0, len(body), chunk))
