"""What a connection answers by itself, what it tells its user, and what it does not put up with (RTMP 5.4, 7)."""

from __future__ import annotations

import math

import pytest
from rtmp_wire import (
    AUDIO,
    COMMAND_AMF3,
    DATA,
    DATA_AMF3,
    PEER_BANDWIDTH,
    SET_CHUNK_SIZE,
    USER_CONTROL,
    VIDEO,
    WINDOW_ACK_SIZE,
    Encoder,
    amf,
)

from onair_media import amf0
from onair_media.rtmp import (
    AudioMessage,
    Connected,
    Event,
    Limits,
    MetadataMessage,
    ProtocolError,
    PublishEnded,
    PublishRequested,
    ServerConnection,
    VideoMessage,
)
from onair_media.rtmp.chunks import Message
from onair_media.rtmp.writer import chunk_message


def connected() -> Encoder:
    encoder = Encoder()
    encoder.connect()
    encoder.hear()
    return encoder


def live(limits: Limits | None = None) -> Encoder:
    encoder = Encoder(ServerConnection(limits or Limits()))
    encoder.publish()
    encoder.server.accept_publish()
    encoder.hear()
    return encoder


# The writer


def test_answers_are_chunked_at_the_size_that_was_announced() -> None:
    assert chunk_message(3, 20, 0x01020304, b"abc").hex(" ") == "03 00 00 00 00 00 03 14 04 03 02 01 61 62 63"
    assert chunk_message(3, 20, 0, b"abcde", 2)[12:] == b"ab\xc3cd\xc3e"
    assert chunk_message(3, 20, 0, b"abcd", 2)[12:] == b"ab\xc3cd"
    assert chunk_message(2, 3, 0, b"")[4:] == b"\0\0\0\3\0\0\0\0"


def test_answers_before_our_set_chunk_size_are_in_chunks_of_128() -> None:
    encoder = Encoder()
    encoder.server.reject_publish("NetStream.Publish.BadName", "x" * 300)
    assert b"x" * 300 in encoder.hear()[0].payload


# connect


def test_connect_is_answered_with_window_bandwidth_chunk_size_and_result() -> None:
    encoder = Encoder()
    encoder.connect()
    window, bandwidth, size, result = encoder.hear()
    assert window == Message(WINDOW_ACK_SIZE, 0, 0, (2_500_000).to_bytes(4, "big"))
    assert bandwidth == Message(PEER_BANDWIDTH, 0, 0, (2_500_000).to_bytes(4, "big") + b"\2")
    assert size == Message(SET_CHUNK_SIZE, 0, 0, (4096).to_bytes(4, "big"))
    name, transaction, server, information = amf0.decode(result.payload)
    assert (name, transaction) == ("_result", 1.0)
    assert isinstance(server, dict) and server["fmsVer"] == "FMS/3,0,1,123"
    assert isinstance(information, dict) and information["code"] == "NetConnection.Connect.Success"


@pytest.mark.parametrize(("said", "answered"), [(0, 0.0), (3, 3.0), ("x", 0.0)])
def test_the_object_encoding_is_repeated(said: object, answered: float) -> None:
    encoder = Encoder()
    encoder.say("connect", 1, {"app": "live", "objectEncoding": said})
    information = encoder.answers()[0][3]
    assert isinstance(information, dict) and information["objectEncoding"] == answered


def properties_of_the_answer(said: dict[str, object]) -> tuple[Event, object]:
    encoder = Encoder(ServerConnection(video_fourccs=("avc1", "hvc1"), audio_fourccs=("mp4a", ".mp3")))
    [event] = encoder.say("connect", 1, {"app": "live", **said})
    return event, encoder.answers()[0][2]


