"""Frames to segments: one `Packager` for a broadcast in one epoch (DESIGN: CMAF; RFC 8216bis; ISO/IEC 23000-19).

Theory of operation. After `connect`, frames are held (`gathering`) until every expected track has its first one (video:
a key frame), or until two seconds have passed; then the clock starts, with the tracks that are there. From
then on each frame is put on the broadcast's clock (`timeline`) and handed to the `builder`, which makes segments.

The tracks of a broadcast are fixed with its target duration, when the first playlist is served. A track that comes
before that needs another broadcast (`TracksChanged`): segments without it may be recorded already. One that comes later
is left out (`TrackIgnored`).

A jump of the timestamps and a change of configuration end the segment and begin anew at the next key frame, with
a discontinuity, as a new connection does; `beginnings` sees to it that a decoder can.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from onair_core.contract import BroadcastRef, PackagingSettings
from onair_core.playback.renditions import AUDIO, VIDEO, Rendition, audio_rendition, is_video, kind_of
from onair_media.cmaf.beginnings import Beginnings
from onair_media.cmaf.builder import SegmentBuilder
from onair_media.cmaf.catalogue import Catalogue, Config, News
from onair_media.cmaf.changes import CodecChanged, Output, TrackIgnored, TracksChanged
from onair_media.cmaf.gathering import Gathering, Held
from onair_media.cmaf.init import VIDEO_TIMESCALE, make_init
from onair_media.cmaf.preparation import Preparation, Prepare, WhenNeeded
from onair_media.cmaf.timeline import MediaClock, SampleClock, Unwrapper
from onair_media.cmaf.track import Track
from onair_media.flv import (
    AudioConfig,
    AudioFrame,
    AudioUnit,
    MediaError,
    Picture,
    VideoColour,
    VideoConfig,
    VideoFrame,
    VideoUnit,
    config_in,
    frame_samples,
)

SECOND_TRACK_SECONDS = 2.0
# A track whose configuration has come will bring a frame: a long GOP is waited for.
CONFIGURED_TRACK_SECONDS = 10.0
MAX_HELD_BYTES = 64 * 1024 * 1024
_TICKS_PER_MS = VIDEO_TIMESCALE // 1000


class Packager:
    """See the module. `media_origin`: seconds of media time that earlier epochs have; `tracks`: what they fixed, and
    in which `codecs`.

    `prepare`: how the init segments of pictures are made.

    As long as it is `waiting`, no frame of this connection is on the broadcast's clock, and `now` is to be set to the
    Unix time before a frame is given.
    """

    def __init__(
        self,
        settings: PackagingSettings,
        *,
        broadcast: BroadcastRef,
        media_origin: float = 0.0,
        audio_only: bool = False,
        tracks: tuple[Rendition, ...] | None = None,
        codecs: Mapping[Rendition, str] | None = None,
        resumed: bool = False,
        prepare: Prepare = WhenNeeded,
    ) -> None:
        self.broadcast = broadcast
        self.dropped: Counter[str] = Counter()
        self.now = 0.0
        self.changes = 0
        """Of configurations, while frames came."""
        self._audio_only = audio_only
        self._prepare = prepare
        self._catalogue = Catalogue(self.dropped, codecs)
        self._video_track: int | None = None  # of several, the one that came first
        self._announced: set[Rendition] = set()  # whose configuration this connection has sent
        self._ignored: set[Rendition] = set()  # of this connection, because they came late
        self._unwrapper = Unwrapper()
        self._clock = MediaClock()
        self._audio_clocks: dict[Rendition, SampleClock] = {}
        self._held = Gathering(self.dropped)
        self._beginnings = Beginnings(self.dropped)
        self.waiting = True
        self._rebase = True
        self._first_elapsed: float | None = None
        self._first_init: Preparation | None = None
        self._builder = SegmentBuilder(
            self.dropped,
            segment_seconds=settings.segment_seconds,
            part_seconds=settings.part_milliseconds / 1000,
            media_origin=media_origin,
            renditions=tracks,
            resumed=resumed,
        )

    @property
    def media_end(self) -> float:
        """Seconds of media in complete segments, over the whole broadcast."""
        return self._builder.media_end

    @property
    def quiet_seconds(self) -> float:
        """Seconds of media that may come before anything comes out."""
        return 0.0 if self.waiting else self._builder.quiet_seconds

    @property
    def renditions(self) -> tuple[Rendition, ...] | None:
        """The tracks of the broadcast; None until they are fixed."""
        return self._builder.renditions

    @property
    def codecs(self) -> dict[Rendition, str]:
        """The RFC 6381 strings of the broadcast's tracks."""
        return self._catalogue.codecs

    @property
    def discontinuities(self) -> int:
        return self._builder.discontinuities

    @property
    def longest_segment(self) -> float:
        """Seconds after which one ends without a key frame."""
        return self._builder.longest_segment

    @property
    def target_duration(self) -> int | None:
        return self._builder.target_duration

    def connect(self, wall: float) -> None:
        """A publisher's connection begins at Unix time `wall`."""
        self.now = wall
        self._unwrapper = Unwrapper()
        self._video_track = None
        self._announced.clear()
        self._ignored.clear()
        self._catalogue.learn_colour(None)  # another encoder, perhaps, that says nothing of it
        self._builder.break_here()
        self._wait(rebase=True)

    def begin_with(self, configurations: tuple[Config, ...], frames: tuple[Held, ...]) -> list[Output]:
        """What the publisher has already said of its tracks, and sent of them."""
        for config in configurations:
            if isinstance(config, VideoConfig):
                self._catalogue.learn_colour(config.colour)
                self.video(0, config)
            else:
                self.audio(0, config)
        outputs: list[Output] = []
        for held in frames:
            self.now = min(self.now, held.wall)
            frame, timestamp = held.frame, held.raw & 0xFFFFFFFF
            outputs += self.video(timestamp, frame) if isinstance(frame, VideoFrame) else self.audio(timestamp, frame)
        return outputs

    def disconnect(self) -> list[Output]:
        """The connection ended: what is open becomes its last segment."""
        for stranger in self._strangers:
            self._held.forget(f"{kind_of(stranger)} that came late", stranger)
        outputs = self._begin() if self.waiting and self._held else []
        outputs += self._builder.close_all()
        self._wait(rebase=True)
        return outputs

    def fix_target_duration(self, seconds: int | None = None) -> int:
        """The first playlist is about to be served: the target duration stays (`seconds`: an earlier epoch's)."""
        return self._builder.fix_target_duration(seconds)

    def set_steady(self) -> None:
        """The stream is active: segments have their full length from now on."""
        self._builder.set_steady()

    def tick(self, elapsed: float) -> list[Output]:
        """`elapsed` seconds since `connect`: stops waiting for a track that does not come."""
        if not self.waiting or not self._held:
            return []
        if self._first_elapsed is None:
            self._first_elapsed = elapsed
        return self._start_if_ready(waited=elapsed - self._first_elapsed)

    def video(self, timestamp: int, unit: VideoUnit) -> Sequence[Output]:
        """A video unit; `timestamp` as RTMP has it (milliseconds, 32 bits)."""
        if self._audio_only:
            self.dropped["video of an audio-only stream"] += 1
            return []
        if self._video_track is None and isinstance(unit, VideoConfig):
            self._video_track = unit.track
        if unit.track != (self._video_track or 0):
            self.dropped["another video track"] += 1
            return []
        if isinstance(unit, VideoFrame):
            if not self._beginnings.recognise(unit):
                return []
            return self._frame(VIDEO, self._unwrapper.unwrap(timestamp), unit)
        if isinstance(unit, VideoConfig):
            return self._configure(VIDEO, unit)
        if isinstance(unit, VideoColour):
            self._catalogue.learn_colour(unit.colour)
            known = self._catalogue.configs.get(VIDEO)
            return self._configure(VIDEO, known) if known is not None else []
        return []

    def audio(self, timestamp: int, unit: AudioUnit) -> Sequence[Output]:
        """An audio unit; `timestamp` as RTMP has it (milliseconds, 32 bits)."""
        rendition = audio_rendition(unit.track) if unit.track else AUDIO
        if isinstance(unit, AudioConfig):
            return self._configure(rendition, unit)
        try:
            config = config_in(unit)
        except MediaError as error:
            self.dropped[error.reason] += 1
            return []
        changed = self._configure(rendition, config) if config is not None else ()
        outputs = self._frame(rendition, self._unwrapper.unwrap(timestamp), unit)
        return [*changed, *outputs] if changed else outputs

    def metadata(self, values: Mapping[str, object]) -> None:
        """`onMetaData`: hints at further audio tracks."""
        self._catalogue.learn_labels(values)

    # Configuration

    def _configure(self, rendition: Rendition, config: Config) -> list[Output]:
        before = self._catalogue.codecs.get(rendition, "") if rendition not in self._catalogue.configs else ""
        known = self._catalogue.configs.get(rendition)
        news = self._catalogue.learn(rendition, config)
        self._announced.add(rendition)
        if news is News.OTHER_CODEC:
            others = self._sent_now(but=rendition)
            return [CodecChanged(rendition, known.codec if known else before, config.codec, (*others, config))]
        if isinstance(config, VideoConfig) and news in (News.FIRST, News.CHANGED):
            self._beginnings.configure(config.codec, self._catalogue.describe(rendition).nal_length)
        if news is not News.CHANGED:
            return []
        if self.waiting:
            self._held.forget("held before a new configuration", rendition)
            self._first_init = None
            return []
        self.changes += 1
        outputs: list[Output] = [*self._builder.close_all()]
        self._builder.break_here()
        self._wait(rebase=False)
        return outputs

    def _sent_now(self, *, but: Rendition = "") -> tuple[Config, ...]:
        """The configurations that this connection has sent."""
        known = self._catalogue.configs.items()
        return tuple(config for name, config in known if name != but and name in self._announced)

    # Waiting for the tracks

    @property
    def _fixed(self) -> bool:
        """Whether the tracks stay as they are: viewers know them."""
        return self.target_duration is not None

    @property
    def _strangers(self) -> set[Rendition]:
        """Tracks that the broadcast began without, and that have frames now."""
        return self._held.present - set(self.renditions) if self.renditions is not None else set()

    def _came_late(self, rendition: Rendition, raw: int, frame: VideoFrame | AudioFrame) -> list[Output]:
        announced = rendition in self._announced
        if announced and not self._fixed and frame.begins:
            return [TracksChanged(rendition, self._sent_now(), (Held(rendition, raw, frame, math.inf),))]
        self.dropped[f"{kind_of(rendition)} that came late"] += 1
        if not self._fixed or rendition in self._ignored:
            return []
        self._ignored.add(rendition)
        return [TrackIgnored(rendition)]

    def _wait(self, *, rebase: bool) -> None:
        self.waiting = True
        self._rebase = self._rebase or rebase
        self._first_elapsed = None
        self._first_init = None
        self._held.forget("")

    def _frame(self, rendition: Rendition, raw: int, frame: VideoFrame | AudioFrame) -> Sequence[Output]:
        if not self.waiting:
            track = self._builder.tracks.get(rendition)
            if track is not None:
                media = self._clock.place(rendition, raw)
                if media is None:
                    return self._jump(rendition, raw, frame)
                if isinstance(frame, VideoFrame):
                    return self._place_picture(track, media, frame)
                return self._place_sound(track, media, frame)
        if rendition not in self._catalogue.configs:
            self.dropped[f"{kind_of(rendition)} before its configuration"] += 1
            return []
        late = self.renditions is not None and rendition not in self.renditions
        if late and (self._fixed or not self.waiting or rendition not in self._announced):
            return self._came_late(rendition, raw, frame)
        if self.waiting:
            return self._hold(rendition, raw, frame)
        media = self._clock.place(rendition, raw)
        return self._jump(rendition, raw, frame) if media is None else self._place(rendition, media, frame)

    def _jump(self, rendition: Rendition, raw: int, frame: VideoFrame | AudioFrame) -> list[Output]:
        """The timestamps have jumped, or this frame is from before they did."""
        if self._clock.is_straggler(rendition, raw, round(self.media_end * 1000)):
            self.dropped["late after a timestamp jump"] += 1
            return []
        outputs: list[Output] = [*self._builder.close_all()]
        self._builder.break_here()
        self._wait(rebase=True)
        return outputs + self._hold(rendition, raw, frame)

    def _hold(self, rendition: Rendition, raw: int, frame: VideoFrame | AudioFrame) -> list[Output]:
        if not self._held.add(rendition, raw, frame, self.now):
            return []
        if is_video(rendition) and self._first_init is None and self._needs_init(rendition):
            # Before more frames come: what is held becomes segments all at once.
            make = partial(make_init, self._catalogue.configs[rendition], self._catalogue.describe(rendition).timescale)
            self._first_init = self._prepare(partial(make, bytes(frame.data)))
        return self._start_if_ready(waited=self._held.waited(raw))

    def _needs_init(self, rendition: Rendition) -> bool:
        track = self._builder.tracks.get(rendition)
        return track is None or track.needs_init or track.config != self._catalogue.configs[rendition]

    def _start_if_ready(self, waited: float) -> list[Output]:
        missing = self._expected() - self._held.present
        if missing and self._held.size < MAX_HELD_BYTES:
            patience = SECOND_TRACK_SECONDS
            if missing & self._announced:
                patience = CONFIGURED_TRACK_SECONDS
            if waited < patience:
                return []
        return self._begin()

    def _expected(self) -> set[Rendition]:
        """The tracks that are waited for: those of the broadcast, and until they are fixed what the publisher has
        announced.
        """
        known = set(self.renditions or ())
        if self._fixed and known:
            return known
        sound = {name for name in self._catalogue.configs if not is_video(name)} | self._catalogue.expected
        return known | (sound or {AUDIO}) | (set() if self._audio_only else {VIDEO})

    def _begin(self) -> list[Output]:
        if strangers := self._strangers:
            return [TracksChanged(next(iter(strangers)), self._sent_now(), tuple(self._held.take()))]
        renditions = self._builder.fix_renditions(self._held.present)
        held = self._held.take()
        lead = next(name for name in renditions if any(item.rendition == name for item in held))
        first = next(item for item in held if item.rendition == lead)
        end = math.ceil(self.media_end * 1000)
        wall = None
        if self._rebase or (self._clock.place(lead, first.raw) or 0) < end:
            self._clock.start(first.raw, end)
            self._rebase = False
            wall = max(first.wall, self._builder.date_end)
        self.waiting = False
        self._make_tracks()
        self._beginnings.break_here()
        for clock in self._audio_clocks.values():
            clock.forget()
        self._builder.begin((self._clock.place(lead, first.raw) or 0) / 1000, wall)
        outputs: list[Output] = []
        for item in held:
            before = item.raw < first.raw and item.rendition != lead
            media = None if before else self._clock.place(item.rendition, item.raw)
            if media is None:
                self.dropped["sound before the first picture" if before else "timestamps in disorder"] += 1
                continue
            outputs += self._place(item.rendition, media, item.frame)
        return outputs

    def _make_tracks(self) -> None:
        for rendition in self.renditions or ():
            config = self._catalogue.configs.get(rendition)
            track = self._builder.tracks.get(rendition)
            if config is None or (track is not None and track.config == config):
                continue  # nothing of it came yet: its segments are gaps
            described = self._catalogue.describe(rendition)
            make = partial(make_init, config, described.timescale)
            prepare = self._prepare if is_video(rendition) else WhenNeeded  # sound takes a millisecond
            if track is None:
                track = self._builder.tracks[rendition] = Track(
                    rendition, described.info, described.timescale, config, make, prepare
                )
            else:
                track.configure(described.info, described.timescale, config, make)
            if not is_video(rendition):
                track.frame = described.frame_samples
                self._audio_clocks[rendition] = SampleClock(described.timescale)
        picture = self._builder.tracks.get(VIDEO)
        if picture is not None and picture.needs_init and self._first_init is not None:
            picture.preparation, self._first_init = self._first_init, None

    # On the clock

    def _place(self, rendition: Rendition, media: int, frame: VideoFrame | AudioFrame) -> Sequence[Output]:
        track = self._builder.tracks.get(rendition)
        if track is None:
            self._make_tracks()
            track = self._builder.tracks[rendition]
        if isinstance(frame, VideoFrame):
            return self._place_picture(track, media, frame)
        return self._place_sound(track, media, frame)

    def _place_picture(self, track: Track, media: int, frame: VideoFrame) -> Sequence[Output]:
        taken = self._beginnings.take(frame, media + frame.composition_time)
        if taken is None:
            return []
        picture, data = taken
        dts = media * _TICKS_PER_MS + frame.nanoseconds * _TICKS_PER_MS // 1_000_000
        cts = frame.composition_time * _TICKS_PER_MS
        if dts < track.floor:
            # Two frames with one timestamp (variable frame rates), or one from before a boundary that the sound has
            # set: decode order is kept, and the picture is shown when it should be.
            cts -= track.floor - dts
            dts = track.floor
        if track.samples.dts:
            track.frame = min(dts - track.samples.dts[-1], track.timescale)
        return self._builder.add(track, dts, cts, picture, data)

    def _place_sound(self, track: Track, media: int, frame: AudioFrame) -> Sequence[Output]:
        try:
            samples = frame_samples(frame, track.frame)
        except MediaError as error:
            self.dropped[error.reason] += 1
            return []
        dts = self._audio_clocks[track.rendition].place(media, samples, frame.nanoseconds)
        if dts is None:
            self.dropped["audio ahead of its clock"] += 1
            return []
        if dts < track.floor:
            self.dropped["audio later than its segment"] += 1
            return []
        outputs = self._builder.add(track, dts, 0, Picture.KEY, frame.data)
        track.frame = samples
        return outputs
