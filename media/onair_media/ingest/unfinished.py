"""Recordings whose broadcast is over and that are not video on demand yet: remembered by a file for each.

`<asset>.json` below one folder. A file that a full disk did not take, or that is damaged, is made good by looking
through the stores themselves.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger(__name__)


class Unfinished(msgspec.Struct, frozen=True):
    """`store` is a URL."""

    asset: str
    store: str


class UnfinishedFiles:
    """All methods return at once: the files are few and small."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def remember(self, unfinished: Unfinished) -> None:
        """Written whole or not at all; the log says when it could not be."""
        file = self._file(unfinished.asset)
        new = file.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            new.write_bytes(msgspec.json.encode(unfinished))
            new.replace(file)
        except OSError as error:
            log.error("a kill now would delay the recording", asset=unfinished.asset, problem=error.strerror)

    def forget(self, asset: str) -> None:
        try:
            self._file(asset).unlink(missing_ok=True)
        except OSError as error:
            log.error("a finished recording is still noted", asset=asset, problem=error.strerror)

    def read(self) -> tuple[list[Unfinished], set[str]]:
        """What is remembered, and the assets of which a file is there that cannot be read."""
        found, damaged = [], set()
        for file in sorted(self._folder.glob("*.json")):
            try:
                found.append(msgspec.json.decode(file.read_bytes(), type=Unfinished))
            except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("looked for in the stores instead", asset=file.stem, problem=str(error))
                damaged.add(file.stem)
        return found, damaged

    def _file(self, asset: str) -> Path:
        return self._folder / f"{asset}.json"
