"""Whether this machine can run Kubernetes' binaries, and what it lacks."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from kubelab import binaries, cgroups, layout, network, shell

# Command or file → the Debian package that brings it.
NEEDED = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "modprobe": "kmod",
    "sysctl": "procps",
    "nsenter": "util-linux",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
}
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def obstacle(say: Callable[[str], None] = print) -> str | None:
    """Why no cluster can be had here; None when it can. Installs Debian packages where that is possible."""
    return _cheap_obstacle() or _missing_packages(say) or _kernel_obstacle()


def _cheap_obstacle() -> str | None:
    if sys.platform != "linux":
        return "Kubernetes' nodes run on Linux"
    if os.geteuid() != 0:
        return "nodes need root (or Docker or Podman, for kind)"
    if shutil.which("go") is None and not all(
        (layout.cache() / "bin" / recipe.key() / name).exists()
        for recipe in binaries.recipes()
        for name in recipe.packages
    ):
        return "Kubernetes is built with Go, which is not installed"
    return None


def _missing_packages(say: Callable[[str], None]) -> str | None:
    def missing() -> list[str]:
        return [package for thing, package in NEEDED.items() if not shutil.which(thing)]

    if wanted := missing():
        say(f"installing {' '.join(wanted)} …")
        try:
            shell.run(layout.PROJECT / "tools" / "apt.sh", *wanted)
        except shell.CommandFailed as error:
            return f"missing: {' '.join(missing())} ({error})"
    return f"missing: {' '.join(still)}" if (still := missing()) else None


def _kernel_obstacle() -> str | None:
    if not shell.succeeds("unshare", "--net", "--mount", "true"):
        return "this container may not make namespaces"
    if not cgroups.Tree.of_this_machine(layout.CGROUP).hierarchies:
        return "no cgroups are mounted"
    if not os.access("/sys/fs/cgroup", os.W_OK):
        return "cgroups are read-only here"
    if "overlay" not in Path("/proc/filesystems").read_text(encoding="ascii"):
        shell.succeeds("modprobe", "overlay")
        if "overlay" not in Path("/proc/filesystems").read_text(encoding="ascii"):
            return "this kernel has no overlayfs"
    if not BRIDGE_FILTER.exists() and not (shell.succeeds("modprobe", "br_netfilter") and BRIDGE_FILTER.exists()):
        return "this kernel does not filter on bridges (br_netfilter)"
    if network.is_proxied() and not layout.STATE.exists():
        return "this machine is a node of another cluster (kube-proxy's rules are there)"
    return None
