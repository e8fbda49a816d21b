"""The operator as a process: what it makes of a LiveStream, and of what others do to that."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from operator_process import CHILDREN, Channel, Operator, merge, path_of

from kubelab.nodeless import ControlPlane
from kubelab.waiting import until

pytestmark = [pytest.mark.usefixtures("nodes")]


def test_a_livestream_gets_its_children_and_is_ready(operator: Operator, keynote: Channel) -> None:
    made = keynote.declare(title="Opening keynote")
    keynote.ready()
    pod = keynote.pod()
    suffix = pod["metadata"]["labels"]["onair.dev/incarnation"]
    there = keynote.children()
    assert set(there) == {
        "networkpolicies/keynote-ingest",
        f"pods/keynote-{suffix}",
        f"secrets/keynote-{suffix}",
        "secrets/keynote-stream-key",
        "services/keynote-ingest",
    }
    for child in there.values():
        (owner,) = child["metadata"]["ownerReferences"]
        assert owner["uid"] == made["metadata"]["uid"] and owner["controller"] and owner["blockOwnerDeletion"]
        assert child["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "onair"
    assert there["services/keynote-ingest"]["spec"]["selector"]["onair.dev/incarnation"] == suffix
    assert pod["spec"]["containers"][0]["image"] == "registry.example.com/onair:test"

    status = keynote.status
    assert status["phase"] == "Idle" and not status["connected"] and status["incarnation"] == 1
    assert keynote.condition("Reconciling") == ("False", "Settled") == keynote.condition("Stalled")
    assert keynote.condition("UpdatePending") == ("False", "UpToDate")
    key = base64.b64decode(there["secrets/keynote-stream-key"]["data"]["streamKey"]).decode()
    assert key not in str(status) and key not in operator.log and key not in str(pod)
    assert "finalizers" not in keynote.object["metadata"] and "annotations" not in keynote.object["metadata"]


def test_a_create_costs_few_writes_and_nothing_afterwards(
    operator: Operator, keynote: Channel, namespace: str
) -> None:
    keynote.declare()
    keynote.ready()
    operator.rests()
    before = operator.writes(namespace)
    assert len(before) <= 8, before
    assert all(code < 300 for *_, code in before)
    count = operator.reconciles()
    keynote.touch()
    operator.until("it is reconciled again", lambda: operator.reconciles() > count)
    operator.rests()
    assert operator.writes(namespace) == before
