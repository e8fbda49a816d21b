"""The chunk layer by its bytes: Adobe RTMP 1.0, section 5.3, and what encoders make of it."""

from __future__ import annotations

import pytest
import rtmp_wire
from rtmp_wire import (
    ABORT,
    AUDIO,
    EXTENDED,
    SET_CHUNK_SIZE,
    USER_CONTROL,
    VIDEO,
    abort,
    basic_header,
    chunks,
    control,
    message,
    set_chunk_size,
)

from onair_media.rtmp import Limits, ProtocolError
from onair_media.rtmp.chunks import ChunkReader, Message

FRAME = bytes(range(256)) + b"tail"  # three chunks of 128


def read(*wire: bytes) -> list[Message]:
    return rtmp_wire.read(ChunkReader(Limits()), b"".join(wire))


def media(wire: bytes) -> list[Message]:
    return [m for m in read(wire) if m.type in (AUDIO, VIDEO)]


def times(*wire: bytes) -> list[int]:
    return [m.timestamp for m in read(*wire)]


# Message headers (5.3.1.2)


def test_type0_has_timestamp_length_type_and_a_little_endian_stream() -> None:
    wire = bytes.fromhex("04 000102 000003 09 01020304") + b"abc"
    assert read(wire) == [Message(VIDEO, 0x0102, 0x04030201, b"abc")]


def test_type1_adds_a_delta_and_keeps_the_stream() -> None:
    wire = message(b"abc", time=1000, stream=7) + bytes.fromhex("44 000028 000002 08") + b"de"
    assert read(wire)[1] == Message(AUDIO, 1040, 7, b"de")


def test_type2_adds_a_delta_and_keeps_length_type_and_stream() -> None:
    wire = message(b"abc", time=1000, stream=7) + bytes.fromhex("84 000028") + b"def"
    assert read(wire)[1] == Message(VIDEO, 1040, 7, b"def")


def test_type3_that_begins_a_message_repeats_the_last_delta() -> None:
    assert times(message(b"a", time=1000), message(b"b", fmt=2, time=40), b"\xc4c", b"\xc4d") == [
        1000,
        1040,
        1080,
        1120,
    ]


def test_type3_after_type0_adds_the_timestamp_itself() -> None:
    # 5.3.1.2.4, and FFmpeg's writer agrees.
    assert times(message(b"a", time=40), b"\xc4b", b"\xc4c") == [40, 80, 120]


def test_type3_that_continues_a_message_adds_nothing() -> None:
    assert times(message(FRAME, time=1000), message(FRAME, fmt=1, time=40), message(b"c", fmt=1, time=1)) == [
        1000,
        1040,
        1041,
    ]


def test_chunk_streams_remember_their_headers_apart() -> None:
    wire = (
        message(b"v", csid=6, time=1000),
        message(b"a", csid=4, kind=AUDIO, time=500),
        message(b"w", csid=6, fmt=2, time=40),
        message(b"b", csid=4, fmt=2, time=23),
    )
    assert [(m.type, m.timestamp) for m in read(*wire)] == [(VIDEO, 1000), (AUDIO, 500), (VIDEO, 1040), (AUDIO, 523)]


def test_type1_may_open_a_chunk_stream_on_message_stream_0() -> None:
    # librtmp's pings and acknowledgements.
    assert read(message(b"\0\6\0\0\0\1", fmt=1, csid=2, kind=USER_CONTROL, time=5)) == [
        Message(USER_CONTROL, 5, 0, b"\0\6\0\0\0\1")
    ]


@pytest.mark.parametrize("fmt", [2, 3])
def test_types_2_and_3_have_nothing_to_refer_to_on_a_fresh_chunk_stream(fmt: int) -> None:
    with pytest.raises(ProtocolError, match=f"begins with a type {fmt}"):
        read(message(b"a", csid=5), message(b"b", fmt=fmt, csid=4))


@pytest.mark.parametrize("length", [0, 1, 127, 128, 129, 255, 256, 257, 1280])
@pytest.mark.parametrize("csid", [4, 400])
def test_a_message_ends_where_its_length_says_for_every_remainder(length: int, csid: int) -> None:
    payload = bytes(i % 251 for i in range(length))
    wire = message(payload, csid=csid) + message(b"next", csid=csid)
    assert [m.payload for m in read(wire)] == [payload, b"next"]


# Basic headers (5.3.1.1)


