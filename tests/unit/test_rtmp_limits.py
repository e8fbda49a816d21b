"""What one RTMP connection may cost: refused with the header that asks for it, before the payload is there."""

from __future__ import annotations

import pytest
import rtmp_wire
from rtmp_wire import (
    COMMAND,
    COMMAND_AMF3,
    DATA,
    DATA_AMF3,
    USER_CONTROL,
    VIDEO,
    Encoder,
    abort,
    amf,
    chunks,
    control,
    message,
    set_chunk_size,
)

from onair_media.rtmp import Limits, ProtocolError, PublishEnded, PublishRequested, ServerConnection, VideoMessage
from onair_media.rtmp.chunks import ChunkReader, Message

FRAME = bytes(260)  # three chunks of 128


def read(*wire: bytes, limits: Limits) -> list[Message]:
    return rtmp_wire.read(ChunkReader(limits), b"".join(wire))


# Chunk layer


def test_a_message_longer_than_the_limit_is_refused_at_its_header() -> None:
    limits = Limits(max_message=1000)
    assert len(read(message(bytes(1000)), limits=limits)) == 1
    with pytest.raises(ProtocolError, match="1001 bytes"):
        read(chunks(b"", declared=1001)[0], limits=limits)


def test_a_chunk_larger_than_the_buffer_is_refused_at_its_header() -> None:
    limits = Limits(max_buffered=1000)
    with pytest.raises(ProtocolError, match="larger than the buffer"):
        read(set_chunk_size(4096), chunks(b"", declared=2000, csid=400)[0], limits=limits)


def test_unfinished_messages_count_together() -> None:
    # 16 MB declared on many chunk streams and never finished.
    limits = Limits(max_buffered=1000)
    begun = [chunks(bytes(128), csid=csid, declared=900)[0] for csid in range(400, 410)]
    read(*begun[:7], limits=limits)
    with pytest.raises(ProtocolError, match="unfinished"):
        read(*begun[:8], limits=limits)


@pytest.mark.parametrize("freed", ["finished", "aborted"])
def test_what_was_finished_or_aborted_counts_no_more(freed: str) -> None:
    reader = ChunkReader(Limits(max_buffered=1000))
    for _ in range(50):
        pieces = chunks(FRAME, csid=400)
        rtmp_wire.read(reader, b"".join(pieces) if freed == "finished" else pieces[0] + abort(400))


def test_chunk_streams_are_counted() -> None:
    limits = Limits(max_chunk_streams=3)
    wire = b"".join(message(b"a", csid=csid) for csid in (3, 4, 500)) * 2
    assert len(read(wire, limits=limits)) == 6
    with pytest.raises(ProtocolError, match="too many chunk streams"):
        read(wire, message(b"a", csid=501), limits=limits)


# Commands


def test_a_createstream_flood_ends_the_connection() -> None:
    # rust-media-libs #39: without a limit, and before anybody is authenticated.
    encoder = Encoder(ServerConnection(Limits(max_streams_created=16)))
    for transaction in range(16):
        encoder.say("createStream", transaction + 1, None)
    with pytest.raises(ProtocolError, match="too many streams"):
        encoder.say("createStream", 17, None)


@pytest.mark.parametrize("kind", [COMMAND, COMMAND_AMF3, DATA, DATA_AMF3])
def test_a_command_or_metadata_larger_than_the_limit_ends_the_connection(kind: int) -> None:
    encoder = Encoder(ServerConnection(Limits(max_command=1000)))
    encoder.publish()
    assert encoder.send(kind, b"\5" * 1000) == []
    with pytest.raises(ProtocolError, match="command of 1001 bytes"):
        encoder.send(kind, b"\5" * 1001)


def test_media_is_not_a_command() -> None:
    encoder = Encoder(ServerConnection(Limits(max_command=1000)))
    encoder.publish()
    assert encoder.send(VIDEO, bytes(50_000)) == [VideoMessage(0, bytes(50_000))]


