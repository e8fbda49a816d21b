"""Addresses a viewer sees: what is one and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_core.playback.paths import (
    MediaPath,
    init_path,
    is_playback_id,
    media_playlist_path,
    multivariant_path,
    parse_media_path,
    segment_path,
    watch_path,
)


@pytest.mark.parametrize("text", ["keynote-2026", "a" * 8, "A_b-C_d-9", "x" * 128])
def test_playback_ids(text: str) -> None:
    assert is_playback_id(text)


@pytest.mark.parametrize(
    "text", ["", "short", "-leading1", "with space", "ünïcödé-id", "a/../../b", "x" * 129, "keynote-2026\n", "favicon"]
)
def test_not_playback_ids(text: str) -> None:
    assert not is_playback_id(text)


def test_addresses_of_a_stream() -> None:
    assert multivariant_path("keynote-2026") == "/keynote-2026.m3u8"
    assert media_playlist_path("keynote-2026", "audio") == "/keynote-2026/audio.m3u8"
    assert watch_path("keynote-2026") == "/watch/keynote-2026"


def test_media_paths_name_broadcast_and_epoch() -> None:
    assert segment_path("keynote-7f3k2", 3, "video", 12) == "keynote-7f3k2/3/video/12.m4s"
    assert init_path("keynote-7f3k2", 3, "audio", 0) == "keynote-7f3k2/3/audio/init-0.mp4"


names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
numbers = st.integers(0, 10**9)


@given(names, numbers, st.sampled_from(["video", "audio", "audio-1", "audio-255"]), numbers, st.booleans())
def test_media_paths_are_read_back(name: str, epoch: int, rendition: str, number: int, init: bool) -> None:
    path = MediaPath(name, epoch, rendition, number, init)
    assert parse_media_path(str(path)) == path


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "a/1/video/../../../x.m4s",
        "../1/video/1.m4s",
        "a..b/1/video/1.m4s",
        "a/1/video/01.m4s",
        "a/1/video/-1.m4s",
        "a/1/video/1.mp4",
        "a/1/video/init-1.m4s",
        "a/1/subtitles/1.m4s",
        "a//1/video/1.m4s",
        "/a/1/video/1.m4s",
        "a/1/video/1.m4s\n",
        "a/1/video/١.m4s",
        "",
    ],
)
def test_anything_else_is_no_media_path(path: str) -> None:
    assert parse_media_path(path) is None


@given(st.text())
def test_no_text_can_leave_its_folder(text: str) -> None:
    parsed = parse_media_path(text)
    assert parsed is None or str(parsed) == text
    assert parsed is None or ".." not in text
