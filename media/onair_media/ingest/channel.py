"""One LiveStream on this machine: its lifecycle, its publisher, its pipeline, its live window.

The rules are in `onair_media.lifecycle`. Here its inputs are gathered (connections, media, timers, configuration), its
events go to the journal, and its commands are carried out in the order it gives them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from onair_core.contract import BroadcastRef, ChannelConfig, DisconnectReason, EventType, JournalEvent, Phase
from onair_media import lifecycle
from onair_media.cmaf import CodecChanged, TrackInfo
from onair_media.hls import LiveWindow
from onair_media.ingest.clock import Clock
from onair_media.ingest.health import Figures
from onair_media.ingest.journal import Journal
from onair_media.ingest.pipeline import Pipeline
from onair_media.ingest.session import PublisherSession, Refused
from onair_media.ingest.studio import Studio
from onair_media.playback import LivePlayable
from onair_media.recording import Recorder, Recording, ResumePoint

log = structlog.get_logger(__name__)

# After the end the live playback ID goes on serving the last playlist, with ENDLIST, for this long.
ENDED_WINDOW_SECONDS = 60.0
PIPELINE_TICK_SECONDS = 0.25
# Without look-alikes: people read asset names aloud.
_SUFFIX_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
_ASSET_EVENTS = frozenset({EventType.ASSET_READY, EventType.ASSET_COMPLETED})

# What an encoder is told when the server ends its publish (NetStream status code and description).
_CUT_MESSAGES = {
    DisconnectReason.DISABLED: ("NetStream.Publish.Denied", "The stream was disabled."),
    DisconnectReason.KEY_RESET: ("NetStream.Publish.BadName", "The stream key was reset."),
    DisconnectReason.DELETED: ("NetStream.Publish.BadName", "The stream was deleted."),
    DisconnectReason.REPLACED: ("NetStream.Publish.BadName", "Another encoder has taken over."),
    DisconnectReason.COMPLETED: ("NetStream.Unpublish.Success", "The broadcast is complete."),
}
_CUT_DEFAULT = ("NetStream.Unpublish.Success", "The broadcast has ended.")

_state_decoder = msgspec.json.Decoder(lifecycle.State)


class Channel:
    """See the module. Everything happens on the event loop; nothing here blocks."""

    def __init__(self, config: ChannelConfig, *, clock: Clock, journal: Journal, studio: Studio) -> None:
        self.config = config
        self.journal = journal
        self.window = LiveWindow(config.packaging.live_window_seconds)
        self.playable = LivePlayable(self.window)
        self.bytes_received = 0
        self._clock = clock
        self._studio = studio
        self._epoch = journal.last_epoch + 1
        self._numbers = 0
        self._state = (
            _state_decoder.decode(journal.state)
            if journal.state is not None
            else lifecycle.State(settings=lifecycle.Settings.of(config))
        )
        self._inputs: deque[lifecycle.Input] = deque()
        self._stepping = False
        self._sessions: dict[int, PublisherSession] = {}
        self._pipeline: Pipeline | None = None
        self._recorder: Recorder | None = None
        self._content: Callable[[], tuple[Recording, float]] | None = None
        self._connected_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._clearing: asyncio.TimerHandle | None = None
        self._refused: lifecycle.Refusal | None = None

    # What others see

    @property
    def phase(self) -> Phase:
        return lifecycle.phase(self._state)

    @property
    def connected(self) -> bool:
        return self._state.publisher is not None

    @property
    def dropped(self) -> Counter[str]:
        """Units of the running broadcast that could not be used, by reason."""
        return self._pipeline.dropped if self._pipeline is not None else Counter()

    def health(self) -> Figures:
        """How well the publisher's stream comes in; unknown while there is none."""
        return self._pipeline.health() if self._pipeline is not None and self.connected else Figures()

    @property
    def broadcast(self) -> lifecycle.Broadcast | None:
        """The open broadcast."""
        return self._state.broadcast

    # What the control plane asks

    async def resume(self, last_seen: float) -> None:
        """Called once, before anything else: goes on where the process before this one was ended."""
        broadcast = self._state.broadcast
        if broadcast is not None:
            await self._reopen(broadcast)
            self._feed(lifecycle.Resumed(last_seen, self._epoch))
        self._feed(lifecycle.Configure(lifecycle.Settings.of(self.config)))

    def configure(self, config: ChannelConfig) -> None:
        """The whole desired configuration. A live broadcast goes on unless ending it is the change's meaning."""
        self.config = config
        self._feed(lifecycle.Configure(lifecycle.Settings.of(config)))

    def complete(self, broadcast_id: str) -> None:
        """Ends that broadcast, if it is the open one."""
        self._feed(lifecycle.Complete(broadcast_id))

    def remove(self) -> None:
        """The LiveStream is gone."""
        self._feed(lifecycle.Remove())

    async def shut_down(self) -> None:
        """The process ends; an open broadcast goes on in the next one."""
        for timer in (self._timer, self._ticking, self._clearing):
            if timer is not None:
                timer.cancel()
        if self._recorder is not None:
            await self._recorder.abandon()
        await self.journal.settled()

    # What sessions bring (ingest.session.Target)

    def admit(self, session: PublisherSession) -> None:
        """A publisher with a valid key. Raises `Refused`."""
        self._sessions[session.number] = session
        self._refused = None
        current = self._sessions.get(self._state.publisher or 0)
        silent = current.silent_for if current is not None else 0.0
        self._feed(lifecycle.PublisherArrived(session.number, self._next_broadcast(), silent))
        if self._refused is not None:
            del self._sessions[session.number]
            raise Refused("NetStream.Publish.BadName", self._refused.value)

    def video(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.bytes_received += len(payload)
        if self._pipeline is not None and session.number == self._state.publisher:
            self._pipeline.video(timestamp, payload)
            if self._ticking is None:
                self._tick_pipeline()

    def audio(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.bytes_received += len(payload)
        if self._pipeline is not None and session.number == self._state.publisher:
            self._pipeline.audio(timestamp, payload)
            if self._ticking is None:
                self._tick_pipeline()

    def metadata(self, session: PublisherSession, values: dict[str, object]) -> None:
        """A hint: sizes are taken from the sequence headers, languages of further tracks from here."""
        if self._pipeline is not None and session.number == self._state.publisher:
            self._pipeline.metadata(values)

    def left(self, session: PublisherSession, reason: DisconnectReason) -> None:
        self._sessions.pop(session.number, None)
        try:
            if session.number == self._state.publisher and self._pipeline is not None:
                # Before the lifecycle hears of it: what was received may be what makes the stream playable.
                self._pipeline.disconnect()
        finally:
            self._feed(lifecycle.PublisherLeft(session.number, reason))

    # What the pipeline and the recorder tell

    def media_started(self) -> None:
        self._feed(lifecycle.MediaStarted())

    def playable_now(self) -> None:
        self._feed(lifecycle.Playable())

    def codec_changed(self, change: CodecChanged) -> None:
        log.info("codec changed", stream=str(self.config.stream), rendition=change.rendition, new=change.new)
        self._feed(lifecycle.CodecChanged(self._next_broadcast()))

    def media_warning(self, reason: str, message: str) -> None:
        self._feed(lifecycle.Warn(EventType.STREAM_WARNING, reason, message))

    def media_refused(self, reason: str, message: str) -> None:
        self._feed(lifecycle.Warn(EventType.STREAM_WARNING, reason, message))
        session = self._sessions.get(self._state.publisher or 0)
        if session is not None:
            session.end("NetStream.Publish.Failed", message, DisconnectReason.PROTOCOL_ERROR)

    def recording_ready(self) -> None:
        self._feed(lifecycle.RecordingReady())

    def recording_warning(self, reason: str, message: str) -> None:
        log.warning("recording", stream=str(self.config.stream), reason=reason, problem=message)
        self._feed(lifecycle.Warn(EventType.STREAM_WARNING, reason, message))
        self._feed(lifecycle.Warn(EventType.ASSET_WARNING, reason, message))

    # The lifecycle

    def _feed(self, given: lifecycle.Input) -> None:
        """Inputs that come while outputs are carried out wait their turn."""
        self._inputs.append(given)
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._inputs:
                self._step(self._inputs.popleft())
        finally:
            self._stepping = False
        self._schedule()

    def _step(self, given: lifecycle.Input) -> None:
        now = self._clock.now()
        before = self._state
        self._state, outputs = lifecycle.step(self._state, given, now)
        events: list[JournalEvent] = []
        for output in outputs:
            if isinstance(output, lifecycle.Emit):
                events.append(self._number(output, now))
            else:
                self._carry_out(output)
        if events or self._state != before:
            self.journal.append(events, self._epoch, msgspec.json.encode(self._state))

    def _number(self, emit: lifecycle.Emit, now: float) -> JournalEvent:
        self._numbers += 1
        data: dict[str, Any] = dict(emit.data)
        if emit.type in _ASSET_EVENTS and self._content is not None:
            data |= _asset_data(*self._content())
        log.info("event", stream=str(self.config.stream), type=emit.type.value, **emit.data)
        return JournalEvent(
            epoch=self._epoch, n=self._numbers, type=emit.type, at=now, broadcast=emit.broadcast, data=data
        )

    def _carry_out(self, output: lifecycle.Output) -> None:
        if isinstance(output, lifecycle.Admit):
            self._connect()
        elif isinstance(output, lifecycle.Refuse):
            self._refused = output.reason
        elif isinstance(output, lifecycle.CutPublisher):
            session = self._sessions.get(output.connection)
            if session is not None:
                session.end(*_CUT_MESSAGES.get(output.reason, _CUT_DEFAULT), output.reason)
        elif isinstance(output, lifecycle.StartBroadcast):
            self._start(output.ref, record=output.record)
        elif isinstance(output, lifecycle.CloseConnection):
            if self._pipeline is not None:
                self._pipeline.disconnect()
        elif isinstance(output, lifecycle.FinishBroadcast):
            self._finish(output.ref)

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = lifecycle.deadline(self._state)
        if due is not None:
            delay = max(0.0, due - self._clock.now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._feed, lifecycle.Tick())

    def _next_broadcast(self) -> BroadcastRef:
        suffix = "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(6))
        return BroadcastRef(f"{self.config.stream.name}-{suffix}", self._epoch + 1)

    # Commands

    def _start(self, ref: BroadcastRef, *, record: bool) -> None:
        # Each broadcast has an epoch of its own, so that the live media sequence never goes back.
        self._epoch, self._numbers = ref.epoch, 0
        if self._clearing is not None:
            self._clearing.cancel()
        self._recorder = None
        if record and self.config.asset.store is not None:
            recording = Recording(ref.id, self._studio.origin(self.config.stream))
            self._recorder = self._studio.record(self.config.asset.store, ref, recording, self)
        self._pipeline = self._make_pipeline(ref, None)

    async def _reopen(self, broadcast: lifecycle.Broadcast) -> None:
        ref = BroadcastRef(broadcast.ref.id, self._epoch)
        recording = None
        if broadcast.recording and self.config.asset.store is not None:
            recording = await self._studio.reopen(self.config.asset.store, self.config.stream, ref)
            self._recorder = self._studio.record(self.config.asset.store, ref, recording, self)
        resume = ResumePoint(0.0, None, None)
        if recording is not None and recording.segments:
            resume = ResumePoint(recording.media_end, recording.renditions, recording.target_duration)
        self._pipeline = self._make_pipeline(ref, resume)

    def _make_pipeline(self, ref: BroadcastRef, resume: ResumePoint | None) -> Pipeline:
        pipeline = Pipeline(ref, self.config, self.window, self._recorder, self, resume, now=self._clock.now)
        recorder = self._recorder
        self._content = (lambda: (recorder.recording, pipeline.media_end)) if recorder is not None else None
        return pipeline

    def _connect(self) -> None:
        self._connected_at = self._clock.now()
        if self._pipeline is not None:
            self._pipeline.connect(self._connected_at)
        self._tick_pipeline()

    def _tick_pipeline(self) -> None:
        """Media usually ends the wait for the second track; a timer does when none comes."""
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        if self._pipeline is not None and self.connected and self._pipeline.waiting:
            self._ticking = asyncio.get_running_loop().call_later(PIPELINE_TICK_SECONDS, self._tick_pipeline)
            self._pipeline.tick(self._clock.now() - self._connected_at)

    def _finish(self, ref: BroadcastRef) -> None:
        self.window.end()
        if self._recorder is not None:
            self._studio.finish(self._recorder)
            self._recorder = None
        self._pipeline = None  # `_content` still has what the events about the end tell
        loop = asyncio.get_running_loop()
        self._clearing = loop.call_later(ENDED_WINDOW_SECONDS, self.window.clear)
        log.info("broadcast ended", stream=str(self.config.stream), broadcast=ref.id)


def _asset_data(recording: Recording, media_end: float) -> dict[str, Any]:
    """What an asset's event says of its content. The store may be a moment behind: media counts, not uploads."""
    return {
        "duration": round(media_end, 3),
        "tracks": [_track_data(track) for track in recording.tracks],
        "recording_times": [msgspec.to_builtins(times) for times in recording.times],
    }


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
