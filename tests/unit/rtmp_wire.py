"""An encoder's side of RTMP in bytes: chunks, AMF0, commands. Written from the specifications, not from what it tests.

What the server answers is read with the reader under test, which `test_rtmp_chunks.py` holds to its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from onair_media import amf0
from onair_media.rtmp import Event, Limits, ServerConnection
from onair_media.rtmp.chunks import ChunkReader, Message

EXTENDED = 0xFFFFFF
SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_ACK_SIZE, PEER_BANDWIDTH = range(1, 7)
AUDIO, VIDEO = 8, 9
DATA_AMF3, COMMAND_AMF3, DATA, COMMAND = 15, 17, 18, 20

HANDSHAKE = b"\3" + bytes(1536) + bytes(1536)


def basic_header(fmt: int, csid: int, *, widest: bool = False) -> bytes:
    """RTMP 5.3.1.1. Ids 64 to 319 fit into two bytes, and into three (`widest`)."""
    if csid < 64:
        return bytes((fmt << 6 | csid,))
    if csid < 320 and not widest:
        return bytes((fmt << 6, csid - 64))
    return bytes((fmt << 6 | 1,)) + (csid - 64).to_bytes(2, "little")


def chunks(
    payload: bytes,
    *,
    fmt: int = 0,
    csid: int = 4,
    time: int = 0,
    kind: int = VIDEO,
    stream: int = 1,
    size: int = 128,
    repeats: bool = True,
    declared: int | None = None,
) -> list[bytes]:
    """The chunks of one message.

    `time` is what the header says: a timestamp (fmt 0), a delta (1 and 2), or the value in force (3). With `repeats`
    type-3 chunks repeat an extended one, as the specification says. `declared` is a length other than the true one.
    """
    extended = time.to_bytes(4, "big") if time >= EXTENDED else b""
    header = min(time, EXTENDED).to_bytes(3, "big")
    header += (len(payload) if declared is None else declared).to_bytes(3, "big") + bytes((kind,))
    header += stream.to_bytes(4, "little")
    first = basic_header(fmt, csid) + header[: (11, 7, 3, 0)[fmt]] + (extended if fmt < 3 or repeats else b"")
    following = basic_header(3, csid) + (extended if repeats else b"")
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    return [first + pieces[0], *(following + piece for piece in pieces[1:])]


def message(
    payload: bytes,
    *,
    fmt: int = 0,
    csid: int = 4,
    time: int = 0,
    kind: int = VIDEO,
    stream: int = 1,
    size: int = 128,
    repeats: bool = True,
) -> bytes:
    """One message, its chunks one behind the other; see `chunks`."""
    return b"".join(
        chunks(payload, fmt=fmt, csid=csid, time=time, kind=kind, stream=stream, size=size, repeats=repeats)
    )


def control(kind: int, payload: bytes) -> bytes:
    """A protocol control message (RTMP 5.4): chunk stream 2, message stream 0."""
    return message(payload, csid=2, kind=kind, stream=0)


def set_chunk_size(size: int) -> bytes:
    return control(SET_CHUNK_SIZE, size.to_bytes(4, "big"))


def abort(csid: int) -> bytes:
    return control(ABORT, csid.to_bytes(4, "big"))


def amf(*values: object) -> bytes:
    """AMF0: None, bool, numbers, str, mappings as objects, sequences as strict arrays."""
    return b"".join(map(_amf, values))


def _amf(value: object) -> bytes:
    if value is None:
        return b"\5"
    if isinstance(value, bool):
        return b"\1\1" if value else b"\1\0"
    if isinstance(value, int | float):
        return b"\0" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\2" + _name(value)
    if isinstance(value, Mapping):
        return b"\3" + b"".join(_name(key) + _amf(item) for key, item in value.items()) + b"\0\0\t"
    assert isinstance(value, Sequence)
    return b"\n" + struct.pack(">I", len(value)) + amf(*value)


def _name(text: str) -> bytes:
    return struct.pack(">H", len(text.encode())) + text.encode()


def read(reader: ChunkReader, data: bytes) -> list[Message]:
    """The messages that are complete with these bytes."""
    reader.feed(data)
    return list(reader.messages())


def hear(server: ServerConnection, data: bytes, now: float = 0.0) -> list[Event]:
    """What these bytes mean to the server, all of it; `now` in seconds."""
    server.receive(data)
    return list(server.events(now))


class Encoder:
    """One connection past its handshake: what the encoder says, and what it hears. `now` is the time, in seconds."""

    now = 0.0

    def __init__(self, server: ServerConnection | None = None) -> None:
        self.server = server or ServerConnection()
        self.server.receive(HANDSHAKE)
        self.server.data_to_send()
        self._reader = ChunkReader(Limits())

    def send(self, kind: int, payload: bytes, *, csid: int = 3, stream: int = 0, time: int = 0) -> list[Event]:
        """Sends one message in chunks of 128 bytes."""
        return hear(self.server, message(payload, csid=csid, kind=kind, stream=stream, time=time), self.now)

    def say(self, *values: object, stream: int = 0) -> list[Event]:
        """Sends a command: name, transaction id, arguments."""
        return self.send(COMMAND, amf(*values), stream=stream)

    def connect(self, app: str = "live") -> list[Event]:
        return self.say("connect", 1, {"app": app, "tcUrl": f"rtmp://localhost/{app}"})

    def publish(self, name: str | None = "KEY", app: str = "live") -> list[Event]:
        """connect and publish, the least there is."""
        return [*self.connect(app), *self.publish_now(name)]

    def publish_now(self, name: str | None = "KEY") -> list[Event]:
        """publish alone, on message stream 1."""
        return self.say("publish", 0, None, name, "live", stream=1)

    def hear(self) -> list[Message]:
        """Whole messages from the server since the last time."""
        return read(self._reader, self.server.data_to_send())

    def answers(self) -> list[list[object]]:
        """The commands among what the server says."""
        return [amf0.decode(heard.payload) for heard in self.hear() if heard.type == COMMAND]
