"""Fixtures on a control plane without nodes: import those you need into a conftest.py.

    control_plane   session: the `ControlPlane`, started once, running when a test begins
    api             the administrator's `onair_core.kube` client
    namespace       one of the test's own; pods in it have to be `restricted`
    kubectl         in that namespace
    crds            session: OnAir's CustomResourceDefinitions are served
    controllers, scheduler, nodes    module: Kubernetes' own controllers, scheduler, one kwok node; for who asks

`shared_control_plane` has to be imported with them; `ready` is no fixture.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator

import pytest
import yaml

from free_ports import free_ports
from kubelab import nodeless
from kubelab.kubectl import Kubectl
from kubelab.nodeless import ControlPlane
from kubelab.provider import Unavailable
from onair_core.kube.client import Client
from onair_core.kube.kubeconfig import Kubeconfig
from onair_core.manifests.crd import crd_folder


@pytest.fixture(scope="session")
def shared_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with contextlib.ExitStack() as stack:
        folder = tmp_path_factory.mktemp("control-plane")
        try:
            found = stack.enter_context(nodeless.running(folder, free_ports(nodeless.PORTS)))
        except Unavailable as reason:
            pytest.skip(f"no API server: {reason}")
        yield found


@pytest.fixture
def control_plane(shared_control_plane: ControlPlane) -> ControlPlane:
    """Whatever the test before did to the API server: now it runs."""
    shared_control_plane.ensure()
    return shared_control_plane


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[Client]:
    async with Client(Kubeconfig((control_plane.kubeconfig,))) as client:
        yield client


@pytest.fixture
def namespace(control_plane: ControlPlane, request: pytest.FixtureRequest) -> str:
    name = re.sub(r"\W|_", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    return control_plane.namespace(re.sub("-+", "-", name), unique=True)


@pytest.fixture
def kubectl(control_plane: ControlPlane, namespace: str) -> Kubectl:
    return control_plane.kubectl.within(namespace)


@pytest.fixture(scope="session")
def crds(shared_control_plane: ControlPlane) -> None:
    files = sorted(crd_folder().glob("*.yaml"))
    shared_control_plane.ensure()
    shared_control_plane.install(*(yaml.safe_load(file.read_text(encoding="utf-8")) for file in files))


@pytest.fixture(scope="module")
def controllers(shared_control_plane: ControlPlane) -> Iterator[None]:
    shared_control_plane.ensure()
    with shared_control_plane.controllers():
        yield


@pytest.fixture(scope="module")
def scheduler(shared_control_plane: ControlPlane, controllers: None) -> Iterator[None]:
    with shared_control_plane.scheduler():
        yield


@pytest.fixture(scope="module")
def nodes(shared_control_plane: ControlPlane, scheduler: None) -> Iterator[list[str]]:
    with shared_control_plane.nodes() as names:
        yield names


async def ready(control_plane: ControlPlane) -> None:
    """Waits for an API server that was spawned; meanwhile the tasks of the test go on."""
    while not await asyncio.to_thread(control_plane.is_ready):
        await asyncio.sleep(0.1)
