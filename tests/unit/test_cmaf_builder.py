"""When tracks do not keep together: silence of one, holes, GOPs that are too long for a segment."""

from __future__ import annotations

import math

import pytest
from cmaf_frames import AAC_FRAME_MS, Encoder, audio, samples, video

from onair_core.contract import PackagingSettings
from onair_media.cmaf import Segment, builder, segmenter
from onair_media.cmaf.gathering import Gathering


def live() -> Encoder:
    """Three seconds of both, active, target duration 2."""
    encoder = Encoder()
    encoder.connect()
    encoder.run(3)
    encoder.fix()
    return encoder


def test_sound_that_goes_on_alone_is_not_held_back() -> None:
    """The picture is silent for two minutes: the live edge follows the sound all the while."""
    encoder = live()
    number = 10_000
    for n in range(round(120_000 / AAC_FRAME_MS)):
        encoder.audio(3000 + round(n * AAC_FRAME_MS), audio(number + n))
        behind = 3.0 + n * AAC_FRAME_MS / 1000 - encoder.packager.media_end
        assert behind < 2.45 + 0.5 + 0.1
    after = [s for s in encoder.segments if s.tracks["audio"].start > 6]
    assert all(segment.tracks["video"].gap for segment in after)
    assert all(round(segment.tracks["audio"].duration) <= 2 for segment in after)


def test_the_picture_comes_back_beside_the_sound() -> None:
    encoder = live()
    encoder.run(60, start=3000, picture=False)
    encoder.run(6, start=63_000)
    encoder.disconnect()
    together = [s for s in encoder.segments if s.number and not any(t.gap for t in s.tracks.values())]
    late = [s for s in together if s.tracks["video"].start > 64]
    assert late
    for segment in late:
        starts = [track.start for track in segment.tracks.values()]
        assert max(starts) - min(starts) < 0.05
    dates = [segment.tracks["video"].program_date_time for segment in encoder.segments]
    assert dates == sorted(dates)


@pytest.mark.parametrize("silent", ["audio", "video"])
def test_a_short_silence_inside_leaves_no_hole(silent: str) -> None:
    """1.7 seconds of one track are lost: its last frame lasts until the segment ends."""
    encoder = live()
    events = [(3000 + n * 1000 / 30, n, True) for n in range(180)]
    events += [(3000 + n * AAC_FRAME_MS, n, False) for n in range(281)]
    for at, n, picture in sorted(events):
        if 4200 < at < 5900 and picture == (silent == "video"):
            continue
        if picture:
            encoder.video(round(at), video(100 + n, key=n % 30 == 0))
        else:
            encoder.audio(round(at), audio(1000 + n))
    encoder.disconnect()
    follows_on(encoder.segments, silent)


def follows_on(segments: list[Segment], rendition: str) -> None:
    """PDT and media time follow from the durations, but for what a discontinuity announces (media.md 7.2, rule 7)."""
    end = date = None
    for segment in segments:
        track = segment.tracks[rendition]
        if end is not None and date is not None and not segment.discontinuity:
            assert track.start == pytest.approx(end, abs=0.051)
            assert track.program_date_time == pytest.approx(date, abs=0.051)
        end, date = track.start + track.duration, track.program_date_time + track.duration


def test_a_silence_over_whole_segments_ends_with_a_discontinuity() -> None:
    encoder = live()
    encoder.run(7, start=3000, sound=False, first=100)
    encoder.run(5, start=10_300, first=1000)
    encoder.disconnect()
    back = next(s for s in encoder.segments if s.tracks["audio"].start > 10 and not s.tracks["audio"].gap)
    assert any(segment.tracks["audio"].gap for segment in encoder.segments)
    follows_on(encoder.segments, "audio")
    assert back.tracks["audio"].start == pytest.approx(back.tracks["video"].start, abs=0.3)


@pytest.mark.parametrize("gop_seconds", [2.5, 5.0, 8.3, 10.0])
def test_a_gop_longer_than_a_segment_keeps_its_idrs_at_the_beginning_of_segments(gop_seconds: float) -> None:
    """FFmpeg's default is 250 frames: whoever joins later must find a place to begin."""
    encoder = live()
    gop = round(gop_seconds * 30)
    encoder.run(gop_seconds * 12, start=3000, gop=gop, first=90)
    encoder.disconnect()
    idrs = {90 + n * gop for n in range(12)}
    firsts = {int.from_bytes(samples(s.tracks["video"].data)[0].data[-4:], "big") for s in encoder.segments}
    assert len(idrs & firsts) >= 11, "all but where the GOP was not known yet"
    assert all(int(s.tracks["video"].duration + 0.5) <= 2 for s in encoder.segments)
    long = [s for s in encoder.segments if s.tracks["video"].start > 3 + gop_seconds]
    assert len(long) <= 11 * math.ceil(gop_seconds / 2.45) + 1, "and it is not cut into more pieces than need be"