@pytest.mark.parametrize(
    ("said", "fourccs", "caps_ex"),
    [
        ({"fourCcList": ["hvc1", "vp09", 5], "capsEx": 1}, {"hvc1", "vp09"}, 1),  # OBS; 1 asks for reconnect requests
        ({"videoFourCcInfoMap": {"*": 4}, "audioFourCcInfoMap": {"Opus": 3}}, {"*", "Opus"}, 0),  # FFmpeg 8
        ({"fourCcList": "hvc1", "videoFourCcInfoMap": 5, "capsEx": math.nan}, set(), 0),
        ({"capsEx": 14}, set(), 14),
    ],
)
def test_who_speaks_enhanced_rtmp_is_told_what_can_be_packaged(
    said: dict[str, object], fourccs: set[str], caps_ex: int
) -> None:
    event, server = properties_of_the_answer(said)
    assert event == Connected("live", fourccs=frozenset(fourccs), caps_ex=caps_ex)
    assert server == {
        "fmsVer": "FMS/3,0,1,123",
        "capabilities": 31.0,
        "fourCcList": ["avc1", "hvc1", "mp4a", ".mp3"],
        "videoFourCcInfoMap": {"avc1": 4.0, "hvc1": 4.0},
        "audioFourCcInfoMap": {"mp4a": 4.0, ".mp3": 4.0},
        "capsEx": 14.0,  # multitrack, ModEx, nanoseconds; no reconnect requests are ever sent
    }


@pytest.mark.parametrize("said", [{}, {"fourCcList": None, "videoFunction": 1}])
def test_who_says_nothing_of_enhanced_rtmp_is_answered_as_ever(said: dict[str, object]) -> None:
    # A strict array broke MediaMTX 1.6.
    event, server = properties_of_the_answer(said)
    assert event == Connected("live")
    assert server == {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0}


@pytest.mark.parametrize("properties", [(), (None,), ("live",), (["live"],)])
def test_connect_without_properties_is_refused(properties: tuple[object, ...]) -> None:
    with pytest.raises(ProtocolError, match="without its properties"):
        Encoder().say("connect", 1, *properties)


def test_a_url_of_60_kb_beside_an_application_is_harmless_and_flash_versions_are_cut() -> None:
    url = "rtmp://" + "x" * 60_000
    assert Encoder().say("connect", 1, {"app": "live", "tcUrl": url, "flashVer": url}) == [Connected("live", url[:200])]


# Other commands


@pytest.mark.parametrize("name", ["_checkbw", "releaseStream", "set_playlist", "pause", "x" * 1000, ""])
def test_unknown_commands_are_answered_with_a_null_result(name: str) -> None:
    # Haivision waits for _checkbw, restream.io sends it.
    encoder = connected()
    assert encoder.say(name, 7, None, "KEY") == []
    assert encoder.answers() == [["_result", 7.0, None, None]]


@pytest.mark.parametrize("name", ["play", "play2"])
def test_a_player_hears_that_nothing_is_played_here_and_a_publisher_goes_on(name: str) -> None:
    # rtmpdump would wait for media until the deadline, and call that a success.
    player = connected()
    with pytest.raises(ProtocolError) as caught:
        player.say(name, 5, None, "KEY", stream=1)
    assert caught.value.limit == "play"
    (status,) = player.answers()
    assert status[0] == "onStatus"
    assert status[3]["code"] == "NetStream.Play.Failed"
    publisher = live()
    assert publisher.say(name, 5, None, "KEY", stream=2) == []
    assert publisher.answers()[0][3]["code"] == "NetStream.Play.Failed"
    assert publisher.send(VIDEO, b"x") == [VideoMessage(0, b"x")]


def test_get_stream_length_is_answered_with_a_number() -> None:
    # librtmp as a player.
    encoder = connected()
    encoder.say("getStreamLength", 7, None, "KEY")
    assert encoder.answers() == [["_result", 7.0, None, 0.0]]


@pytest.mark.parametrize("name", ["_result", "_error", "onStatus"])
def test_an_answer_is_not_answered(name: str) -> None:
    # A peer with the same rule would answer back, for ever.
    encoder = connected()
    assert encoder.say(name, 7, None, None) == []
    assert encoder.hear() == []


