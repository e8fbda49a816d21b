"""A broadcast's way from tags to segments: flv → packager → live window and recorder.

One `Pipeline` lives as long as its broadcast does in this process, over any number of connections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Protocol

import structlog

from onair_core.contract import BroadcastRef, ChannelConfig, IngestProblem, StreamRef
from onair_core.playback.renditions import AUDIO, VIDEO, Rendition
from onair_media.cmaf import (
    CodecChanged,
    Init,
    InitSegment,
    Output,
    Packager,
    Preparation,
    Segment,
    TrackIgnored,
    TracksChanged,
    WhenNeeded,
)
from onair_media.flv import (
    AudioFrame,
    MediaError,
    UnsupportedCodecError,
    VideoFrame,
    parse_audio,
    parse_video,
)
from onair_media.hls import DISCONTINUITIES_PER_EPOCH, LiveWindow
from onair_media.ingest.health import Figures, Health
from onair_media.recording import SEGMENTS_TO_PLAY, Recorder, RecordingTime, ResumePoint
from onair_media.rtmp.rate import Rate

log = structlog.get_logger(__name__)

# Changes of the codec configuration in the middle of a connection; encoders that rotate or scale make a few an hour.
CHANGES_PER_SECOND, CHANGES_AT_ONCE = 0.5, 10


class PipelineListener(Protocol):
    """What the channel wants to know; each is called on the event loop, as media is taken in.

    `message` is for people.
    """

    def media_started(self) -> None: ...
    def media_waits(self) -> None:
        """A track is waited for: `tick` is needed until it has come."""

    def segments_made(self) -> None: ...
    def media_prepares(self, init: Future[Init]) -> None:
        """An init segment is being made: no media may come until it is there."""

    def playable_now(self) -> None: ...
    def media_changed(self, change: CodecChanged | TracksChanged) -> None:
        """What comes now belongs to another broadcast: its pipeline is to `take_over`."""

    def media_warning(self, reason: IngestProblem, message: str) -> None: ...
    def media_refused(self, reason: IngestProblem, message: str) -> None:
        """The publisher sends what cannot be taken: it has to be cut off."""


class Pipeline:
    """See the module. `window` is filled from the second complete segment on; `recorder` None: nothing is kept.

    `now` gives Unix seconds. `inits` makes the init segments of pictures; None: the caller's thread does.
    """

    def __init__(
        self,
        broadcast: BroadcastRef,
        config: ChannelConfig,
        window: LiveWindow,
        recorder: Recorder | None,
        listener: PipelineListener,
        resume: ResumePoint | None = None,
        *,
        now: Callable[[], float],
        inits: Executor | None = None,
    ) -> None:
        self._broadcast = broadcast
        self._window = window
        self._recorder = recorder
        self._listener = listener
        self._now = now
        self._max_bitrate = config.max_ingest_bitrate
        self._stream = config.stream
        self._audio_only = config.audio_only
        self._metadata: Mapping[str, object] = {}
        self._packager = Packager(
            config.packaging,
            broadcast=broadcast,
            audio_only=config.audio_only,
            media_origin=resume.media_end if resume else 0.0,
            tracks=resume.tracks if resume else None,
            codecs=resume.codecs if resume else None,
            resumed=resume is not None,
            prepare=WhenNeeded if inits is None else self._prepare,
        )
        self._inits = inits
        self._changes = Rate(CHANGES_PER_SECOND, CHANGES_AT_ONCE)
        self._counted_changes = 0
        self.dropped = self._packager.dropped
        self.times: list[RecordingTime] = []
        """One entry for each stretch without a discontinuity, of what this pipeline has made."""
        if resume is not None and resume.target_duration is not None:
            self._packager.fix_target_duration(resume.target_duration)
        self._target_duration = resume.target_duration if resume else None
        self._held: list[InitSegment | Segment] | None = []  # until the window has begun
        self._started = False
        self._refused = False
        self._refusal: tuple[IngestProblem, str] | None = None
        self._taking = False
        self._health = Health(now(), max_bitrate=None, longest_gop=0.0)

    def limit_bitrate(self, max_bitrate: int | None) -> None:
        """Bits a second that the publisher may send, from now on; None: any."""
        self._max_bitrate = self._health.max_bitrate = max_bitrate

    def connect(self, wall: float) -> None:
        """A publisher's connection begins at Unix time `wall`."""
        self._refused = False
        self._metadata = {}
        self._health = Health(wall, max_bitrate=self._max_bitrate, longest_gop=self._packager.longest_segment)
        self._packager.connect(wall)

    def take_over(self, before: Pipeline, change: CodecChanged | TracksChanged) -> None:
        """Goes on with the connection of the broadcast before, and what it has already said and sent there."""
        self.metadata(before._metadata)
        frames = change.frames if isinstance(change, TracksChanged) else ()
        self._take(self._packager.begin_with(change.configurations, frames))

    def video(self, timestamp: int, payload: bytes) -> None:
        """A video tag body; `timestamp` in milliseconds, modulo 2^32."""
        if self._refused:
            return
        if self._audio_only:  # in whatever codec
            self.dropped["video of an audio-only stream"] += 1
            self._health.received += len(payload)
            return
        packager = self._packager
        if packager.waiting:
            self._wait()
        try:
            for unit in parse_video(payload):
                outputs = packager.video(timestamp, unit)
                overdue = isinstance(unit, VideoFrame) and self._health.picture(
                    timestamp, len(payload), keyframe=unit.begins
                )
                if outputs or not self._started:
                    self._take(outputs)
                if overdue:
                    self._tell_problems()
            if packager.changes != self._counted_changes:
                self._count_changes()
        except MediaError as error:
            self._cannot_use(error)

    def audio(self, timestamp: int, payload: bytes) -> None:
        """An audio tag body; `timestamp` in milliseconds, modulo 2^32."""
        if self._refused:
            return
        packager = self._packager
        if packager.waiting:
            self._wait()
        try:
            for unit in parse_audio(payload):
                if isinstance(unit, AudioFrame):
                    self._health.sound(timestamp, len(payload))
                outputs = packager.audio(timestamp, unit)
                if outputs or not self._started:
                    self._take(outputs)
            if packager.changes != self._counted_changes:
                self._count_changes()
        except MediaError as error:
            self._cannot_use(error)

    def metadata(self, values: Mapping[str, object]) -> None:
        """`onMetaData`."""
        self._metadata = values
        self._packager.metadata(values)

    def tick(self, elapsed: float) -> None:
        """`elapsed` seconds since `connect`: lets the packager stop waiting for a track that does not come."""
        self._take(self._packager.tick(elapsed))
        self._tell_problems()

    def disconnect(self) -> None:
        """The connection ended: what was received becomes the last segment of it."""
        self._take(self._packager.disconnect())

    @property
    def waiting(self) -> bool:
        """Whether the packager waits for a track, so that `tick` is needed."""
        return self._packager.waiting

    @property
    def media_end(self) -> float:
        """Seconds of media in complete segments, over the whole broadcast."""
        return self._packager.media_end

    @property
    def resume_point(self) -> ResumePoint:
        """Where another pipeline of this broadcast would go on."""
        packager = self._packager
        return ResumePoint(packager.media_end, packager.renditions, packager.target_duration, packager.codecs)

    @property
    def quiet_seconds(self) -> float:
        """Seconds of media that may come before any viewer could notice."""
        return 0.0 if self._held is not None else self._packager.quiet_seconds

    def health(self) -> Figures:
        """Of the present connection, or the last one."""
        return self._health.figures(self._now())

    def _prepare(self, make: Callable[[], Init]) -> Preparation:
        assert self._inits is not None
        init = self._inits.submit(make)
        self._listener.media_prepares(init)
        return init

    def _count_changes(self) -> None:
        """Each costs a discontinuity, an init segment, and a decoder to make it."""
        made, self._counted_changes = self._packager.changes - self._counted_changes, self._packager.changes
        if made and self._changes.left(self._now()) < made:
            self._refuse(
                IngestProblem.TOO_MANY_DISCONTINUITIES,
                f"The codec configuration changed more than {CHANGES_AT_ONCE} times within seconds.",
            )
        self._changes.take(made)

    def _wait(self) -> None:
        self._packager.now = self._now()
        self._listener.media_waits()

    def _cannot_use(self, error: MediaError) -> None:
        self.dropped[error.reason] += 1
        if isinstance(error, UnsupportedCodecError):
            video = error.kind == "video"
            reason = IngestProblem.UNSUPPORTED_VIDEO_CODEC if video else IngestProblem.UNSUPPORTED_AUDIO_CODEC
            self._refuse(reason, f"{error.codec} cannot be packaged: {_WHAT_WORKS[error.kind]}.")

    def _refuse(self, reason: IngestProblem, message: str) -> None:
        """Told when what was made is kept: the end of the connection makes the segment that comes after it."""
        self._refused = True
        self._refusal = self._refusal or (reason, message)
        if not self._taking:
            self._tell_refusal()

    def _tell_refusal(self) -> None:
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            self._listener.media_refused(*refusal)

    def _take(self, outputs: Sequence[Output]) -> None:
        self._taking = True
        try:
            self._take_each(outputs)
        finally:
            self._taking = False
        self._tell_refusal()

    def _take_each(self, outputs: Sequence[Output]) -> None:
        if not self._started and (not self._packager.waiting or any(isinstance(o, _KEPT) for o in outputs)):
            self._started = True
            self._listener.media_started()
        for output in outputs:
            if isinstance(output, CodecChanged | TracksChanged):
                self._refused = True  # what follows is for the pipeline of the next broadcast
                self._listener.media_changed(output)
                return
            if isinstance(output, TrackIgnored):
                self._listener.media_warning(IngestProblem.TRACK_IGNORED, _ignored(output.rendition, self._stream))
            else:
                self._keep(output)
        if outputs:
            self._listener.segments_made()

    def _keep(self, output: InitSegment | Segment) -> None:
        if self._recorder is not None:
            if isinstance(output, InitSegment):
                self._recorder.add_init(output)
            else:
                self._recorder.add(output)
        if isinstance(output, Segment):
            self._note_time(output)
            self._judge(output)
        if self._held is None:
            self._show(output)
            return
        self._held.append(output)
        if sum(isinstance(held, Segment) for held in self._held) >= SEGMENTS_TO_PLAY:
            self._begin_window()

    def _note_time(self, segment: Segment) -> None:
        if segment.discontinuity or not self.times:
            lead = next(iter(segment.tracks.values()))
            self.times.append(RecordingTime(round(lead.program_date_time, 3), 0.0))
        last = self.times[-1]
        self.times[-1] = RecordingTime(last.started_at, round(last.duration + segment.duration, 6))

    def _judge(self, segment: Segment) -> None:
        self._health.segment(self._now(), segment.duration)
        self._tell_problems()
        if self._packager.discontinuities >= DISCONTINUITIES_PER_EPOCH - 1 and not self._refused:
            self._refuse(
                IngestProblem.TOO_MANY_DISCONTINUITIES,
                "The stream was interrupted too often to go on with this broadcast.",
            )

    def _tell_problems(self) -> None:
        for problem in self._health.problems(self._now()):
            if problem.fatal:
                self._refuse(problem.reason, problem.message)
            else:
                self._listener.media_warning(problem.reason, problem.message)

    def _begin_window(self) -> None:
        """The first playlist can be served from now on: what must stay constant is fixed here."""
        target = self._packager.fix_target_duration(self._target_duration)
        if self._recorder is not None:
            self._recorder.fix_target_duration(target)
        self._window.begin(self._broadcast)
        self._window.fix_target_duration(target)
        held, self._held = self._held or [], None
        for output in held:
            self._show(output)
        self._packager.set_steady()
        self._health.longest_gop = self._packager.longest_segment
        self._listener.playable_now()

    def _show(self, output: InitSegment | Segment) -> None:
        if isinstance(output, InitSegment):
            self._window.add_init(output)
        else:
            self._window.add_segment(output)
            if self._window.too_large and not self._refused:
                self._refuse(
                    IngestProblem.WINDOW_TOO_LARGE,
                    "Three target durations of this stream take more memory than the class allows: lower the bitrate.",
                )


_KEPT = InitSegment | Segment


def _ignored(rendition: Rendition, stream: StreamRef) -> str:
    named = {VIDEO: "Video", AUDIO: "Sound"}.get(rendition, f"Another sound ({rendition})")
    where = "" if stream.namespace == "default" else f" -n {stream.namespace}"
    return (
        f"{named} came that the broadcast began without: it is left out. Complete the broadcast "
        f"(onair complete {stream.name}{where}), and the next one has it."
    )


_WHAT_WORKS = {
    "video": "send H.264, or HEVC, AV1 or VP9 by Enhanced RTMP",
    "audio": "send AAC or MP3, or Opus, FLAC, AC-3 or E-AC-3 by Enhanced RTMP",
}
