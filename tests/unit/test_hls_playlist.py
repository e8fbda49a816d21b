"""Playlists as text: RFC 8216bis 4, read back by a strict parser of others."""

from __future__ import annotations

import gzip

import m3u8
import pytest
from hls_segments import AUDIO, VIDEO, segment, window_with

from onair_media.cmaf.model import TrackInfo
from onair_media.hls import (
    Bandwidth,
    BandwidthMeter,
    Entry,
    GrowingPlaylist,
    Header,
    Playlist,
    media_playlist,
    multivariant_playlist,
)
from onair_media.hls.playlist import live_max_age, program_date_time

MAP = "a/1/video/init-0.mp4"
ENTRIES = [Entry(f"a/1/video/{n}.m4s", MAP, 2.002, 1_790_000_000 + 2.002 * n) for n in range(4)]


def test_media_playlist_is_exactly_this() -> None:
    text = media_playlist(
        Header(2, media_sequence=100_000, discontinuity_sequence=10_000),
        [ENTRIES[0], Entry("a/1/video/1.m4s", "a/1/video/init-1.mp4", 1.5, 1_790_000_060.0006, True, gap=True)],
    )
    assert text == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:8\n"
        "#EXT-X-TARGETDURATION:2\n"
        "#EXT-X-MEDIA-SEQUENCE:100000\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:10000\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="a/1/video/init-0.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:13:20.000Z\n"
        "#EXTINF:2.002000,\n"
        "a/1/video/0.m4s\n"
        "#EXT-X-DISCONTINUITY\n"
        '#EXT-X-MAP:URI="a/1/video/init-1.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:14:20.001Z\n"
        "#EXT-X-GAP\n"
        "#EXTINF:1.500000,\n"
        "a/1/video/1.m4s\n"
    )


def test_multivariant_with_video_and_audio_is_exactly_this() -> None:
    assert multivariant_playlist([VIDEO, AUDIO], Bandwidth(6_300_000, 6_000_000), prefix="keynote-2026/") == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:8\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Main",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
        'URI="keynote-2026/audio.m3u8"\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=6300000,AVERAGE-BANDWIDTH=6000000,"
        'CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="audio"\n'
        "keynote-2026/video.m3u8\n"
    )


def test_audio_alone_is_a_plain_variant() -> None:
    text = multivariant_playlist([AUDIO], Bandwidth(130_000, 128_000))
    assert "EXT-X-MEDIA" not in text
    assert 'BANDWIDTH=130000,AVERAGE-BANDWIDTH=128000,CODECS="mp4a.40.2"\naudio.m3u8\n' in text


def test_video_alone_has_no_audio_group() -> None:
    text = multivariant_playlist([VIDEO], Bandwidth(1, 1))
    assert "AUDIO" not in text
    assert text.endswith("video.m3u8\n")


def test_an_unknown_frame_rate_is_left_out() -> None:
    track = TrackInfo("video", "avc1.64001f", width=1280, height=720)
    assert "FRAME-RATE" not in multivariant_playlist([track], Bandwidth(1, 1))


def test_a_multivariant_playlist_without_tracks_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one track"):
        multivariant_playlist([], Bandwidth())


def test_strict_parser_accepts_what_is_written() -> None:
    window = window_with([segment(n, discontinuity=n == 5, gap=["audio"] if n == 7 else []) for n in range(12)])
    window.end()
    for name in ("video", "audio"):
        playlist = window.media_playlist(name)
        assert playlist is not None
        parsed = m3u8.M3U8(playlist.text.decode(), strict=True)
        assert parsed.is_endlist
        assert parsed.media_sequence == 200_000
        assert len(parsed.segments) == 12
        assert parsed.segments[5].discontinuity
    top = window.multivariant("keynote-2026")
    assert top is not None
    variant = m3u8.M3U8(top.text.decode(), strict=True).playlists[0]
    assert variant.stream_info.resolution == (1280, 720)


def test_milliseconds_are_rounded_not_cut() -> None:
    assert program_date_time(0.9996) == "1970-01-01T00:00:01.000Z"
    assert program_date_time(1_790_000_000.1234) == "2026-09-21T14:13:20.123Z"


def test_static_files_may_lie_elsewhere_than_what_they_name() -> None:
    text = media_playlist(Header(2, kind="VOD"), ENTRIES[:1], ended=True, prefix="../media/")
    assert 'URI="../media/a/1/video/init-0.mp4"' in text
    assert "\n../media/a/1/video/0.m4s\n#EXT-X-ENDLIST\n" in text
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in text


def test_caches_never_hold_a_live_playlist_for_a_target_duration() -> None:
    assert [live_max_age(seconds) for seconds in (1, 2, 3, 4, 10)] == [1, 1, 1, 2, 5]


