"""The live segments of one broadcast in one epoch (RFC 8216bis 6.2.2; DESIGN: CMAF).

Two questions are kept apart:

* *listed*: the newest segments, about `window_seconds` of them, never fewer than six or three target
  durations;
* *stored*: the listed ones, and those removed from the list for as long as a player may still want them:
  their own duration and that of the longest playlist they stood in (section 6.2.2). That is counted in media
  time: a stalled stream keeps what its viewers have not loaded yet, and memory is bounded without a clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from onair_core.contract import BroadcastRef
from onair_core.playback.paths import init_path, segment_path
from onair_core.playback.renditions import Rendition, in_order
from onair_media.cmaf.model import InitSegment, Segment, TrackInfo
from onair_media.hls.bandwidth import Bandwidth, BandwidthMeter, together
from onair_media.hls.playlist import Entry, Header

SEGMENTS_PER_EPOCH = 100_000
DISCONTINUITIES_PER_EPOCH = 10_000

MIN_SEGMENTS = 6
MIN_TARGET_DURATIONS = 3


class BroadcastWindow:
    """What is listed and stored of one broadcast. `target_duration`: None until the first playlist is wanted.

    `window_seconds`: how much is listed. `max_bytes`: above it removed segments go early, then the list
    shrinks to its permitted minimum, and then below it: `too_large`, the publisher has to be cut off.
    """

    def __init__(
        self, ref: BroadcastRef, target_duration: int | None, *, window_seconds: float, max_bytes: int
    ) -> None:
        self.ref = ref
        self.target_duration = target_duration
        self.ended = False
        self.renditions: tuple[Rendition, ...] = ()
        self.independent = True
        self.listed_seconds = 0.0
        self.media_seconds = 0.0
        self.stored_bytes = 0
        self.too_large = False
        self._window_seconds = window_seconds
        self._max_bytes = max_bytes
        self._listed: deque[Segment] = deque()
        self._removed: deque[tuple[Segment, float]] = deque()  # with the media time at which it may go
        self._stored: dict[str, bytes] = {}
        self._tracks: dict[tuple[Rendition, int], TrackInfo] = {}
        self._meters: dict[Rendition, BandwidthMeter] = {}
        self._longest_playlist = 0.0
        self._discontinuities_removed = 0

    # What comes in.

    def fix_target_duration(self, seconds: int) -> None:
        """From here on the broadcast is playable. Raises ValueError if another value is in force."""
        if self.target_duration not in (None, seconds):
            raise ValueError(f"the target duration is {self.target_duration} s, not {seconds} s")
        self.target_duration = seconds
        self._start_meters()
        self._trim()

    def add_init(self, init: InitSegment) -> None:
        """Store an init segment; it stays as long as a stored segment needs it."""
        self._tracks[init.rendition, init.index] = init.track
        self._store(init_path(self.ref.id, self.ref.epoch, init.rendition, init.index), init.data)

    def add_segment(self, segment: Segment) -> None:
        """List and store a segment. The first one's renditions are the broadcast's (else gaps)."""
        if not self.renditions:
            self.renditions = in_order(segment.tracks)
        for name in self.renditions:
            track = segment.tracks[name]
            if not track.gap:
                self._store(self._path(name, segment), track.data)
                self.independent = self.independent and track.independent
        self._listed.append(segment)
        self.listed_seconds += segment.duration
        self.media_seconds += segment.duration
        if self._meters:
            self._measure(segment)
        else:
            self._start_meters()
        self._trim()

    # What is offered.

    @property
    def playable(self) -> bool:
        return self.target_duration is not None and bool(self._listed)

    @property
    def bandwidth(self) -> Bandwidth:
        """Measured since the broadcast began, for the picture and the largest sound."""
        return together({name: meter.bandwidth for name, meter in self._meters.items()})

    def tracks(self) -> list[TrackInfo]:
        """Every configuration that a listed segment has."""
        used = dict.fromkeys((name, segment.tracks[name].init) for name in self.renditions for segment in self._listed)
        return [self._tracks[key] for key in used if key in self._tracks]

    def header(self) -> Header:
        """Raises RuntimeError while not playable. Numbers contain the epoch: a new one goes on forwards."""
        if self.target_duration is None or not self._listed:
            raise RuntimeError("not playable yet")
        return Header(
            self.target_duration,
            media_sequence=self.ref.epoch * SEGMENTS_PER_EPOCH + self._listed[0].number,
            discontinuity_sequence=self.ref.epoch * DISCONTINUITIES_PER_EPOCH + self._discontinuities_removed,
            independent=self.independent,
        )

    def entries(self, rendition: Rendition) -> Iterator[Entry]:
        """The listed segments of one rendition, oldest first."""
        for segment in self._listed:
            track = segment.tracks[rendition]
            yield Entry(
                uri=self._path(rendition, segment),
                map_uri=init_path(self.ref.id, self.ref.epoch, rendition, track.init),
                duration=track.duration,
                program_date_time=track.program_date_time,
                discontinuity=segment.discontinuity,
                gap=track.gap,
            )

    def media(self, path: str) -> bytes | None:
        """A stored segment or init segment by its media path."""
        return self._stored.get(path)

    # How it is kept.

    def _path(self, rendition: Rendition, segment: Segment) -> str:
        return segment_path(self.ref.id, self.ref.epoch, rendition, segment.number)

    def _store(self, path: str, data: bytes) -> None:
        self._stored[path] = data
        self.stored_bytes += len(data)

    def _forget(self, path: str) -> None:
        data = self._stored.pop(path, None)
        if data is not None:
            self.stored_bytes -= len(data)

    def _start_meters(self) -> None:
        """The peak is defined over the target duration (section 4.4.6.2): measuring waits for it."""
        if self.target_duration is None:
            return
        self._meters = {name: BandwidthMeter(self.target_duration) for name in self.renditions}
        for segment in self._listed:
            self._measure(segment)

    def _measure(self, segment: Segment) -> None:
        for name, meter in self._meters.items():
            track = segment.tracks[name]
            meter.add(track.duration, len(track.data))

    def _trim(self) -> None:
        if self.target_duration is None:
            return
        self._forget_removed()
        least = MIN_TARGET_DURATIONS * self.target_duration
        while len(self._listed) > MIN_SEGMENTS:
            wanted = least if self.stored_bytes > self._max_bytes else max(least, self._window_seconds)
            if self.listed_seconds - self._listed[0].duration < wanted:
                break
            self._remove_oldest()
            self._forget_removed()
        self.too_large = self.stored_bytes > self._max_bytes
        while self.stored_bytes > self._max_bytes and len(self._listed) > 1:
            self._remove_oldest()
            self._forget_removed()

    def _remove_oldest(self) -> None:
        self._longest_playlist = max(self._longest_playlist, self.listed_seconds)
        segment = self._listed.popleft()
        self.listed_seconds -= segment.duration
        self._discontinuities_removed += segment.discontinuity
        self._removed.append((segment, self.media_seconds + segment.duration + self._longest_playlist))

    def _forget_removed(self) -> None:
        forgotten = False
        while self._removed:
            segment, until = self._removed[0]
            if self.media_seconds < until and self.stored_bytes <= self._max_bytes:
                break
            self._removed.popleft()
            for name in self.renditions:
                self._forget(self._path(name, segment))
            forgotten = True
        if forgotten:
            self._forget_inits(self._removed[0][0] if self._removed else self._listed[0])

    def _forget_inits(self, oldest: Segment) -> None:
        """Init segments are numbered upwards: none below the oldest stored segment's is needed any more."""
        for name, index in list(self._tracks):
            track = oldest.tracks.get(name)
            if track is not None and index < track.init:
                del self._tracks[name, index]
                self._forget(init_path(self.ref.id, self.ref.epoch, name, index))
