"""Frames to segments: what players rely on, sentence by sentence (DESIGN: CMAF; RFC 8216bis)."""

from __future__ import annotations

import pytest
from cmaf_frames import AAC, AAC_44100, Encoder, audio, boxes, h264, samples, video

from onair_core.contract import PackagingSettings
from onair_media.cmaf import CodecChanged, TrackIgnored, TracksChanged
from onair_media.flv import Colour, VideoColour, VideoConfig


def test_every_frame_comes_out_once_and_in_order() -> None:
    encoder = Encoder()
    encoder.connect()
    count = encoder.run(9.7)
    encoder.disconnect()
    assert encoder.numbers("video") == list(range(count))
    assert encoder.numbers("audio") == list(range(455))
    assert not encoder.packager.dropped


def test_until_active_each_idr_ends_a_segment_and_then_the_configured_duration_does() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(2.5)
    encoder.fix()
    encoder.run(8, start=2500, gop=15)
    durations = [round(segment.duration, 2) for segment in encoder.segments]
    assert durations[:2] == [1.0, 1.0]
    assert set(durations[3:]) == {2.0}


def test_every_segment_begins_with_an_idr_and_all_renditions_at_the_same_moment() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(8)
    for segment in encoder.segments:
        picture, sound = segment.tracks["video"], segment.tracks["audio"]
        assert picture.independent and samples(picture.data)[0].sync
        assert abs(picture.start - sound.start) < 0.0214, "within a frame of sound"


def test_decode_times_are_continuous_over_segments() -> None:
    """Media Source Extensions buffers show a hole otherwise."""
    encoder = Encoder()
    encoder.connect()
    encoder.run(9, start=1_234_567, gop=45)
    encoder.disconnect()
    for rendition in ("video", "audio"):
        expected = 0
        for segment in encoder.segments:
            for sample in samples(segment.tracks[rendition].data):
                assert sample.dts == expected
                expected += sample.duration


def test_parts_are_inside_segments_and_at_most_as_long_as_configured() -> None:
    encoder = Encoder(PackagingSettings(part_milliseconds=333))
    encoder.connect()
    encoder.run(6)
    for segment in encoder.segments:
        for track in segment.tracks.values():
            assert [part.offset for part in track.parts] == [at for kind, at, _ in boxes(track.data) if kind == b"moof"]
            assert sum(part.size for part in track.parts) == len(track.data)
            assert sum(part.duration for part in track.parts) == pytest.approx(track.duration)
            assert max(part.duration for part in track.parts) <= 0.3334
            assert track.parts[0].independent


def test_composition_times_stay_as_the_encoder_has_them() -> None:
    encoder = Encoder()
    encoder.connect(sound=False)
    offsets = [80, 160, 0, -40]
    for n, cts in enumerate(offsets):
        encoder.video(n * 40, video(n, key=n == 0, cts=cts))
    encoder.disconnect()
    (segment,) = encoder.segments
    assert [sample.cts for sample in samples(segment.tracks["video"].data)] == [cts * 90 for cts in offsets]


def test_a_long_gop_is_cut_without_an_idr_and_the_playlist_can_say_so() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(3)
    encoder.fix()
    assert encoder.packager.target_duration == 2
    encoder.run(20, start=3000, gop=600)
    encoder.disconnect()
    assert max(round(s.tracks["video"].duration) for s in encoder.segments) <= 2
    assert any(not segment.tracks["video"].independent for segment in encoder.segments)
    assert encoder.numbers("video") == [*range(90), *range(600)]


def test_a_first_gop_that_is_long_sets_the_target_duration() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(9, gop=120)
    encoder.fix()
    assert encoder.packager.target_duration == 4


def test_a_stream_without_key_frames_is_cut_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onair_media.cmaf.segmenter.MAX_SEGMENT_BYTES", 100_000)
    encoder = Encoder()
    encoder.connect(sound=False)
    for n in range(100):
        encoder.video(n * 33, video(n, key=n == 0, size=10_000))
    encoder.packager.tick(10.0)
    encoder.outputs += encoder.packager.tick(20.0)
    encoder.disconnect()
    assert len(encoder.segments) > 8
    assert max(len(segment.tracks["video"].data) for segment in encoder.segments) < 150_000
    assert encoder.numbers("video") == list(range(100))


