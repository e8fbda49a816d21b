"""The life of a channel: (state, input, now) → (state, outputs). Everything that decides it is in this file.

    Idle ──publisher──► Idle, connected ──two segments──► Active ──publisher gone──► Active, disconnected
     ▲                                                      ▲                             │        │
     │                                                      └─────────publisher───────────┘        │
     └──────── window elapsed, complete, disable, key reset, deletion, maximum duration ───────────┘

No clock, no I/O: `now` is Unix seconds, and `deadline(state)` says when a `Tick` is due. This file does not know
whether it runs in a pod or on one machine.

Events of a broadcast, always in this order (Mux's table; `asset.*` and `recording` only where something is recorded):

    connected  asset.created  recording  active  asset.ready  disconnected  (connected  disconnected)…  idle
    asset.live_stream_completed

* `connected` and `disconnected` repeat on reconnects; everything else comes at most once a broadcast. Every end is
  told as `disconnected` (unless that was told before), `idle`, `asset.live_stream_completed`.
* A broadcast that ends before it was active tells neither `active` nor `asset.ready`; if no frame came at all its asset
  is `asset.errored` instead of completed.
* Inside the reconnect window a publisher continues the same broadcast. A window of 0 ends it with the connection.
* A second publisher is refused while the first is sending; a first that was silent for the publisher timeout is
  replaced, inside the same broadcast. Class option `takeover: Newest` replaces always.
* Complete (once, on that broadcast only) and the maximum duration end the broadcast at once; the encoder is cut 60 s
  later, and nothing it sends in between is kept. Disable, key reset and deletion cut it at once.
* A test stream ends five minutes after it became active, and is disabled until its configuration changes.
* What cannot be taken (a codec, a bitrate) is told as a warning; the publisher is cut, the broadcast waits as usual.
* A defect of the packaging costs the connection that met it: the publisher is cut, and the same broadcast goes on in
  another epoch with whoever comes inside the window.
* Another codec, or a further track before anyone could watch, ends the broadcast; the connection stays and belongs to
  the next one.
* A deadline that has passed counts before a publisher who arrives, however late its `Tick` is.
* Inputs of connections that are not the publisher any more change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from onair_core.contract import BroadcastEnd, BroadcastRef, DisconnectReason, EventType, Phase, Takeover
from onair_media.lifecycle.model import (
    Admit,
    Broadcast,
    CloseConnection,
    Complete,
    Configure,
    CutPublisher,
    Emit,
    FinishBroadcast,
    Input,
    Leaving,
    MediaChanged,
    MediaRefused,
    MediaStarted,
    NextEpoch,
    Output,
    PackagerFailed,
    Playable,
    Progress,
    Progressed,
    PublisherArrived,
    PublisherLeft,
    RecordingReady,
    Refusal,
    Refuse,
    Remove,
    Resumed,
    StartBroadcast,
    State,
    Tick,
    Warn,
)

CUT_AFTER_COMPLETE_SECONDS = 60.0
_NO_MEDIA = {"reason": "NoMedia", "message": "No audio or video came."}
TEST_STREAM_SECONDS = 300.0


def step(state: State, given: Input, now: float) -> tuple[State, list[Output]]:
    """The one transition function. Outputs are to be carried out in order."""
    machine = _Machine(state, now)
    _HANDLERS[type(given)](machine, given)
    return machine.state, machine.outputs


def phase(state: State) -> Phase:
    """`status.phase`."""
    if state.settings.disabled or state.test_over:
        return Phase.DISABLED
    active = state.broadcast is not None and state.broadcast.active_at is not None
    return Phase.ACTIVE if active else Phase.IDLE


def deadline(state: State) -> float | None:
    """When the next `Tick` is due (Unix seconds); None: not before the next input."""
    due = [at for at, _ in _deadlines(state)]
    return min(due, default=None)


def _deadlines(state: State) -> list[tuple[float, BroadcastEnd | None]]:
    """What is due when; None stands for cutting an encoder whose broadcast is complete."""
    due: list[tuple[float, BroadcastEnd | None]] = []
    settings, broadcast = state.settings, state.broadcast
    if broadcast is not None:
        due.append((broadcast.started_at + settings.max_continuous_duration, BroadcastEnd.MAX_DURATION))
        if broadcast.disconnected_at is not None:
            due.append((broadcast.disconnected_at + settings.reconnect_window, BroadcastEnd.WINDOW_ELAPSED))
        if settings.test and broadcast.active_at is not None:
            due.append((broadcast.active_at + TEST_STREAM_SECONDS, BroadcastEnd.TEST_OVER))
    if state.leaving is not None:
        due.append((state.leaving.cut_at, None))
    return due


# Why a broadcast ended, as the encoder's end is explained; the others leave the encoder its minute.
_CUTS_AT_ONCE = {
    BroadcastEnd.DISABLED: DisconnectReason.DISABLED,
    BroadcastEnd.KEY_RESET: DisconnectReason.KEY_RESET,
    BroadcastEnd.DELETED: DisconnectReason.DELETED,
    BroadcastEnd.TEST_OVER: DisconnectReason.DISABLED,
}
_CUTS_LATER = {
    BroadcastEnd.COMPLETED: DisconnectReason.COMPLETED,
    BroadcastEnd.MAX_DURATION: DisconnectReason.MAX_DURATION,
}


class _Machine:
    """One step: the state as it becomes, and the outputs as they gather."""

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self.outputs: list[Output] = []

    # Inputs

    def publisher_arrived(self, given: PublisherArrived) -> None:
        self._check_deadlines()
        refusal = self._refusal(given)
        if refusal is not None:
            self.outputs.append(Refuse(given.connection, refusal))
            return
        if self.state.leaving is not None:
            self._cut_leaving()
        if self.state.publisher is not None:
            self._cut(DisconnectReason.REPLACED)
        broadcast = self.state.broadcast
        if broadcast is None:
            broadcast = self._start(given.candidate, given.store)
        else:
            broadcast = replace(broadcast, disconnected_at=None)
        self._set(publisher=given.connection, broadcast=broadcast)
        self.outputs.append(Admit(given.connection))
        self._tell_connected(new=broadcast.ref == given.candidate)

    def media_started(self, _: MediaStarted) -> None:
        broadcast = self.state.broadcast
        if broadcast is None or broadcast.media_started:
            return
        self._change(media_started=True)
        if broadcast.recording:
            self._tell(EventType.STREAM_RECORDING)

    def playable(self, _: Playable) -> None:
        self.media_started(MediaStarted())  # there is no playing without media, in whatever order it is told
        broadcast = self.state.broadcast
        if broadcast is None or broadcast.active_at is not None:
            return
        self._change(active_at=self.now)
        self._tell(EventType.STREAM_ACTIVE)
        self._tell_ready()

    def progressed(self, given: Progressed) -> None:
        self._change(
            progress=Progress(
                at=self.now,
                media_end=given.media_end,
                target_duration=given.target_duration,
                renditions=given.renditions,
                codecs=given.codecs,
            )
        )

    def recording_ready(self, _: RecordingReady) -> None:
        if self.state.broadcast is not None and self.state.broadcast.recording:
            self._change(recorded=True)
            self._tell_ready()

    def publisher_left(self, given: PublisherLeft) -> None:
        if self.state.leaving is not None and self.state.leaving.connection == given.connection:
            self._set(leaving=None)
        broadcast = self.state.broadcast
        if self.state.publisher != given.connection or broadcast is None:
            return
        self._disconnect(given.reason)
        if given.reason is DisconnectReason.CLEAN_STOP and self.state.settings.end_on_clean_stop:
            self._end(BroadcastEnd.CLEAN_STOP)
        else:
            self._end_without_window()

    def media_changed(self, given: MediaChanged) -> None:
        publisher = self.state.publisher
        if self.state.broadcast is None or publisher is None:
            return
        self._disconnect(DisconnectReason(given.end.value))
        self._end(given.end)
        self._set(publisher=publisher, broadcast=self._start(given.candidate, given.store))
        self.outputs.append(Admit(publisher))
        self._tell_connected(new=True)

    def media_refused(self, given: MediaRefused) -> None:
        if self.state.publisher is None:
            return
        self._tell(EventType.STREAM_WARNING, reason=given.reason, message=given.message)
        self._cut(given.reason, given.message)
        self._end_without_window()

    def packager_failed(self, given: PackagerFailed) -> None:
        broadcast = self.state.broadcast
        if broadcast is None or broadcast.ref != given.broadcast:
            return
        self._cut(DisconnectReason.INTERNAL_ERROR)
        self._end_without_window()
        if self.state.broadcast is not None:
            ref = BroadcastRef(broadcast.ref.id, given.epoch)
            self._change(ref=ref)
            self.outputs.append(NextEpoch(ref))

    def complete(self, given: Complete) -> None:
        if self.state.broadcast is not None and self.state.broadcast.ref.id == given.broadcast_id:
            self._end(BroadcastEnd.COMPLETED)

    def configure(self, given: Configure) -> None:
        before, after = self.state.settings, given.settings
        if not after.key_generation:  # no key for now, which is not another key
            after = replace(after, key_generation=before.key_generation)
        self._set(removed=False)  # who has a configuration is there, also after it was gone
        if after == before:
            return
        self._set(settings=after, test_over=False)
        if after.disabled and not before.disabled:
            self._end(BroadcastEnd.DISABLED)
            self._cut_leaving()
        elif after.key_generation != before.key_generation and before.key_generation:
            self._end(BroadcastEnd.KEY_RESET)
            self._cut_leaving()
        self._check_deadlines()

    def remove(self, _: Remove) -> None:
        self._set(removed=True)
        self._end(BroadcastEnd.DELETED)
        self._cut_leaving()

    def resumed(self, given: Resumed) -> None:
        broadcast = self.state.broadcast
        self._set(publisher=None, leaving=None)  # connections are numbered anew in each process
        if broadcast is None:
            return
        self._change(ref=BroadcastRef(broadcast.ref.id, given.epoch))
        if broadcast.disconnected_at is None:
            seen = max(given.last_seen, broadcast.started_at)
            if broadcast.progress is not None:
                seen = max(seen, broadcast.progress.at)
            since = min(seen, self.now)
            self._change(disconnected_at=since)
            self._tell(EventType.STREAM_DISCONNECTED, reason=DisconnectReason.SERVER_RESTARTED, since=since)
        self._check_deadlines()

    def warn(self, given: Warn) -> None:
        broadcast = self.state.broadcast
        if broadcast is not None and (broadcast.recording or given.type is not EventType.ASSET_WARNING):
            self._tell(given.type, reason=given.reason, message=given.message)

    def tick(self, _: Tick) -> None:
        self._check_deadlines()

    # What happens inside

    def _refusal(self, given: PublisherArrived) -> Refusal | None:
        state, settings = self.state, self.state.settings
        if state.removed:
            return Refusal.REMOVED
        if settings.disabled:
            return Refusal.DISABLED
        if state.test_over:
            return Refusal.TEST_OVER
        alive = state.publisher is not None and given.current_silent_for < settings.publisher_timeout
        if alive and settings.takeover is not Takeover.NEWEST:
            return Refusal.BUSY
        return None

    def _start(self, ref: BroadcastRef, store: str | None) -> Broadcast:
        self.outputs.append(StartBroadcast(ref, store))
        return Broadcast(ref=ref, started_at=self.now, store=store)

    def _check_deadlines(self) -> None:
        while due := [(at, end) for at, end in _deadlines(self.state) if at <= self.now]:
            _, end = min(due, key=lambda item: item[0])
            if end is None:
                self._cut_leaving()
            else:
                self._end(end)

    def _cut(self, reason: DisconnectReason, message: str = "") -> None:
        """Cuts the publisher and tells it."""
        if self.state.publisher is not None:
            self.outputs.append(CutPublisher(self.state.publisher, reason, message))
            self._disconnect(reason)

    def _cut_leaving(self) -> None:
        if self.state.leaving is not None:
            self.outputs.append(CutPublisher(self.state.leaving.connection, DisconnectReason.COMPLETED))
            self._set(leaving=None)

    def _disconnect(self, reason: DisconnectReason) -> None:
        self._set(publisher=None)
        self.outputs.append(CloseConnection())
        self._change(disconnected_at=self.now)
        self._tell(EventType.STREAM_DISCONNECTED, reason=reason)

    def _end_without_window(self) -> None:
        """A window of 0 is over with the connection."""
        if self.state.settings.reconnect_window <= 0:
            self._end(BroadcastEnd.WINDOW_ELAPSED)

    def _end(self, reason: BroadcastEnd) -> None:
        """The broadcast is over."""
        if reason is BroadcastEnd.TEST_OVER:
            self._set(test_over=True)
        publisher = self.state.publisher
        if publisher is not None:
            if reason in _CUTS_AT_ONCE:
                self._cut(_CUTS_AT_ONCE[reason])
            else:
                self._disconnect(_CUTS_LATER[reason])
                self._set(leaving=Leaving(publisher, self.now + CUT_AFTER_COMPLETE_SECONDS))
        broadcast = self.state.broadcast
        if broadcast is None:
            return
        self._set(broadcast=None)
        self.outputs.append(FinishBroadcast(broadcast.ref, reason))
        self._tell(EventType.STREAM_IDLE, broadcast.ref, reason=reason)
        if broadcast.recording:
            if broadcast.media_started:
                self._tell(EventType.ASSET_COMPLETED, broadcast.ref, reason=reason)
            else:
                self._tell(EventType.ASSET_ERRORED, broadcast.ref, **_NO_MEDIA)

    def _tell_connected(self, *, new: bool) -> None:
        broadcast = self.state.broadcast
        recorded = broadcast is not None and broadcast.recording
        self._tell(EventType.STREAM_CONNECTED, recorded=recorded)
        if new and recorded:
            self._tell(EventType.ASSET_CREATED)

    def _tell_ready(self) -> None:
        broadcast = self.state.broadcast
        if broadcast is not None and broadcast.recorded and broadcast.active_at is not None and not broadcast.ready:
            self._change(ready=True)
            self._tell(EventType.ASSET_READY)

    def _tell(self, event: EventType, ref: BroadcastRef | None = None, **data: Any) -> None:
        if ref is None and self.state.broadcast is not None:
            ref = self.state.broadcast.ref
        self.outputs.append(Emit(event, ref, data))

    def _set(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)

    def _change(self, **changes: Any) -> None:
        """Changes the open broadcast."""
        if self.state.broadcast is not None:
            self._set(broadcast=replace(self.state.broadcast, **changes))


_HANDLERS: dict[type[Input], Callable[[_Machine, Any], None]] = {
    PublisherArrived: _Machine.publisher_arrived,
    MediaStarted: _Machine.media_started,
    Playable: _Machine.playable,
    Progressed: _Machine.progressed,
    RecordingReady: _Machine.recording_ready,
    PublisherLeft: _Machine.publisher_left,
    MediaChanged: _Machine.media_changed,
    MediaRefused: _Machine.media_refused,
    PackagerFailed: _Machine.packager_failed,
    Complete: _Machine.complete,
    Configure: _Machine.configure,
    Remove: _Machine.remove,
    Resumed: _Machine.resumed,
    Warn: _Machine.warn,
    Tick: _Machine.tick,
}


def told_of_content(emit: Emit, kept_seconds: float | None) -> Emit:
    """An event as it is told: whether anything of a broadcast was kept is known when its connection is closed.

    `kept_seconds` of media are in its asset; None: not known.
    """
    if emit.type is not EventType.ASSET_COMPLETED or kept_seconds != 0:
        return emit
    return Emit(EventType.ASSET_ERRORED, emit.broadcast, _NO_MEDIA)
