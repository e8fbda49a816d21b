"""The cluster that tests get: the best that can be had here."""

from __future__ import annotations

import contextlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kubelab import binaries, control_plane, host, image, kind, machine, network
from kubelab.addresses import NODES, SECOND
from kubelab.kind import Kind
from kubelab.kubectl import Kubectl
from kubelab.machine import Machine
from kubelab.site import MACHINE

Say = Callable[[str], None]

KUBECONFIG_VARIABLE = "ONAIR_TEST_KUBECONFIG"
IMAGE_VARIABLE = "ONAIR_TEST_IMAGE"
PATIENCE_SECONDS = 900.0  # for another run on this machine


class Unavailable(Exception):
    """No cluster can be had here; the message says why."""


class Unsupported(Exception):
    """This kind of cluster cannot do that; the message says which can."""


class Cluster(ABC):
    """What tests see of it."""

    kubectl: Kubectl

    @abstractmethod
    def onair_image(self) -> str:
        """Makes the project's image known to the cluster; returns its reference."""

    def next_image(self) -> str:
        """The project's image by another name, for an upgrade to it."""
        raise Unsupported("a second name for an image: only on the machine itself")

    def reaches_services(self) -> bool:
        """Whether the test's own process reaches ClusterIPs and pods."""
        return False

    def requests(self, user: str) -> list[dict[str, Any]]:
        """What that user asked of the API server so far: events of the audit log (audit.k8s.io/v1)."""
        raise Unsupported("an audit log: only on the machine itself")

    def second_node(self) -> str:
        """The name of a Ready node beside the first."""
        raise Unsupported("a second node: only on the machine itself")

    @contextlib.contextmanager
    def partition(self, node: str) -> Iterator[None]:
        """Within, nothing gets to that node or from it."""
        raise Unsupported("a partition: only on the machine itself")
        yield


class Given(Cluster):
    """Somebody's cluster, whose kubeconfig was given."""

    def __init__(self, kubeconfig: Path, say: Say) -> None:
        self.kubectl = Kubectl(_kubectl(say), kubeconfig)

    def onair_image(self) -> str:
        if reference := os.environ.get(IMAGE_VARIABLE):
            return reference
        raise Unsupported(f"set {IMAGE_VARIABLE} to an image of this source that the cluster can pull")


class InContainers(Cluster):
    """kind's."""

    def __init__(self, cluster: Kind, say: Say) -> None:
        self._cluster = cluster
        self.kubectl = Kubectl(_kubectl(say), cluster.kubeconfig)

    def onair_image(self) -> str:
        return self._cluster.image().reference


class OnTheMachine(Cluster):
    """Kubernetes' binaries on this machine."""

    def __init__(self, its: Machine, say: Say) -> None:
        self._machine, self._say = its, say
        self.kubectl = its.kubectl

    def onair_image(self) -> str:
        built = image.onair(self._say)
        record = self._machine.record
        if record is None or built.archive not in record.images:
            self._machine.load(built.archive)
        return built.reference

    def next_image(self) -> str:
        reference = self.onair_image()
        self._machine.tag(reference, f"{reference}-next")
        return f"{reference}-next"

    def reaches_services(self) -> bool:
        return True

    def requests(self, user: str) -> list[dict[str, Any]]:
        return control_plane.requests(MACHINE, user)

    def second_node(self) -> str:
        record = self._machine.record
        if record is None or SECOND.name not in record.nodes:
            self._machine.add_node(SECOND)
        return SECOND.name

    @contextlib.contextmanager
    def partition(self, node: str) -> Iterator[None]:
        if not NODES[node].namespace:
            raise Unsupported("the first node carries the API server")
        network.unplug(NODES[node])
        try:
            yield
        finally:
            network.plug_in(NODES[node])


def is_given() -> bool:
    return bool(os.environ.get(KUBECONFIG_VARIABLE))


def prepare(say: Say) -> None:
    """Installs and builds what a cluster on this machine needs.

    Raises:
        Unavailable: with the reason.
    """
    if reason := host.obstacle(say):
        raise Unavailable(reason)
    try:
        binaries.build_all(say)
    except binaries.NotBuilt as error:
        raise Unavailable(str(error)) from error


def stays(its: Machine) -> bool:
    """Whether `up` made it, and it is whole."""
    return its.record is not None and its.record.owner is None and its.record.stands()


@contextlib.contextmanager
def cluster(say: Say) -> Iterator[Cluster]:
    """For one test run: what it made for itself is gone afterwards, what was there before stays.

    Raises:
        Unavailable: with the reason.
    """
    if is_given():
        yield Given(Path(os.environ[KUBECONFIG_VARIABLE]), say)
        return
    tool = kind.tool()
    if tool:
        with _kind_cluster(tool, say) as found:
            yield found
        return
    prepare(say)
    try:
        with machine.sole(PATIENCE_SECONDS, say):
            its = Machine(say)
            if stays(its):
                yield OnTheMachine(its, say)
                return
            its.up(owner=machine.this_process())
            try:
                yield OnTheMachine(its, say)
            finally:
                its.down()
    except machine.Occupied as error:
        raise Unavailable(str(error)) from error


@contextlib.contextmanager
def _kind_cluster(tool: str, say: Say) -> Iterator[Cluster]:
    staying = Kind(kind.STAYING, tool, say)
    if staying.stands():
        yield InContainers(staying, say)
        return
    passing = Kind(kind.PASSING, tool, say)
    passing.up()
    try:
        yield InContainers(passing, say)
    finally:
        passing.down()


def up(nodes: int, say: Say) -> Path:
    """A cluster that stays, in its place or as it is; returns its kubeconfig."""
    if tool := kind.tool():
        if nodes > 1:
            raise Unsupported("a second node: only on the machine itself")
        staying = Kind(kind.STAYING, tool, say)
        if not staying.stands():
            staying.up()
        return staying.kubeconfig
    prepare(say)
    with machine.sole(PATIENCE_SECONDS, say):
        its = Machine(say)
        if not stays(its):
            its.up(owner=None)
        on_it = OnTheMachine(its, say)
        if nodes > 1:
            on_it.second_node()
        return on_it.kubectl.kubeconfig


def load_image(say: Say) -> str:
    """The project's image, for the cluster that stays."""
    if tool := kind.tool():
        return Kind(kind.STAYING, tool, say).image().reference
    with machine.sole(PATIENCE_SECONDS, say):
        its = Machine(say)
        if not stays(its):
            raise Unavailable("there is no cluster; make one first")
        return OnTheMachine(its, say).onair_image()


def down(say: Say) -> None:
    """Takes down the cluster that stays, and what a killed run left."""
    if tool := kind.tool():
        for name in (kind.STAYING, kind.PASSING):
            Kind(name, tool, say).down()
        return
    if os.geteuid() != 0:
        raise Unavailable("only root can have made a cluster here")
    with machine.sole(PATIENCE_SECONDS, say):
        Machine(say).down()


def _kubectl(say: Say) -> Path:
    """The one of the machine, or the one that is built."""
    found = shutil.which("kubectl")
    return Path(found) if found else binaries.path("kubectl", say)
