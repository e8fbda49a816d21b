"""Several tracks of an encoder: what is waited for, what becomes a rendition, what stays together."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cmaf_frames import AAC, AAC_FRAME_MS, Encoder, audio, h264, mdhd_timescale, samples, video

from onair_media.cmaf import CodecChanged, Init, TrackInfo, WhenNeeded
from onair_media.flv import AudioConfig, AudioFrame, Colour, VideoColour, VideoConfig, VideoFrame
from onair_media.hls import Bandwidth, multivariant_playlist, together


def sound(number: int, track: int) -> AudioFrame:
    return AudioFrame("aac", audio(number).data, track)


def run(
    encoder: Encoder, seconds: float, tracks: tuple[int, ...], start: int = 0, quiet: dict[int, float] | None = None
) -> None:
    """A picture and these audio tracks; `quiet`: seconds after which a track stops."""
    events: list[tuple[float, int, int | None]] = [(n * 1000 / 30, n, None) for n in range(round(seconds * 30))]
    for track in tracks:
        until = (quiet or {}).get(track, seconds)
        events += [(n * AAC_FRAME_MS, n, track) for n in range(round(until * 1000 / AAC_FRAME_MS))]
    for at, n, track in sorted(events, key=lambda event: event[0]):
        if track is None:
            encoder.video(start + round(at), video(n, key=n % 30 == 0))
        else:
            encoder.audio(start + round(at), sound(n, track))


def connect(encoder: Encoder, tracks: tuple[int, ...]) -> None:
    encoder.packager.connect(1_790_000_000.0)
    encoder.packager.video(0, h264()[0])
    for track in tracks:
        encoder.packager.audio(0, AudioConfig("aac", AAC.record, track))


def test_each_audio_track_is_a_rendition_cut_where_the_picture_is() -> None:
    encoder = Encoder()
    connect(encoder, (0, 1, 5))
    run(encoder, 6, (0, 1, 5))
    encoder.disconnect()
    assert {tuple(segment.tracks) for segment in encoder.segments} == {("video", "audio", "audio-1", "audio-5")}
    for segment in encoder.segments:
        starts = [track.start for track in segment.tracks.values()]
        assert max(starts) - min(starts) < 0.05
    assert {init.rendition for init in encoder.inits} == {"video", "audio", "audio-1", "audio-5"}
    assert encoder.numbers("audio-5") == encoder.numbers("audio") == list(range(281))


def test_a_track_that_ends_early_holds_nobody_up_and_becomes_a_gap() -> None:
    encoder = Encoder()
    connect(encoder, (0, 1))
    run(encoder, 8, (0, 1), quiet={1: 3.0})
    encoder.disconnect()
    gaps = [segment.tracks["audio-1"].gap for segment in encoder.segments]
    assert gaps.count(True) >= 3 and not gaps[0]
    assert not any(segment.tracks["audio"].gap for segment in encoder.segments)


def test_tracks_without_a_number_zero_are_renditions_too() -> None:
    encoder = Encoder()
    connect(encoder, (1, 2))
    run(encoder, 3, (1, 2))
    encoder.disconnect()
    assert tuple(encoder.segments[0].tracks) == ("video", "audio-1", "audio-2")


def test_a_track_that_metadata_announces_is_waited_for() -> None:
    """MP3 and AC-3 have no sequence header that would announce it."""
    encoder = Encoder()
    connect(encoder, (0,))
    encoder.packager.metadata(
        {"audioTrackIdInfoMap": {"0": {"language": "en"}, "1": {"language": "de", "name": "Deutsch"}}}
    )
    for n in range(30):
        encoder.video(round(n * 1000 / 30), video(n, key=n == 0))
        encoder.audio(round(n * AAC_FRAME_MS), sound(n, 0))
    assert encoder.packager.waiting
    encoder.packager.audio(0, AudioConfig("aac", AAC.record, 1))
    encoder.audio(1000, sound(0, 1))
    assert not encoder.packager.waiting
    encoder.disconnect()
    assert {init.rendition: (init.track.language, init.track.name) for init in encoder.inits} == {
        "video": ("", ""), "audio": ("en", ""), "audio-1": ("de", "Deutsch"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "metadata",
    [
        {"audioTrackIdInfoMap": None},
        {"audioTrackIdInfoMap": {"x": {}, "-1": {}, "256": {}, "99999999999": {}}},
        {"audioTrackIdInfoMap": {"0": {"language": 'e"n', "name": "a\nb"}}},
        {"audioTrackIdInfoMap": {str(n): {"name": "x" * 65} for n in range(1000)}},
    ],
)
def test_metadata_is_a_hint_and_nothing_more(metadata: dict[str, object]) -> None:
    encoder = Encoder()
    connect(encoder, (0,))
    encoder.packager.metadata(metadata)
    run(encoder, 4, (0,))
    encoder.disconnect()
    assert tuple(encoder.segments[0].tracks) == ("video", "audio")
    assert all(init.track.language == init.track.name == "" for init in encoder.inits)


def test_more_tracks_than_anyone_needs_are_counted() -> None:
    encoder = Encoder()
    connect(encoder, tuple(range(12)))
    run(encoder, 3, (0, 11))
    encoder.disconnect()
    assert encoder.packager.dropped["audio track beyond the most allowed"] == 4
    assert tuple(encoder.segments[0].tracks) == ("video", "audio")


def test_of_several_video_tracks_the_first_is_taken_and_the_others_are_counted() -> None:
    encoder = Encoder()
    connect(encoder, (0,))
    encoder.packager.video(0, VideoConfig("avc", h264(128, 96)[0].record, 1))
    for n in range(60):
        at = round(n * 1000 / 30)
        encoder.video(at, video(n, key=n % 30 == 0))
        encoder.video(at, VideoFrame("avc", n % 30 == 0, 0, video(n, key=True).data, 1))
        encoder.audio(round(n * AAC_FRAME_MS), sound(n, 0))
    encoder.disconnect()
    assert encoder.packager.dropped["another video track"] == 61
    assert encoder.numbers("video") == list(range(60))
    assert len([init for init in encoder.inits if init.rendition == "video"]) == 1


def test_an_init_segment_counts_as_its_fragments_do() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(3)
    encoder.disconnect()
    for init in encoder.inits:
        assert mdhd_timescale(init.data) == {"video": 90_000, "audio": 48_000}[init.rendition]


def test_a_new_colour_is_a_new_init_segment_and_the_same_one_is_nothing() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.run(2)
    for _ in range(2):
        encoder.outputs += encoder.packager.video(2000, VideoColour(Colour(primaries=9, transfer=18, matrix=9)))
    encoder.run(2, start=2000, first=60)
    encoder.disconnect()
    assert [init.track.video_range for init in encoder.inits if init.rendition == "video"] == ["", "HLG"]
    assert [segment.discontinuity for segment in encoder.segments].count(True) == 1


def test_the_colour_of_one_connection_is_not_that_of_the_next() -> None:
    encoder = Encoder()
    encoder.connect()
    encoder.outputs += encoder.packager.video(0, VideoColour(Colour(primaries=9, transfer=16, matrix=9)))
    encoder.run(2)
    encoder.disconnect()
    encoder.connect()
    encoder.run(2)
    encoder.disconnect()
    assert [init.track.video_range for init in encoder.inits if init.rendition == "video"] == ["PQ", ""]


def test_the_init_segment_is_asked_for_with_the_first_picture_not_when_all_that_was_held_is_cut() -> None:
    asked: list[WhenNeeded] = []

    def prepare(make: Callable[[], Init]) -> WhenNeeded:
        asked.append(WhenNeeded(make))
        return asked[-1]

    encoder = Encoder(prepare=prepare)
    encoder.connect(sound=False)
    encoder.video(0, video(0, key=True))
    assert len(asked) == 1 and encoder.packager.waiting
    for n in range(1, 75):
        encoder.video(n * 40, video(n, key=n % 25 == 0))
    encoder.disconnect()
    assert len(asked) == 1
    assert sum(segment.duration for segment in encoder.segments) == pytest.approx(3, abs=0.05)


def test_nanoseconds_place_a_frame_between_milliseconds() -> None:
    encoder = Encoder()
    encoder.connect(sound=False)
    for n in range(121):
        exact = n * 1_001_000_000_000 // 120_000
        unit = video(n, key=n == 0)
        encoder.video(exact // 1_000_000, VideoFrame("avc", unit.keyframe, 0, unit.data, 0, exact % 1_000_000))
    encoder.packager.tick(0.0)
    encoder.packager.tick(20.0)
    encoder.disconnect()
    durations = {sample.duration for segment in encoder.segments for sample in samples(segment.tracks["video"].data)}
    assert durations <= {750, 751}, "8.34 ms, not eight and nine in turn"


# Playlists


def track(rendition: str, codec: str = "mp4a.40.2", language: str = "", name: str = "") -> TrackInfo:
    return TrackInfo(rendition, codec, channels=2, sample_rate=48_000, language=language, name=name)


VIDEO = TrackInfo("video", "hvc1.2.4.L153.B0", 1920, 1080, frame_rate=50.0, video_range="PQ")


def test_several_sounds_are_one_group_and_the_first_is_the_default() -> None:
    tracks = [VIDEO, track("audio", language="en"), track("audio-1", "Opus", "de", "Deutsch"), track("audio-2")]
    assert multivariant_playlist(tracks, Bandwidth(6_300_000, 6_000_000), prefix="k/") == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:8\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="en",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
        'URI="k/audio.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Deutsch",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",'
        'URI="k/audio-1.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Track 2",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",'
        'URI="k/audio-2.m3u8"\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=6300000,AVERAGE-BANDWIDTH=6000000,"
        'CODECS="hvc1.2.4.L153.B0,mp4a.40.2,Opus",RESOLUTION=1920x1080,FRAME-RATE=50.000,VIDEO-RANGE=PQ,AUDIO="audio"\n'
        "k/video.m3u8\n"
    )


def test_names_in_a_group_differ() -> None:
    """RFC 8216bis 4.4.6.1."""
    text = multivariant_playlist(
        [VIDEO, track("audio", language="en"), track("audio-1", language="en")], Bandwidth(1, 1)
    )
    assert 'NAME="en",' in text and 'NAME="en (Track 1)",' in text


def test_several_sounds_without_a_picture() -> None:
    text = multivariant_playlist([track("audio-1"), track("audio-2")], Bandwidth(1, 1))
    assert text.count("#EXT-X-MEDIA") == 2
    assert text.endswith('AUDIO="audio"\naudio-1.m3u8\n')


def test_bandwidth_is_of_the_picture_and_the_largest_sound() -> None:
    rates = {"video": Bandwidth(100, 90), "audio": Bandwidth(10, 9), "audio-1": Bandwidth(20, 8)}
    assert together(rates) == Bandwidth(120, 99)


def test_a_picture_whose_nal_units_do_not_fit_is_dropped_and_the_next_one_is_not() -> None:
    """DJI drones and LYNX encoders send such now and then."""
    encoder = Encoder()
    encoder.connect(sound=False)
    for n in range(90):
        unit = video(n, key=n % 30 == 0)
        encoder.video(n * 33, VideoFrame("avc", unit.keyframe, 0, unit.data[:-1]) if n == 45 else unit)
    encoder.disconnect()
    assert encoder.packager.dropped == {"NAL units that do not fit their frame": 1}
    assert encoder.numbers("video") == [n for n in range(90) if n != 45]


# Connections


def test_a_connection_with_fewer_tracks_is_not_waited_for_longer_than_any_other() -> None:
    encoder = Encoder()
    connect(encoder, (0, 1))
    run(encoder, 3, (0, 1))
    encoder.disconnect()
    connect(encoder, (0,))
    run(encoder, 3, (0,), start=500_000)
    assert not encoder.packager.waiting


def test_another_codec_hands_on_what_this_connection_sends_and_nothing_older() -> None:
    encoder = Encoder()
    connect(encoder, (0, 1))
    run(encoder, 3, (0, 1))
    encoder.disconnect()
    encoder.packager.connect(1_790_000_100.0)
    av1 = VideoConfig("av1", bytes.fromhex("81000c00"))
    (change,) = encoder.packager.video(0, av1)
    assert change == CodecChanged("video", "avc", "av1", (av1,))


def test_another_codec_is_one_after_a_restart_too() -> None:
    codecs = {"video": "avc1.42c00b", "audio": "mp4a.40.2"}
    encoder = Encoder(resumed=True, tracks=("video", "audio"), codecs=codecs)
    encoder.packager.connect(1_790_000_100.0)
    assert not encoder.packager.video(0, h264()[0]), "another profile of the same codec is no other codec"
    mp3 = AudioFrame("mp3", memoryview(bytes.fromhex("fffb946400000000")))
    (change,) = encoder.packager.audio(0, mp3)
    assert isinstance(change, CodecChanged)
    assert (change.old, change.new) == ("mp4a.40.2", "mp3")
    assert encoder.packager.codecs == codecs | {"video": h264_codec(encoder)}


def h264_codec(encoder: Encoder) -> str:
    return encoder.packager._catalogue.describe("video").info.codec
