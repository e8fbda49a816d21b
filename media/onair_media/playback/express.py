"""The short way for what nearly every viewer asks nearly always: a plain GET of something in memory.

aiohttp spends several times longer on a request than the answer takes: parser, request, task, router. So each
connection begins here, where one complete, ordinary request is recognised by its bytes and answered on the spot.
Whatever is not such a request (a page, a range, a recording, an error, anything odd) makes the connection aiohttp's
from that request on. Nothing is decided differently here: the replies are those of `handlers`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import Protocol, cast, runtime_checkable

from aiohttp import web

from onair_media.playback import replies
from onair_media.playback.metrics import PlaybackMetrics
from onair_media.playback.playable import Media, Playable
from onair_media.playback.replies import Reply, media_reply, playlist_reply
from onair_media.playback.response import date_field

IDLE_SECONDS = 75.0
"""As long as aiohttp keeps an idle connection. Also what a viewer has to take a segment: the slowest is cut."""

_SWEEP_SECONDS = 15.0
_JOIN_BELOW = 64 * 1024

_ordinary = re.compile(
    rb"GET /([A-Za-z0-9_-]{8,128})"
    rb"(?:\.m3u8|/(video|audio)\.m3u8|/([a-z0-9.-]+/[0-9]+/(?:video|audio)/[a-z0-9.-]+)) HTTP/1\.1\r\n"
)
# By name only, whatever stands between the name and the value, after CRLF or a bare LF: when in doubt it is aiohttp's.
_unusual = re.compile(
    rb"\n(?:range|if-range|content-length|transfer-encoding|expect|upgrade|te|trailer|[ \t]"
    rb"|connection(?!: keep-alive\r\n))",
    re.IGNORECASE,
)
_accept_encoding = re.compile(rb"\naccept-encoding:[ \t]*([^\r\n]*)\r\n", re.IGNORECASE)
_if_none_match = re.compile(rb"\nif-none-match:[ \t]*([^\r\n]*)\r\n", re.IGNORECASE)
_host = re.compile(rb"\nhost:", re.IGNORECASE)


@runtime_checkable
class InMemory(Protocol):
    """A playable whose segments can be had without waiting."""

    def media_now(self, path: str) -> Media | None: ...


class PlaybackServer:
    """Listens for viewers. `runner` (set up by the caller) serves what does not go the short way.

    `at_hand` finds a playable without waiting; None leaves the request to the runner.
    """

    def __init__(
        self, runner: web.AppRunner, at_hand: Callable[[str], Playable | None], metrics: PlaybackMetrics
    ) -> None:
        self._runner = runner
        self.at_hand = at_hand
        self.metrics = metrics
        self._connections: set[Connection] = set()
        self._listening: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None

    async def listen(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Listen there as well; returns the port (for `port` 0 a free one). Raises OSError."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), host, port, ssl=tls, backlog=1024)
        self._listening.append(server)
        if self._sweeper is None:
            self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and close what goes the short way; the runner's connections are the runner's."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for server in self._listening:
            server.close()
        self._listening.clear()
        for connection in list(self._connections):
            connection.close()

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        """Let aiohttp serve this connection from here on."""
        server = self._runner.server
        if server is None:
            transport.close()
            return
        protocol = server()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)
        oldest = loop.time() - IDLE_SECONDS
        for connection in [found for found in self._connections if found.active_at < oldest]:
            connection.abort()


class Connection(asyncio.Protocol):
    """One viewer's connection, until it asks for something else. `active_at`: loop time of its last request."""

    def __init__(self, server: PlaybackServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self.active_at = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.closed(self)

    def pause_writing(self) -> None:
        """A viewer that does not read is not read from either."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        reply = self._reply(data)
        if reply is None:
            self._transport = None
            self._server.closed(self)
            self._server.hand_over(transport, data)
            return
        self.active_at = self._loop.time()
        head = f"{reply.head}{date_field()}\r\n".encode("latin-1")
        if reply.length < _JOIN_BELOW:
            transport.write(head + reply.body)
        else:
            transport.write(head)
            transport.write(reply.body)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _reply(self, data: bytes) -> Reply | None:
        """The reply to exactly one complete ordinary request, or None."""
        found = _ordinary.match(data)
        if found is None or data.find(b"\r\n\r\n") != len(data) - 4 or _unusual.search(data) or not _host.search(data):
            return None
        playback_id, rendition, path = found.groups()
        server = self._server
        playable = server.at_hand(playback_id.decode())
        if playable is None:
            return None
        match = _if_none_match.search(data)
        if_none_match = match[1].decode("latin-1") if match is not None else ""
        if path is not None:
            media = playable.media_now(path.decode()) if isinstance(playable, InMemory) else None
            if media is None:
                return None
            reply = media_reply(media, path.decode(), if_none_match=if_none_match)
            server.metrics.count("segment", reply.status, reply.length)
            return reply
        if rendition is not None:
            kind, playlist = "media", playable.media_playlist(rendition.decode())
        else:
            kind, playlist = "multivariant", playable.multivariant(playback_id.decode())
        if playlist is None:
            reply = replies.NOT_PLAYABLE
        else:
            match = _accept_encoding.search(data)
            accepted = match[1].decode("latin-1") if match is not None else ""
            reply = playlist_reply(playlist, accept_encoding=accepted, if_none_match=if_none_match)
        server.metrics.count(kind, reply.status, reply.length)
        return reply
