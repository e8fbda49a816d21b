"""A store of immutable objects by path, over obstore.

`file://` today; `s3://`, `gs://` and `az://` are the same calls. obstore's local store writes beside the target and
renames, so a reader never sees half an object, also after a kill; it does not sync to disk, so what was written in
the last seconds before a power cut may be missing (docs/decisions/004).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, from_url


class StoreError(Exception):
    """The store did not do what was asked; the message says what it answered, in one line."""


class ObjectStore:
    """Objects below one URL. Every method raises `StoreError` when the store fails."""

    def __init__(self, store: object) -> None:
        self._store = store

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

    async def paths(self, prefix: str) -> AsyncIterator[str]:
        """The paths below `prefix`, in no particular order."""
        try:
            async for batch in obstore.list(self._store, prefix=prefix):  # type: ignore[call-overload]
                for item in batch:
                    yield item["path"]
        except NotFoundError:
            return
        except (BaseError, OSError) as error:
            raise _failure(error) from error

    async def delete(self, paths: list[str]) -> None:
        """Deletes objects; one that is not there is no error."""
        try:
            for path in paths:
                await obstore.delete_async(self._store, path)  # type: ignore[arg-type]
        except (NotFoundError, FileNotFoundError):
            pass
        except (BaseError, OSError) as error:
            raise _failure(error) from error


def open_store(url: str) -> ObjectStore:
    """The store at a URL (`file:///…`); a local folder is made if need be. Raises `StoreError`."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            folder.mkdir(parents=True, exist_ok=True)
            return ObjectStore(LocalStore(folder))
        return ObjectStore(from_url(url))
    except (BaseError, OSError, ValueError) as error:
        raise _failure(error) from error


def _failure(error: BaseException) -> StoreError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return StoreError(lines[0][:300] if lines else type(error).__name__)
