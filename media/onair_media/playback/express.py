"""The short way for what nearly every viewer asks nearly always: a plain GET of something in memory.

aiohttp spends several times longer on a request than the answer takes: parser, request, task, router. So each
connection begins here, where one complete, ordinary request is recognised by its bytes and answered on the spot.
Whatever is not such a request (a page, a range, a recording, an error, anything odd) goes to aiohttp, and so does all
that follows on that connection. Nothing is decided differently here: the replies are those of `handlers`.

The connection stays this one's in either case, for aiohttp does not mind a viewer that sends or reads too slowly.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from onair_media.origins import Origin, origin_of
from onair_media.playback import replies
from onair_media.playback.handlers import playlist_or_refusal
from onair_media.playback.head import END, Ordinary, Unended, may_become_a_head, read_head
from onair_media.playback.limits import answer_seconds
from onair_media.playback.playable import Media
from onair_media.playback.replies import Reply, media_reply
from onair_media.playback.response import date_field

if TYPE_CHECKING:
    from onair_media.playback.server import PlaybackServer

_JOIN_BELOW = 64 * 1024


@runtime_checkable
class InMemory(Protocol):
    """A playable whose segments can be had without waiting."""

    def media_now(self, path: str) -> Media | None: ...


class Connection(asyncio.Protocol):
    """One viewer's connection. `origin` is what it counts as."""

    def __init__(self, server: PlaybackServer) -> None:
        self.origin = Origin("")
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._admitted = False
        self._aiohttp: asyncio.Protocol | None = None
        self._begun = b""
        self._unended = Unended()
        self._begun_at: float | None = None
        self._moved_at = self._loop.time()
        self._unsent = 0
        self._answer_by = float("inf")

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        _give_up_in_the_kernel_as_well(transport, self._server.limits.idle_seconds)
        peer = transport.get_extra_info("peername")
        if peer:
            self.origin = origin_of(peer[0])
        self._admitted = self._server.opened(self)
        if not self._admitted:
            self._refuse(replies.NO_ROOM)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._admitted:
            self._server.closed(self)
        if self._aiohttp is not None:
            self._aiohttp.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return None if self._aiohttp is None else self._aiohttp.eof_received()

    def pause_writing(self) -> None:
        """A viewer that does not read is not read from either."""
        if self._aiohttp is not None:
            self._aiohttp.pause_writing()
        elif self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._aiohttp is not None:
            self._aiohttp.resume_writing()
        elif self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._moved_at = self._loop.time()
        if self._aiohttp is not None:
            self._pass_on(self._aiohttp, data)
            return
        if self._begun:
            data = self._begun + data
        end = data.find(END)
        if (end if end >= 0 else len(data)) > self._server.limits.head_bytes:
            self._server.metrics.reject("head_bytes")
            self._refuse(replies.HEAD_TOO_LARGE)
            return
        if end < 0 and may_become_a_head(data):
            self._begun = data
            if self._begun_at is None:
                self._begun_at = self._moved_at
            return
        self._begun, self._begun_at = b"", None
        request = read_head(data)
        reply = None if request is None else self._reply(request)
        if reply is None:
            self._hand_over(transport, data)
        else:
            self._answer(transport, reply)

    # For the server

    def close(self) -> None:
        """No more requests; what aiohttp serves is closed by aiohttp."""
        if self._transport is not None and self._aiohttp is None:
            self._transport.close()

    def abort_if_overdue(self, now: float) -> bool:
        """Ends a connection that has used up its time: idle, with a head that does not end, or not reading."""
        transport, limits = self._transport, self._server.limits
        if transport is None:
            return False
        unsent = transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent = unsent
            self._moved_at = now
        begun_at = self._begun_at
        if begun_at is not None and now - begun_at > limits.head_seconds:
            reason = "head_seconds"
        elif now > self._answer_by:
            reason = "answer_seconds"
        elif now - self._moved_at > limits.idle_seconds:
            reason = "idle_seconds"
        else:
            return False
        self._server.metrics.reject(reason)
        transport.abort()
        return True

    # Inside

    def _reply(self, request: Ordinary) -> Reply | None:
        """None: it cannot be answered without waiting."""
        server = self._server
        playable = server.at_hand(request.playback_id)
        if playable is None:
            return None
        if request.path is not None:
            media = playable.media_now(request.path) if isinstance(playable, InMemory) else None
            if media is None:
                return None
            kind, reply = "segment", media_reply(media, request.path, if_none_match=request.if_none_match)
        else:
            kind = "multivariant" if request.rendition is None else "media"
            reply = playlist_or_refusal(
                playable,
                request.playback_id,
                request.rendition,
                accept_encoding=request.accept_encoding,
                if_none_match=request.if_none_match,
            )
        server.metrics.count(kind, reply.status, reply.length)
        return reply

    def _answer(self, transport: asyncio.Transport, reply: Reply, connection: str = "") -> None:
        head = f"{reply.head}{date_field()}{connection}\r\n".encode("latin-1")
        if reply.length < _JOIN_BELOW:
            transport.write(head + reply.body)
        else:
            transport.write(head)
            transport.write(reply.body)
        self._answer_by = self._moved_at + answer_seconds(reply.length)

    def _refuse(self, reply: Reply) -> None:
        if self._transport is not None:
            self._server.metrics.count("connection", reply.status, reply.length)
            self._answer(self._transport, reply, "Connection: close\r\n")
            self._transport.close()

    def _hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        """From here on aiohttp reads."""
        protocol = self._server.aiohttp()
        if protocol is None:
            transport.close()
            return
        self._aiohttp = protocol
        self._answer_by = float("inf")  # `response` knows how long its answers may take
        protocol.connection_made(transport)
        self._pass_on(protocol, data)

    def _pass_on(self, protocol: asyncio.Protocol, data: bytes) -> None:
        """Heads must end in time and within their size here as well. A body counts as one: nobody uploads here."""
        ended = self._unended.feed(data)
        if not self._unended.count:
            self._begun_at = None
        elif ended or self._begun_at is None:
            self._begun_at = self._moved_at
        if self._unended.count > self._server.limits.head_bytes:
            self._server.metrics.reject("head_bytes")
            self._abort()
        else:
            protocol.data_received(data)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _give_up_in_the_kernel_as_well(transport: asyncio.BaseTransport, seconds: float) -> None:
    """What a viewer that vanished has not acknowledged would stay in the kernel for many minutes after `abort`."""
    sock = transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        with contextlib.suppress(OSError):  # it has gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
