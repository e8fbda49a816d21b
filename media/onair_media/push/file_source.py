"""A media file as a live source: H.264 and AAC are sent as they are, everything else is transcoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import av

from onair_media.push.encode import SAMPLE_RATE, Paced, VideoSettings, add_audio, add_video

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

_AUDIO_FRAME = 1024
_Packet: TypeAlias = "av.Packet[av.stream.Stream]"


class FileError(Exception):
    """The file cannot be published; the message says why."""


@dataclass(slots=True)
class _Copy:
    """Packets as they are. RTMP needs the codec configuration up front, so only with extradata."""

    stream: av.VideoStream | av.AudioStream

    def take(self, packet: _Packet, shift: float) -> list[_Packet]:
        if packet.dts is None or packet.pts is None or packet.time_base is None:
            return []
        ticks = round(shift / packet.time_base)
        packet.dts += ticks
        packet.pts += ticks
        packet.stream = self.stream
        return [packet]


@dataclass(slots=True)
class _Video:
    stream: av.VideoStream
    last: int = -1

    def take(self, packet: _Packet, shift: float) -> list[_Packet]:
        packets: list[_Packet] = []
        for frame in packet.decode():
            if not isinstance(frame, av.VideoFrame) or frame.time is None:
                continue
            at = round((frame.time + shift) * 1000)
            if at <= self.last:
                continue
            self.last = at
            picture = frame.reformat(width=self.stream.width, height=self.stream.height, format="yuv420p")
            picture.pts, picture.time_base = at, Fraction(1, 1000)
            picture.pict_type = av.video.frame.PictureType.NONE
            packets += self.stream.encode(picture)
        return packets


class _Audio:
    def __init__(self, stream: av.AudioStream) -> None:
        self._stream = stream
        self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SAMPLE_RATE, frame_size=_AUDIO_FRAME)
        self._written: int | None = None

    def take(self, packet: _Packet, shift: float) -> list[_Packet]:
        packets: list[_Packet] = []
        for frame in packet.decode():
            if not isinstance(frame, av.AudioFrame) or frame.time is None:
                continue
            if self._written is None:
                self._written = max(0, round((frame.time + shift) * SAMPLE_RATE))
            frame.pts = None
            for block in self._resampler.resample(frame):
                block.pts, block.time_base = self._written, Fraction(1, SAMPLE_RATE)
                self._written += block.samples
                packets += self._stream.encode(block)
        return packets


class FileSource:
    """`path` from its start, once or for ever. Raises `FileError` when it holds nothing that can be published."""

    def __init__(self, path: Path, settings: VideoSettings, *, loop: bool = False, audio_only: bool = False) -> None:
        self._path = path
        self._settings = settings
        self._loop = loop
        self._audio_only = audio_only
        with self._open() as file:
            self._duration = file.duration / 1_000_000 if file.duration else 0.0
            if not file.streams.audio and (audio_only or not file.streams.video):
                raise FileError(f"{path} holds no {'audio' if audio_only else 'audio or video'}")

    def run(self, container: OutputContainer, wall: float, position: float) -> Paced:
        """See `Source`; a reconnect goes on at the keyframe before where the connection was lost."""
        with self._open() as file:
            lanes = self._lanes(file, container)
            if self._loop and self._duration:
                position %= self._duration
            if position:
                file.seek(int(position * 1_000_000))
            origin = 0.0
            while True:
                end = origin
                for end, packets in self._once(file, lanes, origin):
                    yield end, packets
                if not self._loop or end <= origin:
                    return
                origin = end
                file.seek(0)

    def _once(self, file: InputContainer, lanes: dict[int, _Copy | _Video | _Audio], origin: float) -> Paced:
        """The file to its end, its first packet at `origin`; times never step back."""
        due = origin
        start: float | None = None
        for packet in _demux(file, lanes):
            if packet.dts is not None and packet.time_base is not None:
                at = float(packet.dts * packet.time_base)
                if start is None:
                    start = at
                if at < start:
                    continue
                due = max(due, origin + at - start + float((packet.duration or 0) * packet.time_base))
            packets = lanes[packet.stream.index].take(packet, origin - (start or 0.0))
            if packets:
                yield due, packets

    def _lanes(self, file: InputContainer, container: OutputContainer) -> dict[int, _Copy | _Video | _Audio]:
        lanes: dict[int, _Copy | _Video | _Audio] = {}
        if file.streams.video and not self._audio_only:
            video = file.streams.video[0]
            if video.codec_context.name == "h264" and video.codec_context.extradata:
                lanes[video.index] = _Copy(container.add_stream_from_template(video))
            else:
                size = (video.codec_context.width & ~1, video.codec_context.height & ~1)
                fps = video.average_rate or Fraction(self._settings.fps)
                lanes[video.index] = _Video(add_video(container, size, fps, self._settings))
        if file.streams.audio:
            audio = file.streams.audio[0]
            if audio.codec_context.name == "aac" and audio.codec_context.extradata:
                lanes[audio.index] = _Copy(container.add_stream_from_template(audio))
            else:
                lanes[audio.index] = _Audio(add_audio(container, "stereo"))
        return lanes

    def _open(self) -> InputContainer:
        try:
            return av.open(str(self._path), "r")
        except (av.FFmpegError, OSError) as error:
            raise FileError(f"cannot read {self._path}: {error.strerror or 'no media file'}") from error


def _demux(file: InputContainer, lanes: dict[int, _Copy | _Video | _Audio]) -> Iterator[_Packet]:
    return file.demux([stream for stream in file.streams if stream.index in lanes])
