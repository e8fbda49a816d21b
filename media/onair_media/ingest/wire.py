"""Bytes of one connection, plain or TLS, over a non-blocking socket. No asyncio: whoever holds a wire decides when
it reads.

That is what makes one shared tick for all publishers possible, which is where most of a receiver's CPU goes: a read
costs about 25 µs, whether it brings one packet or fifty milliseconds of stream (docs/decisions/002).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

READ_SIZE = 256 * 1024
# One connection may bring this much per turn; then the others are served first.
READ_BUDGET = 1024 * 1024

TLS_HANDSHAKE_RECORD = 0x16

# Shared by all wires of the process: it is filled and consumed within one call, and never held across turns.
_scratch = memoryview(bytearray(READ_SIZE))


class WireClosedError(Exception):
    """The peer ended the connection, or it broke; `str()` says how."""


class WriteLimitError(WireClosedError):
    """The peer does not read what it is sent."""


class Wire:
    """A plain TCP connection; at most `max_unsent` bytes wait for the peer to take them."""

    def __init__(self, sock: socket.socket, max_unsent: int) -> None:
        self.socket = sock
        self.more = False  # the budget ended the last read before the socket was empty
        self._max_unsent = max_unsent
        self._unsent = bytearray()
        self._closing = False
        self._budget = 0

    def read(self, *, thorough: bool = False, budget: int = READ_BUDGET) -> Iterator[memoryview | bytes]:
        """Yields what has arrived, `budget` bytes at most; each piece is valid until the next is asked for.

        `thorough` asks until nothing is left, so that an end or a reset behind the last bytes is seen in this very
        call. Who is woken by the event loop needs that: uvloop stops polling a socket after an error.

        Raises `WireClosedError` at the end of the stream, after everything that came before it was yielded.
        """
        self.more = False
        self._budget = budget
        while self._budget > 0:
            wanted = min(READ_SIZE, self._budget)
            try:
                count = self.socket.recv_into(_scratch, wanted)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise WireClosedError(error.strerror or type(error).__name__) from None
            if count == 0:
                raise WireClosedError("end of stream")
            self._budget -= count
            yield from self._received(_scratch[:count])
            if count < wanted and not thorough:
                # A short read emptied the socket (or a moment ago did): asking again would cost a second system
                # call for nothing, the next turn finds what has come since.
                return
        self.more = True

    def wake_at(self, count: int) -> None:
        """Whoever polls the socket is woken when `count` bytes have come, or as many as it holds, or the end.

        Linux makes room for twice as much, which is what lets a socket rest (tcp(7), SO_RCVLOWAT in socket(7)).
        """
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    def enough(self) -> None:
        """The `read` that is going on ends with what it has taken from the socket already."""
        self._budget = 0

    def write(self, data: bytes) -> None:
        """Sends, and keeps what the peer does not take yet. Raises `WireClosedError` when it keeps too much."""
        if data:
            self._send(self._outgoing(data))

    def flush(self) -> None:
        """Tries again to send what was kept. Raises `WireClosedError`."""
        if self._unsent:
            self._send(b"")

    @property
    def unsent(self) -> int:
        """Bytes the peer has not taken yet."""
        return len(self._unsent)

    def half_close(self) -> None:
        """No more writing: the peer reads what was sent, then the end. Call `flush` while there is `unsent`.

        Raises `WireClosedError`.
        """
        self._closing = True
        self._end_when_sent()

    def close(self) -> None:
        self.socket.close()

    def _received(self, data: memoryview) -> Iterator[memoryview | bytes]:
        yield data

    def _outgoing(self, data: bytes) -> bytes:
        return data

    def _send(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            data = bytes(self._unsent)
            self._unsent.clear()
        try:
            sent = self.socket.send(data) if data else 0
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            raise WireClosedError(error.strerror or type(error).__name__) from None
        if sent < len(data):
            self._unsent += data[sent:]
            if len(self._unsent) > self._max_unsent:
                raise WriteLimitError("peer does not read")
        self._end_when_sent()

    def _end_when_sent(self) -> None:
        if self._closing and not self._unsent:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)


class TlsWire(Wire):
    """A TLS connection, ended here: records are read from the socket in large pieces, like plain bytes."""

    def __init__(self, sock: socket.socket, max_unsent: int, context: ssl.SSLContext) -> None:
        super().__init__(sock, max_unsent)
        self._incoming = ssl.MemoryBIO()
        self._outgoing_bio = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing_bio, server_side=True)
        self._established = False

    def _received(self, data: memoryview) -> Iterator[memoryview | bytes]:
        self._incoming.write(data)
        try:
            if not self._established:
                self._tls.do_handshake()
                self._established = True
            while plain := self._tls.read(READ_SIZE):
                yield plain
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise WireClosedError(f"TLS: {error.reason or 'handshake failed'}") from None
        finally:
            self._send(self._outgoing_bio.read())
        raise WireClosedError("end of stream")  # close_notify

    def _outgoing(self, data: bytes) -> bytes:
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise WireClosedError(f"TLS: {error.reason or 'cannot be written'}") from None
        return self._outgoing_bio.read()

    def half_close(self) -> None:
        with contextlib.suppress(ssl.SSLError):
            if self._established:
                self._tls.unwrap()
        self._send(self._outgoing_bio.read())
        super().half_close()
