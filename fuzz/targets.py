"""What the internet can reach, as functions of bytes. Each returns normally, or its subject has a defect.

A target asserts more than "does not raise": what a parser gives must be within its own limits, and the two ways of
reading chunks must agree with any split of the bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from onair_core.contract import BroadcastRef, PackagingSettings
from onair_media import amf0
from onair_media.cmaf import InitSegment, Packager, Segment
from onair_media.cmaf.init import InitError, make_init
from onair_media.flv import (
    AudioConfig,
    AudioFrame,
    MediaError,
    VideoConfig,
    config_in,
    describe_audio,
    describe_video,
    frame_samples,
    normalised,
    parse_audio,
    parse_video,
)
from onair_media.rtmp import (
    AudioMessage,
    MetadataMessage,
    ProtocolError,
    PublishRequested,
    ServerConnection,
    VideoMessage,
)
from onair_media.rtmp.chunks import ChunkReader
from onair_media.rtmp.limits import Limits

_VIDEO_CODECS = ("avc", "hevc", "av1", "vp9")
_AUDIO_CODECS = ("aac", "opus", "flac", "ac3", "eac3", "mp3")
_HANDSHAKE = b"\3" + bytes(1536) + bytes(1536)


def chunks(data: bytes) -> None:
    """The chunk layer: any split of the bytes gives the same messages, and nothing is held beyond the limit."""
    limits = Limits(max_message=64 * 1024, max_buffered=128 * 1024)
    whole, pieces = _messages(data, [len(data)], limits), _messages(data, list(range(1, 400, 7)), limits)
    shorter = min(len(whole), len(pieces))
    assert whole[:shorter] == pieces[:shorter]


def _messages(data: bytes, sizes: list[int], limits: Limits) -> list[object]:
    reader, found, at = ChunkReader(limits), [], 0
    try:
        for size in [*sizes, len(data)]:
            reader.feed(data[at : at + size])
            found += reader.messages()
            assert reader.held <= limits.max_buffered + size
            at += size
    except ProtocolError:
        pass
    return list(found)


def amf(data: bytes) -> None:
    """AMF0: what was decoded can be encoded and decoded again, but for what AMF0 values have no other form."""
    try:
        values = amf0.decode(data)
    except amf0.AmfError:
        return
    again = amf0.encode(*values)
    assert len(amf0.decode(again)) == len(values)


def tags(data: bytes) -> None:
    """FLV and Enhanced RTMP tag bodies, and whatever configuration is in them."""
    for parse in (parse_video, parse_audio):
        try:
            units = parse(data)
        except MediaError:
            continue
        for unit in units:
            _look_at(unit)


def _look_at(unit: object) -> None:
    try:
        if isinstance(unit, VideoConfig):
            info = describe_video(unit)
            assert 0 <= info.width <= 16_384 and 0 <= info.height <= 16_384
            assert info.codec.isprintable() and '"' not in info.codec
        elif isinstance(unit, AudioConfig):
            sound = describe_audio(normalised(unit))
            assert 0 < sound.sample_rate < 2**24 and sound.channels > 0 and sound.frame_samples > 0
        elif isinstance(unit, AudioFrame):
            config_in(unit)
            assert frame_samples(unit, 1024) > 0
    except MediaError:
        pass


def records(data: bytes) -> None:
    """Decoder configuration records: the first byte chooses the codec."""
    if not data:
        return
    kind, record = data[0], data[1:]
    if kind < 128:
        _look_at(VideoConfig(_VIDEO_CODECS[kind % len(_VIDEO_CODECS)], record))  # type: ignore[arg-type]
    else:
        codec = _AUDIO_CODECS[kind % len(_AUDIO_CODECS)]
        _look_at(AudioConfig(codec, record))  # type: ignore[arg-type]
        if record:
            _look_at(AudioFrame(codec, memoryview(record)))  # type: ignore[arg-type]


def inits(data: bytes) -> None:
    """Init segments: libavformat gets records and frames that our own parsers let pass."""
    if len(data) < 2:
        return
    kind, split, body = data[0], data[1], data[2:]
    record, frame = body[:split], body[split:]
    try:
        if kind < 128:
            video = VideoConfig(_VIDEO_CODECS[kind % len(_VIDEO_CODECS)], record)  # type: ignore[arg-type]
            describe_video(video)
            made = make_init(video, 90_000, frame)
            assert made.width > 0 and made.height > 0
        else:
            sound = normalised(AudioConfig(_AUDIO_CODECS[kind % len(_AUDIO_CODECS)], record))  # type: ignore[arg-type]
            make_init(sound, describe_audio(sound).sample_rate, frame)
    except (MediaError, InitError):
        pass


def session(data: bytes) -> None:
    """A whole connection, handshake done: commands, media, and what the packager makes of it."""
    connection = ServerConnection(video_fourccs=["hvc1", "av01"], audio_fourccs=["Opus"])
    packager = Packager(PackagingSettings(), broadcast=BroadcastRef("b", 1))
    produced: list[object] = []
    packager.connect(1_790_000_000.0)
    connection.receive(_HANDSHAKE)
    assert not list(connection.events())
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


TARGETS: dict[str, Callable[[bytes], None]] = {
    "chunks": chunks,
    "amf": amf,
    "tags": tags,
    "records": records,
    "inits": inits,
    "session": session,
}