@pytest.mark.parametrize(
    "question",
    [
        control(USER_CONTROL, b"\0\6\0\0\0\1"),
        message(amf("FCPublish", 1, None, "KEY"), csid=3, kind=COMMAND, stream=0),
        message(amf("_checkbw", 1), csid=3, kind=COMMAND, stream=0),
    ],
    ids=["ping", "FCPublish", "_checkbw"],
)
def test_a_flood_of_questions_does_not_pile_up_answers(question: bytes) -> None:
    limits = Limits(max_output=10_000, commands_per_second=1000, controls_per_second=1000, unaccepted_messages=2000)
    server = Encoder(ServerConnection(limits)).server
    with pytest.raises(ProtocolError, match="more answers"):
        rtmp_wire.hear(server, question * 1000)
    assert 0 < len(server.data_to_send()) <= limits.max_output


def test_answers_that_were_taken_count_no_more() -> None:
    encoder = Encoder(ServerConnection(Limits(max_output=10_000, unaccepted_messages=2000)))
    for second in range(1000):
        encoder.now = second
        encoder.send(USER_CONTROL, b"\0\6\0\0\0\1")
        assert len(encoder.hear()) == 1


# Before a publish is accepted, and after


def live(limits: Limits) -> Encoder:
    encoder = Encoder(ServerConnection(limits))
    encoder.publish()
    encoder.server.accept_publish()
    encoder.hear()
    return encoder


KEY_FRAME = bytes(300_000)
PUBLISH_AND_KEY_FRAME = message(amf("publish", 0, None, "KEY", "live"), csid=3, kind=COMMAND, stream=1) + message(
    KEY_FRAME
)


def test_a_key_frame_behind_publish_in_one_read_is_taken_when_the_key_is_good() -> None:
    # OBS and FFmpeg send it without waiting for the answer.
    encoder = Encoder()
    encoder.connect()
    encoder.server.receive(PUBLISH_AND_KEY_FRAME)
    events = encoder.server.events()
    assert next(events) == PublishRequested("live", "KEY")
    encoder.server.accept_publish()
    assert list(events) == [VideoMessage(0, KEY_FRAME)]


def test_an_unknown_connection_may_not_say_as_much() -> None:
    encoder = Encoder()
    encoder.connect()
    with pytest.raises(ProtocolError, match="message of 300000 bytes"):
        rtmp_wire.hear(encoder.server, PUBLISH_AND_KEY_FRAME)


def test_what_an_unknown_connection_leaves_unfinished_is_little() -> None:
    limits = Limits(unaccepted_buffered=10_000)
    server = Encoder(ServerConnection(limits)).server
    rtmp_wire.hear(server, set_chunk_size(1000))
    with pytest.raises(ProtocolError, match="unfinished"):
        for csid in range(400, 463):
            rtmp_wire.hear(server, chunks(bytes(1000), csid=csid, declared=5000, size=1000)[0])
            assert server.held <= limits.unaccepted_buffered


def test_an_unknown_connection_ends_after_a_megabyte() -> None:
    limits = Limits(unaccepted_bytes=10_000)
    encoder = Encoder(ServerConnection(limits))
    encoder.send(VIDEO, bytes(6000))
    with pytest.raises(ProtocolError, match="too much was said") as caught:
        encoder.send(VIDEO, bytes(6000))
    assert caught.value.limit == "unaccepted_bytes"
    live(Limits(unaccepted_bytes=10_000)).send(VIDEO, bytes(6000))


@pytest.mark.parametrize("kind", [VIDEO, DATA, 200])
def test_an_unknown_connection_ends_after_some_messages_of_any_kind(kind: int) -> None:
    # After a message of no length each further byte is one.
    server = Encoder(ServerConnection(Limits(unaccepted_messages=100))).server
    rtmp_wire.hear(server, message(b"", kind=kind) + b"\xc4" * 99)
    with pytest.raises(ProtocolError, match="too many messages"):
        rtmp_wire.hear(server, b"\xc4")


