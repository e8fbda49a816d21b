"""Whatever an encoder does, what comes out keeps the rules (DESIGN: CMAF; RFC 8216bis 4.4.3.1, 4.4.4.6, 6.2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from cmaf_frames import AAC, AAC_44100, AAC_FRAME_MS, Encoder, audio, h264, mdhd_timescale, samples, video
from hypothesis import given, settings
from hypothesis import strategies as st

from onair_media.cmaf import TracksChanged


@dataclass(frozen=True)
class Stretch:
    """Something an encoder does for a while."""

    before: str  # nothing, reconnect, other size, other rate
    pause: int  # milliseconds before it; may be negative, may be a jump
    seconds: float
    fps: int
    gop: int
    picture: bool
    sound: bool
    jitter: int  # milliseconds, to and fro
    lag: int  # milliseconds that the sound's tags come behind the picture's
    size: int


stretches = st.lists(
    st.builds(
        Stretch,
        before=st.sampled_from(["nothing"] * 4 + ["reconnect", "other size", "other rate"]),
        pause=st.one_of(
            st.just(0), st.integers(-400, 2900), st.sampled_from([-3_600_000, -5000, 3100, 9000, 2**31 - 5])
        ),
        seconds=st.one_of(st.floats(0.05, 4), st.floats(0.05, 4), st.floats(0.05, 4), st.just(14.0)),
        fps=st.sampled_from([1, 5, 25, 30]),
        gop=st.sampled_from([1, 10, 30, 60, 10_000]),
        picture=st.sampled_from([True, True, True, False]),
        sound=st.sampled_from([True, True, True, False]),
        jitter=st.sampled_from([0, 0, 7, 40]),
        lag=st.sampled_from([0, 0, 100, 700]),
        size=st.sampled_from([0, 100]),
    ),
    min_size=1,
    max_size=6,
)


class Life:
    """Feeds a packager, and counts what it was given."""

    def __init__(self) -> None:
        self.encoder = Encoder()
        self.given = {"video": 0, "audio": 0}
        self.configs = {"video": h264(), "audio": AAC}
        self.fixed_from = 0
        self._wall = 1_790_000_000.0
        self._at = 2**32 - 3000
        self.connect()

    def connect(self) -> None:
        self._wall += 5
        self.encoder.packager.connect(self._wall)
        for rendition in ("video", "audio"):
            self.configure(rendition)

    def configure(self, rendition: str) -> None:
        packager = self.encoder.packager
        config = self.configs[rendition]
        self.encoder.outputs += (
            packager.video(0, config[0]) if rendition == "video" else packager.audio(0, config)  # type: ignore[index,arg-type]
        )

    def live(self, stretch: Stretch) -> None:
        if stretch.before == "reconnect":
            self.encoder.disconnect()
            self.connect()
        elif stretch.before == "other size":
            self.configs["video"] = h264(128, 96) if self.configs["video"] == h264() else h264()
            self.configure("video")
        elif stretch.before == "other rate":
            self.configs["audio"] = AAC_44100 if self.configs["audio"] == AAC else AAC
            self.configure("audio")
        self._at += stretch.pause
        events: list[tuple[float, float, int, bool]] = []
        if stretch.picture:
            for n in range(max(1, round(stretch.seconds * stretch.fps))):
                at = n * 1000 / stretch.fps
                events.append((at, at + stretch.jitter * (n % 3 - 1), n, True))
        if stretch.sound:
            for n in range(max(1, round(stretch.seconds * 1000 / AAC_FRAME_MS))):
                at = n * AAC_FRAME_MS
                events.append((at + stretch.lag, at + stretch.jitter * (n % 2), n, False))
        for _, stamp, n, is_picture in sorted(events):
            self.frame(self._at + round(stamp), n, is_picture=is_picture, stretch=stretch)
        self._at += round(stretch.seconds * 1000)

    def frame(self, at: int, n: int, *, is_picture: bool, stretch: Stretch) -> None:
        name = "video" if is_picture else "audio"
        number = self.given[name]
        self.given[name] += 1
        if is_picture:
            self.encoder.video(at, video(number, key=n % stretch.gop == 0, size=stretch.size))
        else:
            self.encoder.audio(at, audio(number))
        if self.encoder.packager.target_duration is None and len(self.encoder.segments) >= 2:
            self.encoder.fix()


@settings(max_examples=80, deadline=None)
@given(stretches)
def test_any_life_of_an_encoder(script: list[Stretch]) -> None:
    life = Life()
    for stretch in script:
        life.live(stretch)
    life.encoder.disconnect()
    encoder, packager = life.encoder, life.encoder.packager

    segments = encoder.segments
    assert [segment.number for segment in segments] == list(range(len(segments)))
    assert len({tuple(segment.tracks) for segment in segments}) <= 1, "the tracks are fixed"
    assert not segments or not segments[0].discontinuity

    out = {rendition: encoder.numbers(rendition) for rendition in ("video", "audio")}
    for numbers in out.values():
        assert numbers == sorted(set(numbers)), "once, and in order"
    lost = sum(life.given.values()) - sum(map(len, out.values()))
    handed_over = sum(len(output.frames) for output in encoder.outputs if isinstance(output, TracksChanged))
    assert lost == sum(packager.dropped.values()) + handed_over, "what does not come out is counted"

    target = packager.target_duration
    inits = {(init.rendition, init.index): init for init in encoder.inits}
    for rendition in segments[0].tracks if segments else ():
        media, end, date_end = 0.0, 0.0, 0.0
        for segment in segments:
            track = segment.tracks[rendition]
            assert track.gap or (rendition, track.init) in inits
            if target is not None:
                assert int(track.duration + 0.5) <= max(target, 1)
            assert track.duration > 0
            assert track.start >= end - 0.001, "no rendition overlaps itself, gaps neither"
            if not segment.discontinuity and segment.number:
                assert abs(track.start - end) <= 0.051, "without a discontinuity there is no hole"
                assert abs(track.program_date_time - date_end) <= 0.051, "dates follow from durations"
            assert track.program_date_time >= date_end - 0.001
            end, date_end = track.start + track.duration, track.program_date_time + track.duration
            if track.gap:
                assert track.data == b"" and track.parts == ()
                continue
            read = samples(track.data)
            scale = mdhd_timescale(inits[rendition, track.init].data)
            start = read[0].dts / scale
            assert abs(start - track.start) < 1e-6
            assert start >= media - 0.001, "decode time never goes back"
            assert all(sample.duration > 0 for sample in read)
            media = start + sum(sample.duration for sample in read) / scale
            if rendition == "video":
                assert read[0].sync == track.independent

    for segment in segments:
        here = [track for track in segment.tracks.values() if not track.gap]
        longest = (target or 10) + 0.5
        assert max(t.start for t in here) - min(t.start for t in here) <= longest, "renditions stay together"