@pytest.mark.parametrize("transaction", [0, None, "7", math.nan])
def test_commands_without_a_transaction_are_not_answered(transaction: object) -> None:
    encoder = connected()
    encoder.say("_checkbw", transaction, None)
    assert encoder.hear() == []


def test_create_stream_counts_up() -> None:
    encoder = connected()
    encoder.say("createStream", 2, None)
    encoder.say("createStream", 3, None)
    assert encoder.answers() == [["_result", 2.0, None, 1.0], ["_result", 3.0, None, 2.0]]


@pytest.mark.parametrize("zero", [b"\0", b""], ids=["behind a zero", "bare"])
def test_amf3_messages_are_amf0_behind_a_zero_byte(zero: bytes) -> None:
    encoder = Encoder()
    assert encoder.send(COMMAND_AMF3, zero + amf("connect", 1, {"app": "live"})) == [Connected("live")]
    encoder.publish_now()
    assert encoder.send(DATA_AMF3, zero + amf("onMetaData", {"width": 0})) == [MetadataMessage({"width": 0.0})]


# publish


@pytest.mark.parametrize("stream", [1, 3, 0], ids=["1", "3", "0, answered on 1"])
def test_publish_is_answered_on_its_message_stream(stream: int) -> None:
    encoder = connected()
    encoder.say("publish", 5, None, "KEY", "live", stream=stream)
    encoder.server.accept_publish()
    begin, status = encoder.hear()
    assert begin == Message(USER_CONTROL, 0, 0, b"\0\0" + (stream or 1).to_bytes(4, "big"))
    assert status.stream == (stream or 1)
    assert encoder.say("deleteStream", 6, None, stream or 1) == [PublishEnded()]
    assert amf0.decode(status.payload) == [
        "onStatus",
        0.0,
        None,
        {"level": "status", "code": "NetStream.Publish.Start", "description": "Publishing."},
    ]


def test_a_rejected_publisher_hears_why_and_its_media_goes_nowhere() -> None:
    encoder = Encoder()
    encoder.publish()
    encoder.hear()
    encoder.server.reject_publish("NetStream.Publish.BadName", "Somebody is publishing.")
    [status] = encoder.answers()
    assert status[3] == {
        "level": "error",
        "code": "NetStream.Publish.BadName",
        "description": "Somebody is publishing.",
    }
    assert encoder.send(VIDEO, b"frame", stream=1) == []


@pytest.mark.parametrize(
    ("code", "level"),
    [
        ("NetStream.Unpublish.Success", "status"),
        ("NetStream.Publish.Denied", "error"),
        ("NetStream.Publish.BadName", "error"),
        ("NetStream.Publish.Failed", "error"),
    ],
)
def test_the_server_can_end_a_publish_and_nothing_follows(code: str, level: str) -> None:
    # FFmpeg acts on the level alone: a publisher that was cut for a reason must not take it for a normal end.
    encoder = live()
    encoder.server.end_publish(code, "Completed.")
    [status] = encoder.answers()
    assert status[3] == {"level": level, "code": code, "description": "Completed."}
    assert encoder.send(VIDEO, b"frame", stream=1) + encoder.say("FCUnpublish", 6, None, "KEY") == []
    with pytest.raises(ProtocolError, match="twice"):
        encoder.publish_now()


@pytest.mark.parametrize("kind", [VIDEO, AUDIO, DATA])
def test_media_before_publish_is_dropped_and_before_accept_is_not(kind: int) -> None:
    payload = amf("onMetaData", {}) if kind == DATA else b"media"
    encoder = connected()
    assert encoder.send(kind, payload, time=5) == []
    encoder.publish_now()
    expected = {VIDEO: VideoMessage(5, payload), AUDIO: AudioMessage(5, payload), DATA: MetadataMessage({})}
    assert encoder.send(kind, payload, time=5) == [expected[kind]]


