"""What the routes need of whatever is played: a live channel, a recording, later an edge's upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from onair_media.hls import Playlist


class MediaSource(Protocol):
    """Media that is not in memory."""

    def stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `stop`.

        `StoreError` from the first chunk is 503; any error later, or too few bytes, ends the connection.
        """
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
        """None: not playable now (412), or it has no such rendition (404 if there is a multivariant playlist)."""
        ...

    async def media(self, path: str) -> Media | None:
        """By media path (checked before); None: there is no such segment (404)."""
        ...


class Directory(Protocol):
    """Everything that can be played here."""

    async def lookup(self, playback_id: str) -> Playable | None:
        """None: no such playback ID (404). Raises `StoreError` when it cannot be said what there is (503)."""
        ...

    def title(self, playback_id: str) -> str | None:
        """What the player page calls it, maybe nothing; None: no such playback ID. Reads no recording."""
        ...
