"""One RTMP connection: deadlines, and the way from wire bytes to a channel.

Until media flows, the event loop wakes the session for each packet, so that handshakes are quick; a live publisher is
read by the shared ticker instead. When the server ends a connection it says why, half-closes, and reads on for a
moment: closing with unread bytes would reset the connection and the encoder would never see the reason.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

import structlog

from onair_core.contract import DisconnectReason
from onair_media.ingest.wire import Wire, WireClosedError
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

if TYPE_CHECKING:
    from onair_media.ingest.ticker import Ticker

log = structlog.get_logger(__name__)

PUBLISH_SECONDS = 20.0
MEDIA_IDLE_SECONDS = 15.0
LINGER_SECONDS = 2.0

_connection_numbers = itertools.count(1)


class Refused(Exception):
    """A publisher is turned away: `code` is the NetStream status code, `str()` the description it is shown."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


class Target(Protocol):
    """What a publisher publishes to."""

    def video(self, session: PublisherSession, timestamp: int, payload: bytes) -> None: ...
    def audio(self, session: PublisherSession, timestamp: int, payload: bytes) -> None: ...
    def metadata(self, session: PublisherSession, values: dict[str, object]) -> None: ...
    def left(self, session: PublisherSession, reason: DisconnectReason) -> None: ...


class Admission(Protocol):
    """Finds the target of a stream key, or raises `Refused`."""

    def admit(self, session: PublisherSession, key: str) -> Target: ...


class Owner(Protocol):
    """Who keeps the sessions; `session_closed` comes exactly once, `session_live` at most once before it."""

    def session_live(self, session: PublisherSession) -> None: ...
    def session_closed(self, session: PublisherSession) -> None: ...


class _Stage(Enum):
    HANDSHAKE = auto()
    COMMANDS = auto()
    LIVE = auto()
    ENDED = auto()  # status sent, half-closed, reading on until the peer has seen it
    CLOSED = auto()


class PublisherSession:
    """See the module. `number` is unique in the process and identifies the connection to the lifecycle.

    `handshake_by`: the loop's time at which the handshake must be over, however slowly it trickles in.
    """

    def __init__(
        self, wire: Wire, address: str, admission: Admission, ticker: Ticker, owner: Owner, *, handshake_by: float
    ) -> None:
        self.number = next(_connection_numbers)
        self.address = address
        self.secure = type(wire) is not Wire
        self.encoder = ""
        self.bytes_received = 0
        self._wire = wire
        self._rtmp = ServerConnection()
        self._admission = admission
        self._ticker = ticker
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._target: Target | None = None
        self._stage = _Stage.HANDSHAKE
        self._last_media = self._loop.time()
        self._deadline = self._loop.call_at(handshake_by, self._too_late, "handshake")
        self._loop.add_reader(wire.socket, self.pump)

    @property
    def silent_for(self) -> float:
        """Seconds since the last audio or video."""
        return self._loop.time() - self._last_media

    def pump(self) -> bool:
        """Reads, handles and answers what has arrived; True when the socket had more than one turn's worth."""
        try:
            return self._pump()
        except Exception:
            # A defect costs the connection that met it, never the tick that all publishers share.
            log.exception("connection ended by a defect", address=self.address, connection=self.number)
            try:
                self._leave(DisconnectReason.INTERNAL_ERROR)
            finally:
                self._close()
            return False

    def _pump(self) -> bool:
        try:
            for data in self._wire.read(thorough=self._stage is not _Stage.LIVE):
                self.bytes_received += len(data)
                if self._stage is not _Stage.ENDED:
                    self._take(data)
            self._wire.write(self._rtmp.data_to_send())
            self._wire.flush()
        except WireClosedError as error:
            self._lost(str(error))
            return False
        if self._stage is _Stage.HANDSHAKE and self._rtmp.handshake_done:
            self._stage = _Stage.COMMANDS
            self._expect("publish", PUBLISH_SECONDS)
        if self._stage is _Stage.LIVE and self.silent_for > MEDIA_IDLE_SECONDS:
            self.end(
                "NetStream.Unpublish.Success",
                "No audio or video came for 15 seconds.",
                DisconnectReason.PUBLISHER_SILENT,
            )
        return self._wire.more and self._stage is not _Stage.CLOSED

    def end(self, code: str, description: str, reason: DisconnectReason) -> None:
        """The server ends this connection and tells the encoder why. The target hears `left` with `reason`."""
        if self._stage in (_Stage.ENDED, _Stage.CLOSED):
            return
        if self._stage is _Stage.LIVE:
            self._rtmp.end_publish(code, description)
        self._leave(reason)
        self._finish()

    def _take(self, data: memoryview | bytes) -> None:
        try:
            for event in self._rtmp.receive(data):
                self._handle(event)
                if self._stage is _Stage.ENDED:
                    return
        except ProtocolError as error:
            log.info("protocol error", address=self.address, connection=self.number, reason=error.reason)
            self._leave(DisconnectReason.PROTOCOL_ERROR)
            self._finish()

    def _handle(self, event: Event) -> None:
        target = self._target
        if isinstance(event, VideoMessage):
            if target is not None:
                self._last_media = self._loop.time()
                target.video(self, event.timestamp, event.payload)
        elif isinstance(event, AudioMessage):
            if target is not None:
                self._last_media = self._loop.time()
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
            self._target = self._admission.admit(self, key)
        except Refused as refusal:
            log.info("publisher refused", address=self.address, code=refusal.code, reason=str(refusal))
            self._rtmp.reject_publish(refusal.code, str(refusal))
            self._finish()
            return
        self._rtmp.accept_publish()
        self._deadline.cancel()
        self._stage = _Stage.LIVE
        self._last_media = self._loop.time()
        self._loop.remove_reader(self._wire.socket)
        self._ticker.add(self)
        self._owner.session_live(self)

    def _leave(self, reason: DisconnectReason) -> None:
        target, self._target = self._target, None
        if target is not None:
            target.left(self, reason)

    def _finish(self) -> None:
        """Sends what is to be said, half-closes, and lingers until the peer has gone or the time is over."""
        self._ticker.discard(self)
        try:
            self._wire.write(self._rtmp.data_to_send())
        except WireClosedError:
            self._close()
            return
        self._wire.half_close()
        self._stage = _Stage.ENDED
        self._deadline.cancel()
        self._deadline = self._loop.call_later(LINGER_SECONDS, self._close)
        self._loop.remove_reader(self._wire.socket)
        self._loop.add_reader(self._wire.socket, self.pump)

    def _lost(self, how: str) -> None:
        log.debug("connection closed", address=self.address, connection=self.number, how=how)
        self._leave(DisconnectReason.CONNECTION_LOST)
        self._close()

    def _expect(self, what: str, seconds: float) -> None:
        self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self._too_late, what)

    def _too_late(self, what: str) -> None:
        log.info("deadline passed", address=self.address, connection=self.number, waiting_for=what)
        self._leave(DisconnectReason.PROTOCOL_ERROR)
        self._close()

    def _close(self) -> None:
        if self._stage is _Stage.CLOSED:
            return
        self._stage = _Stage.CLOSED
        self._deadline.cancel()
        self._ticker.discard(self)
        self._loop.remove_reader(self._wire.socket)
        self._wire.close()
        self._owner.session_closed(self)


def prepare(sock: socket.socket) -> None:
    """Socket options of a publisher: a peer that vanished without a word is noticed by keepalive."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
