"""The server's side of one RTMP connection, sans-I/O: wire bytes in, events out (RTMP 1.0, sections 5 to 7).

Theory of operation. `receive()` runs handshake, chunk layer and commands and returns events in the order of the wire;
what must be written gathers until `data_to_send()`. The connection answers by itself whatever has only one answer
(connect, createStream, acknowledgements, pings); a `PublishRequested` waits for the user's `accept_publish()` or
`reject_publish()`. Media that comes before the answer is delivered in its place after the request: some encoders do not
wait.

Rules about encoders, all of them here:

* OBS, FMLE and FFmpeg send releaseStream, FCPublish, createStream, publish; GStreamer and librtmp leave some out.
  Nothing is required but connect and publish, and no unknown command is fatal.
* A command with a transaction id gets a `_result`, an unknown one with null: Haivision waits for `_checkbw`. publish is
  answered by onStatus, closeStream and deleteStream (7.2.2.3) by nothing else, and an answer never.
  onFCPublish repeats the transaction id of FCPublish: Livestream Studio waits for it.
* The stream key is what follows the application in the URL or the stream name, without query string; it may stand in
  the application (`app/KEY`) with an empty stream name.
* A message that is not understood (AMF in disorder, AMF3, aggregate, shared object, unknown type) is dropped and
  counted; only what breaks the chunk layer or a limit ends the connection.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from onair_media import amf0
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
from onair_media.rtmp.writer import OUT_CHUNK_SIZE, chunk_message

_ACKNOWLEDGEMENT, _USER_CONTROL, _WINDOW_ACK_SIZE, _PEER_BANDWIDTH = 3, 4, 5, 6
_AUDIO, _VIDEO = 8, 9
_DATA_AMF3, _COMMAND_AMF3, _DATA_AMF0, _COMMAND_AMF0 = 15, 17, 18, 20
_SET_CHUNK_SIZE = 1
_ANSWERS = ("_result", "_error", "onStatus")
_STREAM_BEGIN, _PING_REQUEST, _PING_RESPONSE = 0, 6, 7
_CONTROL_CSID, _COMMAND_CSID, _STATUS_CSID = 2, 3, 5

WINDOW_ACK_SIZE = 2_500_000
# Used until the peer names a window: some never do, and GStreamer stalls without acknowledgements.
DEFAULT_PEER_WINDOW = 2_500_000

APPLICATIONS = ("app", "live")


class ServerConnection:
    """See the module. After a `ProtocolError` close the connection; `data_to_send()` still has what was said."""

    def __init__(self, limits: Limits = Limits(), fourccs: Sequence[str] = ()) -> None:  # noqa: B008 - frozen
        self.bytes_received = 0
        self.ignored: Counter[str] = Counter()
        self._limits = limits
        self._fourccs = tuple(fourccs)
        self._handshake = Handshake()
        self._chunks = ChunkReader(limits)
        self._output: list[bytes] = []
        self._output_size = 0
        self._peer_window = DEFAULT_PEER_WINDOW
        self._acknowledged = 0
        self._app: str | None = None
        self._streams = 0
        self._publishing: int | None = None  # message stream id, from the request on
        self._ended = False
        self._out_chunk_size = 128  # until our Set Chunk Size is on the wire

    @property
    def handshake_done(self) -> bool:
        return self._handshake.done

    def receive(self, data: bytes | memoryview) -> list[Event]:
        """Takes wire bytes; returns what they meant. Raises `ProtocolError`."""
        self.bytes_received += len(data)
        if not self._handshake.done:
            self._send(self._handshake.receive(data))
            if not self._handshake.done:
                return []
            data, self._handshake.rest = self._handshake.rest, b""
        events: list[Event] = []
        for message in self._chunks.feed(data):
            kind = message.type
            if kind == _VIDEO:
                if self._publishing is not None:
                    events.append(VideoMessage(message.timestamp, message.payload))
            elif kind == _AUDIO:
                if self._publishing is not None:
                    events.append(AudioMessage(message.timestamp, message.payload))
            else:
                self._message(message, events)
        if self.bytes_received - self._acknowledged >= self._peer_window:
            self._acknowledged = self.bytes_received
            self._control(_ACKNOWLEDGEMENT, (self.bytes_received & 0xFFFFFFFF).to_bytes(4, "big"))
        return events

    def data_to_send(self) -> bytes:
        """Takes what must be written."""
        data = b"".join(self._output)
        self._output.clear()
        self._output_size = 0
        return data

    def accept_publish(self) -> None:
        """The publisher may send (most do already)."""
        stream = self._publishing or 1
        self._control(_USER_CONTROL, _STREAM_BEGIN.to_bytes(2, "big") + stream.to_bytes(4, "big"))
        self._status(stream, "status", "NetStream.Publish.Start", "Publishing.")

    def reject_publish(self, code: str, description: str) -> None:
        """The publisher is refused; close the connection after this was sent."""
        self._status(self._publishing or 1, "error", code, description)
        self._publishing = None

    def end_publish(self, code: str, description: str) -> None:
        """The server ends a running publish; close the connection after this was sent."""
        self._status(self._publishing or 1, "status", code, description)
        self._publishing = None
        self._ended = True

    def ping(self, timestamp: int) -> None:
        """Asks the peer for a sign of life; `timestamp` in milliseconds."""
        self._control(_USER_CONTROL, _PING_REQUEST.to_bytes(2, "big") + (timestamp & 0xFFFFFFFF).to_bytes(4, "big"))

    # Messages

    def _message(self, message: Message, events: list[Event]) -> None:
        kind, payload = message.type, message.payload
        if kind == _WINDOW_ACK_SIZE:
            self._set_peer_window(payload)
        elif kind == _USER_CONTROL:
            if payload[:2] == _PING_REQUEST.to_bytes(2, "big") and len(payload) >= 6:
                self._control(_USER_CONTROL, _PING_RESPONSE.to_bytes(2, "big") + payload[2:6])
        elif kind in (_COMMAND_AMF0, _COMMAND_AMF3, _DATA_AMF0, _DATA_AMF3):
            if len(payload) > self._limits.max_command:
                raise ProtocolError(f"command of {len(payload)} bytes")
            if kind in (_COMMAND_AMF3, _DATA_AMF3) and payload[:1] == b"\0":
                payload = payload[1:]  # AMF3 messages of encoders are AMF0 behind a zero byte
            try:
                values = amf0.decode(payload)
            except amf0.AmfError:
                self.ignored["amf"] += 1
                return
            if kind in (_COMMAND_AMF0, _COMMAND_AMF3):
                self._command(values, message.stream, events)
            else:
                self._data(values, events)
        elif kind not in (1, 2, _ACKNOWLEDGEMENT, _PEER_BANDWIDTH):
            self.ignored["unknown message type"] += 1

    def _set_peer_window(self, payload: bytes) -> None:
        size = int.from_bytes(payload[:4], "big")
        # Too small a window would make us answer every packet; a nonsensical one is treated as if it had not come.
        self._peer_window = max(size, 64 * 1024) if size else DEFAULT_PEER_WINDOW

    def _data(self, values: list[object], events: list[Event]) -> None:
        if values and values[0] == "@setDataFrame":
            values = values[1:]
        if (
            len(values) >= 2
            and values[0] == "onMetaData"
            and isinstance(values[1], dict)
            and self._publishing is not None
        ):
            events.append(MetadataMessage(values[1]))

    # Commands (RTMP 7.2; what follows FMLE and Flash Media Server is folklore, see the module)

    def _command(self, values: list[object], stream: int, events: list[Event]) -> None:
        name = values[0] if values else None
        transaction = values[1] if len(values) > 1 and isinstance(values[1], float) else 0.0
        if not math.isfinite(transaction):
            transaction = 0.0
        argument = values[3] if len(values) > 3 else None
        if name == "connect":
            self._connect(transaction, values[2] if len(values) > 2 else None, events)
        elif name == "createStream":
            self._create_stream(transaction)
        elif name == "publish":
            self._publish(transaction, stream, argument, events)
        elif name == "FCPublish":
            self._send_command(_COMMAND_CSID, 0, "onFCPublish", transaction, None, _status_object(
                "status", "NetStream.Publish.Start", "FCPublish accepted."))  # fmt: skip
            self._result(transaction, None)
        elif name in ("FCUnpublish", "closeStream", "deleteStream"):
            self._unpublish(name, stream, argument, events)
            if name == "FCUnpublish":
                self._send_command(_COMMAND_CSID, 0, "onFCUnpublish", transaction, None, _status_object(
                    "status", "NetStream.Unpublish.Success", "FCUnpublish accepted."))  # fmt: skip
                self._result(transaction, None)
        elif name == "getStreamLength":
            self._result(transaction, 0.0)
        elif isinstance(name, str) and name not in _ANSWERS:
            self._result(transaction, None)

    def _connect(self, transaction: float, properties: object, events: list[Event]) -> None:
        if not isinstance(properties, dict):
            raise ProtocolError("connect without its properties")
        if self._app is not None:
            raise ProtocolError("connect came twice")
        app = properties.get("app")
        if not isinstance(app, str):
            # The path of the tcUrl; quotes around it and other spellings of its name are seen in the wild.
            url = properties.get("tcUrl") or properties.get("tcurl")
            app = url.strip("\"'").partition("://")[2].partition("/")[2] if isinstance(url, str) else ""
        if len(app) > self._limits.max_name:
            raise ProtocolError("application name too long")
        self._app = app.strip("/")
        self._control(_WINDOW_ACK_SIZE, WINDOW_ACK_SIZE.to_bytes(4, "big"))
        self._control(_PEER_BANDWIDTH, WINDOW_ACK_SIZE.to_bytes(4, "big") + b"\2")
        self._control(_SET_CHUNK_SIZE, OUT_CHUNK_SIZE.to_bytes(4, "big"))
        server: dict[str, object] = {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0}
        if self._fourccs and properties.get("fourCcList") is not None:
            server["fourCcList"] = list(self._fourccs)
        information = _status_object("status", "NetConnection.Connect.Success", "Connection succeeded.")
        encoding = properties.get("objectEncoding")
        information["objectEncoding"] = encoding if isinstance(encoding, float) else 0.0
        self._send_command(_COMMAND_CSID, 0, "_result", transaction, server, information)
        listed = properties.get("fourCcList")
        version = properties.get("flashVer")
        events.append(
            Connected(
                _application(self._app)[0],
                version[:200] if isinstance(version, str) else "",
                frozenset(item for item in listed if isinstance(item, str))
                if isinstance(listed, list)
                else frozenset(),
                amf0.whole_number(properties.get("capsEx")),
            )
        )

    def _create_stream(self, transaction: float) -> None:
        self._streams += 1
        if self._streams > self._limits.max_streams_created:
            raise ProtocolError("too many streams created")
        self._result(transaction, float(self._streams))

    def _publish(self, transaction: float, stream: int, name: object, events: list[Event]) -> None:
        if self._app is None:
            raise ProtocolError("publish before connect")
        if self._publishing is not None or self._ended:
            raise ProtocolError("publish came twice")
        if name is not None and not isinstance(name, str):
            raise ProtocolError("publish without a stream name")
        app, in_app = _application(self._app)
        key = _without_query(name or "") or in_app
        if len(key) > self._limits.max_name:
            raise ProtocolError("stream name too long")
        self._publishing = stream or 1
        events.append(PublishRequested(app, key))

    def _unpublish(self, name: object, stream: int, argument: object, events: list[Event]) -> None:
        if self._publishing is None:
            return
        if name == "deleteStream" and amf0.whole_number(argument) not in (0, self._publishing):
            return  # another stream of this connection
        self._status(self._publishing, "status", "NetStream.Unpublish.Success", "Stopped.")
        self._publishing = None
        self._ended = True
        events.append(PublishEnded())

    # Output

    def _result(self, transaction: float, value: object) -> None:
        if transaction:
            self._send_command(_COMMAND_CSID, 0, "_result", transaction, None, value)

    def _status(self, stream: int, level: str, code: str, description: str) -> None:
        self._send_command(_STATUS_CSID, stream, "onStatus", 0.0, None, _status_object(level, code, description))

    def _send_command(self, csid: int, stream: int, *values: object) -> None:
        self._send(chunk_message(csid, _COMMAND_AMF0, stream, amf0.encode(*values), self._out_chunk_size))

    def _control(self, kind: int, payload: bytes) -> None:
        self._send(chunk_message(_CONTROL_CSID, kind, 0, payload))
        if kind == _SET_CHUNK_SIZE:
            self._out_chunk_size = OUT_CHUNK_SIZE

    def _send(self, data: bytes) -> None:
        self._output_size += len(data)
        if self._output_size > self._limits.max_output:
            raise ProtocolError("asks for more answers than may wait")
        self._output.append(data)


def _status_object(level: str, code: str, description: str) -> dict[str, object]:
    return {"level": level, "code": code, "description": description}


def _without_query(name: str) -> str:
    return name.partition("?")[0].strip("/")


def _application(app: str) -> tuple[str, str]:
    """`app/KEY?query` as application and the key in it, if one is there."""
    name, _, key = _without_query(app).partition("/")
    return name, key
