"""What a recording consists of: the records of the store format (docs/store-format.md), and the recording they add
up to.

Pure: no store, no clock.
"""

from __future__ import annotations

import math

import msgspec

from onair_core.playback.paths import init_path, segment_path
from onair_core.playback.renditions import Rendition, in_order
from onair_media.cmaf.model import InitSegment, Segment, TrackInfo
from onair_media.hls import Bandwidth, BandwidthMeter, Entry, GrowingPlaylist, together

FORMAT = 1


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Whose recording this is; `created_at` is Unix seconds."""

    namespace: str
    stream: str
    stream_uid: str
    created_at: float


class InitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An init segment: `<epoch>/<rendition>/init-<index>.mp4`."""

    epoch: int
    rendition: Rendition
    index: int
    size: int
    track: TrackInfo


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
    """`<epoch>/<rendition>/<number>.m4s`, with the init segments that are used for the first time."""

    epoch: int
    number: int
    tracks: dict[Rendition, TrackRecord]
    discontinuity: bool = False
    inits: tuple[InitRecord, ...] = ()
    target_duration: int | None = None

    @property
    def lead(self) -> TrackRecord:
        return next(iter(self.tracks.values()))


class RecordingTime(msgspec.Struct, frozen=True):
    """One stretch without interruption, from one encoder connection. Unix seconds, seconds."""

    started_at: float
    duration: float


class AssetDocument(msgspec.Struct, frozen=True, kw_only=True):
    """`asset.json`: the whole of a finished recording."""

    format: int
    id: str
    origin: Origin
    duration: float
    target_duration: int
    recording_times: tuple[RecordingTime, ...]
    segments: tuple[SegmentRecord, ...]


def record_segment(
    epoch: int, segment: Segment, inits: list[InitSegment], *, discontinuity: bool, target_duration: int | None
) -> SegmentRecord:
    """The record of a segment. `discontinuity`: something before it is missing."""
    return SegmentRecord(
        epoch=epoch,
        number=segment.number,
        discontinuity=segment.discontinuity or discontinuity,
        target_duration=target_duration,
        inits=tuple(
            InitRecord(epoch=epoch, rendition=i.rendition, index=i.index, size=len(i.data), track=i.track)
            for i in inits
        ),
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
        self.independent = True  # every segment so far begins with an IDR
        self.sizes: dict[str, int] = {}  # media path below the asset → bytes
        self._times: list[RecordingTime] = []
        self._tracks: dict[tuple[int, Rendition, int], TrackInfo] = {}
        self._playlists: dict[Rendition, GrowingPlaylist] = {}
        self._meters: dict[Rendition, BandwidthMeter] = {}

    @property
    def renditions(self) -> tuple[Rendition, ...]:
        return in_order(self.segments[0].tracks) if self.segments else ()

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
        """The next segment is in the store."""
        self.segments.append(record)
        for init in record.inits:
            self._tracks[init.epoch, init.rendition, init.index] = init.track
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
            self._append(record)

    def fix_target_duration(self, seconds: int) -> None:
        """From here on there are playlists. Another value than the first is ignored."""
        if self.target_duration is not None:
            return
        self.target_duration = seconds
        for record in self.segments:
            self._append(record)

    def end(self) -> None:
        """Nothing will be added any more."""
        if self.target_duration is None and self.segments:
            longest = max(track.duration for record in self.segments for track in record.tracks.values())
            self.fix_target_duration(max(1, math.floor(longest + 0.5)))
        self.ended = True
        for playlist in self._playlists.values():
            if not playlist.ended:
                playlist.end()

    def playlist(self, rendition: str) -> GrowingPlaylist | None:
        """None before the target duration is fixed, and for a rendition it does not have."""
        return next((playlist for name, playlist in self._playlists.items() if name == rendition), None)

    def document(self) -> AssetDocument:
        """`asset.json`."""
        return AssetDocument(
            format=FORMAT,
            id=self.id,
            origin=self.origin,
            duration=round(self.duration, 6),
            target_duration=self.target_duration or 1,
            recording_times=self.times,
            segments=tuple(self.segments),
        )

    def _append(self, record: SegmentRecord) -> None:
        target = self.target_duration or 1
        for name, track in record.tracks.items():
            playlist = self._playlists.get(name)
            if playlist is None:
                playlist = self._playlists[name] = GrowingPlaylist(target)
                self._meters[name] = BandwidthMeter(target)
            playlist.append(
                Entry(
                    uri=segment_path(self.id, record.epoch, name, record.number),
                    map_uri=init_path(self.id, record.epoch, name, track.init),
                    duration=track.duration,
                    program_date_time=track.date,
                    discontinuity=record.discontinuity and record is not self.segments[0],
                    gap=track.gap,
                ),
                independent=track.independent,
            )
            self._meters[name].add(track.duration, track.size)
