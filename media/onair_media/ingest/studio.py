"""Where recordings are made: stores by URL, running recorders, and recordings that still have to be finished.

A broadcast that has ended is finished in the background. A marker file remembers it until that is done, so that a
killed process finishes its recordings when it starts again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import msgspec
import structlog

from onair_core.contract import BroadcastRef, StoreSettings, StreamRef
from onair_media.ingest.clock import Clock
from onair_media.recording import (
    AssetLibrary,
    Origin,
    Recorder,
    RecorderListener,
    Recording,
    finish_recording,
    read_recording,
)
from onair_media.store import ObjectStore, StoreError, open_store

log = structlog.get_logger(__name__)

RETRY_SECONDS = 10.0


class _Unfinished(msgspec.Struct, frozen=True):
    asset: str
    store: str


class Studio:
    """`on_finished(recording)` is called when a recording has become video on demand."""

    def __init__(self, folder: Path, clock: Clock, on_finished: Callable[[Recording], None]) -> None:
        self.library = AssetLibrary()
        self._folder = folder
        self._clock = clock
        self._on_finished = on_finished
        self._stores: dict[str, ObjectStore] = {}
        self._urls: dict[Recorder, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def store(self, url: str) -> ObjectStore:
        """The store at a URL. Raises `StoreError`."""
        store = self._stores.get(url)
        if store is None:
            store = self._stores[url] = open_store(url)
        return store

    def origin(self, stream: StreamRef) -> Origin:
        return Origin(
            namespace=stream.namespace, stream=stream.name, stream_uid=stream.uid, created_at=self._clock.now()
        )

    def record(
        self, settings: StoreSettings, ref: BroadcastRef, recording: Recording, listener: RecorderListener
    ) -> Recorder | None:
        """Begins to write a recording. None, with a warning, when the store cannot be opened at all."""
        try:
            store = self.store(settings.url)
        except StoreError as error:
            listener.recording_warning("StoreUnavailable", f"Nothing is recorded: {error}")
            return None
        recorder = Recorder(store, ref, recording, listener)
        self._urls[recorder] = settings.url
        self.library.begin(recording, store)
        return recorder

    async def reopen(self, settings: StoreSettings, stream: StreamRef, ref: BroadcastRef) -> Recording:
        """What earlier epochs of a broadcast have stored."""
        try:
            found = await read_recording(self.store(settings.url), ref.id)
        except StoreError as error:
            log.error("recording cannot be read, a new epoch begins without it", asset=ref.id, problem=str(error))
            found = None
        return found or Recording(ref.id, self.origin(stream))

    def finish(self, recorder: Recorder) -> None:
        """The broadcast is over: what waits is written, and the folder becomes video on demand, in the background."""
        asset = recorder.recording.id
        marker = self._marker(asset)
        url = self._urls.pop(recorder, "")
        try:
            marker.write_bytes(msgspec.json.encode(_Unfinished(asset, url)))
        except OSError as error:
            log.error("a kill now would leave the recording unfinished", asset=asset, problem=error.strerror)
        self._spawn(self._finish(recorder, marker))

    async def finish_left_over(self) -> None:
        """Finishes, in the background, what a killed process had not finished."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for marker in sorted(self._folder.glob("*.json")):
            try:
                unfinished = msgspec.json.decode(marker.read_bytes(), type=_Unfinished)
            except (OSError, msgspec.MsgspecError):
                marker.unlink(missing_ok=True)
                continue
            self._spawn(self._finish_from_store(unfinished, marker))

    async def shut_down(self, patience: float = 5.0) -> None:
        """Waits for recordings to be finished; what is not goes on at the next start."""
        if self._tasks:
            _, pending = await asyncio.wait(self._tasks, timeout=patience)
            for task in pending:
                task.cancel()

    async def _finish(self, recorder: Recorder, marker: Path) -> None:
        await recorder.finish()
        self._done(recorder.recording, marker)

    async def _finish_from_store(self, unfinished: _Unfinished, marker: Path) -> None:
        while True:
            try:
                store = self.store(unfinished.store)
                recording = await read_recording(store, unfinished.asset)
                if recording is not None:
                    await finish_recording(store, recording)
                    self._done(recording, marker)
                else:
                    marker.unlink(missing_ok=True)
                return
            except StoreError as error:
                log.error("recording not finished, trying again", asset=unfinished.asset, problem=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    def _done(self, recording: Recording, marker: Path) -> None:
        self.library.end(recording.id)
        marker.unlink(missing_ok=True)
        log.info("recording finished", asset=recording.id, seconds=round(recording.duration, 1))
        self._on_finished(recording)

    def _marker(self, asset: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{asset}.json"

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
