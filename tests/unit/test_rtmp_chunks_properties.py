"""What holds for any conversation of chunks, however the network cuts it (hypothesis)."""

from __future__ import annotations

from dataclasses import dataclass
from unittest.mock import patch

import rtmp_wire
from hypothesis import given, settings
from hypothesis import strategies as st
from rtmp_wire import ABORT, EXTENDED, SET_CHUNK_SIZE, VIDEO, abort, basic_header, chunks, message, set_chunk_size

from onair_media.rtmp import Limits, ProtocolError
from onair_media.rtmp.chunks import ChunkReader, Message

CSIDS = (3, 4, 63, 64, 400)
SIZES = st.sampled_from([128, 129, 200, 1000])
TIMES = st.sampled_from([0, 1, 40, 0xFFFFFE, EXTENDED, 0x01020304, 0x7EFFFFFF])
# No byte looks like the first of an extended timestamp: where librtmp omits it, nobody could tell the two apart.
PAYLOADS = st.integers(0, 500).map(lambda n: bytes(0x80 | i & 0x7F for i in range(n)))
AFTERWARDS = message(bytes(100), csid=5)


@dataclass
class Sender:
    """A chunk stream as an encoder keeps it, by the letter of 5.3.1.2."""

    csid: int
    repeats: bool
    last: Message | None = None
    field: int = 0  # the last timestamp or delta on the wire
    sent: int = -1  # bytes of `last` that are on the wire; -1 between messages

    def begin(self, fmt: int, field: int, payload: bytes, kind: int, stream: int, size: int) -> bytes:
        last = self.last
        if last is None or (fmt > 1 and len(last.payload) != len(payload)):
            fmt, last = 0, last or Message(kind, 0, stream, b"")
        self.field = self.field if fmt == 3 else field
        self.last = Message(
            kind if fmt < 2 else last.type,
            field if fmt == 0 else (last.timestamp + self.field) % 2**32,
            stream if fmt == 0 else last.stream,
            payload,
        )
        self.sent = min(size, len(payload))
        return chunks(
            payload, fmt=fmt, csid=self.csid, time=self.field, kind=kind, stream=stream, size=size, repeats=self.repeats
        )[0]

    def finished(self) -> Message | None:
        """The message that has just come to its end, once."""
        if self.last is None or self.sent < len(self.last.payload):
            return None
        self.sent = -1
        return self.last

    def go_on(self, size: int) -> bytes:
        assert self.last is not None
        extended = self.field.to_bytes(4, "big") if self.repeats and self.field >= EXTENDED else b""
        piece = self.last.payload[self.sent : self.sent + size]
        self.sent += len(piece)
        return basic_header(3, self.csid) + extended + piece


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[Message]]:
    """Interleaved messages with changes of the chunk size and aborts; the wire, and what it means.

    Everything begun is finished, and then the encoder goes on a little: a message that was begun and aborted holds back
    what came after it until as many bytes as it announced are there.
    """
    repeats = draw(st.booleans())
    senders = [Sender(csid, repeats) for csid in CSIDS]
    wire, expected, size = b"", [], 128
    for sender, turn in draw(st.lists(st.tuples(st.sampled_from(senders), st.integers(-1, 5)), max_size=20)):
        if turn == -1:
            size = draw(SIZES)
            wire += set_chunk_size(size)
            expected.append(Message(SET_CHUNK_SIZE, 0, 0, size.to_bytes(4, "big")))
        elif turn == 0:
            sender.sent = -1
            wire += message(sender.csid.to_bytes(4, "big"), csid=2, kind=ABORT, stream=0)
            expected.append(Message(ABORT, 0, 0, sender.csid.to_bytes(4, "big")))
        for _ in range(turn):
            if sender.sent < 0:
                payload = draw(PAYLOADS) if sender.last is None or draw(st.booleans()) else sender.last.payload
                fmt, kind = draw(st.integers(0, 3)), draw(st.sampled_from([8, 9, 18]))
                wire += sender.begin(fmt, draw(TIMES), payload, kind, draw(st.integers(0, 2**32 - 1)), size)
            else:
                wire += sender.go_on(size)
            if done := sender.finished():
                expected.append(done)
    for sender in senders:
        while sender.sent >= 0:
            wire += sender.go_on(size)
            if done := sender.finished():
                expected.append(done)
    return wire + AFTERWARDS * 6, expected + [Message(VIDEO, 0, 1, bytes(100))] * 6


