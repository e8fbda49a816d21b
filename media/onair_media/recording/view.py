"""A recording that is being made as something to play: from the first segment on, while it grows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from onair_media.hls import Playlist, multivariant_playlist
from onair_media.playback import Media
from onair_media.recording.model import Recording
from onair_media.store import ObjectStore, StoreError

READ_SIZE = 256 * 1024
"""What a viewer of a recording holds in memory, however slowly it reads."""

VOD_MAX_AGE, EVENT_MAX_AGE = 3600, 2


class RecordingView:
    """Playlists from memory, media from the store and never from memory."""

    def __init__(self, recording: Recording, store: ObjectStore) -> None:
        self.recording = recording
        self._store = store
        self._multivariants: dict[str, tuple[int, bool, Playlist]] = {}

    def multivariant(self, playback_id: str) -> Playlist | None:
        recording = self.recording
        if recording.target_duration is None or not recording.segments:
            return None
        count, ended, playlist = self._multivariants.get(playback_id, (0, False, None))
        if playlist is None or (count, ended) != (len(recording.segments), recording.ended):
            text = multivariant_playlist(recording.tracks, recording.bandwidth, prefix=f"{playback_id}/")
            max_age = VOD_MAX_AGE if recording.ended else EVENT_MAX_AGE
            playlist = Playlist(text.encode(), final=recording.ended, max_age=max_age)
            self._multivariants[playback_id] = (len(recording.segments), recording.ended, playlist)
        return playlist

    def media_playlist(self, rendition: str) -> Playlist | None:
        growing = self.recording.playlist(rendition)
        return None if growing is None or growing.empty else growing.playlist()

    async def media(self, path: str) -> Media | None:
        size = self.recording.sizes.get(path)
        return None if size is None else Media(size, StoredMedia(self._store, f"assets/{path}"))


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """An object of a recording, read a piece at a time."""

    store: ObjectStore
    path: str

    async def stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Raises `StoreError`, also when the object is shorter than that."""
        for at in range(start, stop, READ_SIZE):
            end = min(at + READ_SIZE, stop)
            chunk = await self.store.get_range(self.path, at, end)
            if len(chunk) != end - at:
                raise StoreError(f"{self.path} ends at byte {at + len(chunk)}, before {end}")
            yield chunk
