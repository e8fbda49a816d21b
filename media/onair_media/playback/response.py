"""Puts a `Reply` on the wire, past aiohttp's header objects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from email.utils import formatdate

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from onair_media.playback.limits import answer_seconds
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


class SourceBody:
    """The bytes of a reply's source. The first are read before the head is sent: until then it can still be 503."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self._first = first
        self._rest = rest

    @classmethod
    async def begin(cls, reply: Reply) -> SourceBody:
        """Raises what the source raises."""
        assert reply.source is not None
        rest = aiter(reply.source.stream(reply.start, reply.stop))
        return cls(await anext(rest, b""), rest)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._first
        async for chunk in self._rest:
            yield chunk


class ReplyResponse(web.StreamResponse):
    """Sends a `Reply`, with `body` if it has a source. HEAD gets the same head without the body.

    A response of aiohttp's own costs about as much as everything else in a request (bench/hls_serve.py).
    """

    def __init__(self, reply: Reply, body: SourceBody | None = None) -> None:
        super().__init__(status=reply.status)
        self._reply = reply
        self._body_source = body
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
        """Send everything. Raises ConnectionResetError when the viewer has gone, or had to be cut off."""
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
        elif self._body_source is None and reply.length <= _DRAIN_ABOVE:
            self._sent = reply.length
            transport.write(head + reply.body)
        else:
            transport.write(head)
            await self._write_body(request, transport)

    async def _write_body(self, request: web.BaseRequest, transport: asyncio.Transport) -> None:
        """Exactly as long as the head says, or the connection ends: what came next would be taken for its rest."""
        reply, body = self._reply, self._body_source
        try:
            async with asyncio.timeout(answer_seconds(reply.length)):
                if body is None:
                    self._sent = reply.length
                    transport.write(reply.body)
                    await request.writer.drain()
                    return
                async for chunk in body.chunks():
                    if transport.is_closing():  # `drain` does not say so, and the rest would be read for nobody
                        raise ConnectionResetError("the viewer has gone")
                    self._sent += len(chunk)
                    if self._sent > reply.length:
                        break
                    transport.write(chunk)
                    await request.writer.drain()
        except ConnectionError:
            raise
        except Exception as error:
            transport.abort()
            raise ConnectionResetError("the body did not come to its end") from error
        if self._sent != reply.length:
            transport.abort()
            raise ConnectionResetError("the body is not as long as its head says")
