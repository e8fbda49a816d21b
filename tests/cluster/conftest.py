"""A real cluster, a namespace for each test, and what a failing test leaves behind.

Where no cluster can be had the tests skip and say why; with ONAIR_REQUIRE_CLUSTER=1 (CI) they fail instead.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from installation import NAMESPACE, Installation
from kubelab import artifacts, kind, layout, machine, provider
from kubelab.kubectl import Kubectl
from kubelab.provider import Cluster, Unavailable, Unsupported
from kubelab.required import NOT_OF_THIS_KIND

ARTIFACTS = Path(os.environ.get("ONAIR_ARTIFACTS") or layout.PROJECT / ".cache" / "artifacts") / "cluster"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    # A machine has one cluster at a time: what makes and kills clusters comes before the one that the others share.
    here.sort(key=lambda item: item.path.name != "test_cluster_leftovers.py")
    items[:] = [item for item in items if item not in here] + here


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    funcargs = item.funcargs if isinstance(item, pytest.Function) else {}
    if report.failed and isinstance(kubectl := funcargs.get("kubectl"), Kubectl):
        folder = ARTIFACTS / re.sub(r"\W+", "-", item.name)
        artifacts.collect(kubectl, folder)
        artifacts.collect(kubectl.within(NAMESPACE), folder / "operator")
        report.sections.append(("what it left", str(folder)))
    return report


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(provider.cluster(print))
        except Unavailable as reason:
            pytest.skip(f"no cluster: {reason}")
        yield found


@pytest.fixture(scope="session")
def image(cluster: Cluster) -> str:
    """The reference of the project's image, built from its Dockerfile and known to the cluster."""
    return supported(cluster.onair_image)


@pytest.fixture(scope="session")
def next_image(cluster: Cluster, image: str) -> str:
    """Another reference of the same image: an upgrade."""
    return supported(cluster.next_image)


@pytest.fixture(scope="session")
def reaching(cluster: Cluster) -> None:
    """The tests' own encoders and players reach ClusterIPs."""
    if not cluster.reaches_services():
        pytest.skip(f"{NOT_OF_THIS_KIND}: its Services are not reached from here")


@pytest.fixture(scope="session")
def onair(cluster: Cluster, image: str) -> Iterator[Installation]:
    """OnAir, installed by its chart; one for all tests."""
    found = Installation(cluster, image)
    found.install()
    yield found
    found.uninstall()


@pytest.fixture
def volumes(cluster: Cluster, kubectl: Kubectl, reaching: None, tmp_path: Path) -> Iterator[None]:
    """A volume that a claim of the class `by-hand` gets: a folder of the node, which is this machine."""
    folder = tmp_path / "volume"
    folder.mkdir()
    folder.chmod(0o777)  # pods are not root
    name = f"by-hand-{kubectl.namespace}"
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "by-hand",
        "hostPath": {"path": str(folder), "type": "Directory"},
        "persistentVolumeReclaimPolicy": "Retain",
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl.apply(volume)
    yield
    cluster.kubectl.delete(f"persistentvolume/{name}")


@pytest.fixture(scope="session")
def second_node(cluster: Cluster) -> str:
    return supported(cluster.second_node)


@pytest.fixture
def kubectl(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """In a namespace of the test's own, under the restricted Pod Security Standard."""
    name = re.sub(r"\W|_", "-", request.node.name.removeprefix("test_"))[:40].strip("-")
    namespace = f"{name}-{secrets.token_hex(3)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    within = cluster.kubectl.within(namespace)
    within.wait("serviceaccount/default", "create")  # before it is there no pod can be made
    yield within
    cluster.kubectl.delete(f"namespace/{namespace}")


@pytest.fixture(scope="session")
def bare_machine() -> None:
    """A machine that can run Kubernetes' binaries, and has no cluster that someone keeps."""
    if provider.is_given() or kind.tool():
        pytest.skip(f"{NOT_OF_THIS_KIND}: what is killed are processes of this machine")
    try:
        provider.prepare(print)
    except Unavailable as reason:
        pytest.skip(f"no cluster: {reason}")
    with machine.sole(provider.PATIENCE_SECONDS, print):
        if provider.stays(machine.Machine(print)):
            pytest.skip("a cluster that `make cluster-up` made is in its place")


def supported(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except Unsupported as reason:
        pytest.skip(f"{NOT_OF_THIS_KIND}: {reason}")
