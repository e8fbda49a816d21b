"""Fixtures of operator processes; see `operator_process`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from operator_process import INSTALLATION, Channel, Operator, clear, everywhere, path_of

from kubelab.access import Access
from kubelab.nodeless import ControlPlane

Start = Callable[..., Operator]


@pytest.fixture(scope="session")
def account(shared_control_plane: ControlPlane, crds: None) -> Access:
    """That of a cluster-wide installation in `onair-system`."""
    shared_control_plane.namespace(INSTALLATION)
    return everywhere(shared_control_plane, "onair-operator")


@pytest.fixture(scope="module")
def running(
    shared_control_plane: ControlPlane, account: Access, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """One operator for all tests of a module. Of the whole cluster: what other tests have left there is not for it."""
    shared_control_plane.ensure()
    clear(shared_control_plane)
    found = Operator(shared_control_plane, account, tmp_path_factory.mktemp("operator"))
    found.start()
    try:
        yield found.leads()
        assert found.lives and found.stop() == 0
        assert "Traceback" not in found.log
    finally:
        found.kill()


@pytest.fixture
def operator(control_plane: ControlPlane, running: Operator, namespace: str) -> Iterator[Operator]:
    """It works; what the test has declared goes with the test."""
    yield running
    control_plane.api.ask("DELETE", path_of("livestreams", namespace))


@pytest.fixture
def keynote(control_plane: ControlPlane, namespace: str) -> Channel:
    return Channel(control_plane, namespace)


@pytest.fixture
def replicas(control_plane: ControlPlane) -> Iterator[Callable[[Operator], Operator]]:
    """`replicas(operator)` starts one that goes with the test."""
    started: list[Operator] = []

    def start(operator: Operator) -> Operator:
        operator.start()
        started.append(operator)
        return operator

    with contextlib.ExitStack() as stack:
        for each in started:
            stack.callback(each.kill)
        yield start
        for each in started:
            each.kill()
