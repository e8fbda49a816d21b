"""How each encoder says hello and goodbye, and where it puts the stream key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from rtmp_wire import AUDIO, COMMAND, DATA, VIDEO, WINDOW_ACK_SIZE, Encoder, amf, control, hear, message, set_chunk_size

from onair_media.rtmp import (
    AudioMessage,
    Connected,
    MetadataMessage,
    ProtocolError,
    PublishEnded,
    PublishRequested,
    VideoMessage,
)

CONFIG, FRAME, SOUND = b"\x17\0\0\0\0\1", b"\x27\1\0\0\0" + bytes(500), b"\xaf\1!"

# A command: name, transaction id, arguments; and the message stream where it is not 0.
Command = tuple[object, ...]


@dataclass
class Flow:
    """The commands of one encoder, as captured; `after` go on the message stream that createStream gave."""

    connect: Mapping[str, object]
    before: list[Command]
    publish: Command
    end: list[Command]
    chunk_size: int = 128


OBS = Flow(
    # 29 and later: Enhanced RTMP's list is a strict array, which broke MediaMTX 1.6.
    {
        "app": "live",
        "type": "nonprivate",
        "flashVer": "FMLE/3.0 (compatible; FMSc/1.0)",
        "swfUrl": "rtmp://localhost/live",
        "tcUrl": "rtmp://localhost/live",
        "fourCcList": ["av01", "hvc1"],
    },
    [("releaseStream", 2, None, "KEY"), ("FCPublish", 3, None, "KEY"), ("createStream", 4, None)],
    ("publish", 5, None, "KEY", "live"),
    [("FCUnpublish", 6, None, "KEY"), ("deleteStream", 7, None, 1)],
    chunk_size=4096,
)
FFMPEG = Flow(
    {
        "app": "live",
        "type": "nonprivate",
        "flashVer": "FMLE/3.0 (compatible; Lavf60.16.100)",
        "tcUrl": "rtmp://localhost:1935/live",
    },
    [("releaseStream", 2, None, "KEY"), ("FCPublish", 3, None, "KEY"), ("createStream", 4, None)],
    ("publish", 5, None, "KEY", "live"),
    [("FCUnpublish", 6, None, "KEY"), ("deleteStream", 7, None, 1)],
    chunk_size=60_000,
)
LIBRTMP = Flow(
    {"app": "live", "type": "nonprivate", "tcUrl": "rtmp://localhost/live"},
    [("createStream", 2, None)],
    ("publish", 3, None, "KEY", "live"),
    [("deleteStream", 4, None, 1)],
)
GSTREAMER = Flow(
    # rtmp2sink: releaseStream and FCPublish want no answer (transaction 0); numbers in connect that others leave out.
    {
        "app": "live",
        "type": "nonprivate",
        "flashVer": "FMLE/3.0 (compatible; FMSc/1.0)",
        "tcUrl": "rtmp://localhost:1935/live",
        "fpad": False,
        "capabilities": 15,
        "audioCodecs": 4071,
        "videoCodecs": 252,
        "videoFunction": 1,
    },
    [("releaseStream", 0, None, "KEY"), ("FCPublish", 0, None, "KEY"), ("createStream", 2, None)],
    ("publish", 0, None, "KEY", "live"),
    [("FCUnpublish", 0, None, "KEY"), ("deleteStream", 0, None, 1)],
)
FMLE = Flow(
    {
        "app": "live",
        "flashVer": "FMLE/3.0 (compatible; FMSc/1.0)",
        "swfUrl": "rtmp://localhost/live",
        "tcUrl": "rtmp://localhost/live",
    },
    [
        ("releaseStream", 2, None, "KEY"),
        ("FCPublish", 3, None, "KEY"),
        ("createStream", 4, None),
        ("_checkbw", 5, None),
    ],
    ("publish", 0, None, "KEY", "live"),
    [("FCUnpublish", 6, None, "KEY"), ("closeStream", 0, None), ("deleteStream", 7, None, 1)],
)
FLOWS = {"OBS": OBS, "FFmpeg": FFMPEG, "librtmp": LIBRTMP, "GStreamer": GSTREAMER, "FMLE": FMLE}
flows = pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)


@flows
def test_hello_media_and_goodbye(flow: Flow) -> None:
    encoder = Encoder()
    [connected] = encoder.say("connect", 1, flow.connect)
    assert isinstance(connected, Connected) and connected.app == "live"
    assert connected.flash_version == flow.connect.get("flashVer", "")
    [connection] = encoder.answers()
    assert connection[:2] == ["_result", 1.0]

    hear(encoder.server, control(WINDOW_ACK_SIZE, (2_500_000).to_bytes(4, "big")) + set_chunk_size(flow.chunk_size))
    for command in flow.before:
        assert encoder.say(*command) == []
    heard = encoder.answers()
    results = {answer[1]: answer[3] for answer in heard if answer[0] == "_result"}
    wanted = {command[1]: (1.0 if command[0] == "createStream" else None) for command in flow.before if command[1]}
    assert results == wanted

    assert encoder.say(*flow.publish, stream=1) == [PublishRequested("live", "KEY")]
    assert encoder.hear() == []  # the answer is the user's
    encoder.server.accept_publish()
    begin, status = encoder.hear()
    assert (begin.type, begin.payload) == (4, b"\0\0\0\0\0\1")  # User Control: Stream Begin 1
    assert (status.type, status.stream) == (COMMAND, 1) and b"NetStream.Publish.Start" in status.payload

    size = flow.chunk_size
    wire = b"".join(
        (
            message(amf("@setDataFrame", "onMetaData", {"width": 1280}), kind=DATA, size=size),
            message(CONFIG, time=0, size=size),
            message(SOUND, fmt=1, kind=AUDIO, time=23, size=size),
            message(FRAME, fmt=1, time=17, size=size),
        )
    )
    assert hear(encoder.server, wire) == [
        MetadataMessage({"width": 1280.0}),
        VideoMessage(0, CONFIG),
        AudioMessage(23, SOUND),
        VideoMessage(40, FRAME),
    ]

    goodbye = [event for command in flow.end for event in encoder.say(*command, stream=command[0] == "closeStream")]
    assert goodbye == [PublishEnded()]
    assert "onStatus" in [answer[0] for answer in encoder.answers()]
    assert encoder.send(VIDEO, FRAME, csid=6, stream=1) == []


@flows
def test_all_at_once_without_waiting_for_answers(flow: Flow) -> None:
    # Some encoders send media before the publish answer (ZLMediaKit #2715): it comes in its place.
    encoder = Encoder()
    commands: list[Command] = [("connect", 1, flow.connect), *flow.before, flow.publish]
    wire = b"".join(message(amf(*command), csid=3, kind=COMMAND, stream=1) for command in commands)
    events = hear(encoder.server, wire + message(CONFIG) + message(amf(*flow.end[0]), csid=3, kind=COMMAND))
    assert events[1:] == [PublishRequested("live", "KEY"), VideoMessage(0, CONFIG), PublishEnded()]


def test_fcpublish_is_answered_with_its_own_transaction() -> None:
    # Livestream Studio waits for an onFCPublish that repeats it.
    encoder = Encoder()
    encoder.connect()
    encoder.answers()
    encoder.say("FCPublish", 3, None, "KEY")
    [told, result] = encoder.answers()
    assert told[:2] == ["onFCPublish", 3.0] and result == ["_result", 3.0, None, None]


def test_fcunpublish_is_answered_also_when_nothing_was_published() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.answers()
    assert encoder.say("FCUnpublish", 4, None, "KEY") == []
    assert [answer[:2] for answer in encoder.answers()] == [["onFCUnpublish", 4.0], ["_result", 4.0]]


# Where the stream key stands


@pytest.mark.parametrize(
    ("app", "name", "key"),
    [
        ("live", "KEY", "KEY"),
        ("live/", "KEY", "KEY"),
        ("/live", "/KEY/", "KEY"),
        ("live", "KEY?token=secret", "KEY"),
        ("live?token=secret", "KEY", "KEY"),
        ("live/KEY", "", "KEY"),  # FFmpeg with a slash behind the key
        ("live/KEY/", None, "KEY"),
        ("live/KEY?token=a/b", "", "KEY"),
        ("live/KEY", "?token=secret", "KEY"),
        ("live/instance", "KEY", "KEY"),
        ("live", "folder/KEY", "folder/KEY"),
        ("live", "", ""),
        ("live", "?", ""),
        ("live", "../..", "../.."),  # no path to this layer, and to nobody behind it
        ("live", "K\0Y %2e", "K\0Y %2e"),
        ("live", "schlüssel", "schlüssel"),
    ],
)
def test_the_key_is_what_follows_the_application_without_its_query(app: str, name: str | None, key: str) -> None:
    assert Encoder().publish(name, app)[-1] == PublishRequested("live", key)


@pytest.mark.parametrize(
    "url",
    [
        "rtmp://localhost/live",
        "rtmp://localhost:1935/live/",
        "'rtmp://localhost/live'",
        '"rtmp://localhost/live"',
        "rtmps://[::1]:443/live",
        "rtmp://localhost/live?token=a/b",
    ],
)
@pytest.mark.parametrize("name", ["tcUrl", "tcurl"])
def test_connect_without_app_takes_it_from_the_url(name: str, url: str) -> None:
    # Quotes around the URL and its name in small letters are seen in the wild (MediaMTX).
    assert Encoder().say("connect", 1, {name: url}) == [Connected("live")]


def test_a_url_with_the_key_in_it_serves_as_application_and_key() -> None:
    encoder = Encoder()
    encoder.say("connect", 1, {"tcUrl": "rtmp://localhost/live/KEY"})
    assert encoder.say("publish", 0, None, "", stream=1) == [PublishRequested("live", "KEY")]


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"app": None},
        {"app": 5},
        {"tcUrl": 5},
        {"tcUrl": "rtmp://localhost"},
        {"app": "vod"},
        {"app": "LIVE"},
        {"app": "KEY"},
        {"app": "secret/live"},
    ],
)
def test_another_application_is_rejected_and_told_which_are_served(properties: dict[str, object]) -> None:
    encoder = Encoder()
    with pytest.raises(ProtocolError, match="another application is asked for"):
        encoder.say("connect", 3, properties)
    [[name, transaction, _, information]] = encoder.answers()
    assert (name, transaction) == ("_error", 3.0)
    assert information == {
        "level": "error",
        "code": "NetConnection.Connect.Rejected",
        "description": "No such application: served are rtmp://HOST/app and rtmp://HOST/live.",
    }


def test_keys_and_their_query_are_not_shown_by_events() -> None:
    events = Encoder().publish("KEY?token=secret", "live/SECRET")
    assert "KEY" not in repr(events) and "secret" not in repr(events).lower()
