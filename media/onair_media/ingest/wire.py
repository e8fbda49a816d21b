"""Bytes of one connection, plain or TLS, over a non-blocking socket. No asyncio: whoever holds a wire decides when
it reads.

That is what makes one shared tick for all publishers possible, which is where most of a receiver's CPU goes: a read
costs about 25 µs, whether it brings one packet or fifty milliseconds of stream (docs/decisions/002).
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Iterator
from enum import Enum, auto

READ_SIZE = 256 * 1024
# One connection may bring this much per turn; then the others are served first.
READ_BUDGET = 1024 * 1024

TLS_HANDSHAKE_RECORD = 0x16

# A network that is gone is told from an encoder that has nothing to say: its kernel does not answer either. So it is
# given up shortly before the silence would be; an outage of half this time ends nothing.
UNREACHABLE_SECONDS = 14
_PROBES_FROM_SECONDS, _PROBES_EVERY_SECONDS = 5, 3

# Shared by all wires of the process: filled and consumed within one call, and never held across turns.
_scratch = memoryview(bytearray(READ_SIZE))
_plain = memoryview(bytearray(READ_SIZE))


_PEER_FINISHED = getattr(select, "POLLRDHUP", 0)


class WireClosedError(Exception):
    """The peer ended the connection, or it broke; `str()` says how. `reason`: what metrics count it by, or nothing."""

    def __init__(self, how: str, reason: str = "") -> None:
        super().__init__(how)
        self.reason = reason


class PeerState(Enum):
    """What is known of the peer without reading on."""

    OPEN = auto()
    FINISHED = auto()  # sends no more: what it sent may be read to the end
    GONE = auto()  # the connection is reset or broken


def prepare(sock: socket.socket) -> None:
    """Socket options of a publisher: a peer that vanished without a word is noticed within `UNREACHABLE_SECONDS`.

    Keepalive does it while nothing is on the way to the peer, TCP_USER_TIMEOUT (RFC 5482) while something is, after
    the socket was closed as well.
    """
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    probes = (UNREACHABLE_SECONDS - _PROBES_FROM_SECONDS) // _PROBES_EVERY_SECONDS
    for option, value in (
        ("TCP_KEEPIDLE", _PROBES_FROM_SECONDS),
        ("TCP_KEEPINTVL", _PROBES_EVERY_SECONDS),
        ("TCP_KEEPCNT", probes),
        ("TCP_USER_TIMEOUT", UNREACHABLE_SECONDS * 1000),
    ):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


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

    def wake_at(self, count: int) -> bool:
        """Whoever polls the socket is woken when `count` bytes have come, or as many as it holds, or the end.

        Linux makes room for twice as much, which is what lets a socket rest (tcp(7), SO_RCVLOWAT in socket(7)). False
        where the system does not take it, or less than half of it: then each packet wakes.
        """
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
            return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) >= count / 2
        except OSError:
            return False

    def peer_state(self) -> PeerState:
        """Whether the peer has ended the connection, though bytes that came before the end are not read yet."""
        poller = select.poll()
        poller.register(self.socket, _PEER_FINISHED)
        events = poller.poll(0)
        if not events:
            return PeerState.OPEN
        return PeerState.GONE if events[0][1] & (select.POLLERR | select.POLLHUP) else PeerState.FINISHED

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
                raise WireClosedError("peer does not read", "max_unsent")
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
            yield from self._decrypted()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            how = f"TLS: {error.reason or 'handshake failed'}"
            raise WireClosedError(how, "" if self._established else "tls_handshake") from None
        finally:
            self._send(self._outgoing_bio.read())
        raise WireClosedError("end of stream")  # close_notify

    def _decrypted(self) -> Iterator[memoryview]:
        """Until an `SSLError` says what is next; many records together, because each piece costs its taker."""
        filled = 0
        try:
            # A count, whatever typeshed says.
            while count := int(self._tls.read(READ_SIZE - filled, _plain[filled:])):
                filled += count
                if filled == READ_SIZE:
                    yield _plain
                    filled = 0
        except ssl.SSLError:
            if filled:
                yield _plain[:filled]
            raise
        if filled:
            yield _plain[:filled]

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
