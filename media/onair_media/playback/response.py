"""Puts a `Reply` on the wire, past aiohttp's header objects."""

from __future__ import annotations

import time
from email.utils import formatdate

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from onair_media.playback.replies import Reply

_DRAIN_ABOVE = 64 * 1024


class _Clock:
    """The Date field, rendered once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._field = ""

    def field(self) -> str:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._field = f"Date: {formatdate(now, usegmt=True)}\r\n"
        return self._field


_clock = _Clock()


def date_field() -> str:
    """The Date field for now, with its CRLF (RFC 9110 6.6.1)."""
    return _clock.field()


class ReplyResponse(web.StreamResponse):
    """Sends a `Reply`. HEAD gets the same head without the body.

    A response of aiohttp's own costs about as much as everything else in a request (bench/hls_serve.py).
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(status=reply.status)
        self._reply = reply
        self._request: web.BaseRequest | None = None
        self._sent = 0

    @property
    def prepared(self) -> bool:
        return self._request is not None

    @property
    def body_length(self) -> int:
        return self._sent

    @property
    def keep_alive(self) -> bool | None:
        return self._request is not None and self._request.keep_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Nothing is sent yet: head and body leave together."""
        self._request = request
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Send everything. Raises ConnectionResetError when the viewer has gone."""
        request, reply = self._request, self._reply
        transport = request.transport if request is not None else None
        if request is None or transport is None or transport.is_closing():
            raise ConnectionResetError("the viewer has gone")
        connection = ""
        if not request.keep_alive:
            connection = "Connection: close\r\n"
        elif request.version < HttpVersion11:
            connection = "Connection: keep-alive\r\n"
        head = f"{reply.head}{date_field()}{connection}\r\n".encode("latin-1")
        if request.method == "HEAD":
            transport.write(head)
            return
        self._sent = reply.length
        if reply.source is not None:
            transport.write(head)
            async for chunk in reply.source.stream(reply.start, reply.stop):
                transport.write(chunk)
                await request.writer.drain()
        elif self._sent > _DRAIN_ABOVE:
            transport.write(head)
            transport.write(reply.body)
            await request.writer.drain()
        else:
            transport.write(head + reply.body)
