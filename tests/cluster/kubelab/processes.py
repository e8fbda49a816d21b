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
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubelab.waiting import Hopeless, until


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


# Of util-linux. The kernel sends the signal, whatever becomes of us; `--` ends its own options.
BOUND = ("setpriv", "--pdeathsig", "KILL", "--")


def spawn(name: str, command: Sequence[str | Path], log: Path, *, bound: bool = False) -> Process:
    """Starts it in a session of its own, so that Ctrl-C in the terminal is not for it.

    `bound`: it is killed when this process ends, however that ends. To Linux a parent is a thread, so that only the main
    thread may start such a process.
    """
    if bound:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"{name} would be killed when this thread ends: start it in the main thread")
        command = [*BOUND, *command]
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


def shoot(process: Process) -> None:
    """Kills it and waits until it is gone. A process that is not the recorded one is left alone."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            if process.lives():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                _ended(handle, 30.0)
        finally:
            os.close(handle)
            reap(process)


def send(process: Process, number: signal.Signals) -> None:
    """To the recorded process and to no other."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            if process.lives():
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def until_or_death(
    what: str, condition: Callable[[], object], process: Process, log: Path, patience: float = 90.0
) -> None:
    """Waits for the condition; `Hopeless`, with the end of its log, when the process has ended before."""

    def condition_or_death() -> object:
        if not process.lives():
            tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise Hopeless(f"{process.name} has ended, and so never: {what}\n{tail}")
        return condition()

    until(what, condition_or_death, patience)


def reap(process: Process) -> None:
    """Takes the exit status of a process that has ended, if it is a child of this one."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _ended(handle: int, patience: float) -> bool:
    return bool(select.select([handle], [], [], patience)[0])
