"""Recordings by asset id: those being made, and those opened from the store when someone plays them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import structlog

from onair_media.recording.finished import FinishedView, build, listed_renditions
from onair_media.recording.folder import folder, read_recording
from onair_media.recording.model import Recording
from onair_media.recording.view import RecordingView
from onair_media.store import ObjectStore, StoreError

log = structlog.get_logger(__name__)

MAX_OPEN_BYTES = 256 * 1024 * 1024
"""Of finished recordings. Twelve hours take about 5 MB, so that is a thousand hours that are watched at once."""

OPENED_AT_ONCE = 4
RETRY_SECONDS = 1.0
"""After a failure, or when there is nothing yet: a crowd of viewers asks the store once in this time."""

UNFINISHED_SECONDS = 30.0
"""How long one that nobody here is making is kept: another process may be adding to it or finishing it."""

_View = RecordingView | FinishedView


class AssetLibrary:
    """Bounded: the ones that were not played for longest are read again when they are."""

    def __init__(self, max_open_bytes: int = MAX_OPEN_BYTES) -> None:
        self._max_open_bytes = max_open_bytes
        self._live: dict[str, RecordingView] = {}
        self._opened: OrderedDict[str, FinishedView] = OrderedDict()
        self._opening: dict[str, asyncio.Task[_View | None]] = {}
        self._turn = asyncio.Semaphore(OPENED_AT_ONCE)

    def begin(self, recording: Recording, store: ObjectStore) -> RecordingView:
        """A recording is being made: it is played from memory and store as it grows."""
        view = self._live[recording.id] = RecordingView(recording, store)
        return view

    def end(self, asset_id: str) -> None:
        """A recording is finished: from here on it is played from what lies in the store."""
        self.forget(asset_id)

    def forget(self, asset_id: str) -> None:
        """What is known of a recording is not true any more: it is deleted, or has been finished."""
        self._live.pop(asset_id, None)
        self._opened.pop(asset_id, None)
        self._opening.pop(asset_id, None)

    def get(self, asset_id: str) -> _View | None:
        """One that needs no reading."""
        live = self._live.get(asset_id)
        if live is not None:
            return live
        opened = self._opened.get(asset_id)
        if opened is not None:
            self._opened.move_to_end(asset_id)
        return opened

    async def open(self, asset_id: str, store: ObjectStore) -> _View | None:
        """Reads a recording when need be, once for all who wait; None when the store has none.

        Raises `StoreError`.
        """
        view = self.get(asset_id)
        if view is not None:
            return view
        opening = self._opening.get(asset_id)
        if opening is None:
            opening = self._opening[asset_id] = asyncio.create_task(self._read(asset_id, store))
            opening.add_done_callback(lambda task: self._have_read(asset_id, task))
        # A viewer that leaves must not take the others' recording with it.
        return await asyncio.shield(opening)

    async def _read(self, asset_id: str, store: ObjectStore) -> _View | None:
        async with self._turn:
            base = folder(asset_id)
            document = await store.get(f"{base}asset.json")
            if document is None:
                recording = await read_recording(store, asset_id)
                return None if recording is None else RecordingView(recording, store)
            index = await store.get(f"{base}index.m3u8") or b""
            names = listed_renditions(index)
            texts = await asyncio.gather(*(store.get(f"{base}{name}.m3u8") for name in names))
            playlists = {name: text for name, text in zip(names, texts, strict=True) if text is not None}
            return await asyncio.to_thread(build, asset_id, store, document, index, playlists)

    def _have_read(self, asset_id: str, task: asyncio.Task[_View | None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._opening.get(asset_id) is not task:
            return  # it was forgotten meanwhile
        if isinstance(error, StoreError):
            log.warning("a recording cannot be opened", asset=asset_id, problem=str(error))
        view = None if task.cancelled() or error is not None else task.result()
        if isinstance(view, FinishedView):
            del self._opening[asset_id]
            self._remember(asset_id, view)
        else:
            # Who asks again before that gets the same answer.
            seconds = RETRY_SECONDS if view is None else UNFINISHED_SECONDS
            task.get_loop().call_later(seconds, self._ask_again, asset_id, task)

    def _ask_again(self, asset_id: str, task: asyncio.Task[_View | None]) -> None:
        if self._opening.get(asset_id) is task:
            del self._opening[asset_id]

    def _remember(self, asset_id: str, view: FinishedView) -> None:
        self._opened[asset_id] = view
        while len(self._opened) > 1 and sum(each.bytes_held for each in self._opened.values()) > self._max_open_bytes:
            self._opened.popitem(last=False)
