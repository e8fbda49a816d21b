"""Where recordings are made: stores by URL, running recorders, and recordings that still have to be finished.

A broadcast that has ended is finished in the background. That is remembered until it is done, so that a killed
process finishes its recordings when it starts again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable
from concurrent.futures import Executor
from pathlib import Path

import structlog

from onair_core.contract import BroadcastRef, StreamRef
from onair_media.ingest.clock import Clock
from onair_media.ingest.unfinished import Unfinished, UnfinishedFiles
from onair_media.recording import (
    AssetLibrary,
    DamagedError,
    Origin,
    Recorder,
    RecorderListener,
    Recording,
    UnknownFormatError,
    finish_recording,
    read_growing,
    read_recording,
    unfinished_recordings,
)
from onair_media.store import ObjectStore, StoreError, Stores

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 10.0, 300.0
# What still waits for an object store when the process ends; with the machine, it would be lost.
UPLOAD_SECONDS = 20.0
# A channel waits for it when the process starts, so it is not long; the recorder goes on trying.
REOPEN_TRIES, REOPEN_RETRY_SECONDS, REOPEN_SECONDS = 3, 0.5, 10.0


class Studio:
    """`on_finished(recording)` is called when a recording has become video on demand. `inits`: see `Pipeline`."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        on_finished: Callable[[Recording], None],
        stores: Stores,
        inits: Executor | None = None,
    ) -> None:
        self.stores = stores
        self.inits = inits
        self.library = AssetLibrary()
        self._unfinished = UnfinishedFiles(folder)
        self._clock = clock
        self._on_finished = on_finished
        self._urls: dict[Recorder, str] = {}
        self._busy: set[str] = set()  # assets that are being recorded or finished
        self._tasks: set[asyncio.Task[None]] = set()

    def store(self, url: str) -> ObjectStore:
        """The store at a URL. Raises `StoreError`."""
        return self.stores.get(url)

    def origin(self, stream: StreamRef) -> Origin:
        return Origin(
            namespace=stream.namespace, stream=stream.name, stream_uid=stream.uid, created_at=self._clock.now()
        )

    def record(self, url: str, ref: BroadcastRef, recording: Recording, listener: RecorderListener) -> Recorder | None:
        """Begins to write a recording. None, with a warning, when the store cannot be opened at all."""
        try:
            store = self.store(url)
        except StoreError as error:
            listener.recording_warning("StoreUnavailable", f"Nothing is recorded: {error}")
            return None
        recorder = Recorder(store, ref, recording, listener)
        self._urls[recorder] = url
        self._busy.add(ref.id)
        self.library.begin(recording, store)
        return recorder

    async def reopen(self, url: str, stream: StreamRef, ref: BroadcastRef) -> Recording:
        """What earlier epochs of a broadcast have stored in the store in which it began.

        When the store fails, what comes is empty and `unread`: its recorder reads them before it adds anything.
        """
        origin = self.origin(stream)
        for attempt in range(REOPEN_TRIES):
            await asyncio.sleep(REOPEN_RETRY_SECONDS if attempt else 0)
            try:
                async with asyncio.timeout(REOPEN_SECONDS):
                    return await read_growing(self.store(url), ref.id, origin) or Recording(ref.id, origin)
            except StoreError as error:
                log.error("recording cannot be read yet", asset=ref.id, problem=str(error))
            except TimeoutError:
                log.error("recording cannot be read in time", asset=ref.id)
                break
        recording = Recording(ref.id, origin)
        recording.unread = True
        return recording

    def finish(self, recorder: Recorder) -> None:
        """The broadcast is over: what waits is written, and the folder becomes video on demand, in the background."""
        asset = recorder.recording.id
        self._unfinished.remember(Unfinished(asset, self._urls.pop(recorder, "")))
        self._spawn(self._finish(recorder))

    def finish_stored(self, url: str, asset: str) -> None:
        """As `finish`, for a recording that nothing here records: from what is in the store at `url`."""
        if asset not in self._busy:
            self._busy.add(asset)
            unfinished = Unfinished(asset, url)
            self._unfinished.remember(unfinished)
            self._spawn(self._finish_stored(unfinished))

    async def finish_left_over(
        self, stores: Iterable[str] = (), *, streams: Collection[str] = (), open_assets: Collection[str] = ()
    ) -> None:
        """Finishes, in the background, what an earlier process had not finished; call before anything is recorded.

        What it had noted, and what else is unfinished in `stores` (URLs) of the streams with these uids: others may
        use the same store. `open_assets` are of broadcasts that go on: they are left alone.
        """
        found, damaged = self._unfinished.read()
        for unfinished in found:
            if unfinished.asset in open_assets:
                self._unfinished.forget(unfinished.asset)
            else:
                self.finish_stored(unfinished.store, unfinished.asset)

        def wanted(asset: str, origin: Origin) -> bool:
            ours = origin.stream_uid in streams or asset in damaged
            return ours and asset not in open_assets and asset not in self._busy

        for url in set(stores):
            self._spawn(self._look_through(url, wanted))

    async def shut_down(self, patience: float = 5.0) -> None:
        """Waits for recordings to be finished; what is not goes on at the next start."""
        if self._tasks:
            _, pending = await asyncio.wait(self._tasks, timeout=patience)
            for task in pending:
                task.cancel()
        await self.stores.settled(UPLOAD_SECONDS)
        self.stores.close()

    async def _finish(self, recorder: Recorder) -> None:
        asset = recorder.recording.id
        if await recorder.finish():
            self._done(recorder.recording)
        else:
            self.library.forget(asset)
            self._unfinished.forget(asset)
            self._busy.discard(asset)

    async def _finish_stored(self, unfinished: Unfinished) -> None:
        asset = unfinished.asset

        async def finish() -> None:
            store = self.store(unfinished.store)
            recording = await read_recording(store, asset)
            if recording is None:
                self._unfinished.forget(asset)
                return
            if not recording.ended:
                await finish_recording(store, recording)
            self._done(recording)

        try:
            await _insist("recording not finished", finish, asset=asset)
        finally:
            self._busy.discard(asset)

    async def _look_through(self, url: str, wanted: Callable[[str, Origin], bool]) -> None:
        async def look() -> None:
            for asset in await unfinished_recordings(self.store(url), wanted):
                log.info("recording was left unfinished", asset=asset)
                self.finish_stored(url, asset)

        await _insist("store not looked through", look, store=url)

    def _done(self, recording: Recording) -> None:
        self.library.end(recording.id)
        self._unfinished.forget(recording.id)
        self._busy.discard(recording.id)
        log.info("recording finished", asset=recording.id, seconds=round(recording.duration, 1))
        self._on_finished(recording)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _insist(what: str, attempt: Callable[[], Coroutine[None, None, None]], **about: str) -> None:
    """Until it works, with growing delay; at once given up where to try again cannot help."""
    delay = FIRST_RETRY_SECONDS
    while True:
        try:
            return await attempt()
        except (DamagedError, UnknownFormatError) as error:
            log.error(what, problem=str(error), **about)
            return None
        except StoreError as error:
            log.error(f"{what}, trying again", problem=str(error), **about)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_RETRY_SECONDS)
