"""TLS to one pod, whose certificate is known: the least that it takes, since there are thousands at once.

With the loop's own TLS and an HTTP client's streams each of them takes half as much memory again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ssl
from hashlib import sha256
from typing import cast

from onair_operator.pods.errors import PodUnreachable

# What has been received and not taken; whoever sends more waits.
MOST_UNREAD = 64 * 1024
_PIECE = 16 * 1024  # a TLS record

OTHER_CERTIFICATE = "another certificate than the pod's: somebody else is at its address"


def _context() -> ssl.SSLContext:
    """Nobody signs pods' certificates: each is held against what it has to be, as a whole."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_CONTEXT = _context()


class Pinned(asyncio.Protocol):
    """Use `pinned`. Nothing can be sent before the certificate was seen to be the right one."""

    __slots__ = (
        "_ended",
        "_error",
        "_fingerprint",
        "_incoming",
        "_known",
        "_outgoing",
        "_paused",
        "_tls",
        "_transport",
        "_unread",
        "_waiting",
    )

    def __init__(self, fingerprint: bytes) -> None:
        self._fingerprint = fingerprint
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _CONTEXT.wrap_bio(self._incoming, self._outgoing)
        self._transport: asyncio.Transport | None = None
        self._known = False
        self._unread = b""
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None

    async def known(self) -> None:
        """Until it is certain who is there. Raises `OSError`, `PodUnreachable`."""
        while not self._known:
            if self._ended:
                raise self._error or ConnectionResetError("the connection has ended")
            await self.more()

    def send(self, data: bytes) -> None:
        """Little enough not to wait for anybody."""
        if not self._known:
            raise RuntimeError("nobody knows yet who is there")
        if self._error is None and not self._ended:
            self._tls.write(data)
            self._flush()

    async def receive(self) -> bytes:
        """What has come; nothing at the end. Raises `OSError`, `PodUnreachable`."""
        while not (received := self.take()) and not self._ended:
            await self.more()
        return received

    def take(self) -> bytes:
        """What has come, without waiting. At an end that was none, raises `OSError`, `PodUnreachable`."""
        received, self._unread = self._unread, b""
        if not received and self._error is not None:
            raise self._error
        if self._paused and self._transport is not None and not self._ended:
            self._paused = False
            self._transport.resume_reading()
        return received

    @property
    def ended(self) -> bool:
        """Nothing more comes."""
        return self._ended

    def more(self) -> asyncio.Future[None]:
        """Until there is something to take, or the end. For one at a time."""
        self._waiting = asyncio.get_running_loop().create_future()
        if self._unread or self._ended:
            self._wake()
        return self._waiting

    def fail(self, error: Exception) -> None:
        """Whoever waits is told so."""
        self._end(error)
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by name
        self._advance()

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        self._advance()

    def eof_received(self) -> None:
        self._incoming.write_eof()
        self._advance()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error)

    def _advance(self) -> None:
        try:
            if not self._known:
                self._tls.do_handshake()
                self._recognize()
            self._take()
        except ssl.SSLWantReadError:
            pass
        except (OSError, PodUnreachable) as error:
            self.fail(error)
            return
        self._flush()
        self._wake()

    def _recognize(self) -> None:
        certificate = self._tls.getpeercert(binary_form=True) or b""
        if not hmac.compare_digest(sha256(certificate).digest(), self._fingerprint):
            raise PodUnreachable(OTHER_CERTIFICATE)
        self._known = True

    def _take(self) -> None:
        with contextlib.suppress(ssl.SSLZeroReturnError, ssl.SSLEOFError):  # HTTP knows where its end is
            while piece := self._tls.read(_PIECE):
                self._unread += piece
                if len(self._unread) >= MOST_UNREAD and not self._paused and self._transport is not None:
                    self._paused = True
                    self._transport.pause_reading()
        self._ended = True

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())

    def _end(self, error: Exception | None) -> None:
        self._ended = True
        self._error = self._error or error
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


async def pinned(address: tuple[str, int], fingerprint: bytes, patience: float) -> Pinned:
    """A connection to whoever has that certificate at `address`, an IP address and a port; `close` it.

    Raises `PodUnreachable`, `OSError`, and `TimeoutError` when that takes longer than `patience` seconds.
    """
    connection = Pinned(fingerprint)
    try:
        async with asyncio.timeout(patience):
            await asyncio.get_running_loop().create_connection(lambda: connection, *address)
            await connection.known()
    except BaseException:
        connection.close()
        raise
    return connection
