"""Pings, acknowledgements, and messages nobody understands (RTMP 5.4, 5.4.3, 7.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rtmp_wire import (
    ABORT,
    ACKNOWLEDGEMENT,
    AUDIO,
    COMMAND,
    COMMAND_AMF3,
    DATA,
    DATA_AMF3,
    HANDSHAKE,
    PEER_BANDWIDTH,
    USER_CONTROL,
    VIDEO,
    WINDOW_ACK_SIZE,
    Encoder,
    amf,
    control,
    hear,
    message,
    set_chunk_size,
)

from onair_media.rtmp import Limits, ProtocolError, PublishRequested, ServerConnection, VideoMessage
from onair_media.rtmp.chunks import Message

DEFAULT_WINDOW = 2_500_000


def live() -> Encoder:
    encoder = Encoder()
    encoder.publish()
    encoder.server.accept_publish()
    encoder.hear()
    return encoder


# User control (7.1.7)


def test_a_ping_is_answered_with_its_timestamp() -> None:
    encoder = Encoder()
    assert encoder.send(USER_CONTROL, b"\0\6\1\2\3\4", csid=2) == []
    assert encoder.send(USER_CONTROL, b"\0\6\1\2\3\4 and more", csid=2) == []
    assert encoder.hear() == [Message(USER_CONTROL, 0, 0, b"\0\7\1\2\3\4")] * 2


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0",
        b"\0\6",
        b"\0\6\1\2\3",
        b"\0\7\1\2\3\4",
        b"\0\0\0\0\0\1",
        b"\0\3\0\0\0\1\0\0\1\0",
        b"\xff\xff\0\0\0\0",
    ],
    ids=["empty", "half", "ping alone", "ping cut", "pong", "stream begin", "buffer length", "unknown"],
)
def test_other_user_control_is_taken_without_a_word(payload: bytes) -> None:
    encoder = Encoder()
    assert encoder.send(USER_CONTROL, payload, csid=2) == []
    assert encoder.hear() == []


# Acknowledgements (5.4.3): GStreamer's rtmp2sink stalls without them


def acknowledged(encoder: Encoder) -> list[int]:
    return [int.from_bytes(heard.payload, "big") for heard in encoder.hear() if heard.type == ACKNOWLEDGEMENT]


def test_every_window_is_acknowledged_with_all_bytes_so_far() -> None:
    encoder = live()
    encoder.send(WINDOW_ACK_SIZE, (100_000).to_bytes(4, "big"), csid=2)
    told = []
    for _ in range(6):
        encoder.send(VIDEO, bytes(50_000), stream=1)
        told += [(encoder.server.bytes_received, number) for number in acknowledged(encoder)]
    assert len(told) == 3
    assert all(received == number for received, number in told)


def test_the_handshake_and_headers_count() -> None:
    server = ServerConnection()
    server.receive(HANDSHAKE + control(WINDOW_ACK_SIZE, b"\0\0\0\1"))
    assert server.bytes_received == 3073 + 12 + 4


@pytest.mark.parametrize("window", [b"", b"\0\0\0\0", None], ids=["no size", "zero", "never said"])
def test_without_a_window_there_is_one_of_ours(window: bytes | None) -> None:
    encoder = live()
    if window is not None:
        encoder.send(WINDOW_ACK_SIZE, window, csid=2)
    encoder.send(VIDEO, bytes(DEFAULT_WINDOW - 50_000))
    assert acknowledged(encoder) == []
    encoder.send(VIDEO, bytes(50_000))
    assert len(acknowledged(encoder)) == 1


def test_a_tiny_window_does_not_make_every_packet_an_answer() -> None:
    encoder = live()
    encoder.send(WINDOW_ACK_SIZE, b"\0\0\0\1", csid=2)
    encoder.hear()
    for _ in range(64):
        encoder.send(VIDEO, bytes(1000))
    assert len(acknowledged(encoder)) <= 1


def test_acknowledgements_wrap_at_32_bits() -> None:
    encoder = live()
    encoder.server.bytes_received = 2**32 + 5  # 4 GB later
    encoder.send(VIDEO, b"")
    assert acknowledged(encoder) == [encoder.server.bytes_received - 2**32]


def test_the_peers_acknowledgements_and_bandwidth_are_taken_without_a_word() -> None:
    encoder = live()
    for kind in (ACKNOWLEDGEMENT, PEER_BANDWIDTH):
        for payload in (b"", b"\0", b"\xff\xff\xff\xff\xff", bytes(100)):
            assert encoder.send(kind, payload, csid=2) == []
    assert encoder.hear() == [] and not encoder.server.ignored


# What is not understood is dropped and counted


@pytest.mark.parametrize("kind", [0, 7, 10, 14, 16, 19, 21, 22, 255])
def test_unknown_message_types_are_dropped_and_counted(kind: int) -> None:
    # Shared objects (16, 19), aggregates (22); FFmpeg with VAAPI has sent 255.
    encoder = live()
    assert encoder.send(kind, b"anything") + encoder.send(kind, b"") == []
    assert encoder.server.ignored == {"unknown_message_type": 2}
    assert encoder.send(VIDEO, b"frame") == [VideoMessage(0, b"frame")]


GARBAGE = {
    "marker": b"\xff",
    "truncated string": b"\2\0\x20conn",
    "array of 2^32-1": amf("connect", 1.0) + b"\n\xff\xff\xff\xff",
    "string of 4 GB": amf("connect", 1.0) + b"\x0c\xff\xff\xff\xff",
    "nested too deep": amf("connect", 1.0) + b"\3\0\1a" * 60_000,
    "AMF3 inside": amf("connect", 1.0) + b"\x11\x0a\x0b\1",
}


@pytest.mark.parametrize("kind", [COMMAND, COMMAND_AMF3, DATA, DATA_AMF3])
@pytest.mark.parametrize("payload", GARBAGE.values(), ids=GARBAGE)
def test_garbage_amf_is_dropped_and_counted(kind: int, payload: bytes) -> None:
    encoder = live()
    assert encoder.send(kind, payload) == []
    too_much = payload == GARBAGE["nested too deep"]
    assert encoder.server.ignored == {"amf_limits" if too_much else "amf": 1}
    assert encoder.hear() == []
    assert encoder.send(VIDEO, b"frame") == [VideoMessage(0, b"frame")]


@pytest.mark.parametrize("values", [(), (None,), (5,), ({"a": 1}, 7), (["connect"], 1), (True, 1, {})])
def test_a_command_without_a_name_is_nothing(values: tuple[object, ...]) -> None:
    encoder = Encoder()
    assert encoder.say(*values) == [] and encoder.hear() == []


# Anything at all

plain = st.none() | st.booleans() | st.floats() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
arguments = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("app"), inner), max_leaves=4
)
names = st.sampled_from(
    [
        "connect",
        "createStream",
        "publish",
        "releaseStream",
        "FCPublish",
        "FCUnpublish",
        "closeStream",
        "deleteStream",
        "getStreamLength",
        "_result",
        "onStatus",
        "@setDataFrame",
        "onMetaData",
        "play",
    ]
)
commands = st.tuples(names, st.integers(0, 9), st.none() | st.just({"app": "live"}) | arguments, arguments)
kinds = st.sampled_from([COMMAND, COMMAND, COMMAND, COMMAND_AMF3, DATA, DATA_AMF3, VIDEO, AUDIO, ABORT, USER_CONTROL])
messages = st.tuples(kinds, commands.map(lambda values: amf(*values))) | st.tuples(
    st.integers(2, 255), st.binary(max_size=40)
)


@given(st.lists(messages, max_size=25), st.booleans(), st.lists(st.sampled_from(["accept", "reject", "end"])))
def test_no_sequence_of_messages_raises_anything_but_protocol_errors(
    said: list[tuple[int, bytes]], at_first: bool, answers: list[str]
) -> None:
    encoder = Encoder()
    ended = 0
    try:
        if at_first:
            encoder.connect()
        for kind, payload in said:
            for event in encoder.send(kind, payload, stream=1):
                ended += type(event).__name__ == "PublishEnded"
                if isinstance(event, PublishRequested):
                    answer = answers.pop() if answers else "accept"
                    if answer == "accept":
                        encoder.server.accept_publish()
                    elif answer == "reject":
                        encoder.server.reject_publish("NetStream.Publish.BadName", "No.")
                    else:
                        encoder.server.end_publish("NetStream.Unpublish.Success", "Over.")
            encoder.hear()  # and the answers are RTMP
    except ProtocolError as error:
        assert "live" not in error.reason
    assert ended <= 1


@given(st.binary(max_size=600), st.sampled_from([b"", set_chunk_size(4096)]))
def test_random_bytes_raise_nothing_but_protocol_errors(data: bytes, before: bytes) -> None:
    server = ServerConnection(Limits(max_output=10_000))
    try:
        hear(server, HANDSHAKE + before + data)
        hear(server, message(amf("connect", 1.0, {"app": "live"}), csid=3, kind=COMMAND))
    except ProtocolError:
        pass
    assert len(server.data_to_send()) <= 10_000
