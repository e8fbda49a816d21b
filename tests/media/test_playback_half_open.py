"""A viewer's network goes away in the middle of a segment: nothing is kept for it, by the process or by the kernel."""

from __future__ import annotations

import asyncio
import sys

from test_playback_attacks import Site

from far_network import FarHost
from onair_media.playback import Limits

# Takes what comes, slowly, so that much is on the way whenever the cable is cut.
VIEWER = """
import socket, sys, time
viewer = socket.create_connection((sys.argv[1], int(sys.argv[2])))
viewer.sendall(b"GET /in-memory/a/1/video/0.m4s HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
while viewer.recv(65536):
    print("reads", flush=True)
    time.sleep(0.02)
"""


async def test_a_viewer_whose_network_is_gone_holds_nothing(far: FarHost) -> None:
    async with Site(Limits(idle_seconds=2)) as site:
        port = await site.server.listen(far.near, 0)
        there = far.command(sys.executable, "-c", VIEWER, far.near, str(port))
        viewer = await asyncio.create_subprocess_exec(*there, stdout=asyncio.subprocess.PIPE)
        try:
            assert viewer.stdout is not None
            await viewer.stdout.readline()
            assert (site.server.connections, far.held_sockets()) == (1, 1)
            far.cut()
            await site.until(lambda: site.server.connections == 0)
            await site.until(lambda: far.held_sockets() == 0)
        finally:
            viewer.kill()
            await viewer.communicate()
