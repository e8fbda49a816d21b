"""A store of immutable objects by path, over obstore.

`file://` today; `s3://`, `gs://` and `az://` are the same calls. obstore's local store writes beside the target and
renames, so a reader never sees half an object, also after a kill; it does not sync to disk. `sync_soon` does
(docs/decisions/004).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, from_url

from onair_media.store.disk import DiskSync

LISTED_AT_ONCE = 1000


class StoreError(Exception):
    """The store did not do what was asked; the message says what it answered, in one line."""


class ObjectStore:
    """Objects below one URL. Every method raises `StoreError` when the store fails.

    `disk`: where the objects are files that are not durable by themselves.
    """

    def __init__(self, store: object, disk: DiskSync | None = None) -> None:
        self._store = store
        self._disk = disk

    async def put(self, path: str, data: bytes) -> None:
        """Writes an object whole, replacing what was there."""
        try:
            await obstore.put_async(self._store, path, data, use_multipart=False)  # type: ignore[arg-type]
        except (BaseError, OSError) as error:
            raise _failure(error) from error

    async def create(self, path: str, data: bytes) -> bool:
        """Writes an object only if there is none; False when there is one."""
        try:
            await obstore.put_async(self._store, path, data, mode="create", use_multipart=False)  # type: ignore[arg-type]
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            raise _failure(error) from error
        return True

    def sync_soon(self, paths: Iterable[str]) -> None:
        """These objects are to outlive a power cut, too. Does not wait for it."""
        if self._disk is not None:
            self._disk.soon(paths)

    async def settled(self) -> None:
        """Returns when that is so for all objects of which it was asked."""
        if self._disk is not None:
            await self._disk.settled()

    async def get(self, path: str) -> bytes | None:
        """An object's bytes; None when there is none."""
        try:
            result = await obstore.get_async(self._store, path)  # type: ignore[arg-type]
            return bytes(await result.bytes_async())
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            raise _failure(error) from error

    async def get_range(self, path: str, start: int, stop: int) -> bytes:
        """Bytes `start` up to `stop`, exclusive."""
        try:
            return bytes(await obstore.get_range_async(self._store, path, start=start, end=stop))  # type: ignore[arg-type]
        except (BaseError, OSError) as error:
            raise _failure(error) from error

    async def has(self, path: str) -> bool:
        """Whether there is such an object."""
        try:
            await obstore.head_async(self._store, path)  # type: ignore[arg-type]
        except (NotFoundError, FileNotFoundError):
            return False
        except (BaseError, OSError) as error:
            raise _failure(error) from error
        return True

    async def sizes(self, prefix: str) -> dict[str, int]:
        """The objects below `prefix`, however deep, in no particular order: path and bytes."""
        found: dict[str, int] = {}
        try:
            async for batch in obstore.list(self._store, prefix=prefix, chunk_size=LISTED_AT_ONCE):  # type: ignore[call-overload]
                found |= {item["path"]: item["size"] for item in batch}
        except (NotFoundError, FileNotFoundError):
            return {}
        except (BaseError, OSError) as error:
            raise _failure(error) from error
        return found

    async def folders(self, prefix: str) -> list[str]:
        """The names right below `prefix` that have something below them; one listing, whatever lies in them."""
        try:
            listing = await obstore.list_with_delimiter_async(self._store, prefix=prefix)  # type: ignore[call-overload]
        except (NotFoundError, FileNotFoundError):
            return []
        except (BaseError, OSError) as error:
            raise _failure(error) from error
        return [path.rstrip("/").rpartition("/")[2] for path in listing["common_prefixes"]]

    async def delete(self, paths: list[str]) -> None:
        """Deletes objects; one that is not there is no error."""
        for path in paths:
            try:
                await obstore.delete_async(self._store, path)  # type: ignore[arg-type]
            except (NotFoundError, FileNotFoundError):
                continue
            except (BaseError, OSError) as error:
                raise _failure(error) from error


def open_store(url: str) -> ObjectStore:
    """The store at a URL (`file:///…`); a local folder is made if need be. Raises `StoreError`."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            folder.mkdir(parents=True, exist_ok=True)
            return ObjectStore(LocalStore(folder), DiskSync(folder))
        return ObjectStore(from_url(url))
    except (BaseError, OSError, ValueError) as error:
        raise _failure(error) from error


def _failure(error: BaseException) -> StoreError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return StoreError(lines[0][:300] if lines else type(error).__name__)
