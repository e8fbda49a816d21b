"""FLV tags, decoder configuration records, coded pictures, init segments."""

from __future__ import annotations

from collections import Counter

from onair_media.cmaf.beginnings import DROPPED, Beginnings
from onair_media.cmaf.init import InitError, make_init
from onair_media.flv import (
    AudioConfig,
    AudioFrame,
    MediaError,
    Picture,
    VideoConfig,
    VideoFrame,
    as_broken_link,
    config_in,
    describe_audio,
    describe_video,
    frame_samples,
    normalised,
    parse_audio,
    parse_video,
    picture_of,
    units_in,
)
from onair_media.flv.units import AudioCodec, VideoCodec

_VIDEO_CODECS: tuple[VideoCodec, ...] = ("avc", "hevc", "av1", "vp9")
_AUDIO_CODECS: tuple[AudioCodec, ...] = ("aac", "opus", "flac", "ac3", "eac3", "mp3")
_NAL_LENGTHS = (4, 1, 2)


def tags(data: bytes) -> None:
    """FLV and Enhanced RTMP tag bodies, and whatever configuration or picture is in them."""
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
        elif isinstance(unit, VideoFrame):
            for nal_length in _NAL_LENGTHS:
                _look_at_picture(unit, nal_length)
        elif isinstance(unit, AudioConfig):
            sound = describe_audio(normalised(unit))
            assert 0 < sound.sample_rate < 2**24 and sound.channels > 0 and sound.frame_samples > 0
        elif isinstance(unit, AudioFrame):
            config_in(unit)
            assert frame_samples(unit, 1024) > 0
    except MediaError:
        pass


def _look_at_picture(frame: VideoFrame, nal_length: int) -> None:
    units = units_in(frame.data, nal_length)
    if units is None:
        return
    kind = picture_of(frame, frame.codec, units)
    if frame.codec != "hevc":
        assert kind >= Picture.RECOVERY or not frame.keyframe, "what the publisher calls one may be a beginning"
    elif kind is Picture.CRA:
        link = as_broken_link(frame.data, nal_length)
        assert len(link) == len(frame.data)
        assert picture_of(frame, "hevc", units_in(memoryview(link), nal_length) or ()) is Picture.KEY


def records(data: bytes) -> None:
    """Decoder configuration records: the first byte chooses the codec."""
    if not data:
        return
    kind, record = data[0], data[1:]
    if kind < 128:
        codec = _VIDEO_CODECS[kind % len(_VIDEO_CODECS)]
        _look_at(VideoConfig(codec, record))
        _look_at(VideoFrame(codec, kind >= 64, 0, memoryview(record)))
    else:
        sound = _AUDIO_CODECS[kind % len(_AUDIO_CODECS)]
        _look_at(AudioConfig(sound, record))
        if record:
            _look_at(AudioFrame(sound, memoryview(record)))


def inits(data: bytes) -> None:
    """Init segments: libavformat gets records and frames that our own parsers let pass."""
    if len(data) < 2:
        return
    kind, split, body = data[0], data[1], data[2:]
    record, frame = body[:split], body[split:]
    try:
        if kind < 128:
            video = VideoConfig(_VIDEO_CODECS[kind % len(_VIDEO_CODECS)], record)
            describe_video(video)
            made = make_init(video, 90_000, frame)
            assert made.width > 0 and made.height > 0
        else:
            sound = normalised(AudioConfig(_AUDIO_CODECS[kind % len(_AUDIO_CODECS)], record))
            make_init(sound, describe_audio(sound).sample_rate, frame)
    except (MediaError, InitError):
        pass


_BREAK, _KEYFRAME = 1, 2


def beginnings(data: bytes) -> None:
    """A stream of pictures, with breaks: none is shown that needs what a break took away.

    The first byte chooses the length of NAL lengths and the codec; then for each picture its flags with the time at
    which it is shown, its size in two bytes, its data.
    """
    if not data:
        return
    nal_length, codec, dropped = _NAL_LENGTHS[data[0] % 3], _VIDEO_CODECS[1 - data[0] // 3 % 2], Counter[str]()
    subject, broken, whole, shown_from, at, lost = Beginnings(dropped), True, False, 0, 1, 0
    subject.configure(codec, nal_length)
    while at + 3 <= len(data):
        flags, shown, size = data[at], data[at] >> 2, int.from_bytes(data[at + 1 : at + 3], "big")
        frame = VideoFrame(codec, bool(flags & _KEYFRAME), 0, memoryview(data[at + 3 : at + 3 + size]))
        at += 3 + size
        if flags & _BREAK:
            subject.break_here()
            broken = True
        frame.picture = kind = picture_of(frame, codec, units_in(frame.data, nal_length) or ())
        taken = subject.take(frame, shown)
        if (kind is Picture.RASL and not whole) or (not frame.begins and shown < shown_from):
            assert taken is None
            lost += 1
            continue
        assert taken is not None and len(taken[1]) == len(frame.data)
        if kind is Picture.CRA and broken:
            assert taken[0] is Picture.KEY
            assert picture_of(frame, "hevc", units_in(memoryview(taken[1]), nal_length) or ()) is Picture.KEY
        else:
            assert taken == (kind, frame.data)
        if kind >= Picture.RECOVERY:
            shown_from = shown if broken and kind is Picture.RECOVERY else 0
            whole, broken = kind is not Picture.KEY and not broken, False
    assert dropped[DROPPED] == lost
