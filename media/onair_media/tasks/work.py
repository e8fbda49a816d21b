"""What `onair store` does."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from onair_media.recording import finish_recording, read_recording
from onair_media.recording.folder import folder, read_origin
from onair_media.store import ObjectStore

DELETED_AT_ONCE = 32


class Refused(Exception):
    """It would be wrong to do it; the message says why."""


async def check(store: ObjectStore) -> None:
    """Does with a store everything that a recording needs, and leaves nothing there. Raises `StoreError`, `Refused`.

    Also that an object is made only if there is none, by which pods know who writes a recording: not every server that
    speaks S3 keeps to it.
    """
    path = f"assets/.check-{secrets.token_hex(8)}/object"
    content = secrets.token_bytes(64)
    if not await store.create(path, content):
        raise Refused("it says that an object is there which was never written")
    try:
        if await store.create(path, b"another"):
            raise Refused("it lets a second writer replace an object that is to be made only once (If-None-Match: *)")
        if await store.get_range(path, 8, 16) != content[8:16]:
            raise Refused("it does not return what was written")
        if await store.sizes(path.rpartition("/")[0] + "/") != {path: len(content)}:
            raise Refused("it does not list what was written")
    finally:
        await store.delete([path])
    if await store.has(path):
        raise Refused("it does not delete")


@dataclass(frozen=True, slots=True)
class Finished:
    """`duration` in seconds; `damaged`: segments that could not be read."""

    duration: float
    segments: int
    damaged: int


async def finish(store: ObjectStore, asset: str, namespace: str | None = None) -> Finished:
    """Makes a recording whose pod is gone video on demand; may be repeated. Raises `StoreError`, `Refused`."""
    await is_of(store, asset, namespace)
    recording = await read_recording(store, asset)
    if recording is None:
        raise Refused(f"there is no recording {asset}")
    if not recording.ended:
        await finish_recording(store, recording)
    return Finished(recording.duration, len(recording.segments), recording.damaged)


async def delete(store: ObjectStore, asset: str, namespace: str | None = None) -> int:
    """Deletes everything of a recording; how many objects there were. Raises `StoreError`, `Refused`.

    What says whose it is goes last: what is left of one that was interrupted can be deleted again.
    """
    await is_of(store, asset, namespace)
    origin = f"{folder(asset)}origin.json"
    paths = list(await store.sizes(folder(asset)))
    await _in_parallel(store, [path for path in paths if path != origin])
    await store.delete([path for path in paths if path == origin])
    return len(paths)


async def is_of(store: ObjectStore, asset: str, namespace: str | None) -> None:
    """Whether that is a recording, of that namespace if one is given. Raises `StoreError`, `Refused`."""
    if "/" in asset or asset in ("", ".", ".."):
        raise Refused(f"{asset!r} is not the name of a recording")
    if namespace is None:
        return
    origin = await read_origin(store, asset)
    if origin is not None and origin.namespace != namespace:
        raise Refused(f"{asset} is a recording of namespace {origin.namespace}")


async def _in_parallel(store: ObjectStore, paths: Iterable[str]) -> None:
    left = iter(paths)

    async def worker() -> None:
        for path in left:
            await store.delete([path])

    results = await asyncio.gather(*(worker() for _ in range(DELETED_AT_ONCE)), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
