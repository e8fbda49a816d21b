"""Where fuzzing begins: real bytes of real encoders, so that mutations reach what lies behind the first checks."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import av
from av.video.frame import PictureType

from onair_media import amf0
from onair_media.flv import VideoFrame, parse_video

RECORDED = Path(__file__).resolve().parent / "recorded"
HANDSHAKE_BYTES = 1 + 2 * 1536


def seeds(target: str) -> list[bytes]:
    """Inputs for one target."""
    made: dict[str, Callable[[], list[bytes]]] = {
        "handshake": _handshakes,
        "chunks": _wire,
        "amf": _amf,
        "tags": _tags,
        "records": _records,
        "beginnings": _beginnings,
        "inits": _inits,
        "session": _sessions,
        "heads": _heads,
        "requests": _requests,
    }
    return made[target]()


def _recorded() -> list[bytes]:
    """The first 12 000 bytes that ffmpeg, librtmp and rtmp2sink say to a server, ffmpeg with a digest in its C1."""
    return [file.read_bytes() for file in sorted(RECORDED.iterdir())]


def _handshakes() -> list[bytes]:
    return [bytes((how,)) + said[: HANDSHAKE_BYTES + 64] for said in _recorded() for how in (0, 2, 3)]


def _sessions() -> list[bytes]:
    handshake = _recorded()[0][:HANDSHAKE_BYTES]
    return _recorded() + [handshake + said for said in _wire()]


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


def _beginnings() -> list[bytes]:
    """Open GOPs of x265 and x264, as they are; with a break in the middle; joined in the middle."""
    options = "open-gop=1:bframes=2:b-adapt=0:keyint=5:min-keyint=5:scenecut=0"
    found = []
    for first, codec in ((b"\0", "x265"), (b"\3", "x264")):
        settings = {f"{codec}-params": options + (":log-level=none" if codec == "x265" else "")}
        frames = [
            (2 * unit.keyframe | (milliseconds + unit.composition_time) // 40 << 2, bytes(unit.data))
            for kind, milliseconds, body in _encoded(f"lib{codec}", "aac", preset="ultrafast", **settings)
            if kind == 9
            for unit in parse_video(body)
            if isinstance(unit, VideoFrame)
        ]
        for begin, broken in ((0, 0), (0, 6), (3, 3)):
            pictures = [
                bytes((flags | (number == broken),)) + len(frame).to_bytes(2, "big") + frame
                for number, (flags, frame) in enumerate(frames)
            ]
            found.append(first + b"".join(pictures[begin:]))
    return found


def _heads() -> list[bytes]:
    """A browser with hls.js, ffmpeg, a load generator; then what must go the long way."""
    line, host = b"GET /keynote-2026/video.m3u8 HTTP/1.1\r\n", b"Host: 127.0.0.1:8080\r\n"
    browser = (
        b'Connection: keep-alive\r\nsec-ch-ua-platform: "Linux"\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n'
        b"Accept: */*\r\nReferer: http://127.0.0.1:8080/watch/keynote-2026\r\nAccept-Encoding: gzip, deflate, br\r\n"
        b'Accept-Language: en-US\r\nIf-None-Match: "5d0c"\r\n'
    )
    ffmpeg = b"User-Agent: Lavf/61.7.100\r\nAccept: */*\r\nRange: bytes=0-\r\nConnection: close\r\n"
    heads = [line + host + fields + b"\r\n" for fields in (browser, ffmpeg, b"Accept-Encoding: gzip\r\n", b"")]
    segment = b"GET /keynote-2026/keynote-1/1/video/0.m4s HTTP/1.1\r\n"
    return [*heads, segment + host + b"\r\n", heads[0] * 2, line + host + b"Content-Length: 4\r\n\r\nbody"]


def _requests() -> list[bytes]:
    return [
        b'1000\n"5d0c"\ngzip, deflate, br\nW/"5d0c", "a"\nbytes=0-499\n"5d0c"\nmax_resolution=720p',
        b'1000\n"5d0c"\nbr;q=1.0, gzip;q=0\n*\nbytes=-500\n\nprogram_start_time=1700000000',
        b'0\n"5d0c"\n*;q=0.5\n"x"\nbytes=999-\n\ntoken=a&default_subtitles_lang=de-CH',
    ]


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
