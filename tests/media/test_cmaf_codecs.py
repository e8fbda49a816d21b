"""Every codec that Enhanced RTMP brings, as FFmpeg sends it: packaged, and decoded frame by frame."""

from __future__ import annotations

import io
import itertools
import re
import struct
from dataclasses import dataclass

import av
import pytest
from cmaf_media import FPS, AudioEncoder, VideoEncoder, decode, encoded, feed, inits, packaged, segments, tags, track

from onair_core.contract import BroadcastRef, PackagingSettings
from onair_core.playback.renditions import Rendition
from onair_media import amf0
from onair_media.cmaf import InitSegment, Output, Packager
from onair_media.cmaf.init import make_init
from onair_media.flv import AudioConfig, UnsupportedCodecError, describe_audio, parse_audio, parse_video

SECONDS = 4
AAC = AudioEncoder("aac")


@dataclass(frozen=True)
class Video:
    encoder: VideoEncoder
    codec: str
    entry: bytes


@dataclass(frozen=True)
class Audio:
    encoder: AudioEncoder
    codec: str
    entry: bytes
    frame: int  # samples


GOP = ("g", "30")
X264 = VideoEncoder("libx264", (("preset", "ultrafast"), GOP))
# With B-frames, the picture begins before the sound: not one sound is dropped.
X264_B = VideoEncoder("libx264", (("preset", "veryfast"), ("bf", "2"), GOP))
HEVC = VideoEncoder(
    "libx265", (("preset", "ultrafast"), GOP, ("x265-params", "log-level=none:scenecut=0:bframes=2:open-gop=0"))
)
AV1 = VideoEncoder("libsvtav1", (("preset", "12"), GOP, ("svtav1-params", "pred-struct=1:lp=1")))
VP9 = VideoEncoder("libvpx-vp9", (("deadline", "realtime"), ("cpu-used", "8"), GOP))
VIDEOS = {
    "h264": Video(X264, "avc1.42c00d", b"avc1"),
    "hevc": Video(HEVC, "hvc1.1.6.L60.90", b"hvc1"),
    "av1": Video(AV1, "av01.0.00M.08", b"av01"),
    "vp9": Video(VP9, "vp09.00.11.08", b"vp09"),
}
AUDIOS = {
    "aac": Audio(AAC, "mp4a.40.2", b"mp4a", 1024),
    "aac 5.1": Audio(AudioEncoder("aac", layout="5.1"), "mp4a.40.2", b"mp4a", 1024),
    "opus": Audio(AudioEncoder("libopus"), "Opus", b"Opus", 960),
    "opus 5.1": Audio(AudioEncoder("libopus", layout="5.1"), "Opus", b"Opus", 960),
    "flac": Audio(AudioEncoder("flac"), "fLaC", b"fLaC", 4608),
    "flac 44.1": Audio(AudioEncoder("flac", rate=44_100), "fLaC", b"fLaC", 4608),
    "ac-3": Audio(AudioEncoder("ac3"), "ac-3", b"ac-3", 1536),
    "ac-3 5.1": Audio(AudioEncoder("ac3", layout="5.1"), "ac-3", b"ac-3", 1536),
    "e-ac-3": Audio(AudioEncoder("eac3"), "ec-3", b"ec-3", 1536),
    "mp3": Audio(AudioEncoder("libmp3lame"), "mp4a.40.34", b"mp4a", 1152),
    "mp3 mono 22.05": Audio(AudioEncoder("libmp3lame", rate=22_050, layout="mono"), "mp4a.40.34", b"mp4a", 576),
}


def init_of(outputs: list[Output], rendition: Rendition) -> InitSegment:
    return next(o for o in outputs if isinstance(o, InitSegment) and o.rendition == rendition)


def sample_entry(init: bytes) -> bytes:
    at = init.index(b"stsd") + 12
    return init[at + 4 : at + 8]


