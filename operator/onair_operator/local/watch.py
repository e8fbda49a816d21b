"""Notices when manifests change, and when verbs ask for something.

What counts is a look at the files' stamps, every few seconds: it finds also what no notification tells of, such as
a folder that was made anew, or the target of a symbolic link that was edited. Notifications of the operating system
only make the next look come at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import structlog
from watchfiles import Change, awatch

from onair_core.local_state import LocalState
from onair_core.manifests.files import SUFFIXES
from onair_operator.local.stamps import Place, Stamp, places, stamps

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
DEBOUNCE_MS = 200
# The watching thread wakes up this often, also when nothing happens.
STEP_MS = 500


async def watch(
    paths: Iterable[Path],
    state: LocalState,
    *,
    reconcile: Callable[[], Awaitable[None]],
    take_requests: Callable[[], Awaitable[None]],
    is_due: Callable[[], bool],
) -> None:
    """Runs until it is cancelled.

    `reconcile` is called once after the watch stands, when files have changed, and when it `is_due`; `take_requests`
    whenever there are some.
    """
    paths = list(paths)
    own, requests = state.folder.resolve(), state.requests.resolve()
    requests.mkdir(parents=True, exist_ok=True)
    notified = asyncio.Event()
    notifier: asyncio.Task[None] | None = None
    stand: dict[Path, Place | None] = {}
    seen: dict[str, Stamp | None] | None = None
    try:
        while True:
            notified.clear()
            now_stand = places([requests, *map(_folder, paths)])
            if now_stand != stand:
                stand = now_stand
                await _end(notifier)
                notifier = asyncio.create_task(_notify(stand, paths, own, requests, notified))
            if any(requests.glob("*.json")):
                await take_requests()
            now_seen = await asyncio.to_thread(stamps, paths, [own])
            if now_seen != seen or is_due():
                seen = now_seen
                await reconcile()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(notified.wait(), LOOK_SECONDS)
    finally:
        await _end(notifier)


def _folder(path: Path) -> Path:
    """A file is watched through its folder: editors replace files, and a watch on the file would end with it."""
    return path.resolve() if path.is_dir() else path.parent.resolve()


async def _notify(
    stand: dict[Path, Place | None], paths: list[Path], own: Path, requests: Path, notified: asyncio.Event
) -> None:
    """Sets `notified` until it is cancelled, or as long as the operating system plays along."""

    def concerns(_: Change, name: str) -> bool:
        path = Path(name)
        if requests in path.parents:
            return path.suffix == ".json"
        # Kubernetes swaps mounted folders by a link named ..data.
        return own not in path.parents and (path.suffix in SUFFIXES or path.name.startswith(".."))

    async def follow(folders: set[Path], *, recursive: bool) -> None:
        async for _ in awatch(*folders, watch_filter=concerns, debounce=DEBOUNCE_MS, step=STEP_MS, recursive=recursive):
            notified.set()

    there = {folder for folder, place in stand.items() if place is not None}
    deep = {path.resolve() for path in paths if path.is_dir()} & there
    if deep:
        deep.add(requests)  # one thread less; it has no folders below it
    try:
        async with asyncio.TaskGroup() as group:
            for folders, recursive in ((deep, True), (there - deep, False)):
                if folders:
                    group.create_task(follow(folders, recursive=recursive))
    except* (OSError, RuntimeError) as errors:
        reason = "; ".join(map(str, errors.exceptions))
        log.warning("changes are not notified, and found a little later", problem=reason)


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
