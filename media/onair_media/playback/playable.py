"""What the routes need of whatever is played: a live channel, a recording, later an edge's upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from onair_media.hls import Playlist


class MediaSource(Protocol):
    """Media that is not in memory."""

    def stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `stop`; an error on the way ends the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Media:
    """One media or init segment: its `size` in bytes, and the bytes or where they come from."""

    size: int
    content: bytes | MediaSource

    @classmethod
    def of(cls, data: bytes) -> Media:
        return cls(len(data), data)


class Playable(Protocol):
    """One playback ID. Playlists are asked for at every request: an implementation keeps them rendered."""

    def multivariant(self, playback_id: str) -> Playlist | None:
        """None: not playable now (412)."""
        ...

    def media_playlist(self, rendition: str) -> Playlist | None:
        """`rendition` is `video` or `audio`; None: not playable now, or it has none (412)."""
        ...

    async def media(self, path: str) -> Media | None:
        """By media path (checked before); None: there is no such segment (404)."""
        ...


@runtime_checkable
class Titled(Protocol):
    """A playable that has a title for the player page."""

    @property
    def title(self) -> str: ...


class Directory(Protocol):
    """Everything that can be played here."""

    async def lookup(self, playback_id: str) -> Playable | None:
        """None: no such playback ID (404)."""
        ...