@pytest.mark.parametrize("name", VIDEOS)
def test_every_picture_comes_back(name: str) -> None:
    case = VIDEOS[name]
    data = encoded(case.encoder, AAC, SECONDS)
    expected, outputs = decode(data, "video"), packaged(data)
    got = decode(track(outputs, "video"), "video")
    assert len(expected.digests) == SECONDS * FPS
    assert got.digests == expected.digests
    shift = got.times[0] - expected.times[0]
    assert all(abs(a - b - shift) < 0.0011 for a, b in zip(got.times, expected.times, strict=True))
    init = init_of(outputs, "video")
    assert init.track.codec == case.codec
    assert sample_entry(init.data) == case.entry
    assert (init.track.width, init.track.height, init.track.video_range) == (320, 180, "")
    assert init.track.frame_rate == pytest.approx(FPS, abs=0.5)


@pytest.mark.parametrize("name", VIDEOS)
def test_every_segment_begins_where_a_decoder_can(name: str) -> None:
    outputs = packaged(encoded(VIDEOS[name].encoder, AAC, SECONDS))
    header = inits(outputs, "video")[0]
    for segment in segments(outputs):
        media = segment.tracks["video"]
        assert media.independent
        assert len(decode(header + media.data, "video").times) == round(media.duration * FPS)


@pytest.mark.parametrize("name", AUDIOS)
def test_every_sound_comes_back(name: str) -> None:
    case = AUDIOS[name]
    data = encoded(X264_B, case.encoder, SECONDS)
    expected, outputs = decode(data, "audio"), packaged(data)
    got = decode(track(outputs, "audio"), "audio")
    assert got.digests == expected.digests
    rate = case.encoder.rate
    # The first Opus frame is short by what its header says is to be skipped.
    steps = {round((b - a) * rate) for a, b in itertools.pairwise(got.times[1:])}
    assert steps == {case.frame}, "no gap between frames"
    init = init_of(outputs, "audio")
    assert (init.track.codec, init.track.sample_rate) == (case.codec, rate)
    assert init.track.channels == {"mono": 1, "stereo": 2, "5.1": 6}[case.encoder.layout]
    assert sample_entry(init.data) == case.entry


def test_hdr_metadata_reaches_the_init_segment_and_the_playlist() -> None:
    """As the encoder's colour options say; light level and mastering display by a metadata packet (E-RTMP v2)."""
    pq = VideoEncoder(HEVC.name, HEVC.options, "yuv420p10le", colour=(9, 16, 9))
    stream = tags(encoded(pq, AAC, 2))
    mastering = amf0.encode(
        "colorInfo",
        {
            "colorConfig": {"bitDepth": 10, "colorPrimaries": 9, "transferCharacteristics": 16, "matrixCoefficients": 9},
            "hdrCll": {"maxFall": 400, "maxCLL": 1000},
            "hdrMdcv": {
                "redX": 0.708, "redY": 0.292, "greenX": 0.17, "greenY": 0.797, "blueX": 0.131, "blueY": 0.046,
                "whitePointX": 0.3127, "whitePointY": 0.329, "maxLuminance": 1000, "minLuminance": 0.0001,
            },
        }
    )  # fmt: skip
    packager = Packager(PackagingSettings(), broadcast=BroadcastRef("keynote-7f3k2", 2))
    packager.connect(1_790_000_000.0)
    outputs = feed(packager, [tag for tag in stream if not tag.video or tag.body[0] & 0x0F == 0])
    (colour,) = parse_video(b"\x94hvc1" + mastering)
    outputs += packager.video(0, colour)
    outputs += feed(packager, [tag for tag in stream if tag.video and tag.body[0] & 0x0F in (1, 3)])
    outputs += packager.disconnect()
    init = init_of(outputs, "video")
    assert init.track.video_range == "PQ"
    assert b"colr\0\0\0\0nclx" not in init.data and b"nclx\0\x09\0\x10\0\x09" in init.data
    assert b"clli" + struct.pack(">HH", 1000, 400) in init.data
    assert b"mdcv" in init.data
    assert not any(segment.discontinuity for segment in segments(outputs)), "it came before the first picture"


