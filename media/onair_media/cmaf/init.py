"""Init segments (`ftyp` + `moov`), made by libavformat from a sequence header and a first frame.

An output stream cannot be given codec parameters by hand, so a minimal FLV file is made in memory, and its stream
serves as the template. libavformat reads the bitstream for that, too: the picture's size and colour are taken from what
it wrote, whatever the codec.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import av

from onair_media.flv import AUDIO_FOURCCS, VIDEO_FOURCCS, AudioConfig, VideoConfig, codec_string, encode_colour

VIDEO_TIMESCALE = 90_000

_OPTIONS = {
    # The header waits for the first packet: what AC-3 writes into it stands in its frames.
    "movflags": "delay_moov+default_base_moof+frag_custom+skip_sidx+skip_trailer",
    "brand": "iso6",
    "use_editlist": "0",
    "video_track_timescale": str(VIDEO_TIMESCALE),
}
_FOURCC_OF = {codec: fourcc for fourcc, codec in (VIDEO_FOURCCS | AUDIO_FOURCCS).items()}
_RANGES = {16: "PQ", 18: "HLG"}  # ITU-T H.273, transfer characteristics
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
# Fields before the boxes inside (ISO/IEC 14496-12, 8.5.2, 12.1.3)
_STSD_HEAD, _VISUAL_HEAD, _WIDTH = 8, 78, 24


class InitError(Exception):
    """libavformat does not accept this configuration; the message says why."""


@dataclass(frozen=True, slots=True)
class Init:
    """`data` is the segment.

    Video: `codec` (RFC 6381), size in pixels, and `video_range` as playlists name it (empty: SDR).
    """

    data: bytes
    codec: str = ""
    width: int = 0
    height: int = 0
    video_range: str = ""


def make_init(config: VideoConfig | AudioConfig, timescale: int, frame: bytes) -> Init:
    """The init segment of a configuration, and one (key) frame of it: track 1, `timescale` ticks a second.

    Raises `InitError`.
    """
    if isinstance(config, AudioConfig):
        tags = b"".join(_tag(8, body) for body in _audio(config, frame))
        return Init(_with_timescale(_mux(b"FLV\1\4\0\0\0\x09\0\0\0\0" + tags), timescale))
    tags = b"".join(_tag(9, body) for body in _video(config, frame))
    data = _mux(b"FLV\1\1\0\0\0\x09\0\0\0\0" + tags, "hvc1" if config.codec == "hevc" else None)
    return _visual(config, _with_timescale(data, timescale))


def _video(config: VideoConfig, frame: bytes) -> Iterator[bytes]:
    fourcc = _FOURCC_OF[config.codec]
    yield b"\x90" + fourcc + config.record
    if config.colour is not None:
        yield b"\xd4" + fourcc + encode_colour(config.colour)
    # Without a composition time where one would be expected.
    yield (b"\x93" if config.codec in ("avc", "hevc") else b"\x91") + fourcc + frame


def _audio(config: AudioConfig, frame: bytes) -> Iterator[bytes]:
    if config.codec == "mp3":
        yield b"\x2f" + frame
        return
    if config.codec == "aac":
        # The FourCC form makes libavformat depend on decoding the frame.
        yield b"\xaf\0" + config.record
        yield b"\xaf\1" + frame
        return
    fourcc = _FOURCC_OF[config.codec]
    if config.codec not in ("ac3", "eac3"):
        yield b"\x90" + fourcc + config.record
    yield b"\x91" + fourcc + frame


def _tag(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + bytes(7) + body + (11 + len(body)).to_bytes(4, "big")


def _mux(flv: bytes, codec_tag: str | None = None) -> bytes:
    target = io.BytesIO()
    try:
        with av.open(io.BytesIO(flv), "r", format="flv") as source:
            template = source.streams[0]
            packet = next(packet for packet in source.demux(template) if packet.size)
            with av.open(target, "w", format="mp4", options=_OPTIONS) as sink:
                # `opaque`: no encoder of this codec is needed.
                stream = sink.add_stream_from_template(template, opaque=True)
                if codec_tag is not None:
                    stream.codec_context.codec_tag = codec_tag
                packet.stream = stream
                sink.mux_one(packet)
    except (av.FFmpegError, StopIteration, IndexError, ValueError) as error:
        raise InitError(f"{type(error).__name__}: {error}") from error
    data = target.getvalue()
    end = 0
    for kind, content in _boxes(data):
        if kind not in (b"ftyp", b"moov"):
            break
        end += 8 + len(content)
    if not end or data[:end].count(b"moov") == 0:
        raise InitError("no moov was written")
    return data[:end]


def _with_timescale(data: bytes, timescale: int) -> bytes:
    """libavformat takes the rate from what it decodes: that of SBR, or of a damaged frame. Ours counts (8.4.2)."""
    at = data.find(b"mdhd")
    if at < 0 or data[at + 4] > 1:
        raise InitError("no mdhd was written")
    at += 24 if data[at + 4] else 16
    return data[:at] + timescale.to_bytes(4, "big") + data[at + 4 :]


def _visual(config: VideoConfig, data: bytes) -> Init:
    """What the sample entry says of the picture."""
    content = data
    for wanted in _CONTAINERS:
        content = _child(content, wanted)
    entry = next(_boxes(_child(content, b"stsd")[_STSD_HEAD:]))[1]
    width, height = (int.from_bytes(entry[at : at + 2], "big") for at in (_WIDTH, _WIDTH + 2))
    if not width or not height:
        raise InitError("the picture has no size")
    colour = next((box for kind, box in _boxes(entry[_VISUAL_HEAD:]) if kind == b"colr"), b"")
    points, full_range = (2, 2, 2), False
    if colour[:4] == b"nclx" and len(colour) >= 11:
        points = struct.unpack_from(">HHH", colour, 4)
        full_range = bool(colour[10] & 0x80)
    codec = codec_string(config, points, full_range=full_range)
    return Init(data, codec, width, height, _RANGES.get(points[1], ""))


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of each box (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= len(data):
        size = max(int.from_bytes(data[at : at + 4], "big"), 8)
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def _child(data: bytes, wanted: bytes) -> bytes:
    for kind, content in _boxes(data):
        if kind == wanted:
            return content
    raise InitError(f"no {wanted.decode()} was written")
