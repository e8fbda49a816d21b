"""Frames to segments: one `Packager` for a broadcast in one epoch (DESIGN: CMAF; RFC 8216bis; ISO/IEC 23000-19).

Theory of operation. After `connect`, frames are held until every expected track has its first one (video: an IDR), or
until two seconds have passed; then the clock starts, and the tracks of the broadcast are fixed. The leading track,
video where there is one, decides where a segment ends (`segmenter`); audio is cut at the same moment. Because encoders
interleave, a boundary is held open until the audio has passed it, though not longer than `INTERLEAVE_SECONDS`. A track
that has nothing for a segment gets a gap, so that the media sequence numbers of all renditions stay together.

A jump of the timestamps and a change of configuration end the segment and begin anew at the next IDR, with a
discontinuity, as a new connection does.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

from onair_core.contract import BroadcastRef, PackagingSettings
from onair_media.cmaf import segmenter
from onair_media.cmaf.init import VIDEO_TIMESCALE, InitError, audio_init, video_init
from onair_media.cmaf.model import InitSegment, Rendition, Segment, TrackInfo, TrackSegment
from onair_media.cmaf.segmenter import CutRule
from onair_media.cmaf.timeline import MediaClock, SampleClock, Unwrapper
from onair_media.cmaf.track import Track
from onair_media.flv import AudioConfig, AudioFrame, AudioUnit, MediaError, VideoConfig, VideoFrame, VideoUnit, aac, avc

SECOND_TRACK_SECONDS = 2.0
# A track whose configuration has come will bring a frame: a long GOP is waited for.
CONFIGURED_TRACK_SECONDS = 10.0
INTERLEAVE_SECONDS = 0.5
# A segment may pass its longest by this before a hole is cut out of it: still clear of the rounding edge.
ROUNDING_SLACK = 0.04
MAX_HELD_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CodecChanged:
    """The publisher sends another codec than this broadcast began with: the caller ends the broadcast."""

    rendition: Rendition
    old: str
    new: str


Output = InitSegment | Segment | CodecChanged


@dataclass(slots=True)
class _Held:
    """A frame that waits for the clock to start."""

    rendition: Rendition
    raw: int
    frame: VideoFrame | AudioFrame


class Packager:
    """See the module. `media_origin`: seconds of media time that earlier epochs have; `tracks`: what they fixed."""

    def __init__(
        self,
        settings: PackagingSettings,
        *,
        broadcast: BroadcastRef,
        media_origin: float = 0.0,
        audio_only: bool = False,
        tracks: tuple[Rendition, ...] | None = None,
    ) -> None:
        self.broadcast = broadcast
        self.dropped: Counter[str] = Counter()
        self.media_end = media_origin
        self._settings = settings
        self._audio_only = audio_only
        self._rule = CutRule(settings.segment_seconds)
        self._renditions = tracks
        self._tracks: dict[Rendition, Track] = {}
        self._configs: dict[Rendition, VideoConfig | AudioConfig] = {}
        self._unwrapper = Unwrapper()
        self._clock = MediaClock()
        self._audio_clock = SampleClock(48_000, 1024)
        self._held: list[_Held] = []
        self._held_bytes = 0
        self._held_clock = MediaClock()
        self._waiting = True
        self._rebase = True
        self._first_elapsed: float | None = None
        self._discontinuity = media_origin > 0
        self._number = 0
        self._longest = 0.0
        self._start = 0.0  # media seconds at which the open segment began
        self._size = 0
        self._boundary: float | None = None
        self._wall = 0.0
        self._anchor = 0.0
        self._date_end = 0.0

    @property
    def started(self) -> bool:
        """Whether frames of this connection are on the broadcast's clock."""
        return not self._waiting

    @property
    def renditions(self) -> tuple[Rendition, ...] | None:
        """The tracks of the broadcast; None until they are fixed."""
        return self._renditions

    @property
    def target_duration(self) -> int | None:
        return self._rule.target_duration

    def connect(self, wall: float) -> None:
        """A publisher's connection begins; `wall` (Unix seconds) is its PROGRAM-DATE-TIME anchor."""
        self._unwrapper = Unwrapper()
        self._wall = max(wall, self._date_end)
        self._discontinuity = self._discontinuity or self._number > 0
        self._wait(rebase=True)

    def disconnect(self) -> list[Output]:
        """The connection ended: what is open becomes its last segment."""
        outputs = self._start_if_ready(force=True) if self._waiting and self._held else []
        outputs += self._close_all()
        self._wait(rebase=True)
        return outputs

    def fix_target_duration(self, seconds: int | None = None) -> int:
        """The first playlist is about to be served: the target duration stays (`seconds`: an earlier epoch's)."""
        if self._rule.target_duration is None:
            value = seconds or segmenter.target_duration(self._settings.segment_seconds, self._longest)
            self._rule = replace(self._rule, target_duration=value)
        return self._rule.target_duration or 0

    def set_steady(self) -> None:
        """The stream is active: segments have their full length from now on."""
        self._rule = replace(self._rule, steady=True)

    def tick(self, elapsed: float) -> list[Output]:
        """`elapsed` seconds since `connect`: stops waiting for a track that does not come."""
        if not self._waiting or not self._held:
            return []
        if self._first_elapsed is None:
            self._first_elapsed = elapsed
        return self._start_if_ready(waited=elapsed - self._first_elapsed)

    def video(self, timestamp: int, unit: VideoUnit) -> list[Output]:
        """A video unit; `timestamp` as RTMP has it (milliseconds, 32 bits)."""
        if self._audio_only:
            self.dropped["video of an audio-only stream"] += 1
            return []
        if isinstance(unit, VideoConfig):
            return self._configure("video", unit)
        if isinstance(unit, VideoFrame):
            return self._frame("video", self._unwrapper.unwrap(timestamp), unit)
        return []

    def audio(self, timestamp: int, unit: AudioUnit) -> list[Output]:
        """An audio unit; `timestamp` as RTMP has it (milliseconds, 32 bits)."""
        if isinstance(unit, AudioConfig):
            return self._configure("audio", unit)
        return self._frame("audio", self._unwrapper.unwrap(timestamp), unit)

    # Configuration

    def _configure(self, rendition: Rendition, config: VideoConfig | AudioConfig) -> list[Output]:
        known = self._configs.get(rendition)
        if known == config:
            return []  # repeated with every key frame by some encoders
        if known is not None and known.codec != config.codec:
            return [CodecChanged(rendition, known.codec, config.codec)]
        try:
            _track_info(config)
        except MediaError as error:
            self.dropped[error.reason] += 1
            return []
        outputs: list[Output] = []
        if known is not None and self._waiting:
            self.dropped["held before a new configuration"] += len(self._held)
            self._forget_held()
        elif known is not None:
            outputs = self._close_all()
            self._discontinuity = True
            self._wait(rebase=False)
        self._configs[rendition] = config
        return outputs

    # Waiting for the tracks

    def _wait(self, *, rebase: bool) -> None:
        self._waiting = True
        self._rebase = self._rebase or rebase
        self._first_elapsed = None
        self._forget_held()
        self._boundary = None
        self._size = 0

    def _forget_held(self) -> None:
        self._held.clear()
        self._held_bytes = 0
        self._held_clock = MediaClock()

    def _frame(self, rendition: Rendition, raw: int, frame: VideoFrame | AudioFrame) -> list[Output]:
        if rendition not in self._configs:
            self.dropped[f"{rendition} before its configuration"] += 1
            return []
        if self._renditions is not None and rendition not in self._renditions:
            self.dropped[f"{rendition} that came late"] += 1
            return []
        if self._waiting:
            return self._hold(rendition, raw, frame)
        media = self._clock.place(rendition, raw)
        if media is None:
            if self._clock.is_straggler(rendition, raw, round(self.media_end * 1000)):
                self.dropped["late after a timestamp jump"] += 1
                return []
            outputs = self._close_all()
            self._discontinuity = True
            self._wait(rebase=True)
            self._wall = self._date_end
            return outputs + self._hold(rendition, raw, frame)
        return self._place(rendition, media, frame)

    def _hold(self, rendition: Rendition, raw: int, frame: VideoFrame | AudioFrame) -> list[Output]:
        if (
            isinstance(frame, VideoFrame)
            and not frame.keyframe
            and not any(held.rendition == "video" for held in self._held)
        ):
            self.dropped["video before a key frame"] += 1
            return []
        if self._held_clock.place(rendition, raw) is None:
            self.dropped["held before a timestamp jump"] += len(self._held)
            self._forget_held()
            if rendition == "video" and not (isinstance(frame, VideoFrame) and frame.keyframe):
                self.dropped["video before a key frame"] += 1
                return []
        if not self._held:
            self._held_clock.start(raw, 0)
        self._held.append(_Held(rendition, raw, frame))
        self._held_bytes += len(frame.data)
        return self._start_if_ready(waited=(raw - self._held[0].raw) / 1000)

    def _start_if_ready(self, waited: float = 0.0, *, force: bool = False) -> list[Output]:
        present = {held.rendition for held in self._held}
        expected: set[Rendition] = set(self._renditions or (("audio",) if self._audio_only else ("video", "audio")))
        missing = expected - present
        patience = SECOND_TRACK_SECONDS
        if any(rendition in self._configs for rendition in missing):
            patience = CONFIGURED_TRACK_SECONDS
        if missing and waited < patience and self._held_bytes < MAX_HELD_BYTES and not force:
            return []
        return self._begin()

    def _begin(self) -> list[Output]:
        held, self._held, self._held_bytes = self._held, [], 0
        present: list[Rendition] = [name for name in ("video", "audio") if any(h.rendition == name for h in held)]
        if self._renditions is None:
            self._renditions = tuple(present)
        lead = present[0]
        first = next(h.raw for h in held if h.rendition == lead)
        end = math.ceil(self.media_end * 1000)
        if self._rebase or (self._clock.place(lead, first) or 0) < end:
            self._clock.start(first, end)
            self._rebase = False
        self._waiting = False
        self._audio_clock.forget()
        self._make_tracks()
        self._start = (self._clock.place(lead, first) or 0) / 1000
        self._anchor = self._wall - self._start if self._wall else self._anchor
        self._wall = 0.0
        outputs: list[Output] = []
        for item in held:
            before = item.raw < first and item.rendition != lead
            media = None if before else self._clock.place(item.rendition, item.raw)
            if media is None:
                self.dropped["sound before the first picture" if before else "timestamps in disorder"] += 1
                continue
            outputs += self._place(item.rendition, media, item.frame)
        return outputs

    def _make_tracks(self) -> None:
        for rendition in self._renditions or ():
            config = self._configs.get(rendition)
            if config is None:
                continue  # nothing of it came yet: its segments are gaps
            info, timescale, frame_samples = _track_info(config)
            frame = frame_samples or None
            make = partial(video_init if rendition == "video" else audio_init, config.record)
            track = self._tracks.get(rendition)
            if track is None:
                self._tracks[rendition] = Track(rendition, info, timescale, make, frame)
            elif track.record != config.record:
                track.configure(info, timescale, make, frame)
            self._tracks[rendition].record = config.record
            if rendition == "audio":
                self._audio_clock = SampleClock(timescale, frame_samples)

    # On the clock

    def _place(self, rendition: Rendition, media: int, frame: VideoFrame | AudioFrame) -> list[Output]:
        track = self._tracks.get(rendition)
        if track is None:
            self._make_tracks()
            track = self._tracks[rendition]
        dts, cts, key = media * (VIDEO_TIMESCALE // 1000), 0, True
        if isinstance(frame, VideoFrame):
            key, cts = frame.keyframe, frame.composition_time * (VIDEO_TIMESCALE // 1000)
        else:
            placed = self._audio_clock.place(media)
            if placed is None:
                self.dropped["audio ahead of its clock"] += 1
                return []
            dts = placed
        if dts < track.floor:
            if rendition == "audio":
                self.dropped["audio later than its segment"] += 1
                return []
            # Two frames with one timestamp (variable frame rates), or one from before a boundary that the sound has
            # set: decode order is kept, and the picture is shown when it should be.
            cts -= track.floor - dts
            dts = track.floor
        outputs = self._cut(track, dts, key)
        track.add(dts, cts, key, frame.data)
        self._size += len(frame.data)
        return outputs

    def _lead(self) -> Track:
        """The track that decides where segments end: video, unless it is silent for longer than a segment may last."""
        video, audio = self._tracks.get("video"), self._tracks.get("audio")
        if video is None or audio is None:
            return video or audio or next(iter(self._tracks.values()))
        if audio.samples.dts and audio.end / audio.timescale > self._start + self._rule.longest + INTERLEAVE_SECONDS:
            return audio
        return video

    def _cut(self, track: Track, dts: int, key: bool) -> list[Output]:
        """Called before a sample is added: ends the open segment where the rules say so."""
        outputs: list[Output] = []
        now = dts / track.timescale
        boundary = self._boundary
        if boundary is not None and now >= boundary + (0 if track.rendition == "audio" else INTERLEAVE_SECONDS):
            outputs += self._close(boundary, {track.rendition: dts})
        if self._boundary is None and track is self._lead():
            elapsed = now - self._start
            has_samples = any(t.samples.dts for t in self._tracks.values())
            if has_samples and self._rule.ends_at(
                elapsed, independent=key, frame=track.frame / track.timescale, size=self._size
            ):
                self._boundary = now
                if not self._must_await_other(track, now):
                    outputs += self._close(now, {track.rendition: dts})
        return outputs

    def _must_await_other(self, lead: Track, boundary: float) -> bool:
        audio = self._tracks.get("audio")
        if audio is None or audio is lead or not audio.samples.dts:
            return False
        return audio.samples.dts[-1] / audio.timescale < boundary

    def _close_all(self) -> list[Output]:
        """Ends the open segment with everything that was received."""
        outputs: list[Output] = []
        if self._boundary is not None:
            outputs += self._close(self._boundary, {})
        while any(track.samples.dts for track in self._tracks.values()):
            outputs += self._close(math.inf, {})
        return outputs

    def _close(self, boundary: float, following: dict[Rendition, int]) -> list[Output]:
        """Ends the open segment at `boundary` seconds; `following`: ticks of the sample that is about to be added."""
        inits: list[Output] = []
        made: dict[Rendition, TrackSegment] = {}
        for rendition in self._renditions or ():
            track = self._tracks.get(rendition)
            if track is None:
                continue
            count = len(track.samples) if boundary == math.inf else track.before(boundary)
            if not count:
                continue
            longest = track.samples.dts[0] + int((self._rule.longest + ROUNDING_SLACK) * track.timescale)
            if track.samples.dts[count - 1] >= longest:
                # What came after a pause, and before the leading track did, belongs to the next segment.
                count = track.before(longest / track.timescale)
            end = track.end
            if count < len(track.samples):
                end = track.samples.dts[count]
            elif rendition in following:
                end = following[rendition]
            elif boundary != math.inf:
                end = max(track.samples.dts[-1] + 1, min(end, round(boundary * track.timescale)))
            if end > longest:
                # Nothing came for longer than a segment may last: the rest of the time is a hole.
                end = max(longest, track.samples.dts[count - 1] + 1)
            try:
                init, made[rendition] = track.take(count, end, self._settings.part_milliseconds / 1000, self._date)
            except InitError:
                self.dropped["configuration that libavformat refuses"] += count
                made.pop(rendition, None)
                continue
            if init is not None:
                inits.append(init)
        self._boundary = None
        self._size = sum(len(data) for track in self._tracks.values() for data in track.samples.data)
        if not made:
            return []
        lead = made.get("video") or made["audio"]
        for rendition in self._renditions or ():
            if rendition not in made:
                made[rendition] = self._gap(rendition, lead)
        in_order = {rendition: made[rendition] for rendition in self._renditions or ()}
        segment = Segment(self._number, self._discontinuity, in_order)
        self._number += 1
        self._discontinuity = False
        self._longest = max(self._longest, *(track.duration for track in made.values()))
        self._start = boundary if boundary != math.inf else lead.start + lead.duration
        ends = [track.start + track.duration for track in made.values()]
        self.media_end = max(self.media_end, *ends)
        self._date_end = self._date(self.media_end)
        return [*inits, segment]

    def _gap(self, rendition: Rendition, lead: TrackSegment) -> TrackSegment:
        track = self._tracks.get(rendition)
        if track is not None:
            return track.gap(lead.start, lead.duration, self._date)
        return TrackSegment(0, lead.start, lead.duration, self._date(lead.start), b"", (), gap=True)

    def _date(self, media: float) -> float:
        return self._anchor + media


def _track_info(config: VideoConfig | AudioConfig) -> tuple[TrackInfo, int, int]:
    """What playlists need, the timescale, and samples a frame (audio). Raises `MediaError`."""
    if isinstance(config, VideoConfig):
        video = avc.parse_config(config.record)
        info = TrackInfo("video", video.codec, video.width, video.height, frame_rate=video.frame_rate)
        return info, VIDEO_TIMESCALE, 0
    audio = aac.parse_config(config.record)
    info = TrackInfo("audio", audio.codec, channels=audio.channels, sample_rate=audio.sample_rate)
    return info, audio.sample_rate, audio.frame_samples
