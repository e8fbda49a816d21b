"""A run that was killed leaves processes, mounts, interfaces and groups; the next one ends them and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kubelab import layout, machine, node
from kubelab.addresses import FIRST
from kubelab.cgroups import Tree
from kubelab.record import Record
from kubelab.waiting import until

pytestmark = pytest.mark.usefixtures("bare_machine")

RUN = """
import sys
from kubelab import provider
from kubelab.node import PAUSE_IMAGE
with provider.cluster(lambda line: None) as cluster:
    cluster.kubectl.run("run", "left", "--image", PAUSE_IMAGE)
    cluster.kubectl.wait("pod/left", "Ready")
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run() -> subprocess.Popen[str]:
    """A test run in a process of its own, which has a cluster and a pod in it."""
    here = Path(__file__).parent
    return subprocess.Popen(
        [sys.executable, "-c", RUN], cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_killed_run_is_cleaned_up(run: subprocess.Popen[str]) -> None:
    assert run.stdout and run.stdout.readline() == "up\n"
    kill(run)
    record = left()
    assert record.complete and record.owner and not record.owner.lives() and record.stands()
    shims = Tree.of_this_machine(layout.CGROUP).members() - {process.pid for process in record.processes}
    assert len(shims) >= 2, "containers should have outlived the run"
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        clean()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
    assert not any(process.lives() for process in record.processes)
    nothing_is_left()


def test_a_run_that_was_killed_while_it_started_is_cleaned_up(run: subprocess.Popen[str]) -> None:
    until("the first processes are there", lambda: (found := Record.load()) and len(found.processes) >= 3)
    kill(run)
    record = left()
    assert not record.complete
    clean()
    assert not any(process.lives() for process in record.processes)
    nothing_is_left()


def kill(run: subprocess.Popen[str]) -> None:
    run.send_signal(signal.SIGKILL)
    run.communicate()


def left() -> Record:
    record = Record.load()
    assert record
    return record


def clean() -> None:
    with machine.sole(5, print):
        machine.Machine(print).down()


def nothing_is_left() -> None:
    assert not layout.STATE.exists() and not layout.SOCKETS.exists()
    assert str(layout.STATE) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert not Path("/sys/class/net", FIRST.bridge).exists()
    assert not node.socket(FIRST).exists()
    assert not Tree.of_this_machine(layout.CGROUP).members()