def test_he_aac_lasts_as_long_as_a_player_thinks() -> None:
    """Its frames count the core's samples, libavformat's header those of SBR: the fragments' timescale prevails."""
    config = AudioConfig("aac", bytes.fromhex("2b118800"))  # SBR, 24 kHz core, 48 kHz out, LC, stereo
    info = describe_audio(config)
    assert (info.codec, info.sample_rate) == ("mp4a.40.5", 24_000)
    init = make_init(config, info.sample_rate, bytes(8))
    at = init.data.index(b"mdhd") + 16
    assert int.from_bytes(init.data[at : at + 4], "big") == 24_000


def test_what_cannot_be_packaged_is_named() -> None:
    for body, codec in ((b"\x22data", "Sorenson H.263"), (b"\x90vvc1data", "VVC"), (b"\x90vp08data", "VP8")):
        with pytest.raises(UnsupportedCodecError) as caught:
            parse_video(body)
        assert (caught.value.kind, caught.value.codec) == ("video", codec)
    for body, codec in ((b"\xb2data", "Speex"), (b"\x90dtscdata", "dtsc")):
        with pytest.raises(UnsupportedCodecError) as caught:
            parse_audio(body)
        assert (caught.value.kind, caught.value.codec) == ("audio", codec)


@pytest.mark.parametrize("number", [12, 7])
def test_legacy_hevc_by_number(number: int) -> None:
    """What encoders sent before there were FourCCs; OBS before 29.1 even under the number of AVC."""
    data = encoded(HEVC, AAC, 2)
    packager = Packager(PackagingSettings(), broadcast=BroadcastRef("keynote-7f3k2", 2))
    packager.connect(1_790_000_000.0)
    outputs: list[Output] = []
    for tag in tags(data):
        if not tag.video:
            continue
        first, kind = tag.body[0], tag.body[0] & 0x0F
        if kind not in (0, 1, 3):
            continue
        frame_type = first >> 4 & 7
        offset = tag.body[5:8] if kind == 1 else b"\0\0\0"
        body = tag.body[8:] if kind == 1 else tag.body[5:]
        for unit in parse_video(bytes((frame_type << 4 | number, 0 if kind == 0 else 1)) + offset + body):
            outputs += packager.video(tag.milliseconds, unit)
    outputs += packager.disconnect()
    assert decode(track(outputs, "video"), "video").digests == decode(data, "video").digests
    assert all(segment.tracks["video"].independent for segment in segments(outputs))


@pytest.mark.parametrize(
    ("codec", "pixels", "colour", "expected"),
    [
        ("av1", "yuv420p10le", (9, 16, 9), r"av01\.0\.\d\dM\.10\.0\.11[0-2]\.09\.16\.09\.0"),
        ("vp9", "yuv420p", (9, 18, 9), r"vp09\.00\.\d\d\.08\.0[01]\.09\.18\.09\.00"),
        ("vp9", "yuv444p", None, r"vp09\.01\.\d\d\.08\.03\.01\.01\.01\.00"),
        ("vp9", "yuv420p", (1, 1, 1), r"vp09\.00\.\d\d\.08"),
    ],
)
def test_the_codec_string_tells_a_colour_that_is_not_the_usual_one(
    codec: str, pixels: str, colour: tuple[int, int, int] | None, expected: str
) -> None:
    encoder = VIDEOS[codec].encoder
    outputs = packaged(encoded(VideoEncoder(encoder.name, encoder.options, pixels, colour=colour), AAC, 1))
    said = init_of(outputs, "video").track.codec
    assert re.fullmatch(expected, said), said


def test_a_decoder_opens_every_init_segment() -> None:
    for video in VIDEOS.values():
        outputs = packaged(encoded(video.encoder, AAC, SECONDS))
        with av.open(io.BytesIO(track(outputs, "video"))) as container:
            assert container.streams.video[0].width == 320
