"""What a recording consists of: the records of the store format (docs/store-format.md), and the recording they add
up to.

Pure: no store, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from onair_core.playback.paths import init_path, segment_path
from onair_core.playback.renditions import Rendition
from onair_media.cmaf.model import InitSegment, Segment, TrackInfo
from onair_media.hls import Bandwidth, BandwidthMeter, Entry, GrowingPlaylist, together

FORMAT = 1

SEGMENTS_TO_PLAY = 2
"""Playable means that a player can start: with two complete segments (docs/architecture.md)."""


InitKey = tuple[int, Rendition, int]
"""An init segment's epoch, rendition and index."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Whose recording this is; `created_at` is Unix seconds."""

    namespace: str
    stream: str
    stream_uid: str
    created_at: float


class OriginDocument(Origin, frozen=True, kw_only=True):
    """`origin.json`. `format` is that of the whole folder; absent in the oldest, which are of the first."""

    format: int = 1

    @classmethod
    def of(cls, origin: Origin) -> OriginDocument:
        return cls(**msgspec.structs.asdict(origin), format=FORMAT)


class InitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An init segment: `<epoch>/<rendition>/init-<index>.mp4`."""

    epoch: int
    rendition: Rendition
    index: int
    size: int
    track: TrackInfo

    @classmethod
    def of(cls, epoch: int, init: InitSegment) -> InitRecord:
        return cls(epoch=epoch, rendition=init.rendition, index=init.index, size=len(init.data), track=init.track)

    @property
    def key(self) -> InitKey:
        return self.epoch, self.rendition, self.index


class TrackRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rendition of a segment. Seconds; `start` is media time, `date` Unix time. `gap`: there is no file."""

    init: int
    start: float
    duration: float
    date: float
    size: int
    independent: bool = True
    gap: bool = False


class SegmentRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`<epoch>/<rendition>/<number>.m4s`. `inits`: the init segments it uses, in `asset.json` only when used first."""

    epoch: int
    number: int
    tracks: dict[Rendition, TrackRecord]
    discontinuity: bool = False
    inits: tuple[InitRecord, ...] = ()
    target_duration: int | None = None

    @property
    def lead(self) -> TrackRecord:
        """The first is the one that the others go by."""
        return next(iter(self.tracks.values()))

    def needs(self) -> list[InitKey]:
        """The init segments without which it cannot be decoded."""
        return [(self.epoch, name, track.init) for name, track in self.tracks.items() if not track.gap]

    def follows(self, before: SegmentRecord) -> bool:
        """Whether nothing is missing between the two."""
        return (self.epoch, self.number) == (before.epoch, before.number + 1)


class RecordingTime(msgspec.Struct, frozen=True):
    """One stretch without interruption, from one encoder connection. Unix seconds, seconds."""

    started_at: float
    duration: float


class AssetDocument(msgspec.Struct, frozen=True, kw_only=True):
    """`asset.json`: the whole of a finished recording.

    Each of `segments` is a `SegmentRecord`. They stay raw, so that twelve hours of them are not one call into the
    encoder or decoder, which would stop every other thread meanwhile.
    """

    format: int
    id: str
    origin: Origin
    duration: float
    target_duration: int
    recording_times: tuple[RecordingTime, ...]
    segments: list[msgspec.Raw]


def record_segment(
    epoch: int, segment: Segment, inits: Iterable[InitRecord], *, discontinuity: bool, target_duration: int | None
) -> SegmentRecord:
    """The record of a segment. `discontinuity`: something before it is missing."""
    return SegmentRecord(
        epoch=epoch,
        number=segment.number,
        discontinuity=segment.discontinuity or discontinuity,
        target_duration=target_duration,
        inits=tuple(inits),
        tracks={
            name: TrackRecord(
                init=track.init,
                start=round(track.start, 6),
                duration=round(track.duration, 6),
                date=round(track.program_date_time, 3),
                size=len(track.data),
                independent=track.independent,
                gap=track.gap,
            )
            for name, track in segment.tracks.items()
        },
    )


class Recording:
    """A recording as far as it is in the store. Adding a segment costs what is new, not what is there."""

    def __init__(self, asset_id: str, origin: Origin) -> None:
        self.id = asset_id
        self.origin = origin
        self.segments: list[SegmentRecord] = []
        self.target_duration: int | None = None
        self.duration = 0.0
        self.media_end = 0.0
        self.ended = False
        self.independent = True  # every segment so far can be decoded without another
        self.damaged = 0  # segments that the store had and that cannot be read any more
        self.unread = False  # earlier epochs may have stored segments that are not known here yet
        self.sizes: dict[str, int] = {}  # media path below the asset → bytes
        self._times: list[RecordingTime] = []
        self._tracks: dict[InitKey, TrackInfo] = {}
        self._maps: dict[str, str] = {}  # EXT-X-MAP in force, by rendition
        self._playlists: dict[str, GrowingPlaylist] = {}
        self._meters: dict[str, BandwidthMeter] = {}

    @property
    def renditions(self) -> tuple[Rendition, ...]:
        """In the order in which packaging has them, the leading one first."""
        return tuple(self.segments[0].tracks) if self.segments else ()

    @property
    def times(self) -> tuple[RecordingTime, ...]:
        """One entry for each stretch without a discontinuity."""
        return tuple(self._times)

    @property
    def tracks(self) -> list[TrackInfo]:
        """Every configuration the recording has."""
        return list(dict.fromkeys(self._tracks.values()))

    @property
    def bandwidth(self) -> Bandwidth:
        """Measured over the whole recording, all renditions together."""
        return together({name: meter.bandwidth for name, meter in self._meters.items()})

    def add(self, record: SegmentRecord) -> None:
        """The next segment is in the store. Where its number does not follow, there is a discontinuity."""
        record = msgspec.structs.replace(
            record,
            inits=tuple(init for init in record.inits if init.key not in self._tracks),
            discontinuity=record.discontinuity or bool(self.segments and not record.follows(self.segments[-1])),
        )
        self.segments.append(record)
        for init in record.inits:
            self._tracks[init.key] = init.track
            self.sizes[init_path(self.id, init.epoch, init.rendition, init.index)] = init.size
        self.independent = self.independent and all(t.independent for t in record.tracks.values())
        lead = record.lead
        self.duration += lead.duration
        self.media_end = max(self.media_end, *(t.start + t.duration for t in record.tracks.values()))
        if record.discontinuity or not self._times:
            self._times.append(RecordingTime(lead.date, lead.duration))
        else:
            last = self._times[-1]
            self._times[-1] = RecordingTime(last.started_at, round(last.duration + lead.duration, 6))
        for name, track in record.tracks.items():
            if not track.gap:
                self.sizes[segment_path(self.id, record.epoch, name, record.number)] = track.size
        if record.target_duration is not None and self.target_duration is None:
            self.fix_target_duration(record.target_duration)
        elif self.target_duration is not None:
            self._append(len(self.segments) - 1)

    def fix_target_duration(self, seconds: int) -> None:
        """From here on there are playlists. Another value than the first is ignored."""
        if self.target_duration is not None:
            return
        self.target_duration = seconds
        for index in range(len(self.segments)):
            self._append(index)

    def end(self) -> None:
        """Nothing will be added any more."""
        if self.target_duration is None and self.segments:
            longest = max(track.duration for record in self.segments for track in record.tracks.values())
            self.fix_target_duration(max(1, math.floor(longest + 0.5)))
        self.ended = True
        for playlist in self._playlists.values():
            if not playlist.ended:
                playlist.end()

    @property
    def playlists(self) -> dict[str, GrowingPlaylist]:
        """By rendition, those that can be played: none before the target duration is fixed."""
        return dict(self._playlists)

    def playlist(self, rendition: str) -> GrowingPlaylist | None:
        """None where `playlists` has none."""
        return self._playlists.get(rendition)

    def document(self) -> AssetDocument:
        """`asset.json`. Long recordings belong in a thread."""
        return AssetDocument(
            format=FORMAT,
            id=self.id,
            origin=self.origin,
            duration=round(self.duration, 6),
            target_duration=self.target_duration or 1,
            recording_times=self.times,
            segments=[msgspec.Raw(msgspec.json.encode(record)) for record in self.segments],
        )

    def _append(self, index: int) -> None:
        """Lists a segment. A rendition of which only gaps are known has no playlist: EXT-X-MAP has to name a file."""
        record = self.segments[index]
        for name, track in record.tracks.items():
            if (record.epoch, name, track.init) in self._tracks:
                self._maps[name] = init_path(self.id, record.epoch, name, track.init)
            if name in self._playlists:
                self._list(name, record)
            elif name in self._maps:
                self._playlists[name] = GrowingPlaylist(self.target_duration or 1)
                self._meters[name] = BandwidthMeter(self.target_duration or 1)
                for earlier in self.segments[: index + 1]:
                    self._list(name, earlier)

    def _list(self, name: Rendition, record: SegmentRecord) -> None:
        track = record.tracks.get(name)
        if track is None:
            return
        self._playlists[name].append(
            Entry(
                uri=segment_path(self.id, record.epoch, name, record.number),
                map_uri=self._maps[name],
                duration=track.duration,
                program_date_time=track.date,
                discontinuity=record.discontinuity and record is not self.segments[0],
                gap=track.gap,
            ),
            independent=track.independent,
        )
        self._meters[name].add(track.duration, track.size)
