"""Open GOPs as x265 and x264 make them: every picture comes out, and no segment claims what it cannot keep."""

from __future__ import annotations

import itertools
import struct
from dataclasses import replace

import av.logging
import pytest
from cmaf_media import (
    FPS,
    AudioEncoder,
    Tag,
    VideoEncoder,
    decode,
    encoded,
    feed,
    inits,
    is_header,
    packaged,
    segments,
    tags,
    track,
)

from onair_core.contract import BroadcastRef, PackagingSettings
from onair_media.cmaf import InitSegment, Output, Packager, Segment
from onair_media.cmaf.beginnings import DROPPED
from onair_media.flv import Picture, VideoConfig, VideoFrame, describe_video, parse_video, picture_of, units_in
from onair_media.hls import LiveWindow

SECONDS = 5
GOP = 30
AAC = AudioEncoder("aac")
CLAIM = b"#EXT-X-INDEPENDENT-SEGMENTS"


def x265(bframes: int) -> VideoEncoder:
    options = f"log-level=none:scenecut=0:bframes={bframes}:open-gop=1:keyint={GOP}:min-keyint={GOP}"
    return VideoEncoder("libx265", (("preset", "ultrafast"), ("g", str(GOP)), ("x265-params", options)))


OPEN, WITHOUT_LEADING = x265(2), x265(0)


def x264(options: str) -> VideoEncoder:
    return VideoEncoder(
        "libx264", (("preset", "veryfast"), ("g", str(GOP)), ("x264-params", f"scenecut=0:open-gop=1:{options}"))
    )


X264_OPEN, X264_CLOSED = x264("bframes=2"), x264("open-gop=0")
AV1 = VideoEncoder("libsvtav1", (("preset", "10"), ("g", str(GOP))))
VP9 = VideoEncoder(
    "libvpx-vp9", (("deadline", "realtime"), ("cpu-used", "8"), ("g", str(GOP)), ("keyint_min", str(GOP)))
)


def pictures(stream: list[Tag]) -> list[Picture]:
    """In decode order."""
    units = [unit for tag in stream if tag.video for unit in parse_video(tag.body)]
    length = next(describe_video(unit).nal_length for unit in units if isinstance(unit, VideoConfig))
    frames = [unit for unit in units if isinstance(unit, VideoFrame)]
    return [picture_of(frame, frame.codec, units_in(frame.data, length) or ()) for frame in frames]


def from_gop(data: bytes, number: int) -> list[Tag]:
    """The sequence headers, and all from the picture on with which a GOP begins: an encoder that is joined late."""
    stream = tags(data)
    headers, frames = [t for t in stream if is_header(t)], [t for t in stream if not is_header(t)]
    begins = [at for at, tag in enumerate(frames) if tag.video and tag.body[0] >> 4 & 7 == 1]
    return headers + frames[begins[number] :]


def unflagged(stream: list[Tag]) -> list[Tag]:
    """As from an encoder that calls no picture a key frame."""
    return [replace(t, body=bytes((t.body[0] & 0x8F | 0x20,)) + t.body[1:]) if t.video else t for t in stream]


def shown_from(stream: list[Tag], first: Tag) -> int:
    """How many pictures are shown from one on."""
    times = {
        tag: tag.milliseconds + unit.composition_time
        for tag in stream
        if tag.video
        for unit in parse_video(tag.body)
        if isinstance(unit, VideoFrame)
    }
    return sum(time >= times[first] for time in times.values())


def together(*connections: list[Tag]) -> tuple[Packager, list[Output]]:
    packager = Packager(PackagingSettings(), broadcast=BroadcastRef("keynote-7f3k2", 2))
    outputs: list[Output] = []
    for number, stream in enumerate(connections):
        packager.connect(1_790_000_000.0 + 60 * number)
        outputs += feed(packager, stream, start=number * 7_654_321)
        outputs += packager.disconnect()
    return packager, outputs


def independence(outputs: list[Output]) -> list[bool]:
    return [segment.tracks["video"].independent for segment in segments(outputs)]


def sample_flags(media: bytes) -> list[int]:
    found: list[int] = []
    at = media.find(b"trun")
    while at >= 0:
        (count,) = struct.unpack_from(">I", media, at + 8)
        found += [struct.unpack_from(">I", media, at + 16 + 16 * entry + 8)[0] for entry in range(count)]
        at = media.find(b"trun", media.index(b"mdat", at))
    return found


