"""Where everything lies. A machine has one such cluster at a time, so its places are fixed: the next run finds them."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
MODULES = Path(__file__).resolve().parent / "go"

# One cluster: gone when it is down.
STATE = Path("/var/lib/onair-cluster")
SOCKETS = Path("/run/onair-cluster")  # short: a socket's path has at most 107 bytes
LOCK = Path("/run/onair-cluster.lock")
CGROUP = "onair-cluster"


def cache() -> Path:
    """What was built and may be used again: binaries, images, wheels. Safe to delete."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "onair" / "cluster"
