"""A small real fMP4 stream for playback tests, and a channel that goes live with it."""

from __future__ import annotations

import asyncio
import io
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice, pairwise

import av
import av.filter
from av.video.frame import PictureType

from onair_core.contract import BroadcastRef
from onair_core.playback.paths import init_path, segment_path
from onair_media.cmaf.model import InitSegment, Part, Rendition, Segment, TrackInfo, TrackSegment
from onair_media.hls import Entry, GrowingPlaylist, LiveWindow, Playlist
from onair_media.playback import LivePlayable, Media

FPS = 15
RATE = 48000
WIDTH, HEIGHT = 640, 360


@dataclass(frozen=True)
class Fragment:
    """One moof+mdat; seconds."""

    data: bytes
    start: float
    duration: float


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at : at + size]))
        at += size
    return found


def split(data: bytes, timescale: int, sample: int) -> tuple[bytes, list[Fragment]]:
    """`sample`: duration of each sample in the track's timescale."""
    init, fragments, moof = b"", [], b""
    for kind, box in boxes(data):
        if kind in (b"ftyp", b"moov"):
            init += box
        elif kind == b"moof":
            moof = box
        elif kind == b"mdat":
            tfdt = moof.index(b"tfdt")
            wide = moof[tfdt + 4] == 1
            (start,) = struct.unpack_from(">Q" if wide else ">I", moof, tfdt + 8)
            (count,) = struct.unpack_from(">I", moof, moof.index(b"trun") + 8)
            fragments.append(Fragment(moof + box, start / timescale, count * sample / timescale))
    return init, fragments


def generated(*filters: tuple[str, str]) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """Frames of a libavfilter source, for ever."""
    graph = av.filter.Graph()
    chain = [graph.add(name, options) for name, options in filters]
    for before, after in pairwise(chain):
        before.link_to(after)
    graph.configure()
    while True:
        yield chain[-1].pull()


