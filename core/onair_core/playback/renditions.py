"""Renditions: the tracks of a stream, as paths and playlists name them.

`video`, `audio`, and `audio-<n>` for further sound (Enhanced RTMP numbers its tracks; number 0 is the default).
"""

from __future__ import annotations

from collections.abc import Iterable

Rendition = str

VIDEO: Rendition = "video"
AUDIO: Rendition = "audio"

RENDITION_PATTERN = r"video|audio(?:-[1-9][0-9]{0,2})?"
"""What a rendition may be called (unanchored)."""


def audio_rendition(track: int) -> Rendition:
    """The rendition of an audio track, by its number."""
    return f"{AUDIO}-{track}" if track else AUDIO


def is_video(rendition: Rendition) -> bool:
    return rendition == VIDEO


def kind_of(rendition: Rendition) -> str:
    """`video` or `audio`."""
    return VIDEO if is_video(rendition) else AUDIO


def in_order(renditions: Iterable[Rendition]) -> tuple[Rendition, ...]:
    """Video, then sound by number: the first one leads, it decides where segments end."""
    return tuple(sorted(renditions, key=_rank))


def _rank(rendition: Rendition) -> tuple[bool, int]:
    number = rendition.rpartition("-")[2]
    return not is_video(rendition), int(number) if number.isdigit() else 0
