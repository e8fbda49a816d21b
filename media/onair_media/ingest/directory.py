"""Which playback ID plays what on this machine: the live windows of channels, and recordings."""

from __future__ import annotations

from dataclasses import dataclass

from onair_media.playback import LivePlayable, Playable
from onair_media.recording import AssetLibrary
from onair_media.store import ObjectStore, StoreError


@dataclass(frozen=True, slots=True)
class _AssetEntry:
    asset_id: str
    store: ObjectStore
    title: str


class PlaybackDirectory:
    """Implements `onair_media.playback.Directory`. A live ID prevails over an asset's."""

    def __init__(self, library: AssetLibrary) -> None:
        self.complete = True
        """False while a starting process does not know all of them yet: what is unknown may be known in a moment."""
        self._library = library
        self._live: dict[str, LivePlayable] = {}
        self._assets: dict[str, _AssetEntry] = {}

    async def lookup(self, playback_id: str) -> Playable | None:
        """Raises `StoreError`."""
        live = self._live.get(playback_id)
        if live is not None:
            return live
        entry = self._assets.get(playback_id)
        if entry is None:
            if not self.complete:
                raise StoreError("not everything is known yet")
            return None
        return await self._library.open(entry.asset_id, entry.store) or _Preparing()

    def at_hand(self, playback_id: str) -> Playable | None:
        """As `lookup`, without waiting: what is live, and recordings that are open already."""
        live = self._live.get(playback_id)
        if live is not None:
            return live
        entry = self._assets.get(playback_id)
        return None if entry is None else self._library.get(entry.asset_id)

    def title(self, playback_id: str) -> str | None:
        """None: no such playback ID. Opens no recording."""
        live = self._live.get(playback_id)
        if live is not None:
            return live.title
        entry = self._assets.get(playback_id)
        return None if entry is None else entry.title

    def set_live(self, playable: LivePlayable, playback_ids: set[str]) -> None:
        """These IDs, and no others, play this channel."""
        for playback_id in [known for known, shown in self._live.items() if shown is playable]:
            if playback_id not in playback_ids:
                del self._live[playback_id]
        for playback_id in playback_ids:
            self._live[playback_id] = playable

    def set_asset(self, asset_id: str, store: ObjectStore, playback_ids: set[str], title: str = "") -> None:
        """These IDs, and no others, play this recording."""
        for playback_id in [known for known, entry in self._assets.items() if entry.asset_id == asset_id]:
            if playback_id not in playback_ids:
                del self._assets[playback_id]
        for playback_id in playback_ids:
            self._assets[playback_id] = _AssetEntry(asset_id, store, title)

    def forget_asset(self, asset_id: str) -> None:
        self._assets = {known: entry for known, entry in self._assets.items() if entry.asset_id != asset_id}


class _Preparing:
    """A recording of which nothing is in the store yet: not playable now."""

    def multivariant(self, playback_id: str) -> None:
        return None

    def media_playlist(self, rendition: str) -> None:
        return None

    async def media(self, path: str) -> None:
        return None
