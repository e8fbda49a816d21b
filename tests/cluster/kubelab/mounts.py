"""Mounts below a folder: what containers, kubelets and image builds may leave behind."""

from __future__ import annotations

import shutil
from pathlib import Path

from kubelab import shell


def share() -> None:
    """What the kubelet mounts must be seen by containerd; in containers / is private."""
    root = next(line for line in Path("/proc/self/mountinfo").read_text().splitlines() if line.split()[4] == "/")
    if " shared:" not in root:
        shell.run("mount", "--make-rshared", "/")


def below(folder: Path, mounts: str) -> list[Path]:
    """Mount points in the text of /proc/self/mounts, in the order in which they were mounted."""
    points = [Path(line.split()[1].replace("\\040", " ")) for line in mounts.splitlines()]
    return [point for point in points if folder in point.parents]


def remove(folder: Path) -> None:
    """Unmounts all below it, and then removes it: never files of what was only mounted there."""
    mounts = Path("/proc/self/mounts")
    for point in reversed(below(folder, mounts.read_text(encoding="utf-8"))):
        shell.succeeds("umount", "--lazy", point)
    if left := below(folder, mounts.read_text(encoding="utf-8")):
        raise OSError(f"cannot unmount {' '.join(map(str, left))}")
    if folder.exists():
        shutil.rmtree(folder)
