"""A host at the other end of a cable that can be cut: a network namespace and a veth pair (iproute2, root).

Packets are then really lost: no FIN, no RST, no error to either side.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_NAME = re.compile(r"onair-test-(\d+)")


class FarHost:
    """`near` is our address on the cable, `address` its own."""

    def __init__(self, owner: int) -> None:
        self.name = f"onair-test-{owner}"
        self._near_link, self._far_link = _link_of(owner), "cable"
        # 198.18.0.0/15 is for tests of networks (RFC 2544); four addresses of it for each process.
        third, fourth = divmod(owner % 16_384 * 4, 256)
        self.near, self.address = f"198.18.{third}.{fourth + 1}", f"198.18.{third}.{fourth + 2}"

    def set_up(self) -> None:
        """Raises `subprocess.CalledProcessError` where the kernel does not have it, or does not let us."""
        _run("ip", "netns", "add", self.name)
        far = ("netns", self.name)
        _run("ip", "link", "add", self._near_link, "type", "veth", "peer", "name", self._far_link, *far)
        _run("ip", "address", "add", f"{self.near}/30", "dev", self._near_link)
        _run("ip", "link", "set", self._near_link, "up")
        self._there("address", "add", f"{self.address}/30", "dev", self._far_link)
        self.mend()

    def command(self, *command: str) -> list[str]:
        """What runs it over there."""
        return ["ip", "netns", "exec", self.name, *command]

    def cut(self) -> None:
        self._there("link", "set", self._far_link, "down")

    def mend(self) -> None:
        self._there("link", "set", self._far_link, "up")

    def held_sockets(self) -> int:
        """TCP connections with it that our kernel holds, those that no process has any more included."""
        peer = int.from_bytes(socket.inet_aton(self.address), "little")
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        return sum(line.split()[2].startswith(f"{peer:08X}:") for line in lines)

    def tear_down(self) -> None:
        """What runs there is killed; what is not there is no error."""
        with contextlib.suppress(subprocess.CalledProcessError):
            for pid in _run("ip", "netns", "pids", self.name).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        for command in (("link", "delete", self._near_link), ("netns", "delete", self.name)):
            with contextlib.suppress(subprocess.CalledProcessError):
                _run("ip", *command)

    def _there(self, *command: str) -> None:
        _run("ip", "-netns", self.name, *command)


def far_host() -> Iterator[FarHost]:
    """One for as long as it is needed; the test is skipped with a plain reason where there can be none."""
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not installed")
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    clean_up()
    host = FarHost(os.getpid())
    try:
        try:
            host.set_up()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespace here: {error.stderr.strip()}")
        yield host
    finally:
        host.tear_down()


def clean_up() -> None:
    """Removes what runs that were killed have left behind; those of processes that live are left alone."""
    with contextlib.suppress(subprocess.CalledProcessError):
        for found in _NAME.finditer(_run("ip", "netns", "list")):
            owner = int(found[1])
            if not Path(f"/proc/{owner}").exists():
                FarHost(owner).tear_down()


def _link_of(owner: int) -> str:
    """At most 15 characters, as Linux has it."""
    return f"onairt{owner}"


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