def test_the_date_is_when_the_first_frame_came_not_when_the_encoder_said_publish() -> None:
    encoder = Encoder()
    encoder.connect(1_790_000_000.0)
    encoder.packager.now = 1_790_000_008.0
    encoder.run(3)
    encoder.disconnect()
    assert encoder.segments[0].tracks["video"].program_date_time == pytest.approx(1_790_000_008.0)


def test_a_new_epoch_of_a_broadcast_that_had_nothing_yet_begins_with_a_discontinuity() -> None:
    encoder = Encoder(resumed=True)
    encoder.connect()
    encoder.run(2)
    encoder.disconnect()
    assert [segment.discontinuity for segment in encoder.segments] == [True, False]


def test_held_frames_are_looked_at_once() -> None:
    """A flood of tiny frames, all with one timestamp, while the second track is waited for: no frame is counted twice."""
    encoder = Encoder()
    encoder.connect()
    looked = 0

    class Counting(Gathering):
        def waited(self, raw: int) -> float:
            nonlocal looked
            looked += 1
            return super().waited(raw)

    encoder.packager._held = Counting(encoder.packager.dropped)
    encoder.video(0, video(0, key=True))
    for n in range(2000):
        encoder.video(0, video(n, key=False))
    assert looked == 2001
    assert encoder.packager._held.size > 2001 * 128, "what a frame costs beside its bytes counts, too"


def test_it_says_for_how_long_nothing_can_come_out() -> None:
    """Whoever reads the publisher's socket may leave it alone that long (decision 002)."""
    encoder = live()
    for n in range(600):
        at = 3000 + n * 1000 / 30
        before, quiet = len(encoder.segments), encoder.packager.quiet_seconds
        waited_until = at / 1000 - 1 / 30 + quiet
        encoder.video(round(at), video(100 + n, key=n % 30 == 0))
        encoder.audio(round(at), audio(1000 + n))
        if len(encoder.segments) > before:
            assert quiet <= 1 / 30 + 0.06, f"a segment ended at {at / 1000:.2f}, not expected before {waited_until:.2f}"
    assert encoder.packager.quiet_seconds > 0.0


def test_what_an_earlier_epoch_has_promised_holds_from_the_first_segment_on() -> None:
    """TARGETDURATION 1 of an encoder with a GOP of 1 s; the one that comes back has 5 s, the class now wants 4."""
    encoder = Encoder(PackagingSettings(segment_seconds=4.0), tracks=("video", "audio"), resumed=True)
    encoder.packager.fix_target_duration(1)
    encoder.connect()
    encoder.run(12, gop=150)
    encoder.disconnect()
    assert all(int(s.tracks["video"].duration + 0.5) <= 1 for s in encoder.segments)


def test_a_class_that_wants_longer_segments_than_were_promised_does_not_cut_between_idrs() -> None:
    encoder = Encoder(PackagingSettings(segment_seconds=4.0), tracks=("video", "audio"), resumed=True)
    encoder.packager.fix_target_duration(1)
    encoder.packager.set_steady()
    encoder.connect()
    encoder.run(10, gop=30)
    encoder.disconnect()
    assert all(segment.tracks["video"].independent for segment in encoder.segments)


def test_memory_is_bounded_when_the_timestamps_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sound that a segment's end waits for never comes, nor the time after which it is not waited for."""
    monkeypatch.setattr(segmenter, "MAX_SEGMENT_BYTES", 100_000)
    monkeypatch.setattr(builder, "MAX_WAITING_BYTES", 200_000)
    encoder = live()
    for n in range(600):
        encoder.video(3000, video(n, key=n % 50 == 0, size=1000))
        encoder.audio(3000, audio(n))
    made = sum(len(segment.tracks["video"].data) for segment in encoder.segments if segment.tracks["video"].start > 2.9)
    assert 600 * 1000 - made < 250_000
