"""The server's side of one RTMP connection, sans-I/O: wire bytes in, events out (RTMP 1.0, sections 5 to 7).

Theory of operation. `receive()` takes bytes; `events()` runs chunk layer and commands over them and gives events in
the order of the wire, each when it is asked for; what must be written gathers until `data_to_send()`. The connection
answers by itself whatever has only one answer (connect, createStream, acknowledgements, pings); a `PublishRequested`
waits for the user's `accept_publish()` or `reject_publish()`. Accepting brings the limits of a publisher into force for
whatever follows, the rest of the same read included: some encoders send media without waiting for the answer, and a key
frame is larger than anything an unknown connection may say.

Rules about encoders, all of them here:

* OBS, FMLE and FFmpeg send releaseStream, FCPublish, createStream, publish; GStreamer and librtmp leave some out.
  Nothing is required but connect and publish, and no unknown command is fatal.
* A command with a transaction id gets a `_result`, an unknown one with null: Haivision waits for `_checkbw`. publish is
  answered by onStatus, closeStream and deleteStream (7.2.2.3) by nothing else, and an answer never.
  onFCPublish repeats the transaction id of FCPublish: Livestream Studio waits for it.
* Nothing is played here: play and play2 are refused by an onStatus that rtmpdump and FFmpeg give up at; other players
  would wait for media until the deadline. A connection that publishes goes on.
* An application is served under the names of `APPLICATIONS` and no others.
* The stream key is what follows the application in the URL or the stream name, without query string; it may stand in
  the application (`app/KEY`) with an empty stream name (`address`).
* A goodbye counts when it is for the stream that publishes: FCUnpublish by name, closeStream by message stream,
  deleteStream by its argument. Where one of them says nothing, it is meant.
* A message that is not understood (AMF in disorder, AMF3, aggregate, shared object, unknown type) is dropped and
  counted; only what breaks the chunk layer or a limit ends the connection.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from onair_media import amf0
from onair_media.rtmp import enhanced
from onair_media.rtmp.address import APPLICATIONS, application_in, split_application, without_query
from onair_media.rtmp.chunks import ChunkReader, Message
from onair_media.rtmp.errors import ProtocolError
from onair_media.rtmp.events import (
    AudioMessage,
    Connected,
    Event,
    MetadataMessage,
    PublishEnded,
    PublishRequested,
    VideoMessage,
)
from onair_media.rtmp.handshake import Handshake
from onair_media.rtmp.limits import Limits
from onair_media.rtmp.rate import Rate
from onair_media.rtmp.writer import OUT_CHUNK_SIZE, chunk_message

_ACKNOWLEDGEMENT, _USER_CONTROL, _WINDOW_ACK_SIZE, _PEER_BANDWIDTH = 3, 4, 5, 6
_AUDIO, _VIDEO = 8, 9
_DATA_AMF3, _COMMAND_AMF3, _DATA_AMF0, _COMMAND_AMF0 = 15, 17, 18, 20
_SET_CHUNK_SIZE = 1
_CONTROLS = frozenset(range(_SET_CHUNK_SIZE, _PEER_BANDWIDTH + 1))
_ANSWERS = ("_result", "_error", "onStatus")
_STREAM_BEGIN, _PING_REQUEST, _PING_RESPONSE = 0, 6, 7
_CONTROL_CSID, _COMMAND_CSID, _STATUS_CSID = 2, 3, 5

WINDOW_ACK_SIZE = 2_500_000
# Used until the peer names a window: some never do, and GStreamer stalls without acknowledgements.
DEFAULT_PEER_WINDOW = 2_500_000


class ServerConnection:
    """See the module. After a `ProtocolError` close the connection; `data_to_send()` still has what was said.

    The FourCCs are those of the codecs that can be packaged: encoders that speak Enhanced RTMP are told.
    `ignored` counts by reason what was dropped; the names are labels of metrics.
    """

    def __init__(
        self,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        *,
        video_fourccs: Sequence[str] = (),
        audio_fourccs: Sequence[str] = (),
    ) -> None:
        self.bytes_received = 0
        self.ignored: Counter[str] = Counter()
        self.throttled = False  # the rate of messages ended the last `events`: go on with it later, and do not read
        self._limits = limits
        self._enhanced = enhanced.answer(video_fourccs, audio_fourccs) if video_fourccs or audio_fourccs else {}
        self._handshake = Handshake()
        self._chunks = ChunkReader(limits.before_publish())
        self._unaccepted = 0  # messages before a publish was accepted
        self._accepted = False
        self._now = 0.0
        burst = limits.burst_seconds
        self._messages = Rate(limits.messages_per_second, limits.messages_at_once)
        self._commands = Rate(limits.commands_per_second, limits.commands_per_second * burst)
        self._controls = Rate(limits.controls_per_second, limits.controls_per_second * burst)
        self._amf_values = Rate(limits.amf_values_per_second, max(limits.amf_values_per_second, limits.max_amf_values))
        self._output: list[bytes] = []
        self._output_size = 0
        self._peer_window = DEFAULT_PEER_WINDOW
        self._acknowledged = 0
        self._app: str | None = None
        self._streams = 0
        self._publishing: int | None = None  # message stream id, from the request on
        self._key = ""
        self._ended = False
        self._out_chunk_size = 128  # until our Set Chunk Size is on the wire

    @property
    def handshake_done(self) -> bool:
        return self._handshake.done

    @property
    def publishing(self) -> bool:
        """From the request until it is rejected or over."""
        return self._publishing is not None

    @property
    def held(self) -> int:
        """Bytes of the peer, and for it, that are in memory."""
        return self._chunks.held + self._output_size

    def receive(self, data: bytes | memoryview) -> None:
        """Takes wire bytes; `events` says what they mean. Raises `ProtocolError`."""
        self.bytes_received += len(data)
        if not self._accepted and self.bytes_received > self._limits.unaccepted_bytes:
            raise ProtocolError("too much was said before a publish", "unaccepted_bytes")
        if not self._handshake.done:
            self._send(self._handshake.receive(data))
            if not self._handshake.done:
                return
            data, self._handshake.rest = self._handshake.rest, b""
        self._chunks.feed(data)

    def events(self, now: float = 0.0) -> Iterator[Event]:
        """What the bytes mean. Raises `ProtocolError`, after the events that came before it were given.

        `now` is in seconds on any clock that does not go back: rates are counted by it. See `throttled`.
        """
        self._now = now
        self.throttled = False
        messages, allowed = self._chunks.messages(), self._messages.left(now)
        while True:
            if self._accepted and allowed < 1:
                self.throttled = True
                break
            message = next(messages, None)
            if message is None:
                break
            if self._accepted:
                allowed -= 1
                self._messages.take()
            else:
                self._count_before_publish()
            kind = message.type
            event: Event | None = None
            if kind == _VIDEO:
                if self._publishing is not None:
                    event = VideoMessage(message.timestamp, message.payload)
            elif kind == _AUDIO:
                if self._publishing is not None:
                    event = AudioMessage(message.timestamp, message.payload)
            else:
                event = self._message(message)
            if event is not None:
                yield event
        if self.bytes_received - self._acknowledged >= self._peer_window:
            self._acknowledged = self.bytes_received
            self._control(_ACKNOWLEDGEMENT, (self.bytes_received & 0xFFFFFFFF).to_bytes(4, "big"))

    def _count_before_publish(self) -> None:
        self._unaccepted += 1
        if self._unaccepted > self._limits.unaccepted_messages:
            raise ProtocolError("too many messages before a publish", "unaccepted_messages")

    def data_to_send(self) -> bytes:
        """Takes what must be written."""
        data = b"".join(self._output)
        self._output.clear()
        self._output_size = 0
        return data

    def accept_publish(self) -> None:
        """The publisher may send (most do already)."""
        self._accepted = True
        self._chunks.limits = self._limits
        stream = self._publishing or 1
        self._control(_USER_CONTROL, _STREAM_BEGIN.to_bytes(2, "big") + stream.to_bytes(4, "big"))
        self._status(stream, "status", "NetStream.Publish.Start", "Publishing.")

    def reject_publish(self, code: str, description: str) -> None:
        """The publisher is refused; close the connection after this was sent."""
        self._status(self._publishing or 1, "error", code, description)
        self._publishing = None

    def end_publish(self, code: str, description: str) -> None:
        """The server ends a running publish; close the connection after this was sent.

        A code that begins with `NetStream.Publish.` is an error: FFmpeg and others act on the level, not on the code.
        """
        level = "error" if code.startswith("NetStream.Publish.") else "status"
        self._status(self._publishing or 1, level, code, description)
        self._publishing = None
        self._ended = True

    # Messages

    def _message(self, message: Message) -> Event | None:
        kind, payload = message.type, message.payload
        if kind in _CONTROLS:
            self._take_control(kind, payload)
        elif kind in (_COMMAND_AMF0, _COMMAND_AMF3):
            if not self._commands.try_take(self._now):
                raise ProtocolError("too many commands", "commands_per_second")
            return self._command(self._values(kind, payload, self._limits.amf_values_of_any_command), message.stream)
        elif kind in (_DATA_AMF0, _DATA_AMF3):
            if self._publishing is not None:
                return _metadata(self._values(kind, payload, 0))
        else:
            self.ignored["unknown_message_type"] += 1
        return None

    def _take_control(self, kind: int, payload: bytes) -> None:
        if not self._controls.try_take(self._now):
            raise ProtocolError("too many control messages", "controls_per_second")
        if kind == _WINDOW_ACK_SIZE:
            self._set_peer_window(payload)
        elif kind == _USER_CONTROL and payload[:2] == _PING_REQUEST.to_bytes(2, "big") and len(payload) >= 6:
            self._control(_USER_CONTROL, _PING_RESPONSE.to_bytes(2, "big") + payload[2:6])

    def _set_peer_window(self, payload: bytes) -> None:
        size = int.from_bytes(payload[:4], "big")
        # Too small a window would make us answer every packet; a nonsensical one is treated as if it had not come.
        self._peer_window = max(size, 64 * 1024) if size else DEFAULT_PEER_WINDOW

    def _values(self, kind: int, payload: bytes, always: int) -> list[object]:
        """The values of a message; none, counted in `ignored`, when it is not understood or has too many.

        `always`: so many it may have whatever came before.
        """
        if len(payload) > self._limits.max_command:
            raise ProtocolError(f"command of {len(payload)} bytes", "max_command")
        if kind in (_COMMAND_AMF3, _DATA_AMF3) and payload[:1] == b"\0":
            payload = payload[1:]  # AMF3 messages of encoders are AMF0 behind a zero byte
        affordable = max(self._amf_values.left(self._now), always)
        allowed = min(affordable, self._limits.max_amf_values)
        decoder = amf0.Decoder(payload, self._limits.max_amf_depth, allowed)
        try:
            return decoder.all()
        except amf0.AmfLimitError:
            self.ignored["amf_limits" if decoder.left or allowed < affordable else "amf_values_per_second"] += 1
        except amf0.AmfError:
            self.ignored["amf"] += 1
        finally:
            self._amf_values.take(allowed - decoder.left)
        return []

    # Commands (RTMP 7.2; what follows FMLE and Flash Media Server is folklore, see the module)

    def _command(self, values: list[object], stream: int) -> Event | None:
        name = values[0] if values else None
        transaction = values[1] if len(values) > 1 and isinstance(values[1], float) else 0.0
        if not math.isfinite(transaction):
            transaction = 0.0
        argument = values[3] if len(values) > 3 else None
        if name == "connect":
            return self._connect(transaction, values[2] if len(values) > 2 else None)
        if name == "createStream":
            self._create_stream(transaction)
        elif name == "publish":
            return self._publish(stream, argument)
        elif name == "FCPublish":
            self._send_command(_COMMAND_CSID, 0, "onFCPublish", transaction, None, _status_object(
                "status", "NetStream.Publish.Start", "FCPublish accepted."))  # fmt: skip
            self._result(transaction, None)
        elif name in ("FCUnpublish", "closeStream", "deleteStream"):
            ended = self._unpublish(name, stream, argument)
            if name == "FCUnpublish":
                self._send_command(_COMMAND_CSID, 0, "onFCUnpublish", transaction, None, _status_object(
                    "status", "NetStream.Unpublish.Success", "FCUnpublish accepted."))  # fmt: skip
                self._result(transaction, None)
            return ended
        elif name in ("play", "play2"):
            self._refuse_play(stream)
        elif name == "getStreamLength":
            self._result(transaction, 0.0)
        elif isinstance(name, str) and name not in _ANSWERS:
            self._result(transaction, None)
        return None

    def _connect(self, transaction: float, properties: object) -> Event:
        if not isinstance(properties, dict):
            raise ProtocolError("connect without its properties")
        if self._app is not None:
            raise ProtocolError("connect came twice")
        self._app = application_in(properties)
        if len(self._app) > self._limits.max_name:
            raise ProtocolError("application name too long", "max_name")
        self._control(_WINDOW_ACK_SIZE, WINDOW_ACK_SIZE.to_bytes(4, "big"))
        self._control(_PEER_BANDWIDTH, WINDOW_ACK_SIZE.to_bytes(4, "big") + b"\2")
        self._control(_SET_CHUNK_SIZE, OUT_CHUNK_SIZE.to_bytes(4, "big"))
        application = split_application(self._app)[0]
        if application not in APPLICATIONS:
            served = " and ".join(f"rtmp://HOST/{name}" for name in APPLICATIONS)
            self._send_command(_COMMAND_CSID, 0, "_error", transaction, None, _status_object(
                "error", "NetConnection.Connect.Rejected", f"No such application: served are {served}."))  # fmt: skip
            raise ProtocolError("another application is asked for", "application")
        server: dict[str, object] = {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0}
        if enhanced.is_spoken(properties):
            server |= self._enhanced
        information = _status_object("status", "NetConnection.Connect.Success", "Connection succeeded.")
        encoding = properties.get("objectEncoding")
        information["objectEncoding"] = encoding if isinstance(encoding, float) else 0.0
        self._send_command(_COMMAND_CSID, 0, "_result", transaction, server, information)
        version = properties.get("flashVer")
        return Connected(
            application,
            version[:200] if isinstance(version, str) else "",
            enhanced.fourccs(properties),
            enhanced.caps_ex(properties),
        )

    def _create_stream(self, transaction: float) -> None:
        self._streams += 1
        if self._streams > self._limits.max_streams_created:
            raise ProtocolError("too many streams created", "max_streams_created")
        self._result(transaction, float(self._streams))

    def _publish(self, stream: int, name: object) -> Event:
        if self._app is None:
            raise ProtocolError("publish before connect")
        if self._publishing is not None or self._ended:
            raise ProtocolError("publish came twice")
        if name is not None and not isinstance(name, str):
            raise ProtocolError("publish without a stream name")
        app, in_app = split_application(self._app)
        key = without_query(name or "") or in_app
        if len(key) > self._limits.max_name:
            raise ProtocolError("stream name too long", "max_name")
        self._publishing = stream or 1
        self._key = key
        return PublishRequested(app, key)

    def _refuse_play(self, stream: int) -> None:
        self._status(stream, "error", "NetStream.Play.Failed", "This port takes encoders; viewers watch over HTTP.")
        if self._publishing is None:
            raise ProtocolError("a player came to the publishers' port", "play")

    def _unpublish(self, command: object, stream: int, argument: object) -> Event | None:
        if self._publishing is None:
            return None
        if command == "FCUnpublish":
            name = without_query(argument) if isinstance(argument, str) else ""
            meant = name in ("", self._key)
        else:
            number = amf0.whole_number(argument) if command == "deleteStream" else stream
            meant = number in (0, self._publishing)
        if not meant:
            return None  # another stream of this connection
        self._status(self._publishing, "status", "NetStream.Unpublish.Success", "Stopped.")
        self._publishing = None
        self._ended = True
        return PublishEnded()

    # Output

    def _result(self, transaction: float, value: object) -> None:
        if transaction:
            self._send_command(_COMMAND_CSID, 0, "_result", transaction, None, value)

    def _status(self, stream: int, level: str, code: str, description: str) -> None:
        """Said a few times at most, and always: no limit keeps an encoder from hearing why it was cut."""
        values = ("onStatus", 0.0, None, _status_object(level, code, description))
        self._put(chunk_message(_STATUS_CSID, _COMMAND_AMF0, stream, amf0.encode(*values), self._out_chunk_size))

    def _send_command(self, csid: int, stream: int, *values: object) -> None:
        self._send(chunk_message(csid, _COMMAND_AMF0, stream, amf0.encode(*values), self._out_chunk_size))

    def _control(self, kind: int, payload: bytes) -> None:
        self._send(chunk_message(_CONTROL_CSID, kind, 0, payload))
        if kind == _SET_CHUNK_SIZE:
            self._out_chunk_size = OUT_CHUNK_SIZE

    def _send(self, data: bytes) -> None:
        if self._output_size + len(data) > self._limits.max_output:
            raise ProtocolError("asks for more answers than may wait", "max_output")
        self._put(data)

    def _put(self, data: bytes) -> None:
        self._output_size += len(data)
        self._output.append(data)


def _metadata(values: list[object]) -> Event | None:
    if values and values[0] == "@setDataFrame":
        values = values[1:]
    if len(values) >= 2 and values[0] == "onMetaData" and isinstance(values[1], dict):
        return MetadataMessage(values[1])
    return None


def _status_object(level: str, code: str, description: str) -> dict[str, object]:
    return {"level": level, "code": code, "description": description}
