"""Encoder streams of an FLV container, and the one shape that all sources have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoStream
    from av.container import OutputContainer
    from av.stream import Stream

SAMPLE_RATE = 48_000
AUDIO_BITRATE = 128_000

Paced = Iterator[tuple[float, "list[Packet[Stream]]"]]
"""Packets, each list with the time it is due: seconds since the connection began."""


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """`size` in pixels (even), `fps` frames a second, `bitrate` bits a second, `gop_seconds` between keyframes."""

    size: tuple[int, int] = (1280, 720)
    fps: int = 30
    bitrate: int = 2_500_000
    gop_seconds: float = 2.0


class Source(Protocol):
    """What is published."""

    def run(self, container: OutputContainer, wall: float, position: float) -> Paced:
        """Adds its streams to `container` and begins at once.

        `wall` is the Unix time that the connection's zero stands for; `position` says how many seconds of earlier
        connections have been sent. The first item comes when all streams have been added.
        """
        ...


def add_video(container: OutputContainer, size: tuple[int, int], fps: Fraction, settings: VideoSettings) -> VideoStream:
    """An x264 stream that costs little and delays nothing: a frame in, a packet out."""
    gop = str(max(1, round(settings.gop_seconds * fps)))
    rate = f"{settings.bitrate // 1000}"
    options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "main",
        "threads": "1",
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:vbv-maxrate={rate}:vbv-bufsize={rate}",
    }
    stream = container.add_stream("libx264", rate=fps, options=options)
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.bit_rate = settings.bitrate
    return stream


def add_audio(container: OutputContainer, layout: str) -> AudioStream:
    """An AAC stream of 48 kHz."""
    stream = container.add_stream("aac", rate=SAMPLE_RATE, layout=layout)
    stream.bit_rate = AUDIO_BITRATE
    return stream