def claims(outputs: list[Output]) -> list[bool]:
    """Whether the live playlist claims independent segments, after each of them."""
    window = LiveWindow(30.0)
    window.begin(BroadcastRef("keynote-7f3k2", 2))
    window.fix_target_duration(2)
    said = []
    for output in outputs:
        if isinstance(output, InitSegment):
            window.add_init(output)
        elif isinstance(output, Segment):
            window.add_segment(output)
            playlist = window.media_playlist("video")
            assert playlist is not None
            said.append(CLAIM in playlist.text)
    return said


def test_x265_makes_what_is_tested_here() -> None:
    kinds = pictures(tags(encoded(OPEN, AAC, SECONDS)))
    assert kinds[0] is Picture.KEY
    assert [Picture.CRA, Picture.RASL, Picture.RASL] in [kinds[at : at + 3] for at in range(len(kinds))]
    assert kinds.count(Picture.KEY) == 1
    alone = pictures(tags(encoded(WITHOUT_LEADING, AAC, SECONDS)))
    assert Picture.CRA in alone and Picture.RASL not in alone


@pytest.mark.parametrize("encoder", [OPEN, WITHOUT_LEADING, X264_OPEN], ids=["hevc", "hevc, no RASL", "h264"])
def test_every_picture_comes_back(encoder: VideoEncoder) -> None:
    data = encoded(encoder, AAC, SECONDS)
    expected, got = decode(data, "video"), decode(track(packaged(data), "video"), "video")
    assert len(expected.digests) == SECONDS * FPS
    assert got.digests == expected.digests
    shift = got.times[0] - expected.times[0]
    assert all(abs(a - b - shift) < 0.0011 for a, b in zip(got.times, expected.times, strict=True))


def test_segments_end_where_an_open_gop_does() -> None:
    durations = [segment.duration for segment in segments(packaged(encoded(OPEN, AAC, SECONDS), active=False))]
    assert len(durations) == SECONDS
    assert durations[1:-1] == pytest.approx([1.0] * (SECONDS - 2), abs=0.002)


def test_a_segment_whose_leading_pictures_need_the_one_before_is_not_independent() -> None:
    outputs = packaged(encoded(OPEN, AAC, SECONDS))
    assert independence(outputs) == [True] + [False] * (SECONDS - 1)
    assert claims(outputs) == [True] + [False] * (SECONDS - 1)
    assert all(part.independent for s in segments(outputs) for part in s.tracks["video"].parts[:1]), (
        "a player may begin"
    )


def test_a_cra_that_nothing_leads_is_as_independent_as_an_idr() -> None:
    outputs = packaged(encoded(WITHOUT_LEADING, AAC, SECONDS))
    assert all(independence(outputs))
    assert all(claims(outputs))
    header = inits(outputs, "video")[0]
    for segment in segments(outputs):
        media = segment.tracks["video"]
        assert len(decode(header + media.data, "video").times) == round(media.duration * FPS)


def test_a_recovery_point_of_h264_is_no_idr() -> None:
    data = encoded(X264_OPEN, AAC, SECONDS)
    kinds = pictures(tags(data))
    assert kinds.count(Picture.KEY) == 1 and kinds.count(Picture.RECOVERY) == SECONDS - 1
    outputs = packaged(data)
    assert independence(outputs) == [True] + [False] * (len(segments(outputs)) - 1)


def test_a_viewer_who_joins_at_an_open_gop_sees_all_but_what_led_it() -> None:
    data = encoded(OPEN, AAC, SECONDS)
    outputs = packaged(data)
    whole = decode(track(outputs, "video"), "video")
    shown = dict(zip((round(time * 1000) for time in whole.times), whole.digests, strict=True))
    header = inits(outputs, "video")[0]
    for segment in segments(outputs)[1:]:
        media = segment.tracks["video"]
        joined = decode(header + media.data, "video")
        assert len(joined.times) == round(media.duration * FPS) - 2
        assert all(shown[round(t * 1000)] == d for t, d in zip(joined.times, joined.digests, strict=True))


def test_sample_flags_tell_which_pictures_lead() -> None:
    """ISO/IEC 14496-12 8.8.3.1: is_leading 1, sample_depends_on 1, not sync."""
    for segment in segments(packaged(encoded(OPEN, AAC, SECONDS)))[1:]:
        flags = sample_flags(segment.tracks["video"].data)
        assert flags[:4] == [0x02000000, 0x05010000, 0x05010000, 0x01010000]


# After a break


