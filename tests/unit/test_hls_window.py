"""The live window: RFC 8216bis 6.2.2, and the rules 1–8 a validator checks."""

from __future__ import annotations

import pytest
from hls_segments import (
    AUDIO,
    BOTH,
    BROADCAST,
    VIDEO,
    Listed,
    init,
    listed,
    segment,
    window_with,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from onair_core.contract import BroadcastRef
from onair_media.cmaf.model import Rendition, Segment, TrackInfo
from onair_media.hls import LiveWindow


def test_nothing_is_playable_before_the_target_duration_is_fixed() -> None:
    window = window_with([segment(0), segment(1)], target_duration=None)
    assert not window.playable
    assert window.multivariant("keynote-2026") is None
    assert window.media_playlist("video") is None
    window.fix_target_duration(2)
    assert window.playable
    assert len(listed(window).uris) == 2
    assert window.bandwidth.peak == 4400


def test_target_duration_never_changes() -> None:
    window = window_with([segment(0)], target_duration=2)
    window.fix_target_duration(2)
    with pytest.raises(ValueError, match="2 s, not 3 s"):
        window.fix_target_duration(3)


def test_about_thirty_seconds_are_listed() -> None:
    window = window_with([segment(n) for n in range(100)])
    assert sum(listed(window).durations) == 30
    assert listed(window).media_sequence == 2 * 100_000 + 85


def test_at_least_six_segments_and_three_target_durations_are_listed() -> None:
    """RFC 8216bis 6.2.2: a playlist shorter than three target durations must not lose a segment."""
    long = window_with([segment(n, 9.9) for n in range(20)], target_duration=10, window=LiveWindow(5))
    assert len(listed(long).uris) == 6
    short = window_with([segment(n, 1) for n in range(100)], target_duration=10, window=LiveWindow(5))
    assert sum(listed(short).durations) == 30


def test_media_and_discontinuity_sequence_contain_the_epoch() -> None:
    window = window_with([segment(0, discontinuity=True)], broadcast=BroadcastRef(id="a", epoch=7))
    assert listed(window).media_sequence == 700_000
    assert listed(window).discontinuity_sequence == 70_000


def test_a_later_epoch_begins_anew_and_forwards() -> None:
    """A player that reloads after a restart has to see the sequence rise, and the same target duration."""
    window = window_with([segment(n) for n in range(20)])
    before = listed(window)
    again = LiveWindow(30)
    again.begin(BroadcastRef(id=BROADCAST.id, epoch=3), target_duration=2)
    again.add_init(init("video"))
    again.add_init(init("audio"))
    again.add_segment(segment(0, start=40, discontinuity=True))
    after = listed(again)
    assert after.media_sequence > before.media_sequence + len(before.uris)
    assert after.discontinuity_sequence > before.discontinuity_sequence
    assert not set(after.uris) & set(before.uris)


def test_discontinuity_falls_on_the_same_number_in_every_rendition() -> None:
    window = window_with([segment(n, discontinuity=n == 3) for n in range(6)])
    video, audio = listed(window, "video"), listed(window, "audio")
    assert list(video.discontinuity_numbers().values()) == list(audio.discontinuity_numbers().values())
    assert list(video.discontinuity_numbers().values()) == [20000] * 3 + [20001] * 3


def test_independent_segments_is_claimed_until_the_first_without_an_idr_and_never_after() -> None:
    window = window_with([segment(n) for n in range(3)])
    claim = "#EXT-X-INDEPENDENT-SEGMENTS"
    assert claim in listed(window).text
    window.add_segment(segment(3, independent=False))
    for n in range(4, 60):
        window.add_segment(segment(n))
    assert claim not in listed(window, "video").text
    assert claim not in listed(window, "audio").text


def test_a_gap_is_listed_and_not_stored() -> None:
    window = window_with([segment(0), segment(1, gap=["audio"])])
    assert "#EXT-X-GAP" in listed(window, "audio").text
    assert "#EXT-X-GAP" not in listed(window, "video").text
    assert window.media(listed(window, "audio").uris[1]) is None
    assert window.media(listed(window, "audio").uris[0]) is not None


def test_a_new_init_segment_is_announced_where_it_begins() -> None:
    """RFC 8216bis 4.4.4.5: EXT-X-MAP applies to everything below it."""
    window = window_with([segment(0), segment(1)])
    window.add_init(init("video", 1, TrackInfo("video", "avc1.42c01e", width=640, height=360)))
    window.add_segment(segment(2, discontinuity=True, init_index=1))
    lines = listed(window).text.splitlines()
    at = lines.index('#EXT-X-MAP:URI="keynote-7f3k2/2/video/init-1.mp4"')
    assert lines[at - 1] == "#EXT-X-DISCONTINUITY"
    assert "keynote-7f3k2/2/video/2.m4s" in lines[at + 1 : at + 4]
    multivariant = window.multivariant("keynote-2026")
    assert multivariant is not None
    assert b'CODECS="avc1.64001f,avc1.42c01e,mp4a.40.2",RESOLUTION=1280x720' in multivariant.text


def test_init_segments_stay_while_a_stored_segment_needs_them_and_no_longer() -> None:
    window = window_with([segment(0)])
    window.add_init(init("video", 1))
    for n in range(1, 200):
        window.add_segment(segment(n, discontinuity=n == 1, init_index=1))
    assert window.media("keynote-7f3k2/2/video/init-0.mp4") is None
    assert window.media("keynote-7f3k2/2/video/init-1.mp4") == b"init video 1"
    assert window.media("keynote-7f3k2/2/audio/init-0.mp4") == b"init audio 0"


def test_video_only_and_audio_only_have_one_rendition() -> None:
    video = window_with([segment(0, renditions=["video"])])
    assert video.media_playlist("audio") is None
    assert video.media_playlist("video") is not None
    audio = window_with([segment(0, renditions=["audio"])])
    assert audio.media_playlist("video") is None
    assert audio.media_playlist("elsewhere") is None


def test_playlists_are_rendered_once_per_change() -> None:
    window = window_with([segment(0)])
    first, many = window.media_playlist("video"), window.multivariant("keynote-2026")
    assert window.media_playlist("video") is first
    assert window.multivariant("keynote-2026") is many
    window.add_segment(segment(1))
    second = window.media_playlist("video")
    assert first is not None
    assert second is not None
    assert second.etag != first.etag


def test_several_playback_ids_share_the_window() -> None:
    window = window_with([segment(0)])
    one, two = window.multivariant("first-id-1"), window.multivariant("second-id-2")
    assert one is not None
    assert two is not None
    assert b"first-id-1/video.m3u8" in one.text
    assert b"second-id-2/video.m3u8" in two.text


def test_endlist_is_final() -> None:
    """RFC 8216bis 4.4.3.4: nothing may follow."""
    window = window_with([segment(0), segment(1)])
    window.end()
    assert listed(window).text.endswith("#EXT-X-ENDLIST\n")
    assert window.ended
    playlist = window.multivariant("keynote-2026")
    assert playlist is not None
    assert playlist.final
    with pytest.raises(RuntimeError, match="no broadcast is running"):
        window.add_segment(segment(2))


def test_cleared_after_the_end_it_is_idle() -> None:
    window = window_with([segment(0)])
    window.end()
    window.clear()
    assert not window.playable
    assert window.multivariant("keynote-2026") is None
    assert window.stored_bytes == 0


def test_clearing_leaves_a_running_broadcast_alone() -> None:
    window = window_with([segment(0)])
    window.clear()
    assert window.playable


def test_the_last_playlist_stays_until_the_next_broadcast_is_playable() -> None:
    """DESIGN §4: ENDLIST is served for a minute or until the next `active`."""
    window = window_with([segment(n) for n in range(4)])
    window.end()
    last = listed(window)
    following = BroadcastRef(id="keynote-9", epoch=3)
    window.begin(following)
    for rendition in BOTH:
        window.add_init(init(rendition))
    window.add_segment(segment(0))
    assert listed(window).text == last.text
    window.fix_target_duration(2)
    assert listed(window).uris == ["keynote-9/3/video/0.m4s"]
    assert window.media(last.uris[-1]) is not None, "a viewer is still finishing the last broadcast"
    for n in range(1, 5):
        window.add_segment(segment(n))
    assert window.media(last.uris[-1]) is None


def test_a_broadcast_replaced_without_an_end_is_ended() -> None:
    """Another codec family: the next broadcast begins while this one was playable."""
    window = window_with([segment(0)])
    window.begin(BroadcastRef(id="keynote-9", epoch=3))
    assert listed(window).text.endswith("#EXT-X-ENDLIST\n")


def test_memory_is_bounded_at_any_bit_rate() -> None:
    window = LiveWindow(30, max_bytes=30_000)
    window_with([segment(n, size=1000) for n in range(300)], window=window)
    assert window.stored_bytes <= 30_000
    assert sum(listed(window).durations) == 30, "removed segments go first"
    window = LiveWindow(30, max_bytes=7_000)
    window_with([segment(n, size=1000) for n in range(300)], window=window)
    assert window.stored_bytes <= 7_000
    assert len(listed(window).uris) == 6, "then the list shrinks, to what the specification demands"


def test_what_even_the_shortest_list_has_no_room_for_is_said_and_not_kept() -> None:
    window = LiveWindow(30, max_bytes=5_000)
    window_with([segment(n, size=1000) for n in range(9)], window=window)
    assert window.too_large
    assert window.stored_bytes <= 5_000
    for n in range(9, 20):
        window.add_segment(segment(n, size=10))
    assert not window.too_large


def test_a_segment_that_lacks_a_rendition_is_refused() -> None:
    window = window_with([segment(0)])
    with pytest.raises(KeyError):
        window.add_segment(segment(1, renditions=["video"]))


durations = st.floats(0.1, 3.49)
stretches = st.lists(st.tuples(durations, st.booleans()), min_size=1, max_size=120)


@settings(max_examples=60, deadline=None)
@given(stretches)
def test_reloads_keep_every_rule(stretches: list[tuple[float, bool]]) -> None:
    """RFC 8216bis 6.2.1 and 6.2.2, between any two reloads of either rendition."""
    renditions: tuple[Rendition, ...] = BOTH
    window = LiveWindow(12)
    window.begin(BROADCAST)
    for rendition in renditions:
        window.add_init(init(rendition))
    window.fix_target_duration(3)
    seen: dict[str, Listed] = {}
    kept_until: dict[str, float] = {}
    longest = media_time = 0.0
    for number, (duration, discontinuity) in enumerate(stretches):
        window.add_segment(segment(number, duration, start=media_time, discontinuity=discontinuity))
        media_time += duration
        for rendition in renditions:
            now = listed(window, rendition)
            assert now.number("EXT-X-TARGETDURATION") == 3
            assert all(round(value) <= 3 for value in now.durations)
            assert sum(now.durations) >= min(media_time, 9) - 1e-3
            before = seen.get(rendition)
            if before is not None:
                gone = now.media_sequence - before.media_sequence
                assert gone >= 0
                assert now.uris[: len(before.uris) - gone] == before.uris[gone:], "removed in order"
                assert now.durations[: len(before.uris) - gone] == before.durations[gone:]
                numbers = now.discontinuity_numbers()
                for uri, expected in before.discontinuity_numbers().items():
                    assert numbers.get(uri, expected) == expected
                for uri, length in zip(before.uris[:gone], before.durations[:gone], strict=True):
                    kept_until[uri] = media_time + length + longest
            longest = max(longest, sum(now.durations))
            seen[rendition] = now
        for uri in (*seen["video"].uris, *seen["audio"].uris):
            assert window.media(uri) is not None
        for uri, until in kept_until.items():
            if media_time < until - 0.001:
                assert window.media(uri) is not None, "a removed segment stays downloadable"
            elif media_time > until + 3 * 3.5:  # after longer ones removed before it, at the next segment
                assert window.media(uri) is None, "and not for ever"


def test_tracks_are_described_as_they_are() -> None:
    window = window_with([segment(0)])
    playlist = window.multivariant("keynote-2026")
    assert playlist is not None
    assert VIDEO.codec.encode() in playlist.text
    assert AUDIO.codec.encode() in playlist.text
    assert b"FRAME-RATE=29.970" in playlist.text


def _numbered(count: int) -> list[Segment]:
    return [segment(n) for n in range(count)]


def test_program_date_time_advances_by_what_was_played() -> None:
    """Rule 7: drift against the sum of EXTINF stays below a frame."""
    lines = listed(window_with(_numbered(8))).text.splitlines()
    stamps = [line.partition(":")[2] for line in lines if line.startswith("#EXT-X-PROGRAM-DATE-TIME")]
    assert stamps[0] == "2026-09-21T14:13:20.250Z"
    assert stamps[-1] == "2026-09-21T14:13:34.250Z"
    assert len(stamps) == 8
