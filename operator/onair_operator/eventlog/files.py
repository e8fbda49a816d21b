"""Event logs as files, one a subject: `<uid>.json`, replaced by an atomic rename, safe to read while it is
written. A file that cannot be understood is put aside as `<uid>.damaged`, for people.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from onair_operator.eventlog.model import EventLog
from onair_operator.eventlog.store import Conflict, Versioned

_log = structlog.get_logger(__name__)

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class _File(msgspec.Struct, frozen=True):
    version: int
    log: EventLog


_decoder = msgspec.json.Decoder(_File)


class DamagedLog(ValueError):
    """A file that is no event log of this version of OnAir; the message names it."""


class FileEventLogs:
    """An `EventLogStore` in a directory, which is made (mode 0700) by the first `save`.

    Any process may read. Writers exclude each other by a lock file; the version in the file tells the slower
    of two that it has to read again. Disk work happens in threads: the event loop never waits for fsync.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, uid: str) -> Path:
        """The file of this subject's log, for those who watch it. Raises `ValueError` for what is no UID."""
        if not _UID.fullmatch(uid):
            raise ValueError(f"not a UID that may name a file: {uid!r}")
        return self._directory / f"{uid}.json"

    async def load(self, uid: str) -> Versioned | None:
        """See `EventLogStore`. A damaged log is put aside, and is none from then on."""
        return await asyncio.to_thread(self._load, uid)

    async def save(self, log: EventLog, expected_version: str | None) -> str:
        """See `EventLogStore`."""
        return await asyncio.to_thread(self._save, log, expected_version)

    async def delete(self, uid: str) -> None:
        """See `EventLogStore`."""
        await asyncio.to_thread(self._delete, uid)

    async def lost(self, uid: str) -> bool:
        """See `EventLogStore`."""
        return await asyncio.to_thread(self._damaged(uid).exists)

    async def uids(self) -> list[str]:
        """See `EventLogStore`."""
        return await asyncio.to_thread(self.read_uids)

    def read(self, uid: str) -> Versioned | None:
        """As `load`, without an event loop and without touching anything: for the command line.

        Raises `DamagedLog`.
        """
        path = self.path(uid)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            file = _decoder.decode(content)
        except msgspec.DecodeError as error:
            raise DamagedLog(f"{path} is not an event log of this version of OnAir: {error}") from error
        if file.log.subject.uid != uid:
            raise DamagedLog(f"{path} is the event log of {file.log.subject.uid}")
        return Versioned(file.log, str(file.version))

    def read_uids(self) -> list[str]:
        """As `uids`, without an event loop."""
        return sorted(path.stem for path in self._directory.glob("*.json") if _UID.fullmatch(path.stem))

    def _load(self, uid: str) -> Versioned | None:
        try:
            return self.read(uid)
        except DamagedLog:
            with self._locked():
                return self._read_or_put_aside(uid)

    def _read_or_put_aside(self, uid: str) -> Versioned | None:
        """Under the lock: what another process is just writing is not damaged."""
        try:
            return self.read(uid)
        except DamagedLog as error:
            aside = self._damaged(uid)
            self.path(uid).replace(aside)
            self._sync_directory()
            _log.error("event log is damaged, a new one is begun", problem=str(error), kept_as=str(aside))
            return None

    def _save(self, log: EventLog, expected_version: str | None) -> str:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path(log.subject.uid)
        with self._locked():
            stored = self._read_or_put_aside(log.subject.uid)
            if (stored.version if stored else None) != expected_version:
                raise Conflict(
                    f"{path.name} is at version {stored.version if stored else None}, not {expected_version}"
                )
            # A log that was deleted and made anew starts at 1 again: nobody holds a version across that.
            version = int(stored.version) + 1 if stored else 1
            self._replace(path, msgspec.json.encode(_File(version, log)))
        return str(version)

    def _delete(self, uid: str) -> None:
        path = self.path(uid)
        if path.exists():
            with self._locked():
                path.unlink(missing_ok=True)
                _unfinished(path).unlink(missing_ok=True)
                self._sync_directory()

    def _damaged(self, uid: str) -> Path:
        return self.path(uid).with_suffix(".damaged")

    def _replace(self, path: Path, content: bytes) -> None:
        # One name, as only one writes at a time: what a crash leaves behind is overwritten by the next save.
        unfinished = _unfinished(path)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        self._sync_directory()

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # A descriptor of its own for each write: flock then excludes threads of this process too.
        with (self._directory / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")
