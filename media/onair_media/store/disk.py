"""Making files outlive a power cut: what obstore's local store leaves to the kernel (docs/decisions/004).

Who writes does not wait: files queue, and one thread syncs all that have come together, so that a slow disk makes the
batches larger and not the queue longer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

# Folders of which it is remembered that their parents are on disk; a process makes a few for each recording.
MAX_KNOWN_FOLDERS = 10_000


class DiskSync:
    """Files below one folder. `soon` and `settled` are called on the event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[Path, None] = {}
        self._known: set[Path] = set()
        self._syncing: asyncio.Task[None] | None = None

    def soon(self, paths: Iterable[str]) -> None:
        """Queues files, by their paths below the folder. One that is gone by then is no error."""
        self._waiting |= dict.fromkeys(self._folder / path for path in paths)
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.get_running_loop().create_task(self._work())

    async def settled(self) -> None:
        """Returns when everything queued so far is on disk, or the log says that it could not be."""
        while self._syncing is not None and not self._syncing.done():
            await asyncio.shield(self._syncing)

    async def _work(self) -> None:
        while self._waiting:
            files, self._waiting = list(self._waiting), {}
            await asyncio.to_thread(self._sync, files)

    def _sync(self, files: list[Path]) -> None:
        """Files first, then the folders that name them, from the deepest up."""
        folders: set[Path] = set()
        for file in files:
            folders |= {file.parent, *self._new_folders(file.parent)}
        for path in (*files, *sorted(folders, reverse=True)):
            try:
                _sync_one(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                log.error("not on disk for sure, a power cut may lose it", path=str(path), problem=error.strerror)

    def _new_folders(self, folder: Path) -> Iterable[Path]:
        """Those above a folder that may have just got their first entry."""
        if len(self._known) > MAX_KNOWN_FOLDERS:
            self._known.clear()
        while folder != self._folder and folder not in self._known:
            self._known.add(folder)
            folder = folder.parent
            yield folder


def _sync_one(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
