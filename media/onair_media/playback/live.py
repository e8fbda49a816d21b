"""A live channel as something to play."""

from __future__ import annotations

from onair_media.hls import LiveWindow, Playlist
from onair_media.playback.playable import Media


class LivePlayable:
    """Serves a `LiveWindow` from memory. `title` may be set at any time."""

    def __init__(self, window: LiveWindow, title: str = "") -> None:
        self.window = window
        self.title = title

    def multivariant(self, playback_id: str) -> Playlist | None:
        return self.window.multivariant(playback_id)

    def media_playlist(self, rendition: str) -> Playlist | None:
        return self.window.media_playlist(rendition)

    async def media(self, path: str) -> Media | None:
        return self.media_now(path)

    def media_now(self, path: str) -> Media | None:
        """As `media`, without waiting."""
        data = self.window.media(path)
        return None if data is None else Media.of(data)
