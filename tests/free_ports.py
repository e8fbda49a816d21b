"""TCP ports of loopback that nobody uses."""

from __future__ import annotations

import contextlib
import random
import socket

# Below what Linux hands out for connections (from 32768 on), and below NodePorts (from 30000 on): between choosing a
# port here and listening on it, no connection of anybody's can get it.
_FIRST, _LAST = 15_000, 29_999


def free_ports(count: int) -> list[int]:
    """Different ones: all are held until the last one is found."""
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = random.randint(_FIRST, _LAST)
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                ports.append(port)
        return ports
