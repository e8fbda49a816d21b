"""RTMP: the handshake, the chunk layer, AMF0, and a whole connection with what the packager makes of it."""

from __future__ import annotations

import hmac
from hashlib import sha256
from itertools import pairwise

from onair_core.contract import BroadcastRef, PackagingSettings
from onair_media import amf0
from onair_media.cmaf import InitSegment, Packager, Segment
from onair_media.flv import MediaError, parse_audio, parse_video
from onair_media.rtmp import (
    AudioMessage,
    MetadataMessage,
    ProtocolError,
    PublishRequested,
    ServerConnection,
    VideoMessage,
)
from onair_media.rtmp.chunks import ChunkReader
from onair_media.rtmp.handshake import SIZE, Handshake
from onair_media.rtmp.limits import Limits

_PLAYER, _SERVER = b"Genuine Adobe Flash Player 001", b"Genuine Adobe Flash Media Server 001"
_TAIL = bytes.fromhex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae")
_SCHEMES = (8, 772)


def handshake(data: bytes) -> None:
    """Any split gives the same; a digest in C1, which mutations would never hit by themselves, is answered with one.

    The first byte chooses: as the bytes are, or with a digest of either scheme put in.
    """
    if not data:
        return
    scheme = (None, None, *_SCHEMES)[data[0] % 4]
    wire = data[1:]
    if scheme is not None and len(wire) > SIZE:
        wire = wire[:1] + _with_digest(wire[1 : SIZE + 1], scheme) + wire[SIZE + 1 :]
    whole, pieces = _shaken([wire]), _shaken([wire[at : at + 7] for at in range(0, len(wire), 7)])
    assert (whole is None) == (pieces is None) == bool(wire and wire[0] != 3)
    if whole is None or pieces is None:
        return
    (answer, done, rest), (answer_in_pieces, done_in_pieces, rest_in_pieces) = whole, pieces
    assert (done, rest) == (done_in_pieces, rest_in_pieces) == (len(wire) >= 1 + 2 * SIZE, wire[1 + 2 * SIZE :])
    assert len(answer) == len(answer_in_pieces) == (1 + 2 * SIZE if len(wire) > SIZE else 0)
    if answer:
        c1, s1, s2 = wire[1 : SIZE + 1], answer[1 : SIZE + 1], answer[SIZE + 1 :]
        found = next((s for s in _SCHEMES if _with_digest(c1, s) == c1), None)
        if found is None:
            assert s2 == c1
        else:
            at = _digest_at(c1, found)
            key = hmac.digest(_SERVER + _TAIL, c1[at : at + 32], sha256)
            assert s2[-32:] == hmac.digest(key, s2[:-32], sha256)
            assert _with_digest(s1, found, _SERVER) == s1


def _shaken(pieces: list[bytes]) -> tuple[bytes, bool, bytes] | None:
    """What is answered, whether it is over, and what came behind it; None: refused."""
    subject, answer, rest = Handshake(), b"", b""
    try:
        for piece in pieces:
            if subject.done:
                rest += piece
                continue
            answer += subject.receive(piece)
            rest += subject.rest
    except ProtocolError:
        return None
    return answer, subject.done, rest


def _digest_at(block: bytes, scheme: int) -> int:
    return scheme + 4 + sum(block[scheme : scheme + 4]) % 728


def _with_digest(block: bytes, scheme: int, key: bytes = _PLAYER) -> bytes:
    at = _digest_at(block, scheme)
    return block[:at] + hmac.digest(key, block[:at] + block[at + 32 :], sha256) + block[at + 32 :]


def chunks(data: bytes) -> None:
    """The chunk layer: any split of the bytes gives the same messages, and nothing is held beyond the limit.

    A limit on what is held may be passed with one split and not with another: then the messages before it are the same.
    """
    limits = Limits(max_message=64 * 1024, max_buffered=128 * 1024)
    (whole, end), (pieces, end_of_pieces) = _messages(data, [], limits), _messages(data, list(range(1, 400, 7)), limits)
    if "max_buffered" in (end, end_of_pieces):
        shorter = min(len(whole), len(pieces))
        whole, pieces = whole[:shorter], pieces[:shorter]
    else:
        assert end == end_of_pieces
    assert whole == pieces


def _messages(data: bytes, sizes: list[int], limits: Limits) -> tuple[list[object], str]:
    """The messages, and the limit that ended them; the last piece is all that is left."""
    edges = [0]
    for size in sizes:
        edges.append(min(edges[-1] + size, len(data)))
    reader, found = ChunkReader(limits), []
    try:
        for begin, end in pairwise([*edges, len(data)]):
            reader.feed(data[begin:end])
            found += reader.messages()
            assert reader.held <= limits.max_buffered + end - begin
    except ProtocolError as error:
        return list(found), error.limit
    return list(found), ""


def amf(data: bytes) -> None:
    """AMF0: what was decoded can be encoded and decoded again, but for what AMF0 values have no other form."""
    try:
        values = amf0.decode(data)
    except amf0.AmfError:
        return
    again = amf0.encode(*values)
    assert len(amf0.decode(again)) == len(values)


def session(data: bytes) -> None:
    """A whole connection from its first byte on: handshake, commands, media, and what the packager makes of it."""
    connection = ServerConnection(video_fourccs=["hvc1", "av01"], audio_fourccs=["Opus"])
    packager = Packager(PackagingSettings(), broadcast=BroadcastRef("b", 1))
    produced: list[object] = []
    packager.connect(1_790_000_000.0)
    try:
        for at in range(0, len(data), 700):
            connection.receive(data[at : at + 700])
            for event in connection.events(at / 1000):
                if isinstance(event, PublishRequested):
                    connection.accept_publish()
                elif isinstance(event, MetadataMessage):
                    packager.metadata(event.values)
                elif isinstance(event, VideoMessage | AudioMessage):
                    produced += _package(packager, event)
            assert len(connection.data_to_send()) <= Limits().max_output
    except ProtocolError:
        pass
    produced += packager.disconnect()
    segments = [output for output in produced if isinstance(output, Segment)]
    assert [segment.number for segment in segments] == list(range(len(segments)))
    known = {(output.rendition, output.index) for output in produced if isinstance(output, InitSegment)}
    for segment in segments:
        for rendition, track in segment.tracks.items():
            assert track.duration > 0
            assert track.gap or (rendition, track.init) in known


def _package(packager: Packager, event: VideoMessage | AudioMessage) -> list[object]:
    outputs: list[object] = []
    try:
        if isinstance(event, VideoMessage):
            for picture in parse_video(event.payload):
                outputs += packager.video(event.timestamp, picture)
        else:
            for sound in parse_audio(event.payload):
                outputs += packager.audio(event.timestamp, sound)
    except MediaError:
        pass
    return outputs