def read(wire: bytes, cuts: list[int] | None = None) -> list[Message] | str:
    """The messages of wire bytes that come in pieces; the reason where they are refused."""
    reader = ChunkReader(Limits())
    edges = [0, *sorted(cut % (len(wire) + 1) for cut in cuts or []), len(wire)]
    try:
        return [
            m for begin, end in zip(edges, edges[1:], strict=False) for m in rtmp_wire.read(reader, wire[begin:end])
        ]
    except ProtocolError as error:
        return error.reason


def chunk_by_chunk(wire: bytes) -> list[Message] | str:
    """`read` without the fast path."""
    with patch("onair_media.rtmp.chunks.WHOLE_MESSAGE_LIMIT", 0):
        return read(wire)


damage = st.lists(st.tuples(st.integers(0), st.integers(0, 3), st.binary(max_size=4)), min_size=1, max_size=4)


def damaged(wire: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for where, removed, inserted in changes:
        at = where % (len(wire) + 1)
        wire = wire[:at] + inserted + wire[at + removed :]
    return wire


@given(conversations())
def test_every_conversation_means_what_the_specification_says(conversation: tuple[bytes, list[Message]]) -> None:
    wire, expected = conversation
    assert read(wire) == expected


@given(conversations(), st.integers(0), st.lists(st.integers(0), max_size=8))
def test_any_split_into_feeds_gives_the_same_messages(
    conversation: tuple[bytes, list[Message]], end: int, cuts: list[int]
) -> None:
    # Also of a conversation that breaks off: what is complete is out.
    wire = conversation[0][: end % (len(conversation[0]) + 1)]
    assert read(wire, cuts) == read(wire)


@settings(max_examples=30)
@given(conversations(), st.integers(0, 400))
def test_byte_by_byte_gives_the_same_messages(conversation: tuple[bytes, list[Message]], end: int) -> None:
    wire = conversation[0][-end:]
    assert read(wire, list(range(len(wire)))) == read(wire)


@given(conversations())
def test_whole_messages_and_single_chunks_are_read_alike(conversation: tuple[bytes, list[Message]]) -> None:
    assert chunk_by_chunk(conversation[0]) == conversation[1]


@given(conversations(), damage)
def test_damaged_bytes_are_read_alike_or_refused_alike(
    conversation: tuple[bytes, list[Message]], changes: list[tuple[int, int, bytes]]
) -> None:
    wire = damaged(conversation[0], changes)
    whole, single = read(wire), chunk_by_chunk(wire)
    if isinstance(whole, str) or isinstance(single, list):
        # The fast path holds back a message that is not all there, and with it what comes interleaved.
        assert whole == (single if isinstance(whole, str) else single[: len(whole)])


@given(st.integers(128, 70_000), st.integers(0, 3000), st.sampled_from([-1, 0, 1]))
def test_the_chunk_size_does_not_change_a_message(size: int, length: int, off: int) -> None:
    payload = bytes(i % 251 for i in range(max(length, size * 2 * (length % 2)) + off + 1))
    expected = [Message(VIDEO, 40, 1, payload)] * 2
    for csid in (4, 400):  # the fast path, and the other
        wire = message(payload, csid=csid, time=40, size=size)
        assert read(set_chunk_size(size) + wire + wire) == [
            Message(SET_CHUNK_SIZE, 0, 0, size.to_bytes(4, "big")),
            *expected,
        ]


@given(st.binary(max_size=2000))
def test_random_bytes_raise_nothing_but_protocol_errors(wire: bytes) -> None:
    read(wire)


@given(st.lists(st.one_of(conversations().map(lambda c: c[0]), st.binary(max_size=300)), max_size=6))
def test_no_more_is_kept_than_the_limits_and_one_feed(feeds: list[bytes]) -> None:
    limits = Limits(max_message=1000, max_buffered=700, max_chunk_streams=4)
    reader = ChunkReader(limits)
    try:
        for data in feeds:
            rtmp_wire.read(reader, data)
            # What it keeps is private, and this is the promise about it.
            assert len(reader._buffer) <= limits.max_buffered + len(data)
            assert len(reader._streams) <= limits.max_chunk_streams
            bodies = sum(len(stream.body or b"") for stream in reader._streams.values())
            assert bodies == reader._unfinished <= limits.max_buffered
    except ProtocolError:
        return


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(CSIDS), st.booleans()), max_size=60))
def test_begun_and_aborted_messages_leave_nothing_behind(turns: list[tuple[int, bool]]) -> None:
    reader = ChunkReader(Limits(max_buffered=700))
    for csid, declared_short in turns:
        rtmp_wire.read(reader, chunks(bytes(128), csid=csid, declared=200 if declared_short else 600)[0] + abort(csid))
    assert reader._unfinished == 0
