"""What verbs ask of `onair local`: small files in `requests/`, taken up by the running process or by the next one."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import msgspec


class CompleteRequest(msgspec.Struct, frozen=True, kw_only=True, tag="complete"):
    """End this broadcast of a stream."""

    namespace: str
    name: str
    broadcast: str


Request = CompleteRequest
_decoder = msgspec.json.Decoder(Request)


def submit(folder: Path, request: Request) -> Path:
    """Writes a request; its file disappears when it was taken up."""
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    temporary, file = folder / f".{name}.new", folder / f"{name}.json"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(msgspec.json.encode(request))
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(file)
    return file


def waiting(folder: Path) -> list[tuple[Path, Request | None]]:
    """The requests that wait, the oldest first; None for one that makes no sense."""
    found: list[tuple[Path, Request | None]] = []
    for file in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
        try:
            found.append((file, _decoder.decode(file.read_bytes())))
        except (OSError, msgspec.MsgspecError):
            found.append((file, None))
    return found
