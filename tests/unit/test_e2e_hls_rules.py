"""The end-to-end tests' playlist rules: each of them catches what breaks it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from hls_rules import Follower

GOOD = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:10
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-MAP:URI="init-1.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:00.000Z
#EXTINF:2.000,
10.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:02.000Z
#EXTINF:2.000,
11.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-2.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:09.000Z
#EXTINF:2.400,
12.m4s
"""
FIRST = "#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:00.000Z\n#EXTINF:2.000,\n10.m4s\n"
SECOND = "#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:02.000Z\n#EXTINF:2.000,\n11.m4s\n"


def later(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


SLID = later(GOOD, (FIRST, ""), ("SEQUENCE:10", "SEQUENCE:11"))
SLID_TO_DISCONTINUITY = later(SLID, (SECOND, ""), ("SEQUENCE:11", "SEQUENCE:12"))


def test_a_playlist_that_slides_keeps_the_rules() -> None:
    follower = Follower()
    for text in (GOOD, GOOD, SLID, SLID_TO_DISCONTINUITY, SLID_TO_DISCONTINUITY + "#EXT-X-ENDLIST\n"):
        follower.see(text)
    assert [segment.uri for segment in follower.segments] == ["10.m4s", "11.m4s", "12.m4s"]
    assert follower.discontinuity_numbers == {12}


def test_a_gap_is_that_of_its_segment() -> None:
    follower = Follower()
    follower.see(later(GOOD, ("#EXTINF:2.000,\n11", "#EXT-X-GAP\n#EXTINF:2.000,\n11")))
    assert [segment.gap for segment in follower.segments] == [False, True, False]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (later(GOOD, ("DURATION:2", "DURATION:3")), "TARGETDURATION changed"),
        (later(GOOD, ("SEQUENCE:10", "SEQUENCE:9")), "went back"),
        (later(GOOD, ("SEQUENCE:3", "SEQUENCE:2")), "went back"),
        (later(GOOD, ("SEQUENCE:3", "SEQUENCE:4")), "another discontinuity sequence"),
        (later(GOOD, ("#EXT-X-DISCONTINUITY\n", "")), "another discontinuity sequence"),
        (later(GOOD, (FIRST, "")), "vanished"),
        (later(GOOD, ("11.m4s", "other.m4s")), "segment 11 changed"),
        (later(GOOD, ("init-2", "init-3")), "segment 12 changed"),
        (later(GOOD, ("#EXTINF:2.400,", "#EXT-X-GAP\n#EXTINF:2.400,")), "segment 12 changed"),
        (GOOD + "#EXTINF:2,\n10.m4s\n", "used again"),
        (GOOD + "#EXTINF:2.6,\n13.m4s\n", "too long"),
        (GOOD + "#EXTINF:0,\n13.m4s\n", "empty"),
        (GOOD + '#EXT-X-MAP:URI="init-3.mp4"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:11.400Z\n#EXTINF:1,\n13.m4s\n', "EXT-X-MAP"),
        (GOOD + "#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:10.000Z\n#EXTINF:1,\n13.m4s\n", "before the previous end"),
        (GOOD + "#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:19.000Z\n#EXTINF:1,\n13.m4s\n", "a hole"),
    ],
)  # fmt: skip
def test_a_reload_that_breaks_a_rule_is_caught(text: str, rule: str) -> None:
    follower = Follower()
    follower.see(GOOD)
    with pytest.raises(AssertionError, match=rule):
        follower.see(text)


def test_nothing_follows_endlist() -> None:
    follower = Follower()
    follower.see(GOOD + "#EXT-X-ENDLIST\n")
    with pytest.raises(AssertionError, match="after ENDLIST"):
        follower.see(GOOD + "#EXTINF:1,\n13.m4s\n#EXT-X-ENDLIST\n")