# Tracks


@pytest.mark.parametrize(("picture", "sound"), [(True, False), (False, True)])
def test_one_track_alone_is_a_stream_after_two_seconds(picture: bool, sound: bool) -> None:
    encoder = Encoder()
    encoder.connect(picture=picture, sound=sound)
    encoder.run(1.9, picture=picture, sound=sound)
    assert encoder.packager.waiting
    encoder.run(6, start=1900, picture=picture, sound=sound)
    assert not encoder.packager.waiting
    assert {tuple(segment.tracks) for segment in encoder.segments} == {("video" if picture else "audio",)}
    assert round(encoder.segments[2].duration) == (1 if picture else round(encoder.segments[2].duration))


def test_a_track_that_comes_when_viewers_know_the_others_is_dropped_and_told_once_a_connection() -> None:
    encoder = Encoder()
    encoder.connect(sound=False)
    encoder.run(4, sound=False)
    encoder.fix()
    for connection in (1, 2):
        encoder.outputs += encoder.packager.audio(4000, AAC)
        encoder.run(2, start=4000)
        assert [o for o in encoder.outputs if isinstance(o, TrackIgnored)] == [TrackIgnored("audio")] * connection
        encoder.disconnect()
        encoder.connect(sound=False)
    assert {tuple(segment.tracks) for segment in encoder.segments} == {("video",)}
    assert encoder.packager.dropped["audio that came late"] > 160


def tracks_changed(encoder: Encoder) -> TracksChanged:
    (change,) = [output for output in encoder.outputs if isinstance(output, TracksChanged)]
    return change


def test_a_track_that_comes_before_anyone_can_watch_needs_another_broadcast_which_loses_no_picture() -> None:
    encoder = Encoder()
    encoder.connect(picture=False)
    encoder.run(2.5, picture=False)
    encoder.outputs += encoder.packager.video(2500, h264()[0])
    encoder.video(2500, video(0, key=False))
    assert encoder.packager.dropped == {"video that came late": 1}
    encoder.video(2540, video(1, key=True))
    change = tracks_changed(encoder)
    assert (change.rendition, len(change.frames)) == ("video", 1)

    following = Encoder()
    following.packager.connect(1_790_000_002.5)
    following.outputs += following.packager.begin_with(change.configurations, change.frames)
    following.run(3, start=2580, first=2, gop=1000)
    following.disconnect()
    assert following.numbers("video") == list(range(1, 92))
    assert following.numbers("audio")
    dates = following.segments[0].tracks["video"].program_date_time
    assert dates == pytest.approx(1_790_000_002.5)


def test_another_connection_with_another_track_needs_another_broadcast_which_has_all_of_it() -> None:
    """An encoder whose video was refused comes back with H.264: some sound was recorded already."""
    encoder = Encoder()
    encoder.connect(picture=False)
    encoder.run(0.5, picture=False)
    encoder.disconnect()
    assert [tuple(segment.tracks) for segment in encoder.segments] == [("audio",)]
    encoder.connect(1_790_000_010.0)
    encoder.audio(0, audio(0))
    assert encoder.packager.waiting, "for the picture, though the broadcast has none yet"
    encoder.packager.now = 1_790_000_010.2
    encoder.video(10, video(0, key=True))
    change = tracks_changed(encoder)
    assert [frame.rendition for frame in change.frames] == ["audio", "video"]

    following = Encoder()
    following.packager.connect(1_790_000_010.2)
    following.outputs += following.packager.begin_with(change.configurations, change.frames)
    following.run(2, start=50, first=1)
    following.disconnect()
    assert following.numbers("video")[:3] == [0, 1, 2]
    assert {tuple(segment.tracks) for segment in following.segments} == {("video", "audio")}


