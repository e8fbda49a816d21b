"""What a broadcast is made with: its pipeline and its recorder, over connections, epochs and defects.

The channel says when. A pipeline is made when a publisher is connected and there is none: for a new broadcast, after
a restart, and after a defect, which leaves nothing of the pipeline but what its complete segments have fixed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from onair_core.contract import BroadcastRef, ChannelConfig, PackagingSettings, StreamRef
from onair_media import lifecycle
from onair_media.cmaf import TrackInfo
from onair_media.hls import LiveWindow
from onair_media.ingest.pipeline import Pipeline, PipelineListener
from onair_media.ingest.studio import Studio
from onair_media.recording import Recorder, RecorderListener, Recording, RecordingTime, ResumePoint

# Media that a killed process may have shown after its last sign of life.
UNSEEN_SECONDS = 3.0


class Listener(PipelineListener, RecorderListener, Protocol):
    """Who is told how it goes."""


class Production:
    """See the module. What it does may raise whatever a defect raises: `fail` and go on in another epoch."""

    def __init__(
        self, stream: StreamRef, window: LiveWindow, studio: Studio, listener: Listener, now: Callable[[], float]
    ) -> None:
        self.pipeline: Pipeline | None = None
        self._stream = stream
        self._window = window
        self._studio = studio
        self._listener = listener
        self._now = now
        self.ref = BroadcastRef("", 0)
        self._store: str | None = None
        self._recording: Recording | None = None
        self._recorder: Recorder | None = None
        self._recorded_epoch = 0
        self._resume: ResumePoint | None = None
        self._earlier = 0.0  # seconds of media that were made before the present pipeline
        self._earlier_times: tuple[RecordingTime, ...] = ()
        self._abandoned: set[asyncio.Task[None]] = set()

    def begin(self, ref: BroadcastRef, store: str | None) -> None:
        """A new broadcast; `store` is the URL of where it is recorded."""
        self._forget(ref, store)
        if store is not None:
            self._recording = Recording(ref.id, self._studio.origin(self._stream))
            self._record()

    async def reopen(self, broadcast: lifecycle.Broadcast, epoch: int, last_seen: float) -> None:
        """A broadcast of an earlier process, in its next epoch. `last_seen`: Unix seconds of its last sign of life."""
        self._forget(BroadcastRef(broadcast.ref.id, epoch), broadcast.store)
        progress, media_end = broadcast.progress, _shown(broadcast, last_seen)
        self._resume = ResumePoint(
            media_end,
            progress.renditions if progress else None,
            progress.target_duration if progress else None,
            progress.codecs if progress else {},
        )
        if broadcast.store is None:
            return
        recording = self._recording = await self._studio.reopen(broadcast.store, self._stream, self.ref)
        self._earlier, self._earlier_times = recording.duration, recording.times
        if recording.segments:
            self._resume = ResumePoint(
                max(media_end, recording.media_end),
                recording.renditions,
                recording.target_duration or self._resume.target_duration,
                {**self._resume.codecs, **{track.rendition: track.codec for track in recording.tracks}},
            )
        self._record()

    def connect(self, config: ChannelConfig, wall: float) -> None:
        """A publisher's connection begins at Unix time `wall`."""
        if self.pipeline is not None:
            self.pipeline.limit_bitrate(config.max_ingest_bitrate)
        else:
            if self._recording is not None and self._recorded_epoch != self.ref.epoch:
                self._record()
            self.pipeline = Pipeline(
                self.ref,
                config,
                self._window,
                self._recorder,
                self._listener,
                self._resume,
                now=self._now,
                inits=self._studio.inits,
            )
        self.pipeline.connect(wall)

    def fail(self) -> None:
        """A defect: the pipeline cannot be used any more."""
        if self.pipeline is not None:
            self._earlier, self._earlier_times = self.duration, self._times
            self._resume = self.pipeline.resume_point
            self.pipeline = None

    def go_on(self, ref: BroadcastRef) -> None:
        """The same broadcast in another epoch, from the next connection on."""
        self.fail()
        self.ref = ref

    def finish(self) -> None:
        """The broadcast is over. `asset_data` still has what the events about the end tell."""
        self.fail()
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self._studio.finish(recorder)

    async def shut_down(self) -> None:
        """The process ends, the broadcast goes on in the next one."""
        if self._recorder is not None:
            await self._recorder.abandon()

    @property
    def progress(self) -> ResumePoint | None:
        """Where another pipeline would go on; None while there is nothing to go on with."""
        return self.pipeline.resume_point if self.pipeline is not None else self._resume

    def asset_data(self) -> dict[str, Any]:
        """What an asset's event says of its content. The store may be a moment behind: media counts, not uploads."""
        recording = self._recording
        if recording is None:
            return {}
        return {
            "duration": round(self.duration, 3),
            "tracks": [_track_data(track) for track in recording.tracks],
            "recording_times": [msgspec.to_builtins(times) for times in self._times],
        }

    @property
    def duration(self) -> float:
        """Seconds of media in complete segments, over everything that was made of the broadcast."""
        if self.pipeline is None:
            return self._earlier
        return self._earlier + self.pipeline.media_end - (self._resume.media_end if self._resume else 0.0)

    @property
    def _times(self) -> tuple[RecordingTime, ...]:
        return (*self._earlier_times, *(self.pipeline.times if self.pipeline is not None else ()))

    def _forget(self, ref: BroadcastRef, store: str | None) -> None:
        self.pipeline = self._resume = None
        self._recording = self._recorder = None
        self._earlier, self._earlier_times = 0.0, ()
        self.ref, self._store = ref, store

    def _record(self) -> None:
        """A recorder belongs to one epoch; one of an earlier epoch still writes what it has."""
        assert self._recording is not None and self._store is not None
        before = self._recorder
        self._recorder = self._studio.record(self._store, self.ref, self._recording, self._listener)
        self._recorded_epoch = self.ref.epoch
        if before is not None:
            task = asyncio.get_running_loop().create_task(before.abandon())
            self._abandoned.add(task)
            task.add_done_callback(self._abandoned.discard)


def live_window(settings: PackagingSettings) -> LiveWindow:
    """A channel's, for as long as the channel is there."""
    return LiveWindow(settings.live_window_seconds, max_bytes=settings.live_window_bytes)


def _shown(broadcast: lifecycle.Broadcast, last_seen: float) -> float:
    """Seconds of media time that viewers may have seen of an earlier process; the store may be behind that."""
    progress = broadcast.progress
    if progress is None:
        return 0.0
    if broadcast.disconnected_at is not None:
        return progress.media_end
    return progress.media_end + max(0.0, last_seen - progress.at) + UNSEEN_SECONDS


def _track_data(track: TrackInfo) -> dict[str, Any]:
    """A track in Mux's words."""
    if track.rendition == "video":
        size = {"max_width": track.width, "max_height": track.height}
        return {"type": "video", "codec": track.codec, **size, "max_frame_rate": track.frame_rate or 0.0}
    return {
        "type": "audio",
        "codec": track.codec,
        "max_channels": track.channels,
        "sample_rate": track.sample_rate,
    }
