"""Recordings by asset id: those being made, and those opened from the store when someone plays them."""

from __future__ import annotations

from collections import OrderedDict

from onair_media.recording.folder import read_recording
from onair_media.recording.model import Recording
from onair_media.recording.view import RecordingView
from onair_media.store import ObjectStore

MAX_OPEN = 256


class AssetLibrary:
    """Bounded: the ones that were not played for longest are read again when they are."""

    def __init__(self) -> None:
        self._live: dict[str, RecordingView] = {}
        self._opened: OrderedDict[str, RecordingView] = OrderedDict()

    def begin(self, recording: Recording, store: ObjectStore) -> RecordingView:
        """A recording is being made: it is played from memory and store as it grows."""
        view = self._live[recording.id] = RecordingView(recording, store)
        return view

    def end(self, asset_id: str) -> None:
        """A recording is finished."""
        view = self._live.pop(asset_id, None)
        if view is not None:
            self._remember(asset_id, view)

    def forget(self, asset_id: str) -> None:
        """A recording is deleted."""
        self._live.pop(asset_id, None)
        self._opened.pop(asset_id, None)

    def get(self, asset_id: str) -> RecordingView | None:
        """One that needs no reading."""
        view = self._live.get(asset_id) or self._opened.get(asset_id)
        if asset_id in self._opened:
            self._opened.move_to_end(asset_id)
        return view

    async def open(self, asset_id: str, store: ObjectStore) -> RecordingView | None:
        """Reads a recording when need be; None when the store has none. Raises `StoreError`."""
        view = self.get(asset_id)
        if view is not None:
            return view
        recording = await read_recording(store, asset_id)
        if recording is None:
            return None
        view = RecordingView(recording, store)
        self._remember(asset_id, view)
        return view

    def _remember(self, asset_id: str, view: RecordingView) -> None:
        self._opened[asset_id] = view
        self._opened.move_to_end(asset_id)
        while len(self._opened) > MAX_OPEN:
            self._opened.popitem(last=False)
