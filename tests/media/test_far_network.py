"""The host that tests cut off: what a killed run has left of it is removed, that of a living one is not."""

from __future__ import annotations

import os
import subprocess
import sys

from far_network import FarHost, clean_up


def test_what_a_killed_run_left_is_removed(far: FarHost) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left = FarHost(ended.pid)
    left.set_up()
    running = subprocess.Popen(left.command("sleep", "1000"))
    clean_up()
    running.wait(30)
    there = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split()
    assert left.name not in there
    assert f"onair-test-{os.getpid()}" in there
    left.set_up()  # its names are free
    left.tear_down()
