"""The publishers' port, 5222: RTMP and RTMPS on one port, told apart by the first byte."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import Sequence

import structlog

from onair_core.contract import DisconnectReason
from onair_media.ingest.deadlines import Deadlines
from onair_media.ingest.gate import AdmissionLimits, Gate, Ticket
from onair_media.ingest.parties import Admission
from onair_media.ingest.session import PublisherSession
from onair_media.ingest.ticker import Ticker
from onair_media.ingest.tls import TlsFiles
from onair_media.ingest.wire import TLS_HANDSHAKE_RECORD, TlsWire, Wire, prepare
from onair_media.rtmp import Limits, ServerConnection

log = structlog.get_logger(__name__)

BACKLOG = 1024
ACCEPTS_PER_TURN = 64
OUT_OF_FILES_PAUSE_SECONDS = 0.5


class RtmpServer:
    """Accepts publishers on one address until `close()`.

    `limits` and `deadlines` are those of one connection, `admission_limits` those of an address and of all. The FourCCs
    are told to encoders that speak Enhanced RTMP. `rejected` counts by reason what was turned away or cut.
    """

    def __init__(
        self,
        admission: Admission,
        tls: TlsFiles | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        admission_limits: AdmissionLimits = AdmissionLimits(),  # noqa: B008 - frozen
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
        video_fourccs: Sequence[str] = (),
        audio_fourccs: Sequence[str] = (),
    ) -> None:
        self._admission = admission
        self._tls = tls
        self._limits = limits
        self._deadlines = deadlines
        self._video_fourccs = tuple(video_fourccs)
        self._audio_fourccs = tuple(audio_fourccs)
        self._ticker = Ticker()
        self._gate = Gate(admission_limits)
        self._sessions: set[PublisherSession] = set()
        self._listeners: list[socket.socket] = []
        self._undecided: dict[socket.socket, tuple[Ticket, asyncio.TimerHandle]] = {}
        self._empty = asyncio.Event()
        self.address: tuple[str, int] = ("", 0)

    def set_limits(self, limits: Limits, admission_limits: AdmissionLimits, deadlines: Deadlines) -> None:
        """For connections from now on; those that are here keep what they came with."""
        self._limits = limits
        self._gate.limits = admission_limits
        self._deadlines = deadlines

    @property
    def rejected(self) -> Counter[str]:
        return self._gate.rejected

    async def start(self, host: str, port: int) -> None:
        """`bind` and `serve`."""
        await self.bind(host, port)
        self.serve()

    async def bind(self, host: str, port: int) -> None:
        """Takes the address; raises OSError when it cannot be had. Port 0: the one chosen is in `address`.

        Publishers that come before `serve` wait in the backlog instead of being refused.
        """
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in infos:
            try:
                listener = socket.socket(family, kind, protocol)
            except OSError:
                if host or family == socket.AF_INET:
                    raise
                continue  # a kernel without IPv6 may name its addresses all the same
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.setblocking(False)
                # Port 0 means one free port for all families.
                listener.bind((address[0], self.address[1] or address[1], *address[2:]))
                listener.listen(BACKLOG)
            except OSError:
                listener.close()
                await self.close()
                raise
            self._listeners.append(listener)
            self.address = listener.getsockname()[:2]

    def serve(self) -> None:
        """Accepts connections from now on."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.add_reader(listener, self._accept, listener)

    def stop_accepting(self) -> None:
        """No new connections; those that are here go on."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener)
            listener.close()
        self._listeners.clear()

    async def close(self) -> None:
        """Ends every connection, telling the encoders, so that they come back by themselves."""
        self.stop_accepting()
        for sock in list(self._undecided):
            self._give_up(sock)
        for session in list(self._sessions):
            session.end("NetStream.Unpublish.Success", "The server is restarting.", DisconnectReason.SERVER_RESTARTED)
        while self._sessions:
            self._empty.clear()
            await self._empty.wait()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("cannot accept", problem=error.strerror)
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    # The listener stays readable: without a pause the loop would spin on it.
                    loop = asyncio.get_running_loop()
                    loop.remove_reader(listener)
                    loop.call_later(OUT_OF_FILES_PAUSE_SECONDS, self._resume_accepting, listener)
                return
            self._welcome(sock, address[0])

    def _resume_accepting(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _welcome(self, sock: socket.socket, host: str) -> None:
        ticket = self._gate.enter(host)
        if ticket is None:
            sock.close()
            return
        prepare(sock)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._deadlines.handshake, self._silent_too_long, sock)
        self._undecided[sock] = (ticket, timer)
        loop.add_reader(sock, self._first_byte, sock, host)

    def _first_byte(self, sock: socket.socket, host: str) -> None:
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        if not first:
            # A connect and close is a load balancer's health check: not worth a line, but an attack is many of them.
            self.rejected["ended_before_publish"] += 1
            self._give_up(sock)
            return
        secure = first[0] == TLS_HANDSHAKE_RECORD
        if secure and self._tls is None:
            self.rejected["tls_without_certificate"] += 1
            self._give_up(sock)
            return
        ticket, handshake_by = self._decided(sock)
        max_unsent = self._limits.max_unsent
        wire = TlsWire(sock, max_unsent, self._tls.context()) if secure and self._tls else Wire(sock, max_unsent)
        rtmp = ServerConnection(self._limits, video_fourccs=self._video_fourccs, audio_fourccs=self._audio_fourccs)
        session = PublisherSession(
            wire,
            rtmp,
            ticket,
            host,
            self._admission,
            self._ticker,
            self,
            handshake_by=handshake_by,
            deadlines=self._deadlines,
        )
        self._sessions.add(session)

    def _decided(self, sock: socket.socket) -> tuple[Ticket, float]:
        """Its ticket, and when its time for the handshake is over, on the loop's clock."""
        ticket, timer = self._undecided.pop(sock)
        timer.cancel()
        asyncio.get_running_loop().remove_reader(sock)
        return ticket, timer.when()

    def _silent_too_long(self, sock: socket.socket) -> None:
        self.rejected["handshake_deadline"] += 1
        self._give_up(sock)

    def _give_up(self, sock: socket.socket) -> None:
        ticket, _ = self._decided(sock)
        sock.close()
        ticket.close()

    def session_closed(self, session: PublisherSession) -> None:
        """A session is over."""
        self._sessions.discard(session)
        if not self._sessions:
            self._empty.set()