def encode_video(seconds: int) -> tuple[bytes, list[Fragment]]:
    buffer = io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    pictures = generated(("testsrc2", f"size={WIDTH}x{HEIGHT}:rate={FPS}"), ("format", "yuv420p"), ("buffersink", ""))
    with av.open(buffer, "w", format="mp4", options=options) as out:
        stream = out.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "ultrafast", "profile": "main", "g": str(FPS), "sc_threshold": "0", "bf": "0"}
        for picture in islice(pictures, seconds * FPS):
            assert isinstance(picture, av.VideoFrame)
            picture.pict_type = PictureType.NONE  # the source marks every frame as a keyframe
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    data = buffer.getvalue()
    (timescale,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)
    return split(data, timescale, timescale // FPS)


def encode_audio(seconds: int) -> tuple[bytes, list[Fragment]]:
    buffer = io.BytesIO()
    options = {"movflags": "empty_moov+default_base_moof", "frag_duration": "1000000"}
    tone = generated(
        ("sine", f"frequency=330:beep_factor=4:sample_rate={RATE}:samples_per_frame=1024"),
        ("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
        ("abuffersink", ""),
    )
    with av.open(buffer, "w", format="mp4", options=options) as out:
        stream = out.add_stream("aac", rate=RATE, layout="stereo")
        for sound in islice(tone, seconds * RATE // 1024 + 1):
            out.mux(stream.encode(sound))
        out.mux(stream.encode(None))
    return split(buffer.getvalue(), RATE, 1024)


@dataclass(frozen=True)
class Stream:
    """One-second segments, in order."""

    inits: tuple[InitSegment, ...]
    segments: tuple[Segment, ...]


@cache
def encoded(seconds: int, renditions: tuple[Rendition, ...]) -> Stream:
    infos = {
        "video": TrackInfo("video", "avc1.4d401e", width=WIDTH, height=HEIGHT, frame_rate=float(FPS)),
        "audio": TrackInfo("audio", "mp4a.40.2", channels=2, sample_rate=RATE),
    }
    inits, tracks = [], {}
    for name in renditions:
        init, fragments = encode_video(seconds) if name == "video" else encode_audio(seconds)
        inits.append(InitSegment(name, 0, init, infos[name]))
        tracks[name] = fragments
    segments = [
        Segment(
            number,
            False,
            {
                name: TrackSegment(
                    init=0,
                    start=fragment.start,
                    duration=fragment.duration,
                    program_date_time=fragment.start,
                    data=fragment.data,
                    parts=(Part(0, len(fragment.data), fragment.duration, True),),
                )
                for name, fragment in zip(renditions, fragments, strict=True)
            },
        )
        for number, fragments in enumerate(zip(*(tracks[name] for name in renditions), strict=False))
    ]
    return Stream(tuple(inits), tuple(segments[:seconds]))


class Channel:
    """A live channel under one playback ID: what an encoder and the lifecycle would do to its window."""

    def __init__(self, title: str = "", renditions: Sequence[Rendition] = ("video", "audio")) -> None:
        self.window = LiveWindow(30)
        self.playable = LivePlayable(self.window, title)
        self.stream = encoded(45, tuple(renditions))
        self._epoch = 0
        self._next = 0
        self._wall = 0.0

    async def lookup(self, playback_id: str) -> LivePlayable | None:
        return self.playable if playback_id == "keynote-2026" else None

    def title(self, playback_id: str) -> str | None:
        return self.playable.title if playback_id == "keynote-2026" else None

    def begin(self) -> None:
        self._epoch += 1
        self._next = 0
        self._wall = time.time()
        self.window.begin(BroadcastRef(id=f"keynote-{self._epoch}", epoch=self._epoch))
        for init in self.stream.inits:
            self.window.add_init(init)

    def add(self, count: int = 1, *, discontinuity: bool = False) -> None:
        for number in range(self._next, self._next + count):
            segment = self.stream.segments[number]
            tracks = {
                name: replace(track, program_date_time=self._wall + track.start)
                for name, track in segment.tracks.items()
            }
            self.window.add_segment(replace(segment, tracks=tracks, discontinuity=discontinuity))
            discontinuity = False
        self._next += count

    def start(self, count: int = 4) -> None:
        """Go live with `count` segments at once."""
        self.begin()
        self.add(count)
        self.window.fix_target_duration(1)

    async def run(self, *, discontinuity: bool = False) -> None:
        """A segment a second, until cancelled or out of material."""
        while self._next < len(self.stream.segments):
            self.add(discontinuity=discontinuity)
            discontinuity = False
            await asyncio.sleep(1)


class Recording:
    """An asset with everything a channel's stream has: growing until it is told to end."""

    def __init__(self, seconds: int) -> None:
        self._channel = Channel()
        self._channel.start(seconds)
        self._playlists: dict[str, GrowingPlaylist] = {}
        names: tuple[Rendition, ...] = ("video", "audio")
        for name in names:
            self._playlists[name] = playlist = GrowingPlaylist(1)
            for segment in self._channel.stream.segments[:seconds]:
                track = segment.tracks[name]
                playlist.append(
                    Entry(
                        uri=segment_path("keynote-1", 1, name, segment.number),
                        map_uri=init_path("keynote-1", 1, name, 0),
                        duration=track.duration,
                        program_date_time=1_790_000_000 + track.start,
                    )
                )

    async def lookup(self, playback_id: str) -> Recording | None:
        return self if playback_id == "keynote-2026" else None

    def title(self, playback_id: str) -> str | None:
        return "" if playback_id == "keynote-2026" else None

    def end(self) -> None:
        for playlist in self._playlists.values():
            playlist.end()

    def multivariant(self, playback_id: str) -> Playlist | None:
        return self._channel.window.multivariant(playback_id)

    def media_playlist(self, rendition: str) -> Playlist | None:
        return self._playlists[rendition].playlist()

    async def media(self, path: str) -> Media | None:
        return await self._channel.playable.media(path)