def test_a_connection_that_ends_while_its_tracks_are_awaited_leaves_the_broadcast_as_it_is() -> None:
    encoder = Encoder()
    encoder.connect(picture=False)
    encoder.run(0.5, picture=False)
    encoder.disconnect()
    encoder.connect()
    encoder.video(0, video(0, key=True))
    encoder.disconnect()
    assert {tuple(segment.tracks) for segment in encoder.segments} == {("audio",)}
    assert encoder.packager.dropped["video that came late"] == 1


def test_a_track_that_is_only_announced_changes_nothing() -> None:
    encoder = Encoder()
    for _ in range(2):
        encoder.connect()
        encoder.run(3, picture=False)
        encoder.run(9, start=3000, picture=False)
    encoder.disconnect()
    assert {tuple(segment.tracks) for segment in encoder.segments} == {("audio",)}
    assert not [output for output in encoder.outputs if isinstance(output, TracksChanged)]


def test_hdr_is_not_forgotten_over_a_change_of_tracks() -> None:
    colour = Colour(primaries=9, transfer=16, matrix=9)
    encoder = Encoder()
    encoder.connect(picture=False)
    encoder.run(2.5, picture=False)
    encoder.outputs += encoder.packager.video(2500, h264()[0])
    encoder.outputs += encoder.packager.video(2500, VideoColour(colour))
    encoder.run(1, start=2540)
    following = Encoder()
    following.packager.connect(0.0)
    change = tracks_changed(encoder)
    following.packager.begin_with(change.configurations, change.frames)
    assert following.packager._catalogue.configs["video"].colour == colour  # type: ignore[union-attr]


def test_sound_before_its_configuration_and_pictures_before_a_key_frame_are_counted() -> None:
    encoder = Encoder()
    encoder.packager.connect(0.0)
    encoder.audio(0, audio(0))
    encoder.connect()
    encoder.video(0, video(0, key=False))
    assert encoder.packager.dropped == {"audio before its configuration": 1, "video before a key frame": 1}


def test_audio_only_drops_the_picture() -> None:
    encoder = Encoder(audio_only=True)
    encoder.connect()
    encoder.run(6)
    assert {tuple(segment.tracks) for segment in encoder.segments} == {("audio",)}
    assert encoder.packager.dropped["video of an audio-only stream"] > 100


def test_a_track_that_falls_silent_becomes_a_gap_and_numbers_stay_together() -> None:
    """RFC 8216bis 4.4.4.7: EXT-X-GAP; rule 4: discontinuities at the same number everywhere."""
    encoder = Encoder()
    encoder.connect()
    encoder.run(4)
    encoder.run(8, start=4000, sound=False)
    encoder.run(4, start=12_000)
    encoder.disconnect()
    gaps = [segment.tracks["audio"].gap for segment in encoder.segments]
    assert not gaps[0] and any(gaps) and not gaps[-1]
    assert [segment.number for segment in encoder.segments] == list(range(len(encoder.segments)))
    assert not any(segment.tracks["video"].gap for segment in encoder.segments)


# Connections


def test_a_reconnect_is_one_discontinuity_and_time_goes_on() -> None:
    encoder = Encoder()
    encoder.connect(1_790_000_000.0)
    encoder.run(4)
    encoder.disconnect()
    before = encoder.packager.media_end
    encoder.connect(1_790_000_020.0)
    encoder.run(4, start=777_000)
    encoder.disconnect()
    marks = [segment.discontinuity for segment in encoder.segments]
    assert marks.count(True) == 1 and not marks[0]
    again = encoder.segments[marks.index(True)].tracks["video"]
    assert before <= again.start < before + 0.05
    assert again.program_date_time == pytest.approx(1_790_000_020.0)


def test_program_date_time_never_goes_back() -> None:
    """An encoder that sent faster than real time, or a wall clock that was set back."""
    encoder = Encoder()
    encoder.connect(1_790_000_000.0)
    encoder.run(10)
    encoder.disconnect()
    encoder.connect(1_790_000_003.0)
    encoder.run(2)
    encoder.disconnect()
    dates = [segment.tracks["video"].program_date_time for segment in encoder.segments]
    ends = [d + segment.tracks["video"].duration for d, segment in zip(dates, encoder.segments, strict=True)]
    assert all(following >= end - 0.05 for end, following in zip(ends, dates[1:], strict=False))