@pytest.mark.parametrize("csid", [2, 3, 63, 64, 65, 319, 320, 575, 576, 65598, 65599])
def test_chunk_stream_ids_have_one_two_or_three_bytes(csid: int) -> None:
    # nginx-rtmp drops a publisher on chunk stream 70, MediaMTX from 64 on.
    wire = message(FRAME, csid=csid, time=7), message(b"b", fmt=1, csid=csid, time=1)
    assert read(*wire) == [Message(VIDEO, 7, 1, FRAME), Message(VIDEO, 8, 1, b"b")]


def test_the_three_byte_form_is_little_endian() -> None:
    # pyrtmp has it reversed. 01 01 00 is chunk stream 65, 00 01 as well; 01 00 01 is 320.
    opened = message(b"a", csid=65)
    assert opened[:2] == b"\0\1"
    assert [m.payload for m in read(opened, bytes.fromhex("c1 0100"), b"b", bytes.fromhex("c0 01"), b"c")] == [
        b"a",
        b"b",
        b"c",
    ]
    with pytest.raises(ProtocolError):
        read(opened, bytes.fromhex("c1 0001"), b"b")


def test_a_message_may_go_on_in_another_form_of_its_chunk_stream_id() -> None:
    first, second, third = chunks(FRAME, csid=70)
    assert basic_header(3, 70) == second[:2]
    assert read(first, basic_header(3, 70, widest=True), second[2:], third)[0].payload == FRAME


# Extended timestamps (5.3.1.3)


