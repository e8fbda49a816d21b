"""The control groups of a cluster: components in one, the pods of each node in another, all below one name.

Whatever was started by what we started is in there, also when its parent is gone: that is how the containers of a killed
run are found, without looking at names. Both versions of cgroups are served.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kubelab.waiting import until

COMPONENTS = "components"


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup file system: one of several with version 1, the only one with version 2."""

    mount: Path
    version: int
    controllers: frozenset[str] = frozenset()


def hierarchies(mounts: str) -> list[Hierarchy]:
    """From the text of /proc/mounts."""
    found = []
    for line in mounts.splitlines():
        _, mount, kind, options = line.split()[:4]
        if kind == "cgroup":
            found.append(Hierarchy(Path(mount), 1, frozenset(options.split(","))))
        elif kind == "cgroup2":
            found.append(Hierarchy(Path(mount), 2))
    return found


@dataclass(frozen=True)
class Tree:
    """The groups below one name, in every hierarchy."""

    name: str
    hierarchies: tuple[Hierarchy, ...]

    @classmethod
    def of_this_machine(cls, name: str) -> Tree:
        return cls(name, tuple(hierarchies(Path("/proc/mounts").read_text(encoding="utf-8"))))

    def make(self, child: str) -> None:
        for hierarchy in self.hierarchies:
            parents = (hierarchy.mount, hierarchy.mount / self.name)
            group = parents[1] / child
            group.mkdir(parents=True, exist_ok=True)
            if "cpuset" in hierarchy.controllers:  # version 1: empty until it is filled, and then nothing can run in it
                for parent, made in ((parents[0], parents[1]), (parents[1], group)):
                    for file in ("cpuset.cpus", "cpuset.mems"):
                        (made / file).write_text((parent / file).read_text())
            if hierarchy.version == 2 and child != COMPONENTS:  # what holds processes gives its children no controllers
                for parent in (*parents, group):
                    for controller in (parent / "cgroup.controllers").read_text().split():
                        with contextlib.suppress(OSError):  # not every controller can be had below
                            (parent / "cgroup.subtree_control").write_text(f"+{controller}")

    def put(self, child: str, pid: int) -> None:
        for hierarchy in self.hierarchies:
            with contextlib.suppress(ProcessLookupError):
                (hierarchy.mount / self.name / child / "cgroup.procs").write_text(str(pid))

    def members(self) -> set[int]:
        """Process ids in any of the groups."""
        found: set[int] = set()
        for hierarchy in self.hierarchies:
            for file in (hierarchy.mount / self.name).rglob("cgroup.procs"):
                with contextlib.suppress(OSError):
                    found |= {int(pid) for pid in file.read_text().split()}
        return found

    def remove(self) -> None:
        """Removes the groups; their processes have been told to end, and go in a moment."""
        for hierarchy in self.hierarchies:
            top = hierarchy.mount / self.name
            until(f"{top} removed", partial(_removed, top), patience=10)


def _removed(top: Path) -> bool:
    for group in sorted(top.rglob("*"), reverse=True):
        if group.is_dir():
            group.rmdir()
    if top.exists():
        top.rmdir()
    return True