def test_the_next_epoch_goes_on_from_what_the_last_one_had() -> None:
    encoder = Encoder(media_origin=12.5, tracks=("video", "audio"), resumed=True)
    encoder.connect()
    encoder.run(2)
    encoder.disconnect()
    first = encoder.segments[0]
    assert first.discontinuity and first.number == 0
    assert first.tracks["video"].start == pytest.approx(12.5, abs=0.01)


def test_the_last_segment_of_a_connection_is_kept_however_short() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(0.3)
    encoder.disconnect()
    assert len(encoder.segments) == 1
    assert encoder.numbers("video") == list(range(9))


# Changes in the middle


def test_another_resolution_is_a_new_init_segment_and_a_discontinuity() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(4)
    encoder.outputs += encoder.packager.video(4000, h264(128, 96)[0])
    encoder.run(4, start=4000)
    encoder.disconnect()
    assert [(init.rendition, init.index) for init in encoder.inits if init.rendition == "video"] == [
        ("video", 0),
        ("video", 1),
    ]
    assert [init.track.width for init in encoder.inits if init.rendition == "video"] == [64, 128]
    changed = [segment for segment in encoder.segments if segment.tracks["video"].init == 1]
    assert changed[0].discontinuity and not any(segment.discontinuity for segment in changed[1:])


def test_a_repeated_configuration_changes_nothing() -> None:
    """Some encoders send it with every key frame."""
    encoder = Encoder()
    encoder.connect()
    for second in range(5):
        encoder.outputs += encoder.packager.video(second * 1000, h264()[0])
        encoder.outputs += encoder.packager.audio(second * 1000, AAC)
        encoder.run(1, start=second * 1000)
    encoder.disconnect()
    assert not any(segment.discontinuity for segment in encoder.segments)
    assert len(encoder.inits) == 2


def test_another_sample_rate_goes_on_with_a_new_init_segment() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(3)
    encoder.outputs += encoder.packager.audio(3000, AAC_44100)
    encoder.run(3, start=3000)
    encoder.disconnect()
    assert [init.track.sample_rate for init in encoder.inits if init.rendition == "audio"] == [48_000, 44_100]


def test_another_codec_ends_the_broadcast() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(2)
    outputs = encoder.packager.video(2000, VideoConfig("hevc", b"hvcC"))
    assert outputs == [CodecChanged("video", "avc", "hevc", (AAC, VideoConfig("hevc", b"hvcC")))]


@pytest.mark.parametrize("jump", [3_600_000, -3_600_000, 5_000, -2_000])
def test_a_jump_of_the_timestamps_is_a_discontinuity_and_no_hole_in_time(jump: int) -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(4, start=10_000_000)
    encoder.run(4, start=10_004_000 + jump)
    encoder.disconnect()
    assert [segment.discontinuity for segment in encoder.segments].count(True) == 1
    starts = [segment.tracks["video"].start for segment in encoder.segments]
    assert starts == sorted(starts)
    assert encoder.packager.media_end == pytest.approx(8.0, abs=0.2)


@pytest.mark.parametrize("start", [2**24 - 2000, 2**31 - 2000, 2**32 - 2000])
def test_a_counter_that_wraps_is_not_noticed(start: int) -> None:
    encoder = Encoder()
    encoder.connect()
    count = encoder.run(6, start=start)
    encoder.disconnect()
    assert not any(segment.discontinuity for segment in encoder.segments)
    assert encoder.numbers("video") == list(range(count))


def test_a_pause_of_the_encoder_makes_no_segment_longer_than_the_target() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(3)
    encoder.fix()
    encoder.run(0.5, start=3000)
    encoder.run(4, start=6400)
    encoder.disconnect()
    longest = max(track.duration for segment in encoder.segments for track in segment.tracks.values())
    assert round(longest) <= (encoder.packager.target_duration or 0)


def test_memory_is_bounded_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onair_media.cmaf.packager.MAX_HELD_BYTES", 50_000)
    encoder = Encoder()
    encoder.connect()
    for n in range(20):
        encoder.video(n, video(n, key=n == 0, size=10_000))
    assert not encoder.packager.waiting
