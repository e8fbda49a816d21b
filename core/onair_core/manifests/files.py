"""Which files hold manifests: those named, and all `*.yaml`, `*.yml` and `*.json` below folders that are named."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

STANDARD_INPUT = "-"
SUFFIXES = (".yaml", ".yml", ".json")
LEADS_NOWHERE = "the symbolic link leads nowhere"


@dataclass(slots=True)
class ManifestFiles:
    """`files` as they are shown to people, in order. `unreadable`: (path, why), files or folders whose content is
    unknown now. `empty`: folders that were named and hold no manifests."""

    files: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def manifest_files(paths: Iterable[str | Path], exclude: Collection[Path] = ()) -> ManifestFiles:
    """`exclude`: resolved folders that are not entered. Hidden files and folders are left out, too."""
    found = ManifestFiles()
    for path in paths:
        text = str(path)
        if text == STANDARD_INPUT or Path(path).is_file():
            found.files.append(text)
        elif Path(path).is_dir():
            before = len(found.files) + len(found.unreadable)
            _walk(Path(path), frozenset(exclude), found)
            if len(found.files) + len(found.unreadable) == before:
                found.empty.append(text)
        elif Path(path).exists():
            found.files.append(text)  # a pipe, as the shell's <(…) makes it
        else:
            found.unreadable.append((text, LEADS_NOWHERE if _leads_nowhere(Path(path)) else "no such file or folder"))
    return found


def _walk(root: Path, exclude: frozenset[Path], found: ManifestFiles) -> None:
    def note(error: OSError) -> None:
        found.unreadable.append((str(error.filename), f"cannot be read: {error.strerror}"))

    files: list[Path] = []
    for folder, below, names in os.walk(root, onerror=note):
        here = Path(folder)
        entered = (name for name in below if not _hidden(name))
        below[:] = [name for name in entered if not exclude or (here / name).resolve() not in exclude]
        files += [here / name for name in names if not _hidden(name) and Path(name).suffix in SUFFIXES]
    found.files += sorted(str(file) for file in files if file.is_file())
    found.unreadable += sorted((str(file), LEADS_NOWHERE) for file in files if _leads_nowhere(file))


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _hidden(name: str) -> bool:
    return name.startswith(".")
