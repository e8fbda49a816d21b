"""What happened on one channel, durable before anyone sees it (DESIGN: Broadcast, epoch, sequence).

A file of JSON lines, one a lifecycle step: the events the step gave, numbered (epoch, n), and the lifecycle's state
after it. So after a crash the channel goes on from the last whole line, and no event is told that a restart would
forget. Lines are synced to disk by a thread, several at once when they come together: the event loop with all its
publishers never waits for the disk.

Epochs only ever rise, also when the file was lost: what the control plane has taken over says how far they had come.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
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
_NO_STATE = b"null"


class Journal:
    """The journal of one channel. Reading and `append` happen on the event loop.

    `after`: (epoch, n) up to which the control plane has everything.
    """

    def __init__(
        self, path: Path, executor: Executor, on_durable: Callable[[], None], *, after: tuple[int, int] = (0, 0)
    ) -> None:
        self._path = path
        self._executor = executor
        self._on_durable = on_durable
        self._events: list[JournalEvent] = []  # durable, not yet acknowledged
        self._waiting: list[tuple[_Record, bytes]] = []
        self._writing: asyncio.Task[None] | None = None
        self._acknowledged = (0, 0)
        self.state: bytes | None = None
        self.last_epoch = 0
        self.last_at = 0.0
        """When the newest event happened that is in the file; Unix seconds."""
        self._size = 0
        self._compact_at = COMPACT_AT_BYTES
        self._damaged = False
        self._load()
        self.last_epoch = max(self.last_epoch, after[0])
        self.acknowledge(*after)

    def append(self, events: Sequence[JournalEvent], epoch: int, state: bytes) -> None:
        """Queues one step. Its events show up in `after()` once they are on disk, in order."""
        record = _Record(tuple(events), epoch, msgspec.Raw(state))
        line = msgspec.json.encode(record) + b"\n"
        self.state = state
        self.last_epoch = epoch
        self._waiting.append((record, line))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    def after(self, epoch: int, n: int) -> list[JournalEvent]:
        """The durable events that follow (epoch, n), oldest first."""
        return [event for event in self._events if (event.epoch, event.n) > (epoch, n)]

    @property
    def newest(self) -> tuple[int, int]:
        """(epoch, n) of the newest durable event, also when it was acknowledged; (0, 0) before the first."""
        last = (self._events[-1].epoch, self._events[-1].n) if self._events else (0, 0)
        return max(last, self._acknowledged)

    def acknowledge(self, epoch: int, n: int) -> None:
        """The control plane has everything up to (epoch, n) durably: it need not be kept here."""
        self._acknowledged = max(self._acknowledged, (epoch, n))
        self._events = self.after(*self._acknowledged)

    def recorded(self) -> list[JournalEvent]:
        """All events that are still in the file, also acknowledged ones, oldest first. Reads it; raises `OSError`."""
        return [event for record in _read(self._path)[0] for event in record.events]

    async def settled(self, seconds: float) -> bool:
        """Waits until everything appended so far is durable; False when it is not after that time."""
        if self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing], timeout=seconds)
        return self._writing is None or self._writing.done()

    def close(self) -> None:
        """Gives up what is not durable yet."""
        if self._writing is not None and not self._writing.done():
            self._writing.cancel()
            log.error("the newest events were not written", file=str(self._path))

    def delete(self) -> None:
        """The channel is gone and all its events are acknowledged."""
        if self._writing is not None and not self._writing.done():
            self._writing.cancel()
            self._executor.submit(self._path.unlink, missing_ok=True)  # after the write that is under way
        else:
            self._path.unlink(missing_ok=True)

    # Writing

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            written = False
            try:
                await self._insist(batch)
                written = True
            finally:
                if not written:
                    self._waiting = batch + self._waiting
            records = [record for record, _ in batch]
            self._events += [event for record in records for event in record.events]
            if any(record.events for record in records):
                try:
                    self._on_durable()
                except Exception:
                    log.exception("nobody was told of new events", file=str(self._path))

    async def _insist(self, batch: list[tuple[_Record, bytes]]) -> None:
        """Until it works. Events are held back, not lost: a full disk must not end a broadcast, and nothing may be
        told that a crash would take back.
        """
        loop = asyncio.get_running_loop()
        lines = b"".join(line for _, line in batch)
        kept = _Record(tuple(self._events), batch[0][0].epoch, msgspec.Raw(_NO_STATE))
        failed = False
        while True:
            try:
                self._size = await loop.run_in_executor(self._executor, self._store, lines, kept)
                break
            except Exception as error:
                if not failed:
                    problem = error.strerror if isinstance(error, OSError) else repr(error)
                    log.error("journal not written, trying again", file=str(self._path), problem=problem)
                failed = True
                await asyncio.sleep(RETRY_SECONDS)
        if failed:
            log.info("journal written again", file=str(self._path))

    def _store(self, lines: bytes, kept: _Record) -> int:
        """In the thread. Returns the size of the file."""
        if self._size > self._compact_at or self._damaged or self._is_shorter():
            start = msgspec.json.encode(kept) + b"\n"
            self._replace(start + lines)
            self._damaged = False
            self._compact_at = len(start) + COMPACT_AT_BYTES
            return len(start) + len(lines)
        self._extend(lines)
        return self._size + len(lines)

    def _is_shorter(self) -> bool:
        """Whether somebody took away what was written: lines behind a hole would not be read."""
        try:
            return self._path.stat().st_size < self._size
        except FileNotFoundError:
            return self._size > 0

    def _extend(self, lines: bytes) -> None:
        new = not self._path.exists()
        with self._path.open("xb" if new else "r+b") as file:
            # Not append mode: a write that failed half-way is written over when it is tried again.
            file.seek(self._size)
            file.write(lines)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        if new:
            self._sync_folder()

    def _replace(self, lines: bytes) -> None:
        if self._damaged:
            self._keep_damaged()
        whole = self._path.with_suffix(".new")
        with whole.open("wb") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        whole.replace(self._path)
        self._sync_folder()

    def _keep_damaged(self) -> None:
        """A copy for people."""
        try:
            shutil.copyfile(self._path, f"{self._path}.damaged")
        except OSError as error:
            log.warning("the damaged journal could not be kept", file=str(self._path), problem=error.strerror)

    def _sync_folder(self) -> None:
        """A new name is durable only with its folder."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    # Reading

    def _load(self) -> None:
        records, self._size, bad = _read(self._path)
        for record in records:
            self._take(record)
        if bad:
            log.error("journal is damaged", file=str(self._path), lost_lines=bad)
            self._damaged = True
            self.last_epoch += bad  # each of them may have begun one

    def _take(self, record: _Record) -> None:
        self._events += record.events
        self.last_epoch = max(self.last_epoch, record.epoch)
        self.last_at = max(self.last_at, *(event.at for event in record.events), 0.0)
        if bytes(record.state) != _NO_STATE:
            self.state = bytes(record.state)


def _read(path: Path) -> tuple[list[_Record], int, int]:
    """The whole records of a journal, its bytes but for what a crash cut short, and how many lines are damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0, 0
    *lines, cut_short = content.split(b"\n")  # by a crash, and seen by nobody
    records = []
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            records.append(_decoder.decode(line))
    return records, len(content) - len(cut_short), len(lines) - len(records)
