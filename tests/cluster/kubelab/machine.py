"""A cluster on this machine, from Kubernetes' own binaries: up, a second node, a partition, down."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kubelab import (
    addresses,
    binaries,
    control_plane,
    dns,
    image,
    layout,
    mounts,
    network,
    node,
    processes,
    shell,
    sysctls,
)
from kubelab.addresses import FIRST, SECOND, NodeAddresses
from kubelab.cgroups import COMPONENTS, Tree
from kubelab.kubectl import Kubectl
from kubelab.processes import Process
from kubelab.record import Record
from kubelab.site import MACHINE
from kubelab.waiting import Hopeless, NotYet, until

Say = Callable[[str], None]


class Occupied(Exception):
    """Another run has a cluster on this machine."""


@contextlib.contextmanager
def sole(patience: float, say: Say) -> Iterator[None]:
    """One run at a time: held while a cluster is made, used by tests, or taken down."""
    with layout.LOCK.open("a") as lock:
        deadline = time.monotonic() + patience
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Occupied("another run uses the cluster of this machine") from None
                if not told:
                    say("waiting for another run that uses the cluster of this machine …")
                    told = True
                time.sleep(0.5)
        yield


class Machine:
    """The cluster of this machine. Who calls holds `sole`.

    Args:
        say: told what goes on.
        built: name → binary.
    """

    def __init__(self, say: Say, built: Callable[[str], Path] | None = None) -> None:
        self._say = say
        self._built = built or (lambda name: binaries.path(name, say))
        self._groups = Tree.of_this_machine(layout.CGROUP)
        self._record = Record.load()

    @property
    def record(self) -> Record | None:
        return self._record

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(self._built("kubectl"), MACHINE.kubeconfig)

    def up(self, owner: Process | None) -> None:
        """Ends what an earlier run left, then starts control plane and first node, and waits until they are ready."""
        self.down()
        pause = image.pause(self._say)
        began = time.monotonic()
        for folder in (layout.STATE, MACHINE.logs, layout.SOCKETS):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = self._record = Record(owner, images=[pause.archive], settings=sysctls.current())
        record.save()
        try:
            self._start_all(record)
        except (NotYet, Hopeless, shell.CommandFailed, OSError):
            self._keep_logs()
            self.down()
            raise
        record.complete = True
        record.save()
        self._say(f"the cluster is up after {time.monotonic() - began:.1f} s")

    def _start_all(self, record: Record) -> None:
        control_plane.credentials(MACHINE, addresses.NODES.values())
        mounts.share()
        network.lay(FIRST)
        self._groups.make(COMPONENTS)
        self._start("etcd", control_plane.etcd(self._built, MACHINE))
        api_server = self._start("kube-apiserver", control_plane.api_server(self._built, MACHINE))
        self._start_containerd(FIRST)
        self._await("the API server is ready", lambda: self.kubectl.run("get", "--raw=/readyz"), api_server)
        self._start("kube-controller-manager", control_plane.controller_manager(self._built, MACHINE))
        self._start("kube-scheduler", control_plane.scheduler(self._built, MACHINE))
        coredns = self._start("coredns", dns.coredns(self._built))
        self._join(FIRST)
        self._await("DNS is served", dns.is_ready, coredns)
        self._await("Services are served", network.is_proxied, record.processes[-1])
        self.kubectl.wait("serviceaccount/default", "create")

    def add_node(self, addresses_: NodeAddresses = SECOND) -> None:
        network.lay(addresses_)
        self._start_containerd(addresses_)
        self._join(addresses_)

    def load(self, archive: Path) -> None:
        """Gives an image to every node, and to those that come."""
        record = self._standing()
        for name in record.nodes:
            self._import(addresses.NODES[name], archive)
        record.images.append(archive)
        record.save()

    def tag(self, reference: str, name: str) -> None:
        """Another name for an image, on the nodes that there are."""
        for each in self._standing().nodes:
            shell.run(*node.ctr(addresses.NODES[each]), "images", "tag", "--force", reference, name)

    def down(self) -> None:
        """Ends all that runs and removes all that was made, however far an earlier run came with it."""
        if not (layout.STATE.exists() or self._groups.members()):
            return
        began = time.monotonic()
        record = self._record or Record(None)

        def nothing_runs() -> bool:
            for process in record.processes:
                processes.reap(process)
            members = self._groups.members()
            for pid in members:  # they are in our group, so they are ours
                processes.kill(pid)
            return not members

        until("all processes of the cluster ended", nothing_runs, patience=30)
        for process in record.processes:  # one that never got into its group
            processes.end(process)
        network.clear()
        self._groups.remove()
        sysctls.put_back(record.settings)
        mounts.remove(layout.SOCKETS)
        mounts.remove(layout.STATE)
        self._record = None
        self._say(f"the cluster was taken down in {time.monotonic() - began:.1f} s")

    def _standing(self) -> Record:
        if self._record is None:
            raise Hopeless("there is no cluster")
        return self._record

    def _start(self, name: str, command: list[str | Path]) -> Process:
        record = self._standing()
        started = processes.spawn(name, command, MACHINE.logs / f"{name}.log")
        self._groups.put(COMPONENTS, started.pid)
        record.processes.append(started)
        record.save()
        return started

    def _start_containerd(self, on: NodeAddresses) -> None:
        self._groups.make(on.name)
        containerd = self._start(f"{on.name}.containerd", node.containerd(on))
        self._await(f"containerd of {on.name} answers", lambda: shell.run(*node.ctr(on), "version"), containerd)
        for archive in self._standing().images:
            if archive.exists():  # older images leave the cache
                self._import(on, archive)

    def _join(self, on: NodeAddresses) -> None:
        """Starts what makes a Node of a container runtime."""
        record = self._standing()
        kubelet = self._start(f"{on.name}.kubelet", node.kubelet(on, self._built))
        record.nodes.append(on.name)
        record.save()
        self._start(f"{on.name}.kube-proxy", node.proxy(on, self._built))
        self._await(f"{on.name} is Ready", lambda: self._is_ready(on.name), kubelet)

    def _is_ready(self, name: str) -> bool:
        conditions = self.kubectl.get("node", name)["status"]["conditions"]
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    def _import(self, on: NodeAddresses, archive: Path) -> None:
        shell.run(*node.ctr(on), "images", "import", archive)

    def _await(self, what: str, condition: Callable[[], object], process: Process) -> None:
        processes.until_or_death(what, condition, process, MACHINE.logs / f"{process.name}.log")

    def _keep_logs(self) -> None:
        kept = layout.cache() / "failed-start"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(MACHINE.logs, kept)
        self._say(f"the cluster did not come up; logs: {kept}")


def this_process() -> Process:
    return Process.of("owner", os.getpid())