def test_gzip_is_the_same_text() -> None:
    playlist = Playlist(b"#EXTM3U\n", final=False, max_age=1)
    assert gzip.decompress(playlist.gzipped) == playlist.text
    assert playlist.gzipped is playlist.gzipped
    assert playlist.etag.startswith('"')


def test_bandwidth_is_the_peak_over_about_a_target_duration() -> None:
    """RFC 8216bis 4.4.6.2: contiguous segments that last between 0.5 and 1.5 target durations."""
    meter = BandwidthMeter(4)
    meter.add(0.5, 1_000_000)  # alone too short to count
    assert meter.bandwidth.peak == 16_000_000, "until something longer is known"
    meter.add(3.5, 500_000)
    assert meter.bandwidth == Bandwidth(peak=3_000_000, average=3_000_000)
    for _ in range(10):
        meter.add(4, 100_000)
    assert meter.bandwidth.peak == 3_000_000, "a peak is not forgotten"
    assert meter.bandwidth.average == round(2_500_000 * 8 / 44 + 0.5)


def test_average_never_exceeds_the_peak() -> None:
    meter = BandwidthMeter(2)
    meter.add(3.4, 1000)
    meter.add(0, 0)
    assert meter.bandwidth.peak >= meter.bandwidth.average > 0


def test_gaps_do_not_lower_the_average() -> None:
    window = window_with([segment(n, gap=["audio"] if n % 2 else []) for n in range(6)])
    assert window.bandwidth == Bandwidth(peak=4400, average=4400)


def test_bandwidth_counts_audio_too() -> None:
    assert Bandwidth(5, 3) + Bandwidth(2, 1) == Bandwidth(7, 4)


def growing(count: int, **options: bool) -> GrowingPlaylist:
    playlist = GrowingPlaylist(3)
    for entry in ENTRIES[:count]:
        playlist.append(entry, **options)
    return playlist


def test_a_recording_counts_from_zero_and_only_grows() -> None:
    playlist = growing(2)
    first = playlist.playlist().text.decode()
    playlist.append(ENTRIES[2])
    second = playlist.playlist().text.decode()
    assert second.startswith(first)
    assert "#EXT-X-MEDIA-SEQUENCE:0\n" in first
    assert "#EXT-X-PLAYLIST-TYPE:EVENT\n" in first
    assert second == media_playlist(Header(3, kind="EVENT"), ENTRIES[:3])


def test_a_recording_of_several_epochs_is_one_playlist() -> None:
    playlist = growing(4)
    playlist.append(Entry("a/2/video/0.m4s", "a/2/video/init-0.mp4", 2, 1_790_000_100, discontinuity=True))
    playlist.end()
    text = playlist.playlist().text.decode()
    assert text.count("#EXT-X-MAP") == 2
    assert text.endswith("a/2/video/0.m4s\n#EXT-X-ENDLIST\n")
    assert m3u8.M3U8(text, strict=True).is_endlist


def test_carried_on_gzip_and_etag_are_those_of_the_whole_text() -> None:
    playlist = GrowingPlaylist(3)
    tags = set()
    for number, entry in enumerate(ENTRIES):
        playlist.append(entry, independent=number != 2)
        now = playlist.playlist()
        assert playlist.playlist() is now
        assert gzip.decompress(now.gzipped) == now.text
        assert now.etag == Playlist(now.text, final=False, max_age=1).etag
        tags.add(now.etag)
    playlist.end()
    final = playlist.playlist()
    assert gzip.decompress(final.gzipped) == final.text
    assert final.final
    assert final.max_age > 60
    assert len(tags | {final.etag}) == 5


def test_a_recording_withdraws_the_independence_claim_once() -> None:
    playlist = growing(2)
    assert b"#EXT-X-INDEPENDENT-SEGMENTS" in playlist.playlist().text
    playlist.append(ENTRIES[2], independent=False)
    playlist.append(ENTRIES[3])
    assert b"#EXT-X-INDEPENDENT-SEGMENTS" not in playlist.playlist().text


def test_a_finished_recording_is_final() -> None:
    playlist = growing(2)
    playlist.end()
    with pytest.raises(ValueError, match="ended"):
        playlist.append(ENTRIES[2])
    assert playlist.text("VOD").decode() == media_playlist(Header(3, kind="VOD"), ENTRIES[:2], ended=True)


def test_an_empty_recording_says_so() -> None:
    playlist = GrowingPlaylist(2)
    assert playlist.empty
    playlist.append(ENTRIES[0])
    assert not playlist.empty
    assert not playlist.ended
