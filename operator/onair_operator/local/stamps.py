"""Which version of a file is there, without reading it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from onair_core.manifests import manifest_files

Stamp = tuple[int, int, int, int, int]
Place = tuple[int, int]


def stamp(file: str | Path) -> Stamp | None:
    """Changes with a file's content, also when it is replaced or a symbolic link leads elsewhere; None: not there."""
    try:
        found = os.stat(file)  # noqa: PTH116 - takes both
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def stamps(paths: Iterable[Path], exclude: Collection[Path]) -> dict[str, Stamp | None]:
    """Of all manifest files; of what cannot be read the path alone."""
    found = manifest_files(paths, exclude)
    return {file: stamp(file) for file in found.files} | {file: None for file, _ in found.unreadable}


def places(paths: Iterable[Path]) -> dict[Path, Place | None]:
    """The folders that a watch stands on, by device and inode: a folder that was made anew is another one."""
    found = {}
    for path in paths:
        now = stamp(path)
        found[path] = now[:2] if now else None
    return found
