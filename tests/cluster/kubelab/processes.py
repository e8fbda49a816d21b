"""Processes that outlive the one that started them, and how a later run knows them again.

A process id alone is soon somebody else's. Together with the time at which it began (ticks since this boot) and the boot
it belongs to, it is one process for ever.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process of one boot of the machine."""

    name: str
    pid: int
    began: int
    boot: str

    @classmethod
    def of(cls, name: str, pid: int) -> Process:
        return cls(name, pid, _began(pid) or 0, boot())

    def lives(self) -> bool:
        return self.boot == boot() and _began(self.pid) == self.began


def boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _began(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None when there is no such process, or only its exit status is left."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and parentheses
    return None if state in "ZX" else int(fields[18])


def spawn(name: str, command: Sequence[str | Path], log: Path) -> Process:
    """Starts it in a session of its own, so that Ctrl-C in the terminal is not for it."""
    with log.open("ab") as out:
        started = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    return Process.of(name, started.pid)


def end(process: Process, patience: float = 5.0) -> None:
    """Asks it to end, and insists when it does not. A process that is not the recorded one is left alone."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)  # from here on the id means this process, whatever happens
        try:
            if not process.lives():
                return
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not _ended(handle, patience):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                _ended(handle, patience)
        finally:
            os.close(handle)
            reap(process)


def reap(process: Process) -> None:
    """Takes the exit status of a process that has ended, if it is a child of this one."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _ended(handle: int, patience: float) -> bool:
    return bool(select.select([handle], [], [], patience)[0])