def test_a_publisher_that_begins_with_an_open_gop_begins_clean() -> None:
    data = encoded(OPEN, AAC, SECONDS)
    packager, outputs = together(from_gop(data, 1))
    assert packager.dropped[DROPPED] == 2
    got = decode(track(outputs, "video"), "video")
    expected = decode(data, "video")
    assert got.digests == expected.digests[GOP:], "all from the CRA on, in the order of their showing"
    assert independence(outputs)[:2] == [True, False]
    assert sample_flags(segments(outputs)[0].tracks["video"].data)[:2] == [0x02000000, 0x01010000]


def test_a_reconnect_in_the_middle_of_open_gops_shows_nothing_broken() -> None:
    """A player's decoder goes on across the discontinuity, with another GOP in its memory."""
    data = encoded(OPEN, AAC, SECONDS)
    _, outputs = together(tags(data), from_gop(data, 2))
    assert [segment.discontinuity for segment in segments(outputs)].count(True) == 1
    expected = decode(data, "video").digests
    got = decode(track(outputs, "video"), "video")
    assert got.digests == expected + expected[2 * GOP :]
    assert list(got.times) == sorted(got.times)


def test_decode_times_have_no_hole_where_leading_pictures_were_dropped() -> None:
    _, outputs = together(from_gop(encoded(OPEN, AAC, SECONDS), 1))
    for before, after in itertools.pairwise(segment.tracks["video"] for segment in segments(outputs)):
        assert after.start == pytest.approx(before.start + before.duration, abs=1e-6)


def test_a_jump_of_the_timestamps_at_an_open_gop_begins_anew() -> None:
    data = encoded(OPEN, AAC, SECONDS)
    late = from_gop(data, 3)
    before = [tag for tag in tags(data) if tag not in late or is_header(tag)]
    after = [Tag(tag.video, tag.milliseconds + 3_600_000, tag.body) for tag in late if not is_header(tag)]
    packager, outputs = together(before + after)
    assert [segment.discontinuity for segment in segments(outputs)].count(True) == 1
    assert packager.dropped[DROPPED] == 2
    begun = next(s.tracks["video"] for s in segments(outputs) if s.discontinuity)
    assert begun.independent
    expected = decode(data, "video").digests
    assert decode(track(outputs, "video"), "video").digests[-2 * GOP :] == expected[-2 * GOP :]


@pytest.mark.parametrize("pyramid", ["none", "strict", "normal"])
def test_h264_that_begins_at_a_recovery_point_begins_clean(pyramid: str) -> None:
    """With a pyramid some leading pictures are referred to, by each other."""
    encoder = x264(f"bframes=5:b-adapt=0:ref=4:b-pyramid={pyramid}")
    data = encoded(encoder, AAC, SECONDS)
    stream = from_gop(data, 1)
    first = next(tag for tag in stream if tag.video and not is_header(tag))
    count = shown_from(tags(data), first)
    packager, outputs = together(stream)
    assert packager.dropped[DROPPED] == 5
    with av.logging.Capture() as complaints:
        got = decode(track(outputs, "video"), "video")
    assert not complaints
    assert got.digests == decode(data, "video").digests[-count:], "all from the recovery point on"
    assert all(after - before == pytest.approx(1 / FPS, abs=0.0011) for before, after in itertools.pairwise(got.times))
    assert not any(independence(outputs)), "what follows may look back, as far as anybody can tell"
    for before, after in itertools.pairwise(segment.tracks["video"] for segment in segments(outputs)):
        assert after.start == pytest.approx(before.start + before.duration, abs=1e-6)


def test_only_a_break_takes_leading_pictures_of_h264_away() -> None:
    data = encoded(x264("bframes=5:b-adapt=0"), AAC, SECONDS)
    packager, outputs = together(tags(data))
    assert not packager.dropped[DROPPED]
    assert decode(track(outputs, "video"), "video").digests == decode(data, "video").digests


# Encoders that flag no key frames


@pytest.mark.parametrize("encoder", [OPEN, X264_OPEN, X264_CLOSED, AV1, VP9], ids=lambda encoder: encoder.name)
def test_the_bitstream_tells_where_segments_begin_not_the_flag(encoder: VideoEncoder) -> None:
    stream = tags(encoded(encoder, AAC, SECONDS))
    _, flagged = together(stream)
    _, plain = together(unflagged(stream))
    assert len(segments(plain)) == SECONDS
    assert plain == flagged


def test_an_open_gop_that_is_not_flagged_is_a_beginning() -> None:
    data = encoded(OPEN, AAC, SECONDS)
    packager, outputs = together(unflagged(from_gop(data, 1)))
    assert not packager.dropped["video before a key frame"]
    assert decode(track(outputs, "video"), "video").digests == decode(data, "video").digests[GOP:]
