"""Operator processes that come and go: who leads, how one ends, what each does without an API server or a root secret."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from operator_process import CLASSES, Channel, Operator, rules

from kubelab.access import Access
from kubelab.nodeless import ControlPlane

pytestmark = [pytest.mark.usefixtures("crds")]
Run = Callable[..., Operator]
LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/onair-operator"


@pytest.fixture
def installation(control_plane: ControlPlane) -> str:
    """A namespace for operators of one test, which watch nothing but the test's own."""
    return control_plane.namespace("installation", unique=True)


@pytest.fixture
def run(control_plane: ControlPlane, installation: str, namespace: str, tmp_path: Path) -> Iterator[Run]:
    """Starts a replica of that name: with an account of its own, whose rights are those of a namespaced installation."""
    granted: dict[str, Access] = {}
    started: list[Operator] = []

    def start(name: str = "a") -> Operator:
        if name not in granted:
            granted[name] = _account(control_plane, name, installation, namespace)
        options = (f"--watch-namespace={namespace}", "--no-class-status")
        found = Operator(control_plane, granted[name], tmp_path, *options, installation=installation)
        found.start()
        started.append(found)
        return found

    yield start
    for each in started:
        each.kill()


def _account(plane: ControlPlane, name: str, installation: str, namespace: str) -> Access:
    own = rules("onair.installationRules", namespaced=True)
    access = plane.access(name, installation, rules=own, cluster_rules=[CLASSES])
    role = {"metadata": {"name": name}, "rules": rules("onair.rules")}
    folder = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    plane.api.create(f"{folder}/roles", role)
    subject = {"kind": "ServiceAccount", "name": name, "namespace": installation}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    plane.api.create(
        f"{folder}/rolebindings", {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
    )
    return access


def reconciled(channel: Channel) -> bool:
    return channel.condition("Ready") != ("", "")


# Who leads.


def test_one_leads_and_the_next_takes_over(
    control_plane: ControlPlane, run: Run, keynote: Channel, installation: str
) -> None:
    first = run("a").leads()
    second = run("b")
    second.until("it waits", lambda: "waiting to lead" in second.log)
    assert second.get("/healthz")[0] == second.get("/readyz")[0] == 200
    assert (first.metric("onair_operator_leading"), second.metric("onair_operator_leading")) == (1, 0)
    keynote.declare()
    first.until("it is worked on", lambda: reconciled(keynote))
    first.rests()
    assert first.writes() and not second.writes()

    asked = time.monotonic()
    assert first.stop() == 0
    second.leads()
    assert time.monotonic() - asked < 10, "the lease was given back: nobody had to wait for its end"
    lease = control_plane.api.get(LEASE.format(installation))["spec"]
    assert lease["leaseTransitions"] == 1

    first = run("a")
    second.kill()
    killed = time.monotonic()
    Channel(control_plane, keynote.namespace, "other").declare()
    first.leads()
    took = time.monotonic() - killed
    assert took < lease["leaseDurationSeconds"] + 8
    first.until("the other is worked on", lambda: reconciled(Channel(control_plane, keynote.namespace, "other")))
    writers = [user for user, _ in written(control_plane, installation, keynote.namespace)]
    assert writers == sorted(writers, key=[*dict.fromkeys(writers)].index) or writers.count("a") > 1
    assert not overlapping(control_plane, installation, keynote.namespace)


def written(plane: ControlPlane, installation: str, namespace: str) -> list[tuple[str, str]]:
    """Who wrote, and when, in order."""
    found = [
        (event["stageTimestamp"], name)
        for name in "ab"
        for event in plane.requests(f"system:serviceaccount:{installation}:{name}")
        if event["verb"] in ("create", "patch", "delete") and event["objectRef"].get("namespace") == namespace
    ]
    return [(name, when) for when, name in sorted(found)]
