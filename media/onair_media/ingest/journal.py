"""What happened on one channel, durable before anyone sees it (DESIGN: Broadcast, epoch, sequence).

A file of JSON lines, one a lifecycle step: the events the step gave, numbered (epoch, n), and the lifecycle's state
after it. So after a crash the channel goes on from the last whole line, and no event is told that a restart would
forget. Lines are synced to disk by a thread, several at once when they come together: the event loop with all its
publishers never waits for the disk.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

import msgspec
import structlog

from onair_core.contract import JournalEvent

log = structlog.get_logger(__name__)

# A journal is rewritten, without what the control plane has taken over, when it has grown by this much.
COMPACT_AT_BYTES = 256 * 1024
RETRY_SECONDS = 1.0


class _Record(msgspec.Struct, frozen=True):
    events: tuple[JournalEvent, ...]
    epoch: int  # the epoch at that step, so that it only ever rises, also when all events were taken over
    state: msgspec.Raw


_decoder = msgspec.json.Decoder(_Record)


class Journal:
    """The journal of one channel. Reading and `append` happen on the event loop."""

    def __init__(self, path: Path, executor: Executor, on_durable: Callable[[], None]) -> None:
        self._path = path
        self._executor = executor
        self._on_durable = on_durable
        self._events: list[JournalEvent] = []  # durable, not yet acknowledged
        self._waiting: list[_Record] = []
        self._writing: asyncio.Task[None] | None = None
        self._acknowledged = (0, 0)
        self.state: bytes | None = None
        self.last_epoch = 0
        self._size = 0
        self._load()

    def append(self, events: Sequence[JournalEvent], epoch: int, state: bytes) -> None:
        """Queues one step. Its events show up in `after()` once they are on disk, in order."""
        self.state = state
        self.last_epoch = epoch
        self._waiting.append(_Record(tuple(events), epoch, msgspec.Raw(state)))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    def after(self, epoch: int, n: int) -> list[JournalEvent]:
        """The durable events that follow (epoch, n), oldest first."""
        return [event for event in self._events if (event.epoch, event.n) > (epoch, n)]

    def acknowledge(self, epoch: int, n: int) -> None:
        """The control plane has everything up to (epoch, n) durably: it need not be kept here."""
        self._acknowledged = max(self._acknowledged, (epoch, n))
        self._events = self.after(*self._acknowledged)

    def recorded(self) -> list[JournalEvent]:
        """All events that are still in the file, also acknowledged ones, oldest first. Reads it; raises `OSError`."""
        return [event for _, record in _records(self._path) for event in record.events]

    async def settled(self) -> None:
        """Returns when everything appended so far is durable."""
        while self._writing is not None and not self._writing.done():
            await asyncio.shield(self._writing)

    def delete(self) -> None:
        """The channel is gone and all its events are acknowledged."""
        self._path.unlink(missing_ok=True)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            lines = b"".join(msgspec.json.encode(record) + b"\n" for record in batch)
            compact = self._size > COMPACT_AT_BYTES
            if compact:
                kept = _Record(tuple(self._events), batch[0].epoch, msgspec.Raw(b"null"))
                lines = msgspec.json.encode(kept) + b"\n" + lines
            failed = False
            while True:
                try:
                    await loop.run_in_executor(self._executor, self._replace if compact else self._extend, lines)
                    break
                except OSError as error:
                    # Events are held back, not lost: a full disk must not end a broadcast, and nothing may be told
                    # that a crash would take back.
                    if not failed:
                        log.error("journal not written, trying again", file=str(self._path), problem=error.strerror)
                    failed = True
                    await asyncio.sleep(RETRY_SECONDS)
            if failed:
                log.info("journal written again", file=str(self._path))
            self._size = len(lines) if compact else self._size + len(lines)
            self._events += [event for record in batch for event in record.events]
            if any(record.events for record in batch):
                self._on_durable()

    def _extend(self, lines: bytes) -> None:
        with self._path.open("r+b" if self._path.exists() else "xb") as file:
            # Not append mode: a write that failed half-way is written over when it is tried again.
            file.seek(self._size)
            file.write(lines)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())

    def _replace(self, lines: bytes) -> None:
        whole = self._path.with_suffix(".new")
        with whole.open("wb") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        whole.replace(self._path)

    def _load(self) -> None:
        for end, record in _records(self._path):
            self._size = end
            self._events += record.events
            self.last_epoch = record.epoch
            if bytes(record.state) != b"null":
                self.state = bytes(record.state)


def _records(path: Path) -> Iterator[tuple[int, _Record]]:
    """The whole records of a journal, each with the byte where it ends."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    end = 0
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return  # a crash cut this record short: it was never seen by anyone
        try:
            record = _decoder.decode(line)
        except msgspec.DecodeError:
            log.error("journal is damaged, what follows is ignored", file=str(path), at_byte=end)
            return
        end += len(line)
        yield end, record