@pytest.mark.parametrize("time", [0xFFFFFE, EXTENDED, 0x1000000, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("repeats", [True, False], ids=["ffmpeg", "librtmp"])
@pytest.mark.parametrize("csid", [4, 400])
def test_type3_repeats_extended_timestamp_but_librtmp_omits_it(time: int, repeats: bool, csid: int) -> None:
    # rtmpdump and OBS before 30.1 omit it; MediaMTX, nginx-rtmp and Node-Media-Server lose the stream then.
    wire = message(FRAME, csid=csid, time=time, repeats=repeats) + message(b"next", csid=csid, time=1)
    assert read(wire) == [Message(VIDEO, time, 1, FRAME), Message(VIDEO, 1, 1, b"next")]


@pytest.mark.parametrize("repeats", [True, False], ids=["ffmpeg", "librtmp"])
def test_a_payload_that_looks_like_most_of_the_extended_timestamp_is_payload(repeats: bool) -> None:
    payload = b"x" * 128 + b"\1\2\3\5" + b"y" * 124 + b"\1\2\0"
    assert read(message(payload, time=0x01020304, repeats=repeats)) == [Message(VIDEO, 0x01020304, 1, payload)]


@pytest.mark.parametrize("repeats", [True, False], ids=["ffmpeg", "librtmp"])
@pytest.mark.parametrize("rest", [1, 2, 3, 4, 5])
def test_a_last_chunk_shorter_than_the_timestamp_is_complete_with_its_last_byte(rest: int, repeats: bool) -> None:
    payload = b"x" * 128 + b"y" * rest
    wire = message(payload, time=0x01020304, repeats=repeats)
    assert [m.payload for m in read(wire)] == [payload]
    reader = ChunkReader(Limits())
    assert [m.payload for byte in wire for m in rtmp_wire.read(reader, bytes((byte,)))] == [payload]


@pytest.mark.parametrize("fmt", [1, 2])
def test_the_extended_timestamp_of_types_1_and_2_is_a_delta(fmt: int) -> None:
    # SRS before 7.0.37 took it for a timestamp.
    assert times(message(b"a", time=1000), message(b"b", fmt=fmt, time=0x1000000)) == [1000, 0x1000000 + 1000]


@pytest.mark.parametrize("repeats", [True, False], ids=["ffmpeg", "librtmp"])
def test_type3_that_begins_a_message_repeats_an_extended_delta(repeats: bool) -> None:
    delta = 0x01000000
    wire = (
        message(b"aaaa", time=5),
        message(b"bbbb", fmt=2, time=delta),
        message(b"cccc", fmt=3, time=delta, repeats=repeats),
    )
    assert times(*wire) == [5, 5 + delta, 5 + 2 * delta]


@pytest.mark.parametrize("csid", [4, 400])
def test_an_extended_timestamp_is_out_of_force_after_a_short_one(csid: int) -> None:
    payload = b"x" * 128 + b"\1\2\3\4" + b"tail"
    wire = message(b"a", csid=csid, time=0x01020304), message(payload, csid=csid, fmt=1, time=40)
    assert read(*wire)[1].payload == payload


def test_timestamps_wrap_at_32_bits_and_may_go_back() -> None:
    wire = (
        message(b"a", time=2**32 - 10),
        message(b"b", fmt=2, time=40),
        message(b"c", time=3),
        message(b"d", fmt=2, time=1),
    )
    assert times(*wire) == [2**32 - 10, 30, 3, 4]


# Interleaving


def test_chunks_of_several_messages_interleave_and_come_in_the_order_of_their_ends() -> None:
    video = chunks(FRAME, csid=6, time=40)
    audio = chunks(b"s" * 200, csid=4, kind=AUDIO, time=23)
    wire = video[0], audio[0], video[1], audio[1], control(USER_CONTROL, b"ping"), video[2]
    assert [(m.type, m.payload) for m in read(*wire)] == [
        (AUDIO, b"s" * 200),
        (USER_CONTROL, b"ping"),
        (VIDEO, FRAME),
    ]


@pytest.mark.parametrize("fmt", [0, 1, 2])
def test_a_message_cannot_begin_before_the_last_one_of_its_chunk_stream_ended(fmt: int) -> None:
    # CVE-2016-10191: a length that changes inside a message.
    with pytest.raises(ProtocolError, match="before the last one"):
        read(chunks(FRAME)[0], message(FRAME, fmt=fmt))


def test_a_message_over_the_whole_message_limit_comes_chunk_by_chunk() -> None:
    payload = bytes(range(256)) * 4200
    reader = ChunkReader(Limits())
    wire = message(payload, size=128)
    assert rtmp_wire.read(reader, wire[:-1]) == []
    assert rtmp_wire.read(reader, wire[-1:]) == [Message(VIDEO, 0, 1, payload)]


# Control messages of the chunk layer (5.4)


def test_set_chunk_size_holds_from_the_next_chunk_on_also_inside_a_message() -> None:
    first = chunks(FRAME)[0]
    wire = first + set_chunk_size(4096) + b"\xc4" + FRAME[128:] + message(FRAME, size=4096)
    assert [m.payload for m in media(wire)] == [FRAME, FRAME]


def test_set_chunk_size_is_itself_in_chunks_of_the_old_size() -> None:
    # Nobody sends a body this long but an attacker; what follows must not be read from the middle of it.
    wire = control(SET_CHUNK_SIZE, (4096).to_bytes(4, "big") + bytes(300)) + message(FRAME, size=4096)
    assert [m.payload for m in media(wire)] == [FRAME]


@pytest.mark.parametrize("size", [128, 129, 4096, 60_000, 0xFFFFFF, 0x7FFFFFFF])
def test_chunk_sizes_up_to_31_bits_are_taken(size: int) -> None:
    payload = FRAME * 300
    assert media(set_chunk_size(size) + message(payload, size=size))[0].payload == payload


@pytest.mark.parametrize("size", [0, 1, 127, 0x80000000, 0x80001000, 0xFFFFFFFF])
def test_chunk_sizes_of_0_below_the_limit_or_with_the_high_bit_are_refused(size: int) -> None:
    with pytest.raises(ProtocolError, match="chunk size"):
        read(set_chunk_size(size))


@pytest.mark.parametrize("length", range(4))
def test_set_chunk_size_with_a_short_body_is_refused(length: int) -> None:
    with pytest.raises(ProtocolError, match="without a size"):
        read(control(SET_CHUNK_SIZE, bytes(length)))


def test_abort_discards_the_unfinished_message_of_the_chunk_stream_it_names() -> None:
    lost, kept = chunks(FRAME, csid=4), chunks(FRAME, csid=6)
    wire = b"".join((lost[0], kept[0], abort(4), kept[1], message(b"new", csid=4), kept[2]))
    assert [m.payload for m in media(wire)] == [b"new", FRAME]


@pytest.mark.parametrize("payload", [b"", b"\0\0\4", (99).to_bytes(4, "big"), (4).to_bytes(4, "big")])
def test_abort_of_nothing_changes_nothing(payload: bytes) -> None:
    wire = message(b"before"), control(ABORT, payload), message(b"after", fmt=1)
    assert [m.payload for m in media(b"".join(wire))] == [b"before", b"after"]


@pytest.mark.parametrize("kind", [0, 2, 3, 4, 5, 6, 8, 9, 15, 17, 18, 20, 22, 255])
@pytest.mark.parametrize("csid", [4, 400])
def test_zero_length_messages_of_every_type(kind: int, csid: int) -> None:
    wire = (
        message(b"", csid=csid, kind=kind, time=5),
        message(b"", csid=csid, kind=kind, fmt=1, time=1),
        message(b"", csid=csid, fmt=2, time=EXTENDED),
        message(b"", csid=csid, fmt=3, time=EXTENDED),
    )
    assert read(*wire) == [Message(kind, t, 1, b"") for t in (5, 6, 6 + EXTENDED, 6 + 2 * EXTENDED)]
