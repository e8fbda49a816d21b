"""The built-in encoder's pictures, sounds and waiting times."""

from __future__ import annotations

from array import array

import pytest
from click.testing import CliRunner

from onair_media.push import font, pattern
from onair_media.push.commands import push
from onair_media.push.publisher import ATTEMPTS, LONGEST_DELAY, retry_delays


def lines(luma: bytes, width: int) -> list[bytes]:
    return [luma[start : start + width] for start in range(0, len(luma), width)]


def test_letters_are_drawn_at_scale() -> None:
    rows = font.render("1:", 2, ink=9, paper=0)
    assert len(rows) == font.GLYPH_HEIGHT * 2
    assert {len(row) for row in rows} == {font.text_width("1:", 2)}
    assert rows[0] == rows[1] == bytes([0, 0, 0, 0, 9, 9] + [0] * 16)


def test_unknown_letters_are_blank() -> None:
    assert set(b"".join(font.render("é", 1, ink=9, paper=0))) == {0}


@pytest.mark.parametrize(
    ("wall", "text"),
    [(0.0, "00:00:00.000"), (1_700_000_000.0625, "22:13:20.062"), (86_399.9996, "23:59:59.999")],
)
def test_the_clock_shows_utc_with_milliseconds_and_never_a_time_to_come(wall: float, text: str) -> None:
    assert pattern.clock_text(wall) == text


@pytest.mark.parametrize("size", [(1280, 720), (854, 480), (320, 180), (64, 64), (1080, 1920)])
def test_every_size_gives_whole_planes(size: tuple[int, int]) -> None:
    planes = pattern.TestPattern(*size, title="a very long name of a stream").picture(1_700_000_000.5)
    assert len(planes.luma) == size[0] * size[1]
    assert len(planes.cb) == len(planes.cr) == size[0] * size[1] // 4


def test_the_clock_in_the_picture_is_the_one_asked_for() -> None:
    picture = pattern.TestPattern(640, 360)
    scale = 640 * 7 // 10 // font.text_width("00:00:00.000", 1)
    expected = font.render("00:00:12.345", scale, ink=235, paper=20)
    found = lines(picture.picture(12.345).luma, 640)
    assert any(expected[0] in line and expected[-1] in found[row + len(expected) - 1] for row, line in enumerate(found))


def test_a_beep_opens_each_second() -> None:
    second = array("h", pattern.samples(100.0, pattern.SAMPLE_RATE))
    beep = int(pattern.BEEP_SECONDS * pattern.SAMPLE_RATE)
    assert max(second[:beep]) > 5000
    assert set(second[beep:]) == {0}
    assert pattern.samples(7.5, 100) == second[24_000:24_100].tobytes()


def test_waiting_between_attempts_grows_to_a_bound() -> None:
    delays = list(retry_delays())
    assert len(delays) == ATTEMPTS
    assert delays == sorted(delays)
    assert delays[0] == 1.0
    assert delays[-1] == LONGEST_DELAY


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rtmp://h/app/k", "--size", "wide"], "is not a size such as 1280x720"),
        (["rtmp://h/app/k", "--size", "641x360"], "even"),
        (["rtmp://h/app/k", "--bitrate", "fast"], "is not a bitrate such as 2500k"),
        (["rtmp://h/app/k", "--loop"], "--loop goes with --file"),
        (["http://h/app/k"], "rtmp:// or rtmps://"),
        (
            ["keynote", "--state-dir", "/nonexistent/folder"],
            "is not the state folder of an onair local (does one run here?)",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(push, arguments)
    assert result.exit_code != 0
    assert message in result.output
    assert "Traceback" not in result.output
