"""How well a stream comes in (mux.md 1.13), and the problems that have a name."""

from __future__ import annotations

import pytest

from onair_core.contract import IngestProblem
from onair_media.ingest.health import Health, Rating

WALL = 1_790_000_000.0


def health(max_bitrate: int | None = None) -> Health:
    return Health(WALL, max_bitrate=max_bitrate, longest_gop=2.0)


def reasons(it: Health, wall: float = WALL) -> list[IngestProblem]:
    return [problem.reason for problem in it.problems(wall)]


@pytest.mark.parametrize(
    ("late", "rating"), [(0.0, Rating.EXCELLENT), (0.4, Rating.EXCELLENT), (0.9, Rating.GOOD), (2.0, Rating.POOR)]
)
def test_the_rating_is_how_far_media_is_off_its_own_pace(late: float, rating: Rating) -> None:
    it = health()
    for n in range(30):
        it.segment(WALL + 1 + n, 1.0)
    it.segment(WALL + 31 + late, 1.0)
    figures = it.figures(WALL + 31 + late)
    assert figures.rating is rating
    assert figures.drift == pytest.approx(late * 1000)


def test_a_steady_delay_is_no_drift() -> None:
    it = health()
    for n in range(30):
        it.segment(WALL + 20 + n, 1.0)
    assert it.figures(WALL + 50).rating is Rating.EXCELLENT


def test_nothing_is_known_before_and_long_after() -> None:
    it = health()
    assert it.figures(WALL).rating is Rating.UNKNOWN
    it.segment(WALL, 1.0)
    assert it.figures(WALL).rating is Rating.UNKNOWN
    it.segment(WALL + 1, 1.0)
    assert it.figures(WALL + 1).rating is Rating.EXCELLENT
    assert it.figures(WALL + 60).rating is Rating.UNKNOWN


def test_bitrate_frame_rate_and_keyframes() -> None:
    it = health()
    for second in range(10):
        for n in range(30):
            stamp = (2**32 - 5000 + second * 1000 + n * 33) % 2**32
            it.picture(stamp, 25_000, keyframe=n == 0)
        it.segment(WALL + second, 1.0)
    figures = it.figures(WALL + 10)
    assert figures.bitrate == pytest.approx(30 * 25_000 * 8)
    assert figures.frame_rate == pytest.approx(30)
    assert figures.keyframe_interval == figures.longest_keyframe_interval == 1.0


def test_each_problem_is_told_once() -> None:
    it = health()
    it.picture(0, 100, keyframe=True)
    it.picture(5000, 100, keyframe=True)
    assert reasons(it) == [IngestProblem.GOP_TOO_LONG]
    it.picture(12_000, 100, keyframe=True)
    assert reasons(it) == []


def test_a_gop_that_never_ends_is_told_and_shown_without_waiting_for_its_end() -> None:
    it = health()
    for n in range(20):
        it.picture(n * 100, 100, keyframe=n == 0)
    assert reasons(it) == []
    assert it.figures(WALL + 2).keyframe_interval == pytest.approx(1.9)
    overdue = [n for n in range(20, 60) if it.picture(n * 100, 100, keyframe=False)]
    assert overdue == [21], "at the first picture after the limit, and once"
    (problem,) = it.problems(WALL)
    assert problem.reason is IngestProblem.GOP_TOO_LONG
    assert problem.message.startswith("No keyframe came for 5.9 s; more than 2 s makes")
    figures = it.figures(WALL + 6)
    assert figures.keyframe_interval == figures.longest_keyframe_interval == pytest.approx(5.9)


def test_before_the_second_segment_what_came_since_the_connection_began_is_shown() -> None:
    it = health()
    for n in range(60):
        it.picture(n * 33, 25_000, keyframe=n == 0)
    for _ in range(2):
        figures = it.figures(WALL + 2)
        assert (figures.rating, figures.keyframes, figures.frame_rate) == (Rating.UNKNOWN, 1, 30)
        assert figures.bitrate == pytest.approx(30 * 25_000 * 8)
        assert figures.drift is None and figures.drift_deviation is None
        it.segment(WALL + 1, 1.0)


def test_sound_alone_has_no_frame_rate() -> None:
    it = health()
    for n in range(10):
        it.sound(n * 1000, 16_000)
        it.segment(WALL + n, 1.0)
    figures = it.figures(WALL + 10)
    assert figures.bitrate == pytest.approx(128_000)
    assert figures.frame_rate is figures.keyframes is figures.keyframe_interval is None
    assert figures.longest_keyframe_interval is None


def test_no_keyframe() -> None:
    it = health()
    for n in range(120):
        it.picture(n * 100, 100, keyframe=False)
    assert reasons(it) == [IngestProblem.NO_KEYFRAME]


def test_picture_and_sound_apart_say_which_is_late() -> None:
    it = health()
    it.picture(90_000, 100, keyframe=True)
    it.sound(86_000, 100)
    (problem,) = it.problems(WALL)
    assert problem.reason is IngestProblem.OUT_OF_STEP
    assert "4.0 s" in problem.message and "sound comes late" in problem.message


def test_a_peak_is_allowed_and_a_rate_is_not() -> None:
    it = health(max_bitrate=4_000_000)
    it.segment(WALL, 1.0)
    it.sound(0, 2_000_000)
    it.segment(WALL + 1, 1.0)
    assert reasons(it) == []
    for second in range(2, 14):
        it.sound(0, 600_000)
        it.segment(WALL + second, 1.0)
    (problem,) = it.problems(WALL + 14)
    assert problem.reason is IngestProblem.BITRATE_EXCEEDED and problem.fatal
