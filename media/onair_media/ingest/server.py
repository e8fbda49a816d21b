"""The publishers' port, 5222: RTMP and RTMPS on one port, told apart by the first byte."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter

import structlog

from onair_core.contract import DisconnectReason
from onair_media.ingest.session import Admission, PublisherSession, prepare
from onair_media.ingest.ticker import Ticker
from onair_media.ingest.tls import TlsFiles
from onair_media.ingest.wire import TLS_HANDSHAKE_RECORD, TlsWire, Wire

log = structlog.get_logger(__name__)

HANDSHAKE_SECONDS = 10.0
BACKLOG = 1024
# Connections that are not publishing: enough for a restart's rush, a bound for a flood.
MAX_WAITING = 2000
MAX_WAITING_PER_ADDRESS = 200
ACCEPTS_PER_TURN = 64
OUT_OF_FILES_PAUSE_SECONDS = 0.5


class RtmpServer:
    """Accepts publishers on one address until `close()`."""

    def __init__(self, admission: Admission, tls: TlsFiles | None = None) -> None:
        self._admission = admission
        self._tls = tls
        self._ticker = Ticker()
        self._sessions: set[PublisherSession] = set()
        self._listeners: list[socket.socket] = []
        self._waiting: Counter[str] = Counter()
        self._undecided: dict[socket.socket, tuple[str, asyncio.TimerHandle]] = {}
        self._live: set[PublisherSession] = set()
        self._empty = asyncio.Event()
        self.address: tuple[str, int] = ("", 0)

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
            listener = socket.socket(family, kind, protocol)
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
        for sock, (host, _) in list(self._undecided.items()):
            self._give_up(sock, host)
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
        if self._waiting.total() >= MAX_WAITING or self._waiting[host] >= MAX_WAITING_PER_ADDRESS:
            log.warning("too many connections that do not publish", address=host)
            sock.close()
            return
        prepare(sock)
        self._waiting[host] += 1
        loop = asyncio.get_running_loop()
        timer = loop.call_later(HANDSHAKE_SECONDS, self._give_up, sock, host)
        self._undecided[sock] = (host, timer)
        loop.add_reader(sock, self._first_byte, sock, host)

    def _first_byte(self, sock: socket.socket, host: str) -> None:
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        if not first or (first[0] == TLS_HANDSHAKE_RECORD and self._tls is None):
            # A connect and close is a load balancer's health check: not worth a line.
            self._give_up(sock, host)
            return
        handshake_by = self._forget(sock)
        secure = first[0] == TLS_HANDSHAKE_RECORD and self._tls is not None
        wire = TlsWire(sock, self._tls.context()) if secure and self._tls else Wire(sock)
        session = PublisherSession(wire, host, self._admission, self._ticker, self, handshake_by=handshake_by)
        self._sessions.add(session)

    def _forget(self, sock: socket.socket) -> float:
        """Decided; returns when its time is over, on the loop's clock."""
        _, timer = self._undecided.pop(sock)
        timer.cancel()
        asyncio.get_running_loop().remove_reader(sock)
        return timer.when()

    def _give_up(self, sock: socket.socket, host: str) -> None:
        self._forget(sock)
        sock.close()
        self._settled(host)

    def session_live(self, session: PublisherSession) -> None:
        """A session publishes: it no longer counts against those that only hold a connection."""
        self._live.add(session)
        self._settled(session.address)

    def session_closed(self, session: PublisherSession) -> None:
        """A session is over."""
        self._sessions.discard(session)
        if session in self._live:
            self._live.discard(session)
        else:
            self._settled(session.address)
        if not self._sessions:
            self._empty.set()

    def _settled(self, host: str) -> None:
        self._waiting[host] -= 1
        if not self._waiting[host]:
            del self._waiting[host]
