"""Frames for packager tests, each recognisable in what comes out, and an independent reader of fragments."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import av

from onair_core.contract import BroadcastRef, PackagingSettings
from onair_media.cmaf import InitSegment, Output, Packager, Segment
from onair_media.flv import AudioConfig, AudioFrame, VideoConfig, VideoFrame

AAC = AudioConfig("aac", b"\x11\x90")  # 48 kHz, stereo
AAC_44100 = AudioConfig("aac", b"\x12\x10")
AAC_FRAME_MS = 1024 / 48


@cache
def h264(width: int = 64, height: int = 48) -> tuple[VideoConfig, bytes]:
    """A configuration, and a key frame that libavformat can make an init segment with."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flv") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        out.mux(stream.encode(av.VideoFrame(width, height, "yuv420p")))
        out.mux(stream.encode())
    data = buffer.getvalue()
    tags: dict[int, bytes] = {}
    at = 13
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        if data[at] == 9:
            tags.setdefault(data[at + 12], data[at + 16 : at + 11 + size])
        at += 15 + size
    return VideoConfig("avc", tags[0]), tags[1]


@cache
def inter_picture() -> bytes:
    """That key frame as an encoder would name one that needs what came before: its slice is no IDR."""
    data, at = bytearray(h264()[1]), 0
    while at < len(data):
        if data[at + 4] & 0x1F == 5:
            data[at + 4] = 0x41
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    return bytes(data)


def video(number: int, *, key: bool, cts: int = 0, size: int = 0) -> VideoFrame:
    """Frame `number`, `size` bytes longer than need be; `cts` in milliseconds."""
    mark = b"\x06" + struct.pack(">I", number) + bytes(size)
    picture = h264()[1] if key else inter_picture()
    return VideoFrame("avc", key, cts, memoryview(picture + len(mark).to_bytes(4, "big") + mark))


def audio(number: int) -> AudioFrame:
    return AudioFrame("aac", memoryview(struct.pack(">I", number) + b"sound"))


def number_of(rendition: str, sample: bytes) -> int:
    """What `video` and `audio` have put in."""
    data = sample[len(h264()[1]) + 5 :] if rendition == "video" else sample
    return int.from_bytes(data[:4], "big")


@dataclass(frozen=True)
class Sample:
    """Times in ticks of the track's timescale."""

    dts: int
    duration: int
    cts: int
    sync: bool
    data: bytes


def boxes(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """(type, offset, content); every byte belongs to a box."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        assert 8 <= size <= len(data) - at
        yield data[at + 4 : at + 8], at, data[at + 8 : at + size]
        at += size


def mdhd_timescale(init: bytes) -> int:
    """Ticks a second that a player takes from an init segment (ISO/IEC 14496-12 8.4.2), version 0."""
    at = init.index(b"mdhd") + 4
    assert init[at] == 0
    return int.from_bytes(init[at + 12 : at + 16], "big")


def samples(data: bytes) -> list[Sample]:
    """The samples of fragments (ISO/IEC 14496-12 8.8), read by what the boxes say and nothing else."""
    found: list[Sample] = []
    top = list(boxes(data))
    assert [kind for kind, _, _ in top] == [b"moof", b"mdat"] * (len(top) // 2)
    for _, start, moof in top[::2]:
        (traf,) = [content for kind, _, content in boxes(moof) if kind == b"traf"]
        inside = {kind: content for kind, _, content in boxes(traf)}
        assert inside[b"tfhd"][:4] == b"\0\2\0\0", "default-base-is-moof"
        dts = int.from_bytes(inside[b"tfdt"][4:12], "big")
        flags, count, offset = struct.unpack(">IIi", inside[b"trun"][:12])
        assert flags == 0x01000F01
        at = start + offset
        for entry in range(count):
            duration, size, flag, cts = struct.unpack_from(">IIIi", inside[b"trun"], 12 + 16 * entry)
            found.append(Sample(dts, duration, cts, flag == 0x02000000, data[at : at + size]))
            dts, at = dts + duration, at + size
        mdat_end = start + 8 + len(moof) + int.from_bytes(data[start + 8 + len(moof) :][:4], "big")
        assert at == mdat_end, "the samples fill their mdat"
    return found


class Encoder:
    """Feeds a packager, and keeps what it gives."""

    def __init__(self, settings: PackagingSettings | None = None, **options: object) -> None:
        broadcast = BroadcastRef(id="keynote-7f3k2", epoch=2)
        self.packager = Packager(settings or PackagingSettings(), broadcast=broadcast, **options)  # type: ignore[arg-type]
        self.outputs: list[Output] = []

    @property
    def segments(self) -> list[Segment]:
        return [output for output in self.outputs if isinstance(output, Segment)]

    @property
    def inits(self) -> list[InitSegment]:
        return [output for output in self.outputs if isinstance(output, InitSegment)]

    def connect(self, wall: float = 1_790_000_000.0, *, picture: bool = True, sound: bool = True) -> None:
        self.packager.connect(wall)
        if picture:
            self.outputs += self.packager.video(0, h264()[0])
        if sound:
            self.outputs += self.packager.audio(0, AAC)

    def video(self, timestamp: int, frame: VideoFrame) -> None:
        self.outputs += self.packager.video(timestamp & 0xFFFFFFFF, frame)

    def audio(self, timestamp: int, frame: AudioFrame) -> None:
        self.outputs += self.packager.audio(timestamp & 0xFFFFFFFF, frame)

    def disconnect(self) -> None:
        self.outputs += self.packager.disconnect()

    def fix(self) -> None:
        """As the pipeline does it when the stream becomes playable."""
        self.packager.fix_target_duration()
        self.packager.set_steady()

    def run(
        self,
        seconds: float,
        *,
        start: int = 0,
        gop: int = 30,
        fps: int = 30,
        picture: bool = True,
        sound: bool = True,
        first: int = 0,
    ) -> int:
        """An interleaved stream from `start` milliseconds on; frames are numbered from `first`. Frames a track."""
        events: list[tuple[float, int, bool]] = []
        if picture:
            events += [(start + n * 1000 / fps, n, True) for n in range(round(seconds * fps))]
        if sound:
            events += [(start + n * AAC_FRAME_MS, n, False) for n in range(round(seconds * 1000 / AAC_FRAME_MS))]
        for at, n, is_picture in sorted(events):
            if is_picture:
                self.video(round(at), video(first + n, key=n % gop == 0))
            else:
                self.audio(round(at), audio(first + n))
        return round(seconds * fps)

    def numbers(self, rendition: str) -> list[int]:
        """The frames that came out, in their order."""
        found = []
        for segment in self.segments:
            track = segment.tracks.get(rendition)
            if track is not None and not track.gap:
                found += [number_of(rendition, sample.data) for sample in samples(track.data)]
        return found
