"""An object store behind a folder of this machine: what is written is on disk at once, and then uploaded.

A store that is slow, or away for an hour, costs disk and nothing else. An object is read from the folder as long as it
is there, and from the store afterwards, so that who reads does not notice the difference.

What is handed over (`sync_soon`) arrives in that order: of a batch all objects but the last at once, and the last when
they are there and all batches before have arrived. So a manifest entry never names what is not in the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import random

import structlog
from obstore.store import LocalStore

from onair_core.backoff import Backoff
from onair_media.store.objects import ObjectStore, Sender, StoreError

log = structlog.get_logger(__name__)

BATCHES_AT_ONCE = 8
"""Of which objects are on their way: a store far away answers slowly, and takes many at a time."""

OBJECTS_AT_ONCE = 16
RETRY = Backoff(first=0.5, longest=10.0)


@dataclass(slots=True, eq=False)
class _Batch:
    """`left`: what is to be sent before the last."""

    paths: list[str]
    sender: Sender | None
    left: set[str]
    sending: asyncio.Task[bool] | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class SpooledStore(ObjectStore):
    """`remote` is where everything goes; `budget`: bytes that may wait in `folder`, above which `put` fails.

    What an earlier process has left in the folder is uploaded first.
    """

    def __init__(self, remote: ObjectStore, folder: Path, budget: int) -> None:
        """Raises `OSError`."""
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(remote._store, name=remote.name)
        self._remote = remote
        self._folder = folder
        self._local = ObjectStore(LocalStore(folder))
        self._budget = budget
        self._sizes = _files(folder)
        self.waiting_bytes = sum(self._sizes.values())
        """On this machine's disk, and not in the store yet."""
        self._waiting: deque[_Batch] = deque()
        self._slots = asyncio.Semaphore(OBJECTS_AT_ONCE)
        self._work: asyncio.Task[None] | None = None
        for paths in _left_over(self._sizes):
            self._send(paths, None)

    spools = True

    # Writing

    async def put(self, path: str, data: bytes) -> None:
        if self.waiting_bytes + len(data) > self._budget:
            raise StoreError(f"{self._budget // 1024 // 1024} MiB wait for the store already, and no more may")
        await self._local.put(path, data)
        self._note_gone(path)
        self._sizes[path] = len(data)
        self.waiting_bytes += len(data)

    async def create(self, path: str, data: bytes) -> bool:
        """In the store itself: whoever else writes there has to see it."""
        return await self._remote.create(path, data)

    def sync_soon(self, paths: Iterable[str], sender: Sender | None = None) -> None:
        """Uploads these, in the order described above. `sender` is asked before, and told how it goes."""
        self._send(list(paths), sender)

    async def settled(self) -> None:
        """Returns when everything handed over so far is in the store."""
        if self._waiting:
            await self._waiting[-1].arrived.wait()

    def reopen(self, other: ObjectStore) -> None:
        self._remote.reopen(other)

    def close(self) -> None:
        """Nothing is uploaded any more. What waits is uploaded by the next process, if it has the folder."""
        for task in (self._work, *(batch.sending for batch in self._waiting)):
            if task is not None:
                task.cancel()

    async def delete(self, paths: list[str]) -> None:
        await self._forget(paths)
        await self._remote.delete(paths)

    # Reading

    async def get(self, path: str) -> bytes | None:
        found = await self._local.get(path) if path in self._sizes else None
        return found if found is not None else await self._remote.get(path)

    async def get_range(self, path: str, start: int, stop: int) -> bytes:
        if path in self._sizes:
            try:
                return await self._local.get_range(path, start, stop)
            except StoreError:
                pass  # it has just been uploaded
        return await self._remote.get_range(path, start, stop)

    async def has(self, path: str) -> bool:
        return path in self._sizes or await self._remote.has(path)

    async def sizes(self, prefix: str) -> dict[str, int]:
        # First what is here: meanwhile it may arrive there.
        here = {path: size for path, size in self._sizes.items() if path.startswith(prefix)}
        return await self._remote.sizes(prefix) | here

    async def folders(self, prefix: str) -> list[str]:
        here = {path.removeprefix(prefix).split("/")[0] for path in self._sizes if path.startswith(prefix)}
        return sorted(here | set(await self._remote.folders(prefix)))

    # Uploading

    def _send(self, paths: list[str], sender: Sender | None) -> None:
        if not paths:
            return
        self._waiting.append(_Batch(paths, sender, set(paths[:-1])))
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._upload(), name=f"upload to {self._remote.name}")

    async def _upload(self) -> None:
        while self._waiting:
            for batch in islice(self._waiting, BATCHES_AT_ONCE):
                if batch.sending is None:
                    batch.sending = asyncio.create_task(self._insist(batch, batch.left))
            first = self._waiting[0]
            assert first.sending is not None
            if await first.sending and await self._insist(first, {first.paths[-1]}) and first.sender is not None:
                first.sender.sent()
            await self._forget(first.paths)
            self._waiting.popleft()
            first.arrived.set()

    async def _insist(self, batch: _Batch, left: set[str]) -> bool:
        """Until all that is `left` is sent. False: it is not to be sent any more."""
        tries = 0
        while True:
            try:
                if batch.sender is not None and not await batch.sender.may_send():
                    return False
                await self._send_all(left)
            except Exception as error:
                if not isinstance(error, StoreError):
                    log.exception("a defect; trying again", store=self._remote.name)
                    error = StoreError(f"{type(error).__name__}: {error}")
                tries += 1
                if batch.sender is not None:
                    batch.sender.delayed(error)
                elif tries == 1:
                    log.warning("what was left waits for the store", store=self._remote.name, problem=str(error))
                await asyncio.sleep(RETRY.delay(tries, random()))  # noqa: S311 - spreads load
            else:
                return True

    async def _send_all(self, left: set[str]) -> None:
        """Takes out what has arrived. Raises `StoreError` when something did not."""
        results = await asyncio.gather(*(self._send_one(path, left) for path in left), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _send_one(self, path: str, left: set[str]) -> None:
        async with self._slots:
            data = await self._local.get(path)
            if data is not None:  # else it was deleted meanwhile
                await self._remote.put(path, data)
        left.discard(path)

    async def _forget(self, paths: list[str]) -> None:
        try:
            await self._local.delete([path for path in paths if path in self._sizes])
        except StoreError as error:
            log.error("uploaded, and still on this disk", store=self._remote.name, problem=str(error))
        for path in paths:
            self._note_gone(path)

    def _note_gone(self, path: str) -> None:
        self.waiting_bytes -= self._sizes.pop(path, 0)


def _files(folder: Path) -> dict[str, int]:
    """Bytes by path; what a write that was interrupted has left has a `#` in its name."""
    return {
        str(file.relative_to(folder)): file.stat().st_size
        for file in folder.rglob("*")
        if file.is_file() and "#" not in file.name
    }


def _left_over(paths: Iterable[str]) -> list[list[str]]:
    """In batches: media, then one entry of a manifest after the other. What is made again at the end is left out."""
    entries = sorted(path for path in paths if "/manifest/" in path)
    media = [path for path in paths if "/manifest/" not in path and not path.endswith((".m3u8", "asset.json"))]
    return [media, *([entry] for entry in entries)]
