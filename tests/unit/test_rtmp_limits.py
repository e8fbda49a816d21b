"""What one RTMP connection may cost: refused with the header that asks for it, before the payload is there."""

from __future__ import annotations

import pytest
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

from onair_media.rtmp import Limits, ProtocolError, ServerConnection, VideoMessage
from onair_media.rtmp.chunks import ChunkReader, Message

FRAME = bytes(260)  # three chunks of 128


def read(*wire: bytes, limits: Limits) -> list[Message]:
    return ChunkReader(limits).feed(b"".join(wire))


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
        reader.feed(b"".join(pieces) if freed == "finished" else pieces[0] + abort(400))


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
    limits = Limits(max_output=10_000)
    server = Encoder(ServerConnection(limits)).server
    with pytest.raises(ProtocolError, match="more answers"):
        server.receive(question * 1000)
    assert 0 < len(server.data_to_send()) <= limits.max_output


def test_answers_that_were_taken_count_no_more() -> None:
    encoder = Encoder(ServerConnection(Limits(max_output=10_000)))
    for _ in range(1000):
        encoder.send(USER_CONTROL, b"\0\6\0\0\0\1")
        assert len(encoder.hear()) == 1
