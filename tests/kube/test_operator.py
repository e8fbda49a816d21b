"""The operator as a process: what it makes of a LiveStream, and of what others do to that."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from operator_process import Channel, Operator, cls, delete_class, merge, path_of, secret

from kubelab.nodeless import ControlPlane

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
    assert keynote.condition("UpdatePending") == ("False", "NothingPending")
    key = base64.b64decode(there["secrets/keynote-stream-key"]["data"]["streamKey"]).decode()
    assert key not in str(status) and key not in operator.log and key not in str(pod)
    assert "finalizers" not in keynote.object["metadata"] and "annotations" not in keynote.object["metadata"]


def test_a_create_costs_few_writes_and_nothing_afterwards(operator: Operator, keynote: Channel, namespace: str) -> None:
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


def test_a_restart_writes_nothing(operator: Operator, keynote: Channel) -> None:
    keynote.declare()
    keynote.ready()
    operator.rests()
    before = operator.writes()
    assert operator.stop() == 0
    operator.start()
    operator.leads().until("it has looked at it", operator.reconciles)
    operator.rests()
    assert operator.writes()[len(before) :] == []


# What others do.


def test_what_others_change_is_put_right_and_what_they_add_stays(
    control_plane: ControlPlane, operator: Operator, keynote: Channel
) -> None:
    keynote.declare()
    keynote.ready()
    there = keynote.children("services", "secrets", "networkpolicies")
    service, policy = there["services/keynote-ingest"], there["networkpolicies/keynote-ingest"]
    key = there["secrets/keynote-stream-key"]
    annotations = {"metadata": {"annotations": {"example.com/note": "theirs"}}}
    astray = {"spec": {"selector": {"onair.dev/incarnation": "nowhere"}, "externalTrafficPolicy": None}}
    merge(control_plane, path_of("services", keynote.namespace, "keynote-ingest"), {**annotations, **astray})
    wide_open = {**annotations, "spec": {"ingress": [{}]}}
    merge(control_plane, path_of("networkpolicies", keynote.namespace, "keynote-ingest"), wide_open)
    wrong_key = {**annotations, "data": {"streamKey": "eHh4", "more": "eHh4"}}
    merge(control_plane, path_of("secrets", keynote.namespace, "keynote-stream-key"), wrong_key)

    def healed() -> bool:
        now = keynote.children("services", "secrets", "networkpolicies")
        return (
            now["services/keynote-ingest"]["spec"]["selector"] == service["spec"]["selector"]
            and now["networkpolicies/keynote-ingest"]["spec"] == policy["spec"]
            and now["secrets/keynote-stream-key"]["data"] == {**key["data"], "more": "eHh4"}
        )

    operator.until("all is as it was", healed)
    for child in ("services/keynote-ingest", "networkpolicies/keynote-ingest", "secrets/keynote-stream-key"):
        assert keynote.children()[child]["metadata"]["annotations"]["example.com/note"] == "theirs"
    operator.rests()
    assert keynote.pod()["metadata"]["annotations"]["onair.dev/incarnation-number"] == "1"


def test_what_was_changed_while_nobody_looked_is_put_right(
    control_plane: ControlPlane, operator: Operator, keynote: Channel
) -> None:
    keynote.declare()
    keynote.ready()
    selector = keynote.child("services", "keynote-ingest")["spec"]["selector"]
    assert operator.stop() == 0
    astray = {"spec": {"selector": {"onair.dev/incarnation": "nowhere"}}}
    merge(control_plane, path_of("services", keynote.namespace, "keynote-ingest"), astray)
    operator.start()
    operator.leads()
    operator.until(
        "the Service is put right", lambda: keynote.child("services", "keynote-ingest")["spec"]["selector"] == selector
    )


@pytest.mark.parametrize("plural", ["services", "networkpolicies", "secrets"])
def test_a_child_that_somebody_deletes_is_made_again(
    control_plane: ControlPlane, operator: Operator, keynote: Channel, plural: str
) -> None:
    keynote.declare()
    keynote.ready()
    name, child = next(iter(keynote.children(plural).items()))
    control_plane.api.ask("DELETE", path_of(plural, keynote.namespace, name.partition("/")[2]))
    uid = child["metadata"]["uid"]
    operator.until("it is another", lambda: keynote.children(plural)[name]["metadata"]["uid"] != uid)


def test_a_pod_that_somebody_deletes_has_a_successor(
    control_plane: ControlPlane, operator: Operator, keynote: Channel
) -> None:
    keynote.declare()
    keynote.ready()
    first = keynote.pod()["metadata"]["name"]
    control_plane.api.ask("DELETE", path_of("pods", keynote.namespace, first))
    operator.until("another is there", lambda: keynote.pod()["metadata"]["name"] != first)
    keynote.ready()
    operator.until("the first one's Secret is gone", lambda: f"secrets/{first}" not in keynote.children("secrets"))
    second = keynote.pod()["metadata"]
    assert second["annotations"]["onair.dev/incarnation-number"] == "2" and keynote.status["incarnation"] == 2
    selector = keynote.child("services", "keynote-ingest")["spec"]["selector"]
    assert selector["onair.dev/incarnation"] == second["labels"]["onair.dev/incarnation"]


FOREIGN = {
    "of others' tools": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]},
    "without a selector": {"ports": [{"port": 80}]},
}


@pytest.mark.parametrize("spec", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_service_of_that_name_is_left_alone(
    control_plane: ControlPlane, operator: Operator, keynote: Channel, spec: dict[str, object]
) -> None:
    path = path_of("services", keynote.namespace, "keynote-ingest")
    metadata = {"name": "keynote-ingest", "namespace": keynote.namespace}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    theirs = control_plane.api.apply(path, body)
    keynote.declare()
    keynote.becomes("Stalled", "True", "ConflictingObject")
    assert keynote.condition("Ready") == ("False", "ConflictingObject") and "keynote-ingest" in keynote.message()
    operator.rests()
    assert control_plane.api.get(path) == theirs
    assert "incarnation" not in keynote.status and not keynote.children("pods")


def test_a_foreign_claim_is_left_alone(
    control_plane: ControlPlane, operator: Operator, keynote: Channel, kept: str
) -> None:
    """Its owner reference would have their data deleted with the LiveStream."""
    path = path_of("persistentvolumeclaims", keynote.namespace, "keynote-data")
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "keynote-data", "namespace": keynote.namespace}
    theirs = control_plane.api.apply(
        path, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
    )
    keynote.declare(className=kept)
    keynote.becomes("Stalled", "True", "ConflictingObject")
    assert control_plane.api.get(path) == theirs


def test_a_foreign_secret_is_left_alone_until_it_goes(
    control_plane: ControlPlane, operator: Operator, keynote: Channel
) -> None:
    theirs = secret(control_plane, keynote.namespace, "keynote-stream-key", theirs="password")
    keynote.declare()
    keynote.becomes("Stalled", "True", "SecretNotOwned")
    operator.rests()
    path = path_of("secrets", keynote.namespace, "keynote-stream-key")
    assert control_plane.api.get(path) == theirs
    control_plane.api.ask("DELETE", path)
    keynote.ready()
    assert "streamKey" in keynote.child("secrets", "keynote-stream-key")["data"]


# Deleted.


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_what_is_deleted_takes_its_children_along(
    operator: Operator, keynote: Channel, namespace: str, propagation: str
) -> None:
    """In the foreground the LiveStream stays until its children are gone: nobody makes them again."""
    keynote.declare()
    keynote.ready()
    operator.rests()
    before = operator.writes(namespace)
    keynote.delete(propagation)
    operator.until("its children are gone", lambda: not keynote.children())
    operator.until("it is forgotten", lambda: not operator.metric("onair_operator_live_streams"))
    operator.rests()
    assert operator.writes(namespace) == before


def test_one_that_is_made_anew_at_once_gets_children_of_its_own(
    control_plane: ControlPlane, operator: Operator, keynote: Channel
) -> None:
    keynote.declare()
    keynote.ready()
    old = {child["metadata"]["uid"] for child in keynote.children().values()}
    keynote.delete()
    new = keynote.declare()["metadata"]["uid"]
    seen: set[tuple[str, str]] = set()

    def ready() -> bool:
        seen.add(keynote.condition("Stalled"))
        return keynote.condition("Ready")[0] == "True"

    operator.until("it is ready", ready)
    there = keynote.children()
    assert len(there) == 5
    for child in there.values():
        assert [owner["uid"] for owner in child["metadata"]["ownerReferences"]] == [new]
        assert child["metadata"]["uid"] not in old
    assert {status for status, _ in seen} <= {"", "False"}, "nobody has to do anything about it"
    assert keynote.status["incarnation"] == 1, "what waits counts nothing"


@pytest.fixture
def kept(control_plane: ControlPlane) -> Iterator[str]:
    """A class with claims."""
    name = "kept"
    cls(control_plane, name, ingest={"volume": {"persistentVolumeClaim": {"size": "1Gi"}}})
    yield name
    delete_class(control_plane, name)
