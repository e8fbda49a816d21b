"""Real H.264 and AAC through the packager, decoded again: frame by frame what the encoder made (DESIGN: CMAF)."""

from __future__ import annotations

import hashlib
import io
import itertools
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import av.filter
import pytest
from av.video.frame import PictureType

from onair_core.contract import BroadcastRef, PackagingSettings
from onair_media.cmaf import InitSegment, Output, Packager, Segment
from onair_media.cmaf.model import Rendition
from onair_media.flv import parse_audio, parse_video

FPS, RATE, AAC_FRAME = 30, 48_000, 1024


@dataclass(frozen=True)
class Tag:
    video: bool
    milliseconds: int
    body: bytes


@dataclass(frozen=True)
class Decoded:
    """Presentation times in seconds, and what is seen or heard."""

    times: tuple[float, ...]
    digests: tuple[str, ...]


def source(*filters: tuple[str, str]) -> Iterator[av.VideoFrame | av.AudioFrame]:
    graph = av.filter.Graph()
    chain = [graph.add(name, options) for name, options in filters]
    for before, after in itertools.pairwise(chain):
        before.link_to(after)
    graph.configure()
    while True:
        try:
            yield chain[-1].pull()
        except (av.EOFError, av.BlockingIOError):
            return


@cache
def flv(seconds: int, width: int = 320, height: int = 180, b_frames: int = 2, gop: int = 30) -> bytes:
    """What FFmpeg's FLV muxer sends over RTMP."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flv") as out:
        video = out.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.options = {"preset": "veryfast", "bf": str(b_frames), "g": str(gop), "sc_threshold": "0"}
        audio = out.add_stream("aac", rate=RATE)
        audio.layout = "stereo"
        pictures = source(
            ("testsrc2", f"size={width}x{height}:rate={FPS}:duration={seconds}"),
            ("format", "yuv420p"),
            ("buffersink", ""),
        )
        sounds = source(
            ("sine", f"frequency=440:sample_rate={RATE}:duration={seconds}:samples_per_frame={AAC_FRAME}"),
            ("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
            ("abuffersink", ""),
        )
        for stream, frames in ((video, pictures), (audio, sounds)):
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    frame.pict_type = PictureType.NONE  # the filter marks every picture as a key frame
                out.mux(stream.encode(frame))  # type: ignore[arg-type]
            out.mux(stream.encode())
    return buffer.getvalue()


def tags(data: bytes) -> list[Tag]:
    """In the order in which an encoder sends them: by time."""
    found, at = [], 13
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        stamp = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        if data[at] in (8, 9):
            found.append(Tag(data[at] == 9, stamp, data[at + 11 : at + 11 + size]))
        at += 15 + size
    headers = [tag for tag in found if tag.body[1] == 0]
    return headers + sorted((tag for tag in found if tag.body[1] != 0), key=lambda tag: tag.milliseconds)


def feed(packager: Packager, stream: list[Tag], start: int = 0) -> list[Output]:
    outputs: list[Output] = []
    for tag in stream:
        if tag.video:
            video = parse_video(tag.body)
            outputs += packager.video(tag.milliseconds + start, video) if video is not None else []
        else:
            audio = parse_audio(tag.body)
            outputs += packager.audio(tag.milliseconds + start, audio) if audio is not None else []
    return outputs


def packaged(*connections: bytes, active: bool = True) -> list[Output]:
    packager = Packager(PackagingSettings(), broadcast=BroadcastRef("keynote-7f3k2", 2))
    outputs: list[Output] = []
    for number, data in enumerate(connections):
        packager.connect(1_790_000_000.0 + 60 * number)
        outputs += feed(packager, tags(data), start=number * 7_654_321)
        outputs += packager.disconnect()
        if active:
            packager.fix_target_duration()
            packager.set_steady()
    return outputs


def segments(outputs: list[Output]) -> list[Segment]:
    return [output for output in outputs if isinstance(output, Segment)]


def inits(outputs: list[Output], rendition: Rendition) -> dict[int, bytes]:
    return {o.index: o.data for o in outputs if isinstance(o, InitSegment) and o.rendition == rendition}


def track(outputs: list[Output], rendition: Rendition, init: int = 0) -> bytes:
    """Init segment and media segments one behind the other, as a player appends them."""
    media = [s.tracks[rendition] for s in segments(outputs) if s.tracks[rendition].init == init]
    return inits(outputs, rendition)[init] + b"".join(part.data for part in media)


def content(frame: av.VideoFrame | av.AudioFrame) -> bytes:
    """Pixels or samples, without the padding behind them."""
    if isinstance(frame, av.AudioFrame):
        return b"".join(bytes(plane)[: 4 * frame.samples] for plane in frame.planes)
    return b"".join(
        bytes(plane)[row * plane.line_size :][: plane.width] for plane in frame.planes for row in range(plane.height)
    )


def decode(data: bytes, kind: str) -> Decoded:
    times, digests = [], []
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0] if kind == "video" else container.streams.audio[0]
        for frame in container.decode(stream):
            assert isinstance(frame, av.VideoFrame | av.AudioFrame)
            assert frame.pts is not None and frame.time_base is not None
            times.append(float(frame.pts * Fraction(frame.time_base)))
            digests.append(hashlib.sha256(content(frame)).hexdigest())
    return Decoded(tuple(times), tuple(digests))


@pytest.mark.parametrize("b_frames", [0, 2])
def test_every_picture_is_the_one_that_was_encoded_at_its_time(b_frames: int) -> None:
    data = flv(7, b_frames=b_frames)
    expected = decode(data, "video")
    got = decode(track(packaged(data), "video"), "video")
    assert got.digests == expected.digests
    assert len(got.digests) == 7 * FPS
    shift = got.times[0] - expected.times[0]
    assert all(abs(a - b - shift) < 0.0011 for a, b in zip(got.times, expected.times, strict=True))


def test_every_sound_is_the_one_that_was_encoded_and_none_is_apart_from_the_next() -> None:
    data = flv(7)
    expected = decode(data, "audio")
    got = decode(track(packaged(data), "audio"), "audio")
    assert got.digests == expected.digests
    assert {round((b - a) * RATE) for a, b in itertools.pairwise(got.times)} == {AAC_FRAME}


def test_picture_and_sound_stay_together() -> None:
    outputs = packaged(flv(7))
    picture, sound = decode(track(outputs, "video"), "video"), decode(track(outputs, "audio"), "audio")
    assert abs((picture.times[0] - sound.times[0]) - 0.067) < 0.05, "two B-frames of delay, as in the source"
    assert abs(picture.times[-1] - sound.times[-1]) < 0.12


def test_every_segment_can_be_decoded_by_itself() -> None:
    """Players begin anywhere: EXT-X-INDEPENDENT-SEGMENTS (RFC 8216bis 4.4.2.1)."""
    outputs = packaged(flv(7))
    header = inits(outputs, "video")[0]
    for segment in segments(outputs):
        media = segment.tracks["video"]
        assert media.independent
        pictures = decode(header + media.data, "video")
        assert len(pictures.times) == round(media.duration * FPS)


def test_parts_decode_as_their_segment_does() -> None:
    outputs = packaged(flv(4))
    header = inits(outputs, "video")[0]
    for segment in segments(outputs):
        media = segment.tracks["video"]
        parts = [media.data[part.offset : part.offset + part.size] for part in media.parts]
        assert decode(header + b"".join(parts), "video") == decode(header + media.data, "video")
        assert len(parts) > 1


def test_a_reconnect_goes_on_in_the_same_track() -> None:
    data = flv(3)
    outputs = packaged(data, data)
    expected = decode(data, "video")
    got = decode(track(outputs, "video"), "video")
    assert got.digests == expected.digests * 2
    assert list(got.times) == sorted(got.times)
    assert [segment.discontinuity for segment in segments(outputs)].count(True) == 1


def test_another_resolution_has_an_init_segment_of_its_own() -> None:
    small, large = flv(3), flv(3, 640, 360)
    outputs = packaged(small, large)
    assert decode(track(outputs, "video", 0), "video").digests == decode(small, "video").digests
    assert decode(track(outputs, "video", 1), "video").digests == decode(large, "video").digests
    sizes = [(o.track.width, o.track.height) for o in outputs if isinstance(o, InitSegment) and o.rendition == "video"]
    assert sizes == [(320, 180), (640, 360)]
    assert [segment.discontinuity for segment in segments(outputs)].count(True) == 1


def test_a_long_gop_loses_no_picture_where_it_is_cut() -> None:
    opening, endless = flv(3), flv(9, gop=270)
    outputs = packaged(opening, endless)
    long = segments(outputs)[3:]
    assert not all(segment.tracks["video"].independent for segment in long)
    assert decode(track(outputs, "video"), "video").digests[90:] == decode(endless, "video").digests


def test_what_the_playlist_says_is_what_the_decoder_finds() -> None:
    outputs = packaged(flv(4))
    info = {o.rendition: o.track for o in outputs if isinstance(o, InitSegment)}
    with av.open(io.BytesIO(track(outputs, "video"))) as container:
        stream = container.streams.video[0]
        assert (info["video"].width, info["video"].height) == (stream.width, stream.height)
        profile = {"Constrained Baseline": "42c0", "Main": "4d40", "High": "6400"}[stream.profile or ""]
        assert info["video"].codec.startswith(f"avc1.{profile}")
        assert info["video"].frame_rate == pytest.approx(FPS)
    with av.open(io.BytesIO(track(outputs, "audio"))) as container:
        sound = container.streams.audio[0]
        assert (info["audio"].codec, info["audio"].channels) == ("mp4a.40.2", sound.channels)
        assert info["audio"].sample_rate == sound.rate == RATE


@pytest.mark.parametrize("rendition", ["video", "audio"])
def test_ffprobe_has_nothing_to_complain_of(rendition: Rendition, tmp_path: Path) -> None:
    ffprobe = shutil.which("ffprobe") or pytest.skip("ffprobe is not installed")
    data = flv(4)
    file = tmp_path / "track.mp4"
    file.write_bytes(track(packaged(data, data), rendition))
    done = subprocess.run(
        [ffprobe, "-v", "warning", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", file],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    expected = len(decode(data, rendition).digests) * 2
    assert int(done.stdout.strip().strip(",")) == expected
