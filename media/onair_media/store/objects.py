"""A store of immutable objects by path, over obstore: `file://`, `s3://`, `gs://` and `az://` are the same calls.

obstore's local store writes beside the target and renames, so a reader never sees half an object, also after a kill; it
does not sync to disk. `sync_soon` does (docs/decisions/004). Others are durable when they answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, from_url

from onair_media.store.disk import DiskSync

LISTED_AT_ONCE = 1000
PART_BYTES = 16 * 1024 * 1024
# Who calls tries again, and can say meanwhile that it does.
_RETRY: Any = {"max_retries": 1, "retry_timeout": timedelta(seconds=10)}
_CLIENT: Any = {"connect_timeout": "5s", "timeout": "60s", "read_timeout": "20s"}


class StoreError(Exception):
    """The store did not do what was asked; the message says what it answered, in one line."""


class Sender(Protocol):
    """Whose objects are on the way to a store that is behind a spool."""

    async def may_send(self) -> bool:
        """Whether they are still wanted. Raises `StoreError` when that cannot be told."""

    def delayed(self, error: StoreError) -> None:
        """They are tried again later."""

    def sent(self) -> None:
        """They have arrived."""


class ObjectStore:
    """Objects below one URL. Every method raises `StoreError` when the store fails.

    `disk`: where the objects are files that are not durable by themselves; `name`: for logs.
    """

    spools = False
    """Whether what is written is on its way for a while, and seen by nobody else until then."""

    def __init__(self, store: object, disk: DiskSync | None = None, *, name: str = "") -> None:
        self._store = store
        self._disk = disk
        self.name = name

    async def put(self, path: str, data: bytes) -> None:
        """Writes an object whole, replacing what was there; a large one in parts, where the store takes parts."""
        in_parts = self._disk is None and len(data) > PART_BYTES
        try:
            await obstore.put_async(self._store, path, data, use_multipart=in_parts, chunk_size=PART_BYTES)  # type: ignore[arg-type]
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

    def sync_soon(self, paths: Iterable[str], sender: Sender | None = None) -> None:
        """These objects are to outlive a power cut, too. Does not wait for it. `sender`: where there is a spool."""
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

    def reopen(self, other: ObjectStore) -> None:
        """Goes on as `other`, of the same URL: with other credentials."""
        self._store = other._store

    def close(self) -> None:
        """Nothing is done in the background any more."""

    async def delete(self, paths: list[str]) -> None:
        """Deletes objects; one that is not there is no error."""
        for path in paths:
            try:
                await obstore.delete_async(self._store, path)  # type: ignore[arg-type]
            except (NotFoundError, FileNotFoundError):
                continue
            except (BaseError, OSError) as error:
                raise _failure(error) from error


def open_store(
    url: str, *, endpoint: str = "", region: str = "", credentials: Mapping[str, str] | None = None
) -> ObjectStore:
    """The store at a URL; a local folder is made if need be. Raises `StoreError`.

    `endpoint`, `region`: of a server that speaks S3 and is not Amazon's. `credentials`: by the names that obstore has
    for them, which are those of the environment (`AWS_ACCESS_KEY_ID` …); without any, what the environment or the
    machine's identity gives.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            folder.mkdir(parents=True, exist_ok=True)
            return ObjectStore(LocalStore(folder), DiskSync(folder), name=url)
        given = {"endpoint": endpoint, "region": region}
        config: Any = {**(credentials or {}), **{name: value for name, value in given.items() if value}}
        client = {**_CLIENT, "allow_http": endpoint.startswith("http://")}
        opened: Any = from_url
        return ObjectStore(opened(url, config=config, client_options=client, retry_config=_RETRY), name=url)
    except (BaseError, OSError, ValueError) as error:
        raise _failure(error) from error


def _failure(error: BaseException) -> StoreError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return StoreError(lines[0][:300] if lines else type(error).__name__)
