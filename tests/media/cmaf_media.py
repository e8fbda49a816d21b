"""Real media for packager tests: FFmpeg's FLV tags in, decoded frames out."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import av.filter
from av.video.frame import PictureType

from onair_core.contract import BroadcastRef, PackagingSettings
from onair_core.playback.renditions import Rendition
from onair_media.cmaf import InitSegment, Output, Packager, Segment
from onair_media.flv import parse_audio, parse_video

FPS, RATE, AAC_FRAME = 30, 48_000, 1024


@dataclass(frozen=True)
class Tag:
    video: bool
    milliseconds: int
    body: bytes


@dataclass(frozen=True)
class Decoded:
    """Presentation times in seconds, and what is seen or heard."""

    times: tuple[float, ...]
    digests: tuple[str, ...]


def source(*filters: tuple[str, str]) -> Iterator[av.VideoFrame | av.AudioFrame]:
    graph = av.filter.Graph()
    chain = [graph.add(name, options) for name, options in filters]
    for before, after in itertools.pairwise(chain):
        before.link_to(after)
    graph.configure()
    while True:
        try:
            yield chain[-1].pull()
        except (av.EOFError, av.BlockingIOError):
            return


def flv(seconds: int, width: int = 320, height: int = 180, b_frames: int = 2, gop: int = 30) -> bytes:
    """What FFmpeg's FLV muxer sends over RTMP: H.264 and AAC."""
    video = VideoEncoder(
        "libx264", (("preset", "veryfast"), ("bf", str(b_frames)), ("g", str(gop)), ("sc_threshold", "0"))
    )
    return encoded(video, AudioEncoder("aac"), seconds, width, height)


@dataclass(frozen=True)
class VideoEncoder:
    name: str
    options: tuple[tuple[str, str], ...] = ()
    pixels: str = "yuv420p"
    colour: tuple[int, int, int] | None = None  # primaries, transfer, matrix


@dataclass(frozen=True)
class AudioEncoder:
    name: str
    rate: int = RATE
    layout: str = "stereo"


@cache
def encoded(
    video_encoder: VideoEncoder, audio_encoder: AudioEncoder, seconds: int, width: int = 320, height: int = 180
) -> bytes:
    """What FFmpeg's FLV muxer sends over RTMP, Enhanced where the codecs need it."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flv") as out:
        video = out.add_stream(video_encoder.name, rate=FPS, options=dict(video_encoder.options))
        video.width, video.height, video.pix_fmt = width, height, video_encoder.pixels
        if video_encoder.colour is not None:
            context = video.codec_context
            context.color_primaries, context.color_trc, context.colorspace = video_encoder.colour
        audio = out.add_stream(audio_encoder.name, rate=audio_encoder.rate)
        audio.layout = audio_encoder.layout
        assert audio.format is not None
        pictures = source(
            ("testsrc2", f"size={width}x{height}:rate={FPS}:duration={seconds}"),
            ("format", video_encoder.pixels),
            ("buffersink", ""),
        )
        samples = audio.codec_context.frame_size or AAC_FRAME
        sounds = source(
            ("sine", f"frequency=440:sample_rate={audio_encoder.rate}:duration={seconds}:samples_per_frame={samples}"),
            ("aformat", f"sample_fmts={audio.format.name}:channel_layouts={audio_encoder.layout}"),
            ("abuffersink", ""),
        )
        for stream, frames in ((video, pictures), (audio, sounds)):
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    frame.pict_type = PictureType.NONE  # the filter marks every picture as a key frame
                out.mux(stream.encode(frame))  # type: ignore[arg-type]
            out.mux(stream.encode())
    return buffer.getvalue()


def tags(data: bytes) -> list[Tag]:
    """In the order in which an encoder sends them: by time."""
    found, at = [], 13
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        stamp = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        if data[at] in (8, 9):
            found.append(Tag(data[at] == 9, stamp, data[at + 11 : at + 11 + size]))
        at += 15 + size
    headers = [tag for tag in found if is_header(tag)]
    return headers + sorted((tag for tag in found if not is_header(tag)), key=lambda tag: tag.milliseconds)


def is_header(tag: Tag) -> bool:
    """A sequence header, or metadata that belongs to it."""
    first = tag.body[0]
    if tag.video:
        return first & 0x0F in (0, 4) if first & 0x80 else tag.body[1] == 0
    return first & 0x0F in (0, 4) if first >> 4 == 9 else first >> 4 == 10 and tag.body[1] == 0


def feed(packager: Packager, stream: list[Tag], start: int = 0) -> list[Output]:
    outputs: list[Output] = []
    for tag in stream:
        if tag.video:
            for video in parse_video(tag.body):
                outputs += packager.video(tag.milliseconds + start, video)
        else:
            for audio in parse_audio(tag.body):
                outputs += packager.audio(tag.milliseconds + start, audio)
    return outputs


def packaged(*connections: bytes, active: bool = True) -> list[Output]:
    packager = Packager(PackagingSettings(), broadcast=BroadcastRef("keynote-7f3k2", 2))
    outputs: list[Output] = []
    for number, data in enumerate(connections):
        packager.connect(1_790_000_000.0 + 60 * number)
        outputs += feed(packager, tags(data), start=number * 7_654_321)
        outputs += packager.disconnect()
        if active:
            packager.fix_target_duration()
            packager.set_steady()
    return outputs


def segments(outputs: list[Output]) -> list[Segment]:
    return [output for output in outputs if isinstance(output, Segment)]


def inits(outputs: list[Output], rendition: Rendition) -> dict[int, bytes]:
    return {o.index: o.data for o in outputs if isinstance(o, InitSegment) and o.rendition == rendition}


def track(outputs: list[Output], rendition: Rendition, init: int = 0) -> bytes:
    """Init segment and media segments one behind the other, as a player appends them."""
    media = [s.tracks[rendition] for s in segments(outputs) if s.tracks[rendition].init == init]
    return inits(outputs, rendition)[init] + b"".join(part.data for part in media)


def content(frame: av.VideoFrame | av.AudioFrame) -> bytes:
    """Pixels or samples, without the padding behind them."""
    if isinstance(frame, av.AudioFrame):
        size = frame.format.bytes * frame.samples * (1 if frame.format.is_planar else frame.layout.nb_channels)
        return b"".join(bytes(plane)[:size] for plane in frame.planes)
    return b"".join(
        bytes(plane)[row * plane.line_size :][: plane.width * (1 + ("10" in frame.format.name))]
        for plane in frame.planes
        for row in range(plane.height)
    )


def decode(data: bytes, kind: str) -> Decoded:
    times, digests = [], []
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0] if kind == "video" else container.streams.audio[0]
        for frame in container.decode(stream):
            assert isinstance(frame, av.VideoFrame | av.AudioFrame)
            assert frame.pts is not None and frame.time_base is not None
            times.append(float(frame.pts * Fraction(frame.time_base)))
            digests.append(hashlib.sha256(content(frame)).hexdigest())
    return Decoded(tuple(times), tuple(digests))
