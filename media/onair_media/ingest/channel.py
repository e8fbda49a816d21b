"""One LiveStream on this machine: its lifecycle, its publisher, its live window.

The rules are in `onair_media.lifecycle`. Here its inputs are gathered (connections, media, timers, configuration), its
events go to the journal, and its commands are carried out in the order it gives them, most of them by `production`.

A defect never leaves the channel and never stops it: what cannot be carried out is logged, the rest is carried out,
the journal has every step, and a deadline is always armed. What packages a broadcast is made anew after one.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from concurrent.futures import Future
from typing import Any

import msgspec
import structlog

from onair_core.contract import (
    BroadcastEnd,
    BroadcastRef,
    ChannelConfig,
    DisconnectReason,
    EventType,
    IngestProblem,
    JournalEvent,
    Phase,
)
from onair_media import lifecycle
from onair_media.cmaf import CodecChanged, Init, TracksChanged
from onair_media.ingest.candidate import Candidate, candidate
from onair_media.ingest.clock import Clock
from onair_media.ingest.farewells import farewell
from onair_media.ingest.health import Figures
from onair_media.ingest.journal import Journal
from onair_media.ingest.pace import Pace
from onair_media.ingest.parties import Refused
from onair_media.ingest.pipeline import Pipeline
from onair_media.ingest.production import Production, live_window
from onair_media.ingest.restored import Beginning
from onair_media.ingest.session import PublisherSession
from onair_media.ingest.studio import Studio
from onair_media.playback import LivePlayable

log = structlog.get_logger(__name__)

# After the end the live playback ID goes on serving the last playlist, with ENDLIST, for this long.
ENDED_WINDOW_SECONDS = 60.0
PIPELINE_TICK_SECONDS = 0.25
# How much media may come before the journal says again how far it has come.
PROGRESS_SECONDS = 10.0
SHUT_DOWN_SECONDS = 3.0
_TELLING_OF_THE_ASSET = frozenset({EventType.ASSET_READY, EventType.STREAM_DISCONNECTED, EventType.ASSET_COMPLETED})


class Channel:
    """See the module. Everything happens on the event loop; nothing here blocks."""

    def __init__(self, config: ChannelConfig, at: Beginning, clock: Clock, journal: Journal, studio: Studio) -> None:
        self.config = config
        self.journal = journal
        self.window = live_window(config.packaging)
        self.playable = LivePlayable(self.window)
        self.bytes_received = 0
        self._clock = clock
        self._studio = studio
        self._production = Production(config.stream, self.window, studio, self, clock.now)
        self._pace = Pace()
        self._epoch = at.epoch
        self._numbers = 0
        self._state = at.state
        self._inputs: deque[lifecycle.Input] = deque()
        self._stepping = False
        self._sessions: dict[int, PublisherSession] = {}
        self._connected_at = 0.0
        self._progress_at = 0.0  # seconds of media at which the journal is told next
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
        pipeline = self._production.pipeline
        return pipeline.dropped if pipeline is not None else Counter()

    @property
    def media_seconds(self) -> float | None:
        """Seconds of the running broadcast in complete segments; None: there is none."""
        return self._production.duration if self._state.broadcast is not None else None

    def health(self) -> Figures:
        """How well the publisher's stream comes in; unknown while there is none."""
        pipeline = self._production.pipeline
        return pipeline.health() if pipeline is not None and self.connected else Figures()

    @property
    def broadcast(self) -> lifecycle.Broadcast | None:
        """The open broadcast."""
        return self._state.broadcast

    @property
    def removed(self) -> bool:
        """Whether the LiveStream is gone."""
        return self._state.removed

    @property
    def deadline(self) -> float | None:
        """When something will happen by itself (Unix seconds); None: nothing runs on the clock."""
        return lifecycle.deadline(self._state)

    # What the control plane asks

    async def resume(self, last_seen: float) -> None:
        """Called once, before anything else: goes on where the process before this one was ended.

        `last_seen`: Unix seconds of the last sign of life of that process.
        """
        broadcast = self._state.broadcast
        last_seen = max(last_seen, self.journal.last_at)
        self._stepping = True  # what comes meanwhile waits
        try:
            if broadcast is not None:
                await self._production.reopen(broadcast, self._epoch, min(last_seen, self._clock.now()))
        except Exception:
            log.exception("a broadcast goes on without what was recorded", stream=str(self.config.stream))
        finally:
            self._stepping = False
        self._inputs.appendleft(lifecycle.Resumed(last_seen, self._epoch))
        self._feed(lifecycle.Configure(lifecycle.Settings.of(self.config)))

    def configure(self, config: ChannelConfig) -> None:
        """The whole desired configuration. A live broadcast goes on unless ending it is the change's meaning."""
        self.config = config
        if self._production.pipeline is not None:
            self._production.pipeline.limit_bitrate(config.max_ingest_bitrate)
        self._feed(lifecycle.Configure(lifecycle.Settings.of(config)))

    def complete(self, broadcast_id: str) -> None:
        """Ends that broadcast, if it is the open one."""
        self._feed(lifecycle.Complete(broadcast_id))

    def remove(self) -> None:
        """The LiveStream is gone."""
        self._feed(lifecycle.Remove())

    def reschedule(self) -> None:
        """Timers of the event loop may be late, as after a suspend: looks at the clock again."""
        self._schedule()

    async def shut_down(self) -> None:
        """The process ends; an open broadcast goes on in the next one. What is not durable in time is given up."""
        for timer in (self._timer, self._ticking, self._clearing):
            if timer is not None:
                timer.cancel()
        await self._production.shut_down()
        await self.journal.settled(SHUT_DOWN_SECONDS)
        self.journal.close()

    # What sessions bring (ingest.session.Target)

    def admit(self, session: PublisherSession) -> None:
        """A publisher with a valid key. Raises `Refused`."""
        if not self._pace.may_arrive(self._clock.now()):
            raise Refused("NetStream.Publish.BadName", "Too many publishers came in a short time; wait a moment.")
        self._refused = None
        current = self._sessions.get(self._state.publisher or 0)
        silent = current.silent_for if current is not None else 0.0
        offered = self._candidate()
        try:
            self._feed(lifecycle.PublisherArrived(session.number, offered.ref, offered.store, silent))
        except BaseException:
            # Nobody would ever say that this connection has ended.
            self._feed(lifecycle.PublisherLeft(session.number, DisconnectReason.INTERNAL_ERROR))
            raise
        if self._refused is not None:
            raise Refused("NetStream.Publish.BadName", self._refused.value)
        if self._state.publisher != session.number:
            raise Refused(*farewell(DisconnectReason.INTERNAL_ERROR))
        self._sessions[session.number] = session
        self._tell_store_problem(offered)

    def video(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.bytes_received += len(payload)
        pipeline = self._production.pipeline
        if pipeline is not None and session.number == self._state.publisher:
            try:
                pipeline.video(timestamp, payload)
            except Exception:
                self._defect(pipeline)

    def audio(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.bytes_received += len(payload)
        pipeline = self._production.pipeline
        if pipeline is not None and session.number == self._state.publisher:
            try:
                pipeline.audio(timestamp, payload)
            except Exception:
                self._defect(pipeline)

    def metadata(self, session: PublisherSession, values: dict[str, object]) -> None:
        """A hint: sizes are taken from the sequence headers, languages of further tracks from here."""
        pipeline = self._production.pipeline
        if pipeline is not None and session.number == self._state.publisher:
            pipeline.metadata(values)

    def quiet_seconds(self, session: PublisherSession) -> float:
        """For how long nothing that comes from this publisher can make a difference to anybody."""
        pipeline = self._production.pipeline
        if pipeline is None or session.number != self._state.publisher:
            return 0.0
        return pipeline.quiet_seconds

    def left(self, session: PublisherSession, reason: DisconnectReason) -> None:
        self._sessions.pop(session.number, None)
        if session.number == self._state.publisher:
            # Before the lifecycle hears of it: what was received may be what makes the stream playable.
            self._close_connection()
        self._feed(lifecycle.PublisherLeft(session.number, reason))

    # What the pipeline and the recorder tell

    def media_started(self) -> None:
        if self._is_current:
            self._feed(lifecycle.MediaStarted())

    def media_waits(self) -> None:
        if self._ticking is None:
            self._tick_pipeline()

    def media_prepares(self, init: Future[Init]) -> None:
        session = self._sessions.get(self._state.publisher or 0)
        if session is not None:
            session.hold(init)

    def segments_made(self) -> None:
        pipeline = self._production.pipeline
        if pipeline is not None and pipeline.media_end >= self._progress_at:
            self._progress_at = pipeline.media_end + PROGRESS_SECONDS
            self._tell_progress()

    def playable_now(self) -> None:
        if self._is_current:
            self._feed(lifecycle.Playable())
            self._tell_progress()

    def media_changed(self, change: CodecChanged | TracksChanged) -> None:
        if not self._pace.may_change_codec(self._clock.now()):
            self.media_refused(IngestProblem.TOO_MANY_DISCONTINUITIES, "Codec or tracks changed too often.")
            return
        end = BroadcastEnd.CODEC_CHANGED if isinstance(change, CodecChanged) else BroadcastEnd.TRACKS_CHANGED
        log.info("another broadcast", stream=str(self.config.stream), reason=end.value, rendition=change.rendition)
        offered, before = self._candidate(), self._production.pipeline
        self._feed(lifecycle.MediaChanged(offered.ref, offered.store, end))
        after = self._production.pipeline
        if before is not None and after is not None and after is not before:
            after.take_over(before, change)
        self._tell_store_problem(offered)

    def media_refused(self, reason: IngestProblem, message: str) -> None:
        """The publisher sends what cannot be taken. `message`: for people."""
        self._close_connection()  # what it recorded is told before that it is gone
        self._feed(lifecycle.MediaRefused(DisconnectReason(reason.value), message))

    def media_warning(self, reason: IngestProblem, message: str) -> None:
        self._feed(lifecycle.Warn(EventType.STREAM_WARNING, reason.value, message))

    def recording_ready(self) -> None:
        self._feed(lifecycle.RecordingReady())

    def recording_warning(self, reason: str, message: str) -> None:
        log.warning("recording", stream=str(self.config.stream), reason=reason, problem=message)
        self._feed(lifecycle.Warn(EventType.STREAM_WARNING, reason, message))
        self._feed(lifecycle.Warn(EventType.ASSET_WARNING, reason, message))

    # The lifecycle

    @property
    def _is_current(self) -> bool:
        """Whether what is produced is the open broadcast, and not one that is being closed for the next."""
        return self._state.broadcast is not None and self._state.broadcast.ref == self._production.ref

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
        try:
            for output in outputs:
                if isinstance(output, lifecycle.Emit):
                    events.append(self._number(output, now))
                else:
                    self._carry_out(output)
        finally:
            if events or self._state != before:
                self.journal.append(events, self._epoch, msgspec.json.encode(self._state))

    def _number(self, emit: lifecycle.Emit, now: float) -> JournalEvent:
        self._numbers += 1
        content = self._asset_content() if emit.type in _TELLING_OF_THE_ASSET else {}
        emit = lifecycle.told_of_content(emit, content.get("duration"))
        data = {**emit.data, **content}
        log.info("event", stream=str(self.config.stream), type=emit.type.value, **emit.data)
        return JournalEvent(
            epoch=self._epoch, n=self._numbers, type=emit.type, at=now, broadcast=emit.broadcast, data=data
        )

    def _asset_content(self) -> dict[str, Any]:
        try:
            return self._production.asset_data()
        except Exception:
            log.exception("an event without the asset's content", stream=str(self.config.stream))
            return {}

    def _carry_out(self, output: lifecycle.Output) -> None:
        try:
            self._command(output)
        except Exception:
            if isinstance(output, lifecycle.StartBroadcast | lifecycle.Admit):
                self._defect(self._production.pipeline)
            else:
                log.exception("not carried out", stream=str(self.config.stream), command=type(output).__name__)

    def _command(self, output: lifecycle.Output) -> None:
        if isinstance(output, lifecycle.Admit):
            self._connect()
        elif isinstance(output, lifecycle.Refuse):
            self._refused = output.reason
        elif isinstance(output, lifecycle.CutPublisher):
            session = self._sessions.get(output.connection)
            if session is not None:
                session.end(*farewell(output.reason, output.message), output.reason)
        elif isinstance(output, lifecycle.StartBroadcast):
            # Each broadcast has an epoch of its own, so that the live media sequence never goes back.
            self._begin_epoch(output.ref)
            self._production.begin(output.ref, output.store)
        elif isinstance(output, lifecycle.NextEpoch):
            self._begin_epoch(output.ref)
            self._production.go_on(output.ref)
            self._tell_progress()
        elif isinstance(output, lifecycle.CloseConnection):
            self._close_connection()
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

    def _defect(self, pipeline: Pipeline | None) -> None:
        """Called where an exception was caught that no rule knows of."""
        log.exception("a defect; what packages the broadcast is made anew", stream=str(self.config.stream))
        production = self._production
        if pipeline is production.pipeline:
            production.fail()
            self._feed(lifecycle.PackagerFailed(production.ref, self._epoch + 1))

    # What begins and ends

    def _candidate(self) -> Candidate:
        return candidate(self.config, self._epoch + 1, self._studio)

    def _tell_store_problem(self, offered: Candidate) -> None:
        broadcast = self._state.broadcast
        if offered.problem and broadcast is not None and broadcast.ref == offered.ref:
            self.recording_warning("StoreUnavailable", offered.problem)

    def _begin_epoch(self, ref: BroadcastRef) -> None:
        self._epoch, self._numbers = ref.epoch, 0

    def _connect(self) -> None:
        self._connected_at = self._clock.now()
        self._production.connect(self.config, self._connected_at)
        self._progress_at = PROGRESS_SECONDS
        self._tick_pipeline()

    def _close_connection(self) -> None:
        """What was received becomes the last segment of the connection."""
        pipeline = self._production.pipeline
        if pipeline is None:
            return
        try:
            pipeline.disconnect()
        except Exception:
            self._defect(pipeline)
        else:
            self._tell_progress()

    def _finish(self, ref: BroadcastRef) -> None:
        if self._clearing is not None:
            self._clearing.cancel()
        self._clearing = asyncio.get_running_loop().call_later(ENDED_WINDOW_SECONDS, self.window.clear)
        try:
            self.window.end()
        finally:
            self._production.finish()
        log.info("broadcast ended", stream=str(self.config.stream), broadcast=ref.id)

    # While media comes

    def _tick_pipeline(self) -> None:
        """Media usually ends the wait for the second track; a timer does when none comes."""
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        pipeline = self._production.pipeline
        if pipeline is not None and self.connected and pipeline.waiting:
            self._ticking = asyncio.get_running_loop().call_later(PIPELINE_TICK_SECONDS, self._tick_pipeline)
            try:
                pipeline.tick(self._clock.now() - self._connected_at)
            except Exception:
                self._defect(pipeline)

    def _tell_progress(self) -> None:
        """How far the media has come that viewers could see, for a process that has to go on with it."""
        progress, broadcast = self._production.progress, self._state.broadcast
        if progress is not None and broadcast is not None and broadcast.active_at is not None:
            codecs = dict(progress.codecs)
            self._feed(lifecycle.Progressed(progress.media_end, progress.target_duration, progress.tracks, codecs))
