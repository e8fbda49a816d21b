"""All stores of this process, by URL: opened once, with the credentials that hold now."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import structlog

from onair_core.contract import StoreSettings
from onair_media.store.objects import ObjectStore, StoreError, open_store
from onair_media.store.spool import SpooledStore

log = structlog.get_logger(__name__)

Credentials = Callable[[str], Mapping[str, str]]
"""What opens the store at a URL, by obstore's names; nothing: what the environment or the machine's identity gives."""


class Stores:
    """`spool`: where what is on the way to object stores lies. Settings of a URL are those that were told last."""

    def __init__(self, spool: Path, credentials: Credentials = lambda _url: {}) -> None:
        self._spool = spool
        self._credentials = credentials
        self._settings: dict[str, StoreSettings] = {}
        self._open: dict[str, ObjectStore] = {}
        self._opened_with: dict[str, object] = {}

    def know(self, settings: StoreSettings) -> None:
        """What `get` needs besides the URL. A store that is open goes on with it."""
        if self._settings.get(settings.url) != settings:
            self._settings[settings.url] = settings
            self.refresh()

    def get(self, url: str) -> ObjectStore:
        """The store at a URL. Raises `StoreError`."""
        store = self._open.get(url)
        if store is None:
            settings, credentials = self._known(url)
            store = self._open[url] = self._opened(settings, credentials)
            self._opened_with[url] = settings, credentials
        return store

    def check(self, url: str) -> None:
        """Whether there could be such a store: that it is understood, and of a folder that it can be made. Raises
        `StoreError`.
        """
        _remote(*self._known(url))

    def refresh(self) -> None:
        """Credentials may have been renewed."""
        for url, store in self._open.items():
            settings, credentials = self._known(url)
            if self._opened_with[url] == (settings, credentials):
                continue
            try:
                store.reopen(_remote(settings, credentials))
            except StoreError as error:
                log.error("a store goes on with the credentials that it has", store=url, problem=str(error))
            self._opened_with[url] = settings, credentials

    @property
    def waiting_bytes(self) -> int:
        """On this machine's disk, on the way to stores."""
        return sum(store.waiting_bytes for store in self._open.values() if isinstance(store, SpooledStore))

    async def settled(self, seconds: float) -> None:
        """Returns when everything has arrived, or so many seconds have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(store.settled() for store in self._open.values()))

    def close(self) -> None:
        for store in self._open.values():
            store.close()

    def _known(self, url: str) -> tuple[StoreSettings, Mapping[str, str]]:
        return self._settings.get(url) or StoreSettings(url=url), self._credentials(url)

    def _opened(self, settings: StoreSettings, credentials: Mapping[str, str]) -> ObjectStore:
        remote = _remote(settings, credentials)
        if settings.url.startswith("file:"):
            return remote
        folder = self._spool / sha256(settings.url.encode()).hexdigest()[:16]
        try:
            return SpooledStore(remote, folder, settings.spool_bytes)
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}") from error


def _remote(settings: StoreSettings, credentials: Mapping[str, str]) -> ObjectStore:
    return open_store(settings.url, endpoint=settings.endpoint, region=settings.region, credentials=credentials)


def mounted_credentials(folder: Path) -> Mapping[str, str]:
    """A Secret as Kubernetes mounts it: a file for each key. One that is not there, or not readable, is none."""
    found = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not file.name.startswith(".") and file.is_file():
            try:
                found[file.name] = file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                log.error("a credential cannot be read", file=file.name, problem=str(error))
    return found
