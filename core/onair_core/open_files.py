"""How many files, and with them connections, this process may open."""

from __future__ import annotations

import resource

MAX_FILES = 65_536
"""Beyond it connections are not what a process runs short of."""


def allow_open_files() -> int:
    """Raises the soft limit as far as the hard one lets it, up to `MAX_FILES`; what then holds, at most `MAX_FILES`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < ceiling:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
        soft = ceiling
    return MAX_FILES if soft == resource.RLIM_INFINITY else min(soft, MAX_FILES)
