"""The chunk layer of RTMP (Adobe RTMP 1.0, 5.3): bytes in, whole messages out. Sans-I/O.

Theory of operation. A message travels as chunks of at most the chunk size, and chunks of several messages may be
interleaved. Almost never are they: encoders send one message after the other. So when a message begins, the reader
waits until all its wire bytes would be there, copies them once, and strips the type-3 headers inside with one strided
delete, if and only if each of them is the byte it must be. That makes the cost of a message nearly independent of the
chunk size. Everything else (interleaving, 2- and 3-byte headers, extended timestamps, messages over
`WHOLE_MESSAGE_LIMIT`) is taken chunk by chunk. Both ways give the same messages; the first holds back what comes
interleaved until as many bytes as the message announced are there.

Rules that live here, and nowhere else:

* A message's length and type cannot change before it is complete, and a new one cannot begin on its chunk stream.
* A fresh chunk stream may begin with type 0, or type 1 (librtmp's ping); types 2 and 3 have nothing to refer to.
* A type-3 chunk that begins a message repeats the last delta (the timestamp, when the last header was a type 0).
* The extended timestamp of types 1 and 2 is a delta like the 24-bit one.
* Extended timestamps on type-3 chunks come in two dialects: FFmpeg and FMLE repeat them, as the specification says;
  rtmpdump and OBS before 30.1 omit them. Four bytes are peeked at, and consumed only if they are the value in force.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from onair_media.rtmp.errors import ProtocolError
from onair_media.rtmp.limits import Limits

DEFAULT_CHUNK_SIZE = 128
WHOLE_MESSAGE_LIMIT = 1024 * 1024
EXTENDED = 0xFFFFFF
MAX_LENGTH = 0xFFFFFF

SET_CHUNK_SIZE = 1
ABORT = 2

_HEADER = struct.Struct(">HBHBB")  # timestamp and length, of three bytes each, and type
_STREAM = struct.Struct("<I")


class Message(NamedTuple):
    """A whole message. `timestamp` is in milliseconds, modulo 2^32."""

    type: int
    timestamp: int
    stream: int
    payload: bytes


@dataclass(slots=True)
class _ChunkStream:
    """What the headers of one chunk stream refer back to, and its unfinished message."""

    length: int = 0
    type: int = 0
    stream: int = 0
    timestamp: int = 0
    delta: int = 0
    extended: bytes = b""  # the four bytes in force, empty when the last header had none
    body: bytearray | None = None


class ChunkReader:
    """Takes wire bytes with `feed`; raises `ProtocolError`, after which it must not be used again.

    `limits` may be exchanged between two messages.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._buffer = bytearray()
        self._taken = 0  # bytes at the front of the buffer that were parsed
        self._streams: dict[int, _ChunkStream] = {}
        self._chunk_size = DEFAULT_CHUNK_SIZE
        self._needed = 1  # buffered bytes before parsing can go on
        self._unfinished = 0  # bytes in bodies of unfinished messages
        self._finished: Message | None = None

    @property
    def held(self) -> int:
        """Bytes that wait for more, or to be parsed."""
        return len(self._buffer) - self._taken + self._unfinished

    def feed(self, data: bytes | memoryview) -> None:
        """Takes bytes; `messages` parses them."""
        self._drop_taken()
        self._buffer += data

    def messages(self) -> Iterator[Message]:
        """The messages that are complete, in the order in which they became so.

        Each is parsed when it is asked for; one may stop in between and go on another time.
        """
        buffer = self._buffer
        while len(buffer) - self._taken >= self._needed:
            self._needed = 1
            end = self._chunk(self._taken)
            if end == self._taken:
                break
            self._taken = end
            message, self._finished = self._finished, None
            if message is not None:
                yield message
        self._drop_taken()

    def _drop_taken(self) -> None:
        if self._taken:
            del self._buffer[: self._taken]
            self._taken = 0

    def _chunk(self, start: int) -> int:
        """Takes one chunk, or one whole message; returns its end, or `start` with `_needed` set when more must come."""
        buffer = self._buffer
        first = buffer[start]
        kind, csid, position = first >> 6, first & 0x3F, start + 1
        available = len(buffer)
        if csid < 2:
            if available < position + csid + 1:
                return self._wait(start, csid + 2)
            if csid == 0:
                csid = buffer[position] + 64
            else:
                # Little endian: the second byte counts 256s.
                csid = buffer[position] + buffer[position + 1] * 256 + 64
            position += 1 if first & 0x3F == 0 else 2

        if kind == 3:
            known = self._streams.get(csid)
            if known is None:
                raise ProtocolError("chunk stream begins with a type 3 header")
            return self._continue(start, position, csid, known)

        header = (11, 7, 3)[kind]
        if available < position + header:
            return self._wait(start, position + header - start)
        if kind < 2:
            fields: tuple[int, int, int, int, int] = _HEADER.unpack_from(buffer, position)
            high, low, length_high, length_low, kind_of_message = fields
            field, length = high << 8 | low, length_high << 8 | length_low
        else:
            field = int.from_bytes(buffer[position : position + 3], "big")
        extended = b""
        if field == EXTENDED:
            if available < position + header + 4:
                return self._wait(start, position + header + 4 - start)
            extended = bytes(buffer[position + header : position + header + 4])
            field = int.from_bytes(extended, "big")
        state = self._streams.get(csid) or self._new_state(kind, csid)
        if state.body is not None:
            raise ProtocolError("a message begins before the last one of its chunk stream was complete")
        stream = _STREAM.unpack_from(buffer, position + 7)[0] if kind == 0 else state.stream
        if kind == 2:
            length, kind_of_message = state.length, state.type
        elif length > self.limits.max_message:
            raise ProtocolError(f"message of {length} bytes", "max_message")
        timestamp = field if kind == 0 else (state.timestamp + field) & 0xFFFFFFFF
        position += header + len(extended)

        payload = self._whole(start, position, length, csid) if not extended else None
        if payload is None and self._needed > 1:
            return start
        if payload is None and available < position + min(length, self._chunk_size):
            return self._wait(start, position + min(length, self._chunk_size) - start)

        state.length, state.type, state.stream = length, kind_of_message, stream
        state.timestamp, state.delta, state.extended = timestamp, field, extended
        if payload is None:
            return self._take(position, state)
        end = position + length + max(length - 1, 0) // self._chunk_size  # before the message may change that size
        self._complete(state, payload)
        return end

    def _continue(self, start: int, position: int, csid: int, state: _ChunkStream) -> int:
        """A type-3 chunk: the next piece of a message, or a message with the same header as the last."""
        buffer = self._buffer
        if state.extended:
            peeked = buffer[position : position + 4]
            if len(peeked) < 4 and state.extended.startswith(peeked):
                # One more byte may settle it; the message itself may have fewer than four left.
                return self._wait(start, position + len(peeked) + 1 - start)
            if peeked == state.extended:
                position += 4
        beginning = state.body is None
        payload = None
        if beginning and not state.extended:
            payload = self._whole(start, position, state.length, csid)
            if payload is None and self._needed > 1:
                return start
        wanted = state.length if beginning else state.length - len(state.body or b"")
        if payload is None and len(buffer) < position + min(wanted, self._chunk_size):
            return self._wait(start, position + min(wanted, self._chunk_size) - start)
        if beginning:
            state.timestamp = (state.timestamp + state.delta) & 0xFFFFFFFF
        if payload is None:
            return self._take(position, state)
        end = position + state.length + max(state.length - 1, 0) // self._chunk_size
        self._complete(state, payload)
        return end

    def _whole(self, start: int, position: int, length: int, csid: int) -> bytes | None:
        """The whole message whose payload begins at `position`, taken at once.

        None with `_needed` set: wait for its bytes. None without: it has to be taken chunk by chunk.
        """
        if length == 0:
            return b""
        if csid > 63 or length > WHOLE_MESSAGE_LIMIT:
            return None
        chunk = self._chunk_size
        continuations = (length - 1) // chunk
        end = position + length + continuations
        if len(self._buffer) < end:
            self._wait(start, end - start)
            return None
        if continuations == 0:
            return bytes(memoryview(self._buffer)[position:end])
        # Looked at before anything is copied: a peer could begin and abort large messages all day.
        if self._buffer[position + chunk : end : chunk + 1] != bytes((0xC0 | csid,)) * continuations:
            return None
        message = self._buffer[position:end]
        del message[chunk :: chunk + 1]
        return bytes(message)

    def _take(self, position: int, state: _ChunkStream) -> int:
        """Adds one chunk, all of which is in the buffer, to the message of its chunk stream."""
        if state.body is None:
            state.body = bytearray()
        end = position + min(state.length - len(state.body), self._chunk_size)
        state.body += memoryview(self._buffer)[position:end]
        self._unfinished += end - position
        if self._unfinished > self.limits.max_buffered:
            raise ProtocolError("too many bytes in unfinished messages", "max_buffered")
        if len(state.body) == state.length:
            payload, state.body = bytes(state.body), None
            self._unfinished -= len(payload)
            self._complete(state, payload)
        return end

    def _complete(self, state: _ChunkStream, payload: bytes) -> None:
        if state.type == SET_CHUNK_SIZE:
            self._set_chunk_size(payload)
        elif state.type == ABORT:
            self._abort(payload)
        self._finished = Message(state.type, state.timestamp, state.stream, payload)

    def _set_chunk_size(self, payload: bytes) -> None:
        if len(payload) < 4:
            raise ProtocolError("set chunk size without a size")
        size = int.from_bytes(payload[:4], "big")
        if size & 0x80000000 or size < self.limits.min_chunk_size:
            raise ProtocolError(f"chunk size {size}", "min_chunk_size")
        # A message's length has 24 bits, so larger chunks mean the same as this.
        self._chunk_size = min(size, MAX_LENGTH)

    def _abort(self, payload: bytes) -> None:
        state = self._streams.get(int.from_bytes(payload[:4], "big")) if len(payload) >= 4 else None
        if state is not None and state.body is not None:
            self._unfinished -= len(state.body)
            state.body = None

    def _new_state(self, kind: int, csid: int) -> _ChunkStream:
        """That of a chunk stream which begins with a header of type 0 to 2."""
        if kind == 2:
            raise ProtocolError("chunk stream begins with a type 2 header")
        if len(self._streams) >= self.limits.max_chunk_streams:
            raise ProtocolError("too many chunk streams", "max_chunk_streams")
        state = self._streams[csid] = _ChunkStream()
        return state

    def _wait(self, start: int, needed: int) -> int:
        if needed + self._unfinished > self.limits.max_buffered:
            raise ProtocolError("chunk larger than the buffer", "max_buffered")
        self._needed = needed
        return start