def test_of_a_flood_of_empty_messages_a_publisher_gets_so_many_each_second() -> None:
    server = live(Limits(messages_per_second=50, messages_at_once=20)).server
    server.receive(message(b"") + b"\xc4" * 99)
    turns = []
    for eighth in range(30):
        turns.append(len(list(server.events(1 + eighth / 8))))
        if not server.throttled:
            break
    assert sum(turns) == 100 and turns[0] == 20 and set(turns[1:-1]) == {6, 7}
    server.receive(message(b"frame"))
    assert list(server.events(100.0)) == [VideoMessage(0, b"frame")] and not server.throttled


def test_a_throttled_publisher_is_not_parsed_further() -> None:
    server = live(Limits(messages_per_second=1, messages_at_once=1)).server
    server.receive(message(b"a") + b"\xff" * 50)  # a type 3 header on a fresh chunk stream
    assert list(server.events(1.0)) == [VideoMessage(0, b"a")]
    assert list(server.events(1.5)) == [] and server.throttled
    with pytest.raises(ProtocolError, match="type 3"):
        list(server.events(2.0))


# In a second


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (message(amf("_checkbw", 0), csid=3, kind=COMMAND), "commands_per_second"),
        (message(b"", csid=3, kind=COMMAND_AMF3), "commands_per_second"),
        (control(USER_CONTROL, b"\0\6\0\0\0\1"), "controls_per_second"),
        (control(USER_CONTROL, b"\0\7\0\0\0\1"), "controls_per_second"),
        (set_chunk_size(4096) + set_chunk_size(128), "controls_per_second"),
        (abort(4), "controls_per_second"),
        (control(3, b"\0\0\0\1"), "controls_per_second"),
    ],
    ids=["command", "AMF3 command", "ping", "pong", "set chunk size", "abort", "acknowledgement"],
)
def test_commands_and_control_messages_have_a_rate(said: bytes, reason: str) -> None:
    limits = Limits(commands_per_second=10, controls_per_second=10, burst_seconds=2.0)
    encoder = live(limits)
    encoder.now = 10.0
    for _ in range(5):  # slowly, it may for ever
        encoder.now += 1.0
        rtmp_wire.hear(encoder.server, said * 5, encoder.now)
    with pytest.raises(ProtocolError) as caught:
        rtmp_wire.hear(encoder.server, said * 50, encoder.now)
    assert caught.value.limit == reason


def test_metadata_has_a_rate_of_values_and_what_is_beyond_is_dropped() -> None:
    encoder = live(Limits(amf_values_per_second=1000, max_amf_values=1000))
    metadata = amf("onMetaData", {"times": [0] * 600})
    assert len(encoder.send(DATA, metadata)) == 1
    assert encoder.send(DATA, metadata) == []
    assert encoder.server.ignored == {"amf_values_per_second": 1}
    encoder.now = 1.0
    assert len(encoder.send(DATA, metadata)) == 1
    assert encoder.send(DATA, amf("onMetaData", {"times": [0] * 1001})) == []
    encoder.now = 5.0
    assert encoder.send(DATA, amf("onMetaData", {"times": [0] * 1001})) == []


def test_metadata_does_not_cost_the_goodbye() -> None:
    encoder = live(Limits(amf_values_per_second=1000, max_amf_values=1000))
    for _ in range(5):
        encoder.send(DATA, amf("onMetaData", {"times": [0] * 990}))
    assert encoder.say("FCUnpublish", 6, None, "KEY") == [PublishEnded()]


def test_metadata_of_an_unknown_connection_is_not_even_read() -> None:
    encoder = Encoder(ServerConnection(Limits(max_amf_values=10, amf_values_per_second=1)))
    for _ in range(20):
        assert encoder.send(DATA, amf("onMetaData", {})) == []
    assert not encoder.server.ignored


# What came before the error


def test_what_came_before_an_error_in_the_same_read_is_told_first() -> None:
    encoder = live(Limits())
    goodbye = message(amf("FCUnpublish", 6, None, "KEY"), csid=3, kind=COMMAND)
    encoder.server.receive(message(b"last") + goodbye + b"\xff" * 50)
    events = encoder.server.events()
    assert next(events) == VideoMessage(0, b"last")
    assert next(events) == PublishEnded()
    with pytest.raises(ProtocolError, match="type 3"):
        next(events)