@pytest.mark.parametrize("prefix", [(), ("@setDataFrame",)])
def test_metadata_with_and_without_set_data_frame_as_object_or_ecma_array(prefix: tuple[str, ...]) -> None:
    encoder = live()
    ecma = b"\x08\0\0\0\0\0\5width\5\0\0\t"
    assert encoder.send(DATA, amf(*prefix, "onMetaData", {"width": None})) == [MetadataMessage({"width": None})]
    assert encoder.send(DATA, amf(*prefix, "onMetaData") + ecma) == [MetadataMessage({"width": None})]
    for nothing in (
        amf(*prefix),
        amf(*prefix, "onMetaData"),
        amf(*prefix, "onMetaData", 5),
        amf("onCuePoint", {}),
        b"",
    ):
        assert encoder.send(DATA, nothing) == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([("publish", 5, None, "KEY")], "before connect"),
        ([("connect", 1, {"app": "live"})] * 2, "connect came twice"),
        ([("connect", 1, {"app": "live"}), *[("publish", 5, None, "KEY")] * 2], "publish came twice"),
        ([("connect", 1, {"app": "live"}), ("publish", 5, None, 7)], "without a stream name"),
        ([("connect", 1, {"app": "live"}), ("publish", 5, None, "x" * 2049)], "name too long"),
        ([("connect", 1, {"app": "x" * 2049})], "name too long"),
        ([("connect", 1, {"app": "live"}), ("play", 5, None, "KEY")], "a player came"),
    ],
)
def test_commands_out_of_order_or_too_long_end_the_connection(said: list[tuple[object, ...]], reason: str) -> None:
    encoder = Encoder()
    with pytest.raises(ProtocolError, match=reason):
        for command in said:
            encoder.say(*command)


# Goodbye


@pytest.mark.parametrize(
    "goodbye",
    [
        [("FCUnpublish", 6, None, "KEY"), ("deleteStream", 7, None, 1)],
        [("deleteStream", 7, None, 1), ("closeStream", 0, None)],
        [("closeStream", 0, None), ("FCUnpublish", 6, None, "KEY")],
        [("deleteStream", 7, None)],  # without saying which
        [("deleteStream", 7, None, 5), ("deleteStream", 7, None, 1)],
        [("FCUnpublish", 6, None, "OTHER"), ("FCUnpublish", 7, None, "KEY?token=x")],
        [("FCUnpublish", 6, None)],  # without saying which
    ],
)
def test_publishing_ends_once(goodbye: list[tuple[object, ...]]) -> None:
    encoder = live()
    assert [event for command in goodbye for event in encoder.say(*command, stream=1)] == [PublishEnded()]
    codes = [
        answer[3]["code"] for answer in encoder.answers() if answer[0] == "onStatus" and isinstance(answer[3], dict)
    ]
    assert codes == ["NetStream.Unpublish.Success"]
    with pytest.raises(ProtocolError, match="twice"):
        encoder.say("publish", 8, None, "KEY")


def test_closing_another_message_stream_ends_nothing() -> None:
    encoder = live()
    assert encoder.say("closeStream", 0, None, stream=5) == []
    assert encoder.send(VIDEO, b"frame") == [VideoMessage(0, b"frame")]
    assert encoder.say("closeStream", 0, None) == [PublishEnded()]


def test_goodbye_without_publishing_is_nothing_and_another_stream_may_be_deleted() -> None:
    encoder = connected()
    assert encoder.say("closeStream", 0, None) + encoder.say("deleteStream", 5, None, 1) == []
    assert encoder.publish_now() == [PublishRequested("live", "KEY")]
    assert encoder.say("deleteStream", 6, None, 2) == []
    assert encoder.send(VIDEO, b"frame") == [VideoMessage(0, b"frame")]
