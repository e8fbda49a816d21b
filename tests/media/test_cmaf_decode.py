"""Real H.264 and AAC through the packager, decoded again: frame by frame what the encoder made (DESIGN: CMAF)."""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
from pathlib import Path

import av
import pytest
from cmaf_media import AAC_FRAME, FPS, RATE, decode, flv, inits, packaged, segments, track

from onair_core.playback.renditions import Rendition
from onair_media.cmaf import InitSegment


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
