"""Playback addresses: how they are built and taken apart (DESIGN: Playback; mux.md 1.9).

    /{playback id}.m3u8                                   multivariant playlist
    /{playback id}/{rendition}.m3u8                       media playlist
    /{playback id}/{broadcast}/{epoch}/{rendition}/{file} `<n>.m4s` or `init-<k>.mp4`
    /watch/{playback id}                                  player page

Everything after the playback ID is a *media path*. It never means anything else: it names the broadcast and
the epoch in which the segment was made, and is the same in live playlists, in recordings and in the store.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from onair_core.playback.renditions import RENDITION_PATTERN, Rendition

PLAYBACK_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{7,127}"
"""What a playback ID may look like (unanchored): 8 to 128 characters, beginning with a letter or digit."""

RESERVED_PLAYBACK_IDS = frozenset({"watch", "healthz", "metrics", "readyz", "livez", "assets", "favicon", "robots"})
"""First path elements that belong to the server. The minimum length keeps most of them out already."""

_BROADCAST = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_NUMBER = r"0|[1-9][0-9]{0,9}"

_playback_id = re.compile(PLAYBACK_ID_PATTERN)
_media_path = re.compile(
    rf"({_BROADCAST})/({_NUMBER})/({RENDITION_PATTERN})/(?:({_NUMBER})\.m4s|init-({_NUMBER})\.mp4)", re.ASCII
)


def is_playback_id(text: str) -> bool:
    """Whether `text` is well formed; says nothing about whether such a stream exists."""
    return _playback_id.fullmatch(text) is not None and text not in RESERVED_PLAYBACK_IDS


def multivariant_path(playback_id: str) -> str:
    """Where a player starts."""
    return f"/{playback_id}.m3u8"


def media_playlist_path(playback_id: str, rendition: Rendition) -> str:
    return f"/{playback_id}/{rendition}.m3u8"


def watch_path(playback_id: str) -> str:
    """The player page."""
    return f"/watch/{playback_id}"


def watch_page(url: str) -> str:
    """The player page beside a multivariant playlist: of a URL that ends with a `multivariant_path`."""
    base, _, last = url.rpartition("/")
    return base + watch_path(last.removesuffix(".m3u8"))


def segment_path(broadcast: str, epoch: int, rendition: Rendition, number: int) -> str:
    """Media path of one segment, relative to the playlist that lists it."""
    return f"{broadcast}/{epoch}/{rendition}/{number}.m4s"


def init_path(broadcast: str, epoch: int, rendition: Rendition, index: int) -> str:
    """Media path of one init segment, relative to the playlist that lists it."""
    return f"{broadcast}/{epoch}/{rendition}/init-{index}.mp4"


@dataclass(frozen=True, slots=True)
class MediaPath:
    """A media path taken apart. `number` counts segments, or init segments when `init`."""

    broadcast: str
    epoch: int
    rendition: Rendition
    number: int
    init: bool

    def __str__(self) -> str:
        make = init_path if self.init else segment_path
        return make(self.broadcast, self.epoch, self.rendition, self.number)


def parse_media_path(path: str) -> MediaPath | None:
    """Take a media path apart; None for anything that OnAir would never have written (`..` cannot pass)."""
    found = _media_path.fullmatch(path)
    if found is None or ".." in found[1]:
        return None
    init = found[4] is None
    return MediaPath(found[1], int(found[2]), found[3], int(found[5] if init else found[4]), init)
