"""One RTMP connection: deadlines, and the way from wire bytes to a channel.

Until media flows, the event loop wakes the session for each packet, so that handshakes are quick; a live publisher is
read by the shared ticker instead, and the loop wakes it only when much has come at once, or the end (`rests`). Either
way one turn takes a bounded number of bytes and messages, and then the others are served first; who sends too many is
held back (`throttling`). When the server ends a connection it says why, half-closes, and reads on for a moment:
closing with unread bytes would reset the connection and the encoder would never see the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from concurrent.futures import Future
from enum import Enum, auto
from typing import Any

import structlog

from onair_core.contract import DisconnectReason
from onair_media.ingest.deadlines import Deadlines
from onair_media.ingest.gate import Ticket
from onair_media.ingest.parties import Admission, Owner, Refused, Target, UnknownKey
from onair_media.ingest.rests import FULL_BYTES, Rests
from onair_media.ingest.throttling import Throttled, Verdict
from onair_media.ingest.ticker import CATCH_UP_SECONDS, Ticker
from onair_media.ingest.wire import READ_BUDGET, Wire, WireClosedError
from onair_media.rtmp import (
    AudioMessage,
    Connected,
    Event,
    MetadataMessage,
    ProtocolError,
    PublishEnded,
    PublishRequested,
    ServerConnection,
    VideoMessage,
)

log = structlog.get_logger(__name__)

LINGER_SECONDS = 2.0
# An unknown connection has little to say: it takes its turns in small pieces.
WAITING_READ_BUDGET = 64 * 1024

_connection_numbers = itertools.count(1)


class _Stage(Enum):
    HANDSHAKE = auto()
    COMMANDS = auto()
    LIVE = auto()
    ENDED = auto()  # status sent, half-closed, reading on until the peer has seen it
    CLOSED = auto()


class PublisherSession:
    """See the module. `number` is unique in the process and identifies the connection to the lifecycle.

    `encoder` is what it calls itself (`FMLE/3.0 …`, `Lavf…`), known after connect.
    `handshake_by`: the loop's time at which the handshake must be over; `deadlines` has the others.
    """

    def __init__(
        self,
        wire: Wire,
        rtmp: ServerConnection,
        ticket: Ticket,
        address: str,
        admission: Admission,
        ticker: Ticker,
        owner: Owner,
        *,
        handshake_by: float,
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
    ) -> None:
        self.number = next(_connection_numbers)
        self.address = address
        self.secure = type(wire) is not Wire
        self.encoder = ""
        self.bytes_received = 0
        self._wire = wire
        self._rtmp = rtmp
        self._ticket = ticket
        self._admission = admission
        self._ticker = ticker
        self._owner = owner
        self._deadlines = deadlines
        self._loop = asyncio.get_running_loop()
        self._target: Target | None = None
        self._ended_by = DisconnectReason.INTERNAL_ERROR
        self._stage = _Stage.HANDSHAKE
        self._last_media = self._loop.time()
        self._deadline = self._loop.call_at(handshake_by, self._too_late, "handshake")
        self._next_turn: asyncio.TimerHandle | None = None
        self._writing = False
        self._bytes_before = 0
        self._rests = Rests(self._last_media, asks=False)
        self._throttled: Throttled | None = None
        self._watching = False
        self._holds = 0
        self._left_over = False  # bytes were taken in whose messages were not, because it was held
        self._watch()

    @property
    def silent_for(self) -> float:
        """Seconds since the last audio or video."""
        return 0.0 if self._holds else self._loop.time() - self._last_media

    @property
    def _over(self) -> bool:
        return self._stage in (_Stage.ENDED, _Stage.CLOSED)

    @property
    def _closed(self) -> bool:
        return self._stage is _Stage.CLOSED

    @property
    def _held_back(self) -> bool:
        """It sent more messages than it may, or is held: the rest is taken at a later tick, and nothing read before."""
        return self._stage is _Stage.LIVE and (self._rtmp.throttled or self._holds > 0)

    def pump(self) -> bool:
        """Reads, handles and answers what has arrived; True when the socket had more than one turn's worth."""
        more = self._turn(thorough=False)
        if self._stage is _Stage.LIVE:
            self._watch_unless(more or self._held_back or not self._rests.asks)
        return more

    def rest_ticks(self, tick_seconds: float) -> int:
        """How many ticks the socket may be left alone; it calls by itself when it fills up, or ends."""
        target, taken = self._target, self.bytes_received - self._bytes_before
        self._bytes_before = self.bytes_received
        quiet = 0.0 if target is None or self._held_back else target.quiet_seconds(self)
        return self._rests.ticks(quiet, taken, self._loop.time(), tick_seconds)

    def hold(self, preparation: Future[Any]) -> None:
        """Nothing more is taken until this is done."""
        self._holds += 1
        preparation.add_done_callback(self._release_soon)

    def _release_soon(self, _: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the process ends
            self._loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        self._holds -= 1
        self._last_media = self._loop.time()

    def end(self, code: str, description: str, reason: DisconnectReason) -> None:
        """The server ends this connection and tells the encoder why. The target hears `left` with `reason`."""
        if self._over:
            return
        self._ended_by = reason
        if self._rtmp.publishing:
            self._rtmp.end_publish(code, description)
        self._leave(reason)
        self._finish()

    # Reading

    def _turn(self, *, thorough: bool) -> bool:
        try:
            return self._read(thorough=thorough)
        except Exception:
            # A defect costs the connection that met it, never the tick that all publishers share.
            log.exception("connection ended by a defect", address=self.address, connection=self.number)
            try:
                self.end("NetStream.Publish.Failed", "An internal error ended this.", DisconnectReason.INTERNAL_ERROR)
            finally:
                if self._stage is not _Stage.ENDED:
                    self._close()
            return False

    def _read(self, *, thorough: bool) -> bool:
        waiting = self._stage in (_Stage.HANDSHAKE, _Stage.COMMANDS)
        try:
            if self._held_back or self._left_over:
                self._take(b"")
            if not self._held_back:
                budget = WAITING_READ_BUDGET if waiting else READ_BUDGET
                for data in self._wire.read(thorough=thorough, budget=budget):
                    self.bytes_received += len(data)
                    self._take(data)
                    if self._held_back or self._closed:
                        self._wire.enough()
            if self._closed:
                return False
            self._send()
        except WireClosedError as error:
            self._lost(error)
            return False
        self._look_at_who_is_held_back()
        self._look_at_the_clock()
        return self._wire.more and not self._held_back and not self._closed

    def _take(self, data: memoryview | bytes) -> None:
        if self._over:
            return
        try:
            self._rtmp.receive(data)
            if not self._holds:
                self._take_events(self._loop.time())
            self._left_over = self._holds > 0
        except ProtocolError as error:
            log.info("protocol error", address=self.address, connection=self.number, reason=error.reason)
            self._ticket.count([error.limit])
            self._leave(DisconnectReason.PROTOCOL_ERROR)
            self._finish()
            return
        if not self._ticket.may_hold(self._rtmp.held):
            self._reject("waiting_bytes")

    def _take_events(self, now: float) -> None:
        for event in self._rtmp.events(now):
            self._handle(event, now)
            if self._over or self._holds:
                return

    def _look_at_the_clock(self) -> None:
        if self._stage is _Stage.HANDSHAKE and self._rtmp.handshake_done:
            self._stage = _Stage.COMMANDS
            self._expect("publish", self._deadlines.publish)
        if self._stage is _Stage.LIVE and self.silent_for > self._deadlines.media:
            self._ticket.count(["media_deadline"])
            self.end(
                "NetStream.Unpublish.Success",
                f"No audio or video came for {self._deadlines.media:g} s.",
                DisconnectReason.PUBLISHER_SILENT,
            )

    def _look_at_who_is_held_back(self) -> None:
        if not self._held_back:
            self._throttled = None
            return
        now = self._loop.time()
        if self._throttled is None:
            if not self._rtmp.throttled:
                return  # held for a preparation of ours, a moment
            self._throttled = Throttled(now)
            self._ticket.count(["messages_per_second"])
        verdict = self._throttled.verdict(self._wire.peer_state(), now, self._deadlines.throttled)
        if verdict is Verdict.LOST:
            self._lost(WireClosedError("ended while it was held back"))
        elif verdict is Verdict.TOO_LONG:
            self._ticket.count(["throttled_deadline"])
            self.end(
                "NetStream.Publish.Failed",
                f"Too many messages a second came for {self._deadlines.throttled:g} s.",
                DisconnectReason.PROTOCOL_ERROR,
            )

    def _readable(self) -> None:
        """A turn that the event loop gives, because bytes have come: any, or of a live publisher many."""
        rested, before = self._stage is _Stage.LIVE, self.bytes_received
        more = self._turn(thorough=True)
        live = self._stage is _Stage.LIVE
        if rested and live:
            self._rests.called(self.bytes_received - before, self._loop.time())
        self._watch_unless(more or self._held_back or (live and not self._rests.asks))
        if self._watching or self._closed:
            return
        if live:
            self._ticker.add(self)  # goes on at the next tick, not after its rest
        else:
            self._next_turn = self._loop.call_later(CATCH_UP_SECONDS, self._read_on)

    def _read_on(self) -> None:
        self._next_turn = None
        self._readable()

    def _watch_unless(self, busy: bool) -> None:
        """Whoever has more waiting than it may bring now is not to be woken for it."""
        if busy:
            self._unwatch()
        elif not self._closed:
            self._watch()

    def _watch(self) -> None:
        if not self._watching:
            self._loop.add_reader(self._wire.socket, self._readable)
            self._watching = True

    def _unwatch(self) -> None:
        if self._watching:
            self._loop.remove_reader(self._wire.socket)
            self._watching = False

    # Writing

    def _send(self) -> None:
        self._wire.write(self._rtmp.data_to_send())
        self._wire.flush()
        self._watch_for_room()

    def _writable(self) -> None:
        try:
            self._wire.flush()
        except WireClosedError as error:
            self._lost(error)
            return
        self._watch_for_room()

    def _watch_for_room(self) -> None:
        """What the peer does not take now is sent when it does, whether or not it says anything more."""
        if self._wire.unsent and not self._writing:
            self._loop.add_writer(self._wire.socket, self._writable)
        elif self._writing and not self._wire.unsent:
            self._loop.remove_writer(self._wire.socket)
        self._writing = bool(self._wire.unsent)

    # What it says

    def _handle(self, event: Event, now: float) -> None:
        """Empty messages are no media: a flood of them keeps nobody on the air."""
        target = self._target
        if isinstance(event, VideoMessage):
            if target is not None:
                if event.payload:
                    self._last_media = now
                target.video(self, event.timestamp, event.payload)
        elif isinstance(event, AudioMessage):
            if target is not None:
                if event.payload:
                    self._last_media = now
                target.audio(self, event.timestamp, event.payload)
        elif isinstance(event, MetadataMessage):
            if target is not None:
                target.metadata(self, event.values)
        elif isinstance(event, PublishRequested):
            self._publish(event.key)
        elif isinstance(event, PublishEnded):
            self._leave(DisconnectReason.CLEAN_STOP)
            self._finish()
        elif isinstance(event, Connected):
            self.encoder = event.flash_version

    def _publish(self, key: str) -> None:
        try:
            target = self._admission.admit(self, key)
        except Refused as refusal:
            log.info("publisher refused", address=self.address, code=refusal.code, reason=str(refusal))
            if isinstance(refusal, UnknownKey):
                self._ticket.key_failed()
            else:
                self._ticket.count(["refused"])
            if not self._over:
                self._rtmp.reject_publish(refusal.code, str(refusal))
                self._finish()
            return
        self._target = target
        if self._over:  # admitting it was what ended it
            self._leave(self._ended_by)
            return
        self._rtmp.accept_publish()
        self._deadline.cancel()
        self._stage = _Stage.LIVE
        self._last_media = self._loop.time()
        self._rests = Rests(self._last_media, asks=self._wire.wake_at(FULL_BYTES))
        self._ticker.add(self)
        self._ticket.published()

    # Ends

    def _leave(self, reason: DisconnectReason) -> None:
        """Nothing that goes wrong behind the target keeps the connection from being closed."""
        target, self._target = self._target, None
        if target is None:
            return
        try:
            target.left(self, reason)
        except Exception:
            log.exception("a channel did not take a publisher's end", address=self.address, connection=self.number)

    def _finish(self) -> None:
        """Sends what is to be said, half-closes, and lingers until the peer has gone or the time is over."""
        if self._over:
            return
        self._ticker.discard(self)
        self._stage = _Stage.ENDED
        try:
            self._wire.write(self._rtmp.data_to_send())
            self._wire.half_close()
        except WireClosedError:
            self._close()
            return
        self._deadline.cancel()
        self._deadline = self._loop.call_later(LINGER_SECONDS, self._close)
        self._watch_for_room()
        self._wire.wake_at(1)
        if self._next_turn is None:
            self._watch()

    def _lost(self, end: WireClosedError) -> None:
        log.debug("connection closed", address=self.address, connection=self.number, how=str(end))
        if end.reason:
            self._ticket.count([end.reason])
        elif self._stage in (_Stage.HANDSHAKE, _Stage.COMMANDS):
            self._ticket.count(["ended_before_publish"])
        self._leave(DisconnectReason.CONNECTION_LOST)
        self._close()

    def _expect(self, what: str, seconds: float) -> None:
        self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self._too_late, what)

    def _too_late(self, what: str) -> None:
        self._reject(f"{what}_deadline")

    def _reject(self, reason: str) -> None:
        """Cut without a word."""
        log.info("connection cut", address=self.address, connection=self.number, reason=reason)
        self._ticket.count([reason])
        self._leave(DisconnectReason.PROTOCOL_ERROR)
        self._close()

    def _close(self) -> None:
        if self._stage is _Stage.CLOSED:
            return
        self._stage = _Stage.CLOSED
        self._deadline.cancel()
        if self._next_turn is not None:
            self._next_turn.cancel()
        self._ticker.discard(self)
        self._unwatch()
        if self._writing:
            self._loop.remove_writer(self._wire.socket)
        self._wire.close()
        self._ticket.close()
        self._ticket.count(self._rtmp.ignored)
        self._owner.session_closed(self)
