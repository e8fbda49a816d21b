"""Writes a broadcast's segments to the store while it is live. The live stream never waits for it.

`add` only queues. One task writes in order, media first and the manifest entry after it, so a reader never sees an
entry whose files are missing. While the store fails it is tried again, with growing delay; what does not fit the
budget meanwhile is dropped, oldest first, and reported: the recording has a hole there, marked as a discontinuity.

It writes only as long as the recording is its own (`fence`). Before a spool it begins at once, whether or not the store
can say whose it is: nothing leaves the spool until that is known.
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
from onair_media.recording.fence import FENCE_SECONDS, Fence, TakenOverError
from onair_media.recording.finishing import finish_recording
from onair_media.recording.folder import folder, read_growing
from onair_media.recording.model import (
    SEGMENTS_TO_PLAY,
    InitKey,
    InitRecord,
    Recording,
    SegmentRecord,
    record_segment,
)
from onair_media.store import ObjectStore, StoreError

log = structlog.get_logger(__name__)

# Bytes that may wait for the store; they are mostly the very bytes that the live window holds anyway.
BUDGET = 128 * 1024 * 1024
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.25, 10.0


class RecorderListener(Protocol):
    """Called on the event loop."""

    def recording_ready(self) -> None:
        """Enough is in the store to be played."""

    def recording_warning(self, reason: str, message: str) -> None:
        """`RecordingStalled`: the store fails. `RecordingResumed`: it works again. `RecordingHole`: media is lost.
        `RecordingTakenOver`: another process writes this recording, this one does not any more."""


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
    """One broadcast in one epoch. `recording` already holds what earlier epochs have stored.

    Where it does not, because the store was away (`recording.unread`), that is read before anything is added.
    """

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
        self.taken_over = False
        self._store = store
        self._broadcast = broadcast
        self._listener = listener
        self._budget = budget
        self._base = folder(broadcast.id)
        self._fence = Fence(store, broadcast)
        self._admitted = asyncio.Event()
        self._uncounted: list[SegmentRecord] = []  # written before it was known what there is already
        self._queue = _Queue()
        self._inits: list[InitSegment] = []
        self._stored_inits: dict[InitKey, InitRecord] = {}
        self._target_duration: int | None = recording.target_duration
        self._closing = False
        self._is_left = False
        self._stalled: set[str] = set()  # what is being tried again
        self._task = asyncio.get_running_loop().create_task(self._run())

    def add_init(self, init: InitSegment) -> None:
        """Goes with the next segment."""
        self._inits.append(init)

    def add(self, segment: Segment) -> None:
        """Queues a segment."""
        inits, self._inits = self._inits, []
        if self.taken_over:
            return
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
        if not self.recording.unread:
            self.recording.fix_target_duration(seconds)

    async def finish(self) -> bool:
        """No more segments: writes what waits, and makes the folder a recording. Returns when it is done.

        False: another has taken over and will finish it. Cancelled, it leaves a folder that can be finished later.
        """
        self._closing = True
        self._queue.changed.set()
        await asyncio.shield(self._task)
        if not self.taken_over:
            try:
                await self._insist("finishing", self._finish)
            except TakenOverError as error:
                self._stop(error)
        return not self.taken_over

    async def abandon(self) -> None:
        """The broadcast goes on in the next epoch, here or elsewhere: writes what waits, if the store takes it at once.
        What is in a spool by then is uploaded without this one.
        """
        self._closing = True
        self._queue.changed.set()
        if self._store.spools:
            self._leave()
        done, _ = await asyncio.wait([self._task], timeout=3.0)
        if not done:
            self._task.cancel()

    def _leave(self) -> None:
        self._is_left = True
        self._admitted.set()
        self._count_what_waits()

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

    # As the one to whom what lies in a spool belongs

    async def may_send(self) -> bool:
        await self._admitted.wait()
        # The next epoch is this process's own, or that of whoever has its disk: what is in the spool is wanted there.
        if not self.taken_over and not self._is_left:
            try:
                await self._fence.check(at_most_seconds_ago=FENCE_SECONDS)
            except TakenOverError as error:
                self._stop(error)
        return not self.taken_over

    def delayed(self, error: StoreError) -> None:
        self._tell_stalled("upload", error)

    def sent(self) -> None:
        self._tell_resumed("upload")

    async def _run(self) -> None:
        admission = asyncio.get_running_loop().create_task(self._be_admitted())
        admission.add_done_callback(lambda _: self._admitted.set())  # whatever came of it, nobody waits for it any more
        try:
            if not self._store.spools:
                await admission
            await self._write_all()
            await self._admitted.wait()
            if admission.done():
                admission.result()
        except TakenOverError as error:
            self._stop(error)
        finally:
            admission.cancel()

    async def _write_all(self) -> None:
        queue = self._queue
        while not self.taken_over:
            if queue.items:
                waiting = queue.items[0]
                await self._insist("writing", partial(self._write, waiting))
                if not self.taken_over:
                    queue.items.popleft()
                    queue.size -= waiting.size
                continue
            if self._closing:
                return
            queue.changed.clear()
            await queue.changed.wait()

    def _stop(self, error: TakenOverError) -> None:
        if self.taken_over:
            return
        self.taken_over = True
        self._queue.items.clear()
        self._queue.size = 0
        self._queue.changed.set()
        self._uncounted.clear()
        self._admitted.set()  # who waits learns that it is over
        log.error("recording stops", asset=self._broadcast.id, problem=str(error))
        self._listener.recording_warning("RecordingTakenOver", f"Nothing more is recorded here: {error}")

    async def _be_admitted(self) -> None:
        try:
            await self._insist("admission", self._admit)
        except TakenOverError as error:
            self._stop(error)

    async def _admit(self) -> None:
        """Everything else may be written again, but an epoch has one writer."""
        if self._admitted.is_set():
            return
        await self._fence.claim(self.recording.origin)
        if self.recording.segments or self.recording.unread:
            # Finished by a process that died before it could note that the broadcast is over: it was not.
            await self._store.delete([f"{self._base}asset.json"])
        if self.recording.unread:
            await self._catch_up()
        self._tell_damage()
        self._admitted.set()
        self._count_what_waits()

    def _count_what_waits(self) -> None:
        """Not before it is known what came earlier; the next recorder then reads these with it."""
        if not self.recording.unread:
            uncounted, self._uncounted = self._uncounted, []
            for record in uncounted:
                self._count(record)

    async def _catch_up(self) -> None:
        recording = self.recording
        epoch = self._broadcast.epoch  # what this one writes is counted by itself
        earlier = await read_growing(self._store, recording.id, recording.origin, before_epoch=epoch)
        # Some may be there already: of a recorder that was left in the middle of this.
        missing = earlier.segments[len(recording.segments) :] if earlier is not None else []
        for count, record in enumerate(missing):
            recording.add(record)
            if count % 100 == 0:
                await asyncio.sleep(0)
        recording.damaged = earlier.damaged if earlier is not None else 0
        recording.unread = False
        if self._target_duration is not None:
            recording.fix_target_duration(self._target_duration)
        self._target_duration = recording.target_duration

    def _tell_damage(self) -> None:
        if self.recording.damaged:
            self._listener.recording_warning(
                "RecordingHole",
                f"{self.recording.damaged} stored segments cannot be read any more and are missing from the recording.",
            )

    async def _write(self, waiting: _Waiting) -> None:
        if not self._store.spools:
            await self._fence.check(at_most_seconds_ago=FENCE_SECONDS)
        segment, epoch = waiting.segment, self._broadcast.epoch
        written = []
        named: dict[InitKey, InitRecord] = {}
        for init in waiting.inits:
            path = f"assets/{init_path(self._broadcast.id, epoch, init.rendition, init.index)}"
            await self._store.put(path, init.data)
            written.append(path)
            stored = InitRecord.of(epoch, init)
            named[stored.key] = self._stored_inits[stored.key] = stored
        for name, track in segment.tracks.items():
            if not track.gap:
                path = f"assets/{segment_path(self._broadcast.id, epoch, name, segment.number)}"
                await self._store.put(path, track.data)
                written.append(path)
                # Named by every entry that needs it: one lost entry must not take the others with it.
                key = (epoch, name, track.init)
                named |= {key: self._stored_inits[key]} if key in self._stored_inits else {}
        record = record_segment(
            epoch, segment, named.values(), discontinuity=waiting.hole, target_duration=self._target_duration
        )
        entry = f"{self._base}manifest/{epoch}/{segment.number}.json"
        await self._store.put(entry, msgspec.json.encode(record))
        self._store.sync_soon([*written, entry], self)
        self._uncounted.append(record)
        if self._admitted.is_set():
            self._count_what_waits()

    def _count(self, record: SegmentRecord) -> None:
        self.recording.add(record)
        if len(self.recording.segments) >= SEGMENTS_TO_PLAY:
            self._listener.recording_ready()

    async def _finish(self) -> None:
        await self._fence.check()
        await self._look_for_late_segments()
        await finish_recording(self._store, self.recording)

    async def _look_for_late_segments(self) -> None:
        """A pod that had to go may have uploaded the last of its epoch after this one had looked what there is.

        Where there is no spool, nothing is late: what an epoch has written is there when the next one begins.
        """
        known, epoch = self.recording, self._broadcast.epoch
        earlier = sum(segment.epoch < epoch for segment in known.segments)
        if not earlier or not self._store.spools:
            return
        found = await read_growing(self._store, known.id, known.origin, before_epoch=epoch)
        if found is not None and len(found.segments) > earlier:
            for record in known.segments[earlier:]:
                found.add(record)
            if known.target_duration is not None:
                found.fix_target_duration(known.target_duration)
            self.recording = found

    async def _insist(self, what: str, attempt: Callable[[], Awaitable[None]]) -> None:
        """Until it works: the store may be away for an hour."""
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                await attempt()
            except StoreError as error:
                self._tell_stalled(what, error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_RETRY_SECONDS)
                continue
            self._tell_resumed(what)
            return

    def _tell_stalled(self, what: str, error: StoreError) -> None:
        if not self._stalled:
            log.error("recording stalled", asset=self._broadcast.id, during=what, problem=str(error))
            self._listener.recording_warning("RecordingStalled", f"The store does not take the recording: {error}")
        self._stalled.add(what)

    def _tell_resumed(self, what: str) -> None:
        if what in self._stalled:
            self._stalled.discard(what)
            if not self._stalled:
                log.info("recording goes on", asset=self._broadcast.id)
                self._listener.recording_warning("RecordingResumed", "The store takes the recording again.")
