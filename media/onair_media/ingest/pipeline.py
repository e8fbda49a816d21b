"""A broadcast's way from tags to segments: flv → packager → live window and recorder.

One `Pipeline` lives as long as its broadcast does in this process, over any number of connections.
"""

from __future__ import annotations

from typing import Protocol

import structlog

from onair_core.contract import BroadcastRef, ChannelConfig
from onair_media.cmaf import CodecChanged, InitSegment, Output, Packager, Segment
from onair_media.flv import MediaError, parse_audio, parse_video
from onair_media.hls import LiveWindow
from onair_media.recording import Recorder, ResumePoint

log = structlog.get_logger(__name__)

# Active means playable: a player can start with two complete segments (docs/architecture.md).
SEGMENTS_TO_PLAY = 2


class PipelineListener(Protocol):
    """What the channel wants to know; each is called on the event loop, as media is taken in."""

    def media_started(self) -> None: ...
    def playable_now(self) -> None: ...
    def codec_changed(self, change: CodecChanged) -> None: ...


class Pipeline:
    """See the module. `window` is filled from the second complete segment on; `recorder` None: nothing is kept."""

    def __init__(
        self,
        broadcast: BroadcastRef,
        config: ChannelConfig,
        window: LiveWindow,
        recorder: Recorder | None,
        listener: PipelineListener,
        resume: ResumePoint | None = None,
    ) -> None:
        self._broadcast = broadcast
        self._window = window
        self._recorder = recorder
        self._listener = listener
        self._packager = Packager(
            config.packaging,
            broadcast=broadcast,
            audio_only=config.audio_only,
            media_origin=resume.media_end if resume else 0.0,
            tracks=resume.tracks if resume else None,
        )
        self.dropped = self._packager.dropped
        self._target_duration = resume.target_duration if resume else None
        self._held: list[InitSegment | Segment] | None = []  # until the window has begun
        self._started = False

    def connect(self, wall: float) -> None:
        """A publisher's connection begins at Unix time `wall`."""
        self._packager.connect(wall)

    def video(self, timestamp: int, payload: bytes) -> None:
        try:
            unit = parse_video(payload)
        except MediaError as error:
            self.dropped[error.reason] += 1
            return
        if unit is not None:
            self._take(self._packager.video(timestamp, unit))

    def audio(self, timestamp: int, payload: bytes) -> None:
        try:
            unit = parse_audio(payload)
        except MediaError as error:
            self.dropped[error.reason] += 1
            return
        if unit is not None:
            self._take(self._packager.audio(timestamp, unit))

    def tick(self, elapsed: float) -> None:
        """`elapsed` seconds since `connect`: lets the packager stop waiting for a track that does not come."""
        self._take(self._packager.tick(elapsed))

    def disconnect(self) -> None:
        """The connection ended: what was received becomes the last segment of it."""
        self._take(self._packager.disconnect())

    @property
    def waiting(self) -> bool:
        """Whether the packager waits for a track, so that `tick` is needed."""
        return not self._packager.started

    @property
    def media_end(self) -> float:
        """Seconds of media in complete segments, over the whole broadcast."""
        return self._packager.media_end

    @property
    def resume_point(self) -> ResumePoint:
        """Where another pipeline of this broadcast would go on."""
        packager = self._packager
        return ResumePoint(packager.media_end, packager.renditions, packager.target_duration)

    def _take(self, outputs: list[Output]) -> None:
        if not self._started and (outputs or self._packager.started):
            self._started = True
            self._listener.media_started()
        for output in outputs:
            if isinstance(output, CodecChanged):
                self._listener.codec_changed(output)
                return
            self._keep(output)

    def _keep(self, output: InitSegment | Segment) -> None:
        if self._recorder is not None:
            if isinstance(output, InitSegment):
                self._recorder.add_init(output)
            else:
                self._recorder.add(output)
        if self._held is None:
            self._show(output)
            return
        self._held.append(output)
        if sum(isinstance(held, Segment) for held in self._held) >= SEGMENTS_TO_PLAY:
            self._begin_window()

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
        self._listener.playable_now()

    def _show(self, output: InitSegment | Segment) -> None:
        if isinstance(output, InitSegment):
            self._window.add_init(output)
        else:
            self._window.add_segment(output)
