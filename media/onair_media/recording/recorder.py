"""Writes a broadcast's segments to the store while it is live. The live stream never waits for it.

`add` only queues. One task writes in order, media first and the manifest entry after it, so a reader never sees an
entry whose files are missing. While the store fails it is tried again, with growing delay; what does not fit the
budget meanwhile is dropped, oldest first, and reported: the recording has a hole there, marked as a discontinuity.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import msgspec
import structlog

from onair_core.contract import BroadcastRef
from onair_core.playback.paths import init_path, segment_path
from onair_media.cmaf.model import InitSegment, Segment
from onair_media.recording.folder import finish_recording, folder
from onair_media.recording.model import Recording, record_segment
from onair_media.store import ObjectStore, StoreError

log = structlog.get_logger(__name__)

# Bytes that may wait for the store; they are mostly the very bytes that the live window holds anyway.
BUDGET = 128 * 1024 * 1024
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.25, 10.0
SEGMENTS_TO_PLAY = 2


class RecorderListener(Protocol):
    """Called on the event loop."""

    def recording_ready(self) -> None:
        """Enough is in the store to be played."""

    def recording_warning(self, reason: str, message: str) -> None:
        """`RecordingStalled`: the store fails. `RecordingResumed`: it works again. `RecordingHole`: media is lost."""


@dataclass(slots=True)
class _Waiting:
    segment: Segment
    inits: list[InitSegment]
    hole: bool = False

    @property
    def size(self) -> int:
        return sum(len(track.data) for track in self.segment.tracks.values())


@dataclass(slots=True)
class _Queue:
    items: deque[_Waiting] = field(default_factory=deque)
    size: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Recorder:
    """One broadcast in one epoch. `recording` already holds what earlier epochs have stored."""

    def __init__(
        self,
        store: ObjectStore,
        broadcast: BroadcastRef,
        recording: Recording,
        listener: RecorderListener,
        *,
        budget: int = BUDGET,
    ) -> None:
        self.recording = recording
        self._store = store
        self._broadcast = broadcast
        self._listener = listener
        self._budget = budget
        self._base = folder(broadcast.id)
        self._queue = _Queue()
        self._inits: list[InitSegment] = []
        self._target_duration: int | None = recording.target_duration
        self._closing = False
        self._stalled = False
        self._task = asyncio.get_running_loop().create_task(self._run())

    def add_init(self, init: InitSegment) -> None:
        """Goes with the next segment."""
        self._inits.append(init)

    def add(self, segment: Segment) -> None:
        """Queues a segment."""
        inits, self._inits = self._inits, []
        waiting = _Waiting(segment, inits)
        self._queue.items.append(waiting)
        self._queue.size += waiting.size
        # The one being written (the first) stays: dropping it would race with its own success.
        while self._queue.size > self._budget and len(self._queue.items) > 2:
            self._drop(1)
        self._queue.changed.set()

    def fix_target_duration(self, seconds: int) -> None:
        """What the live playlists promise holds for the recording too."""
        self._target_duration = seconds
        self.recording.fix_target_duration(seconds)

    async def finish(self) -> None:
        """No more segments: writes what waits, and makes the folder a recording. Returns when it is done.

        Cancelled, it leaves a folder that can be finished later.
        """
        self._closing = True
        self._queue.changed.set()
        await asyncio.shield(self._task)
        await self._insist(partial(finish_recording, self._store, self.recording))

    async def abandon(self) -> None:
        """The process ends, the broadcast goes on elsewhere: writes what waits, if the store takes it at once."""
        self._closing = True
        self._queue.changed.set()
        done, _ = await asyncio.wait([self._task], timeout=3.0)
        if not done:
            self._task.cancel()

    def _drop(self, index: int) -> None:
        dropped = self._queue.items[index]
        del self._queue.items[index]
        self._queue.size -= dropped.size
        following = self._queue.items[index]
        following.hole = True
        following.inits = dropped.inits + following.inits
        self._listener.recording_warning(
            "RecordingHole",
            f"{dropped.segment.duration:.1f} s are missing from the recording: the store is too slow or away.",
        )

    async def _run(self) -> None:
        await self._insist(self._claim)
        while True:
            while self._queue.items:
                waiting = self._queue.items[0]
                await self._insist(partial(self._write, waiting))
                self._queue.items.popleft()
                self._queue.size -= waiting.size
            if self._closing:
                return
            self._queue.changed.clear()
            if not self._queue.items and not self._closing:
                await self._queue.changed.wait()

    async def _claim(self) -> None:
        await self._store.create(f"{self._base}origin.json", msgspec.json.encode(self.recording.origin))
        await self._store.create(f"{self._base}epochs/{self._broadcast.epoch}", b"")

    async def _write(self, waiting: _Waiting) -> None:
        segment, epoch = waiting.segment, self._broadcast.epoch
        for init in waiting.inits:
            path = init_path(self._broadcast.id, epoch, init.rendition, init.index)
            await self._store.put(f"assets/{path}", init.data)
        for name, track in segment.tracks.items():
            if not track.gap:
                path = segment_path(self._broadcast.id, epoch, name, segment.number)
                await self._store.put(f"assets/{path}", track.data)
        record = record_segment(
            epoch, segment, waiting.inits, discontinuity=waiting.hole, target_duration=self._target_duration
        )
        await self._store.put(f"{self._base}manifest/{epoch}/{segment.number}.json", msgspec.json.encode(record))
        self.recording.add(record)
        if len(self.recording.segments) >= SEGMENTS_TO_PLAY:
            self._listener.recording_ready()

    async def _insist(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Until it works: the store may be away for an hour."""
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                await attempt()
            except StoreError as error:
                if not self._stalled:
                    self._stalled = True
                    log.error("recording stalled", asset=self._broadcast.id, problem=str(error))
                    self._listener.recording_warning(
                        "RecordingStalled", f"The store does not take the recording: {error}"
                    )
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_RETRY_SECONDS)
                continue
            if self._stalled:
                self._stalled = False
                log.info("recording goes on", asset=self._broadcast.id)
                self._listener.recording_warning("RecordingResumed", "The store takes the recording again.")
            return
