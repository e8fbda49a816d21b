"""Images without Docker: the pause image, and the project's own from its Dockerfile (debootstrap, pip, buildah)."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kubelab import binaries, layout, mounts, oci, shell
from kubelab.node import PAUSE_IMAGE

SUITE = "bookworm"
PYTHON = "3.11"  # the suite's
BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")
EXTRAS = "media,operator"
BUILD_BACKEND = "hatchling>=1.27"
KEPT = 3  # archives of each kind


@dataclass(frozen=True)
class Image:
    """Something that `ctr images import` and `kind load image-archive` take."""

    reference: str
    archive: Path


def pause(say: Callable[[str], None] = print) -> Image:
    """Of the container that holds a pod's namespaces."""
    binary = binaries.path("pause", say)

    def build(work: Path, archive: Path) -> None:
        root = work / "root"
        root.mkdir()
        shutil.copy2(binary, root)
        oci.pack(root, PAUSE_IMAGE, archive, ["/pause"])

    return Image(PAUSE_IMAGE, _cached(f"pause-{binary.parent.name}", build))


def onair(say: Callable[[str], None] = print) -> Image:
    """Of the project, as its files are now."""
    base = _base(say)
    key = project_key(base.reference)
    reference = f"localhost/onair-test/onair:{key}"

    def build(work: Path, archive: Path) -> None:
        say("building the project's image …")
        began = time.monotonic()
        _build(base, reference, work, archive)
        say(f"built the project's image in {time.monotonic() - began:.0f} s")

    return Image(reference, _cached(f"onair-{key}", build))


def context_paths(dockerignore: str) -> list[str]:
    """What the Dockerfile may see: .dockerignore shuts everything out (`*`) and lets some in (`!path`)."""
    lines = [line.strip() for line in dockerignore.splitlines()]
    if "*" not in lines:
        raise ValueError(".dockerignore does not begin by ignoring everything")
    return [line[1:] for line in lines if line.startswith("!")]


def project_key(*more: str) -> str:
    """Another key, another image: the Dockerfile and all that it sees, and what the caller adds."""
    return _digest(*more, *(f"{path.relative_to(layout.PROJECT)}\n{_content(path)}" for path in _sources()))


def _sources() -> Iterator[Path]:
    yield layout.PROJECT / "Dockerfile"
    for name in context_paths((layout.PROJECT / ".dockerignore").read_text(encoding="utf-8")):
        path = layout.PROJECT / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _base(say: Callable[[str], None]) -> Image:
    """Debian with Python: stands in for the registry's image that the Dockerfile names."""
    key = _digest(SUITE, *BASE_PACKAGES, platform.machine())
    reference = f"localhost/onair-test/base:{key}"

    def build(work: Path, archive: Path) -> None:
        say("making a base image …")
        root = work / "root"
        shell.run("debootstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}", SUITE, root)
        for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(root / waste, ignore_errors=True)
        oci.pack(root, reference, archive)

    return Image(reference, _cached(f"base-{key}", build))


def _wheels() -> Path:
    """A folder with all packages that the image needs, from wherever this machine's pip gets them."""
    folder = layout.cache() / "wheels"
    platforms = [f"manylinux_2_{minor}_{platform.machine()}" for minor in (36, 34, 28, 17)]
    platforms.append(f"manylinux2014_{platform.machine()}")
    folder.mkdir(parents=True, exist_ok=True)
    download: list[str | Path] = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", folder),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"),
        *(f"--platform={name}" for name in platforms),
        *(f"{layout.PROJECT}[{EXTRAS}]", BUILD_BACKEND),
    ]
    try:
        shell.run(*download)
    except shell.CommandFailed:
        if not any(folder.iterdir()):
            raise  # otherwise off the net, perhaps: what was fetched before may do
    return folder


def _build(base: Image, reference: str, work: Path, archive: Path) -> None:
    wheels = _wheels()
    storage = ("--root", str(work / "storage"), "--runroot", str(work / "run"), "--storage-driver", "overlay")
    buildah = ("buildah", *storage)
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}  # no namespaces, no runtime: works in a container
    shell.run(*buildah, "pull", "--quiet", f"oci-archive:{base.archive}", env=environment)
    shell.run(
        *(*buildah, "build", "--quiet", "--pull-never", "--tag", reference),
        *("--build-arg", f"BASE={base.reference}"),
        *("--build-context", f"wheels={wheels}", "--build-arg", "PIP_NO_INDEX=1"),
        layout.PROJECT,
        env=environment,
    )
    shell.run(*buildah, "push", "--quiet", reference, f"oci-archive:{archive}:{reference}", env=environment)


def _cached(name: str, build: Callable[[Path, Path], None]) -> Path:
    """The archive of that name; when there is none, `build` writes it, with a folder to work in that is removed afterwards."""
    folder = layout.cache() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    archive, work = folder / f"{name}.tar", folder / ".work"
    with (folder / ".lock").open("w") as exclusive:  # two runs may want it at once
        fcntl.flock(exclusive, fcntl.LOCK_EX)
        if not archive.exists():
            mounts.remove(work)  # of a build that was killed
            work.mkdir()
            try:
                build(work, work / "archive.tar")
                (work / "archive.tar").rename(archive)
            finally:
                mounts.remove(work)
            kind = name.split("-")[0]
            for older in sorted(folder.glob(f"{kind}-*.tar"), key=lambda file: file.stat().st_mtime)[:-KEPT]:
                older.unlink()
    return archive


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
