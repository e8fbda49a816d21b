"""Who owns which field: children of a LiveStream as an API server admits and keeps them, and its status among others'."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest
from crd_judges import manifest
from desired_stage import FULL_CLASS, provision

from kubelab.access import Rule
from kubelab.api import Refused
from kubelab.nodeless import ControlPlane
from onair_core.contract import StreamRef
from onair_core.kube.client import Client
from onair_core.kube.errors import Conflict, Forbidden, Invalid, NotFound
from onair_core.kube.kubeconfig import Kubeconfig
from onair_core.kube.resources import (
    LIVE_STREAMS,
    NETWORK_POLICIES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)
from onair_operator.desired.networkpolicy import network_policy
from onair_operator.desired.pod import pod
from onair_operator.desired.provision import Provision
from onair_operator.desired.secrets import pod_secret, stream_key_secret
from onair_operator.desired.service import service
from onair_operator.desired.volume import volume_claim

pytestmark = pytest.mark.usefixtures("crds")
Object = dict[str, Any]

OPERATOR, STATUS = "onair-operator", "onair-operator-status"
CHILDREN = {r.kind: r for r in (SECRETS, SERVICES, NETWORK_POLICIES, PERSISTENT_VOLUME_CLAIMS, PODS)}
APPLIED = (stream_key_secret, pod_secret, volume_claim, network_policy, service)

# What an operator needs for children, and for naming their owner as one that waits for them.
OF_CHILDREN: list[Rule] = [
    {"apiGroups": [""], "resources": ["secrets", "services", "persistentvolumeclaims"], "verbs": ["patch", "create"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["patch", "create"]},
]
OF_OWNERS: Rule = {"apiGroups": ["onair.dev"], "resources": ["livestreams/finalizers"], "verbs": ["update"]}


@dataclass(frozen=True)
class Stage:
    """A LiveStream that exists, and provisions of it."""

    stream: StreamRef

    def provision(self, cls: Object | None = None, **more: Any) -> Provision:
        return provision(cls, stream=self.stream, **more)


@pytest.fixture
async def stage(api: Client, namespace: str) -> Stage:
    made = await api.create(LIVE_STREAMS, manifest("LiveStream", {}, "keynote", namespace), manager="test")
    return Stage(StreamRef(namespace, "keynote", made["metadata"]["uid"]))


@pytest.fixture
def priority_class(control_plane: ControlPlane) -> None:
    """The one that `FULL_CLASS` names: pods with one that is not there are refused."""
    try:
        body = {"metadata": {"name": "live"}, "value": 1000}
        control_plane.api.create("/apis/scheduling.k8s.io/v1/priorityclasses", body)
    except Refused as refused:
        assert refused.code == 409


def applied(of: Provision) -> list[Object]:
    return [made for build in APPLIED if (made := build(of)) is not None]


def resource_of(child: Object) -> Resource:
    return CHILDREN[child["kind"]]


# Children

VARIANTS: dict[str, tuple[Object, dict[str, Any]]] = {
    "plain": ({}, {}),
    "full": (FULL_CLASS, {"number": 7, "rtmps_secret": "standard-ingest-tls"}),
    "without a key": ({}, {"key": None}),
    "without a store": ({}, {"store": None}),
    "an object store": ({}, {"store": "s3://bucket/onair"}),
    "an emptyDir with a limit": ({"ingest": {"volume": {"emptyDir": {"sizeLimit": "10Gi"}}}}, {}),
    "an emptyDir with a limit in bytes": ({"ingest": {"volume": {"emptyDir": {"sizeLimit": 10_000_000}}}}, {}),
    "a claim of the default class": ({"ingest": {"volume": {"persistentVolumeClaim": {"size": 1 << 30}}}}, {}),
    "a NodePort": ({"ingest": {"service": {"type": "NodePort"}}}, {}),
    **{f"pod.{name}": ({"ingest": {"pod": {name: value}}}, {}) for name, value in FULL_CLASS["ingest"]["pod"].items()},
    "a toleration of everything": ({"ingest": {"pod": {"tolerations": [{"operator": "Exists"}]}}}, {}),
    "a toleration for a while": (
        {"ingest": {"pod": {"tolerations": [{"key": "a", "effect": "NoExecute", "tolerationSeconds": 3}]}}},
        {},
    ),
}


@pytest.mark.usefixtures("priority_class")
@pytest.mark.parametrize("name", VARIANTS)
async def test_every_variant_of_the_children_is_admitted(name: str, api: Client, stage: Stage) -> None:
    """In a namespace of the restricted Pod Security Standard; what comes back holds all that was wanted."""
    cls, more = VARIANTS[name]
    of = stage.provision(cls, **more)
    for child in applied(of):
        await api.apply(resource_of(child), child, manager=OPERATOR)
        # The second may write once more what admission has added to the first (a claim's finalizer).
        first = await api.apply(resource_of(child), child, manager=OPERATOR)
        again = await api.apply(resource_of(child), child, manager=OPERATOR)
        assert first["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"], "nothing has changed"
        assert held(child, first) == []
    made = await api.create(PODS, pod(of), manager=OPERATOR)
    assert held(pod(of), made) == []


def held(wanted: Any, there: Any, at: str = "") -> list[str]:
    """Where `there` is not what was wanted; it may have more. Quantities may be written in another way."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        return [found for key, part in wanted.items() for found in held(part, there.get(key), f"{at}.{key}")]
    if isinstance(wanted, list) and isinstance(there, list) and len(wanted) <= len(there):
        return [
            found for n, (a, b) in enumerate(zip(wanted, there, strict=False)) for found in held(a, b, f"{at}[{n}]")
        ]
    return [] if wanted in (there, {}, []) or str(wanted) == there or at.endswith((".sizeLimit", ".storage")) else [
        f"{at}: {there!r} is not {wanted!r}"
    ]  # fmt: skip


async def test_an_operator_may_own_children_that_its_streams_wait_for(
    control_plane: ControlPlane, stage: Stage, namespace: str
) -> None:
    """`blockOwnerDeletion` takes the right to update livestreams/finalizers where that is enforced."""
    of = stage.provision()
    able = control_plane.access("able", namespace, rules=[*OF_CHILDREN, OF_OWNERS])
    unable = control_plane.access("unable", namespace, rules=OF_CHILDREN)
    async with Client(Kubeconfig((unable.kubeconfig,))) as client:
        for child in applied(of):
            with pytest.raises(Forbidden, match="cannot set blockOwnerDeletion"):
                await client.apply(resource_of(child), child, manager=OPERATOR)
    async with Client(Kubeconfig((able.kubeconfig,))) as client:
        for child in applied(of):
            await client.apply(resource_of(child), child, manager=OPERATOR)
        await client.create(PODS, pod(of), manager=OPERATOR)


async def test_what_others_set_on_children_stays(api: Client, stage: Stage) -> None:
    """Load balancers, cert-manager, people with kubectl: of what is theirs our apply knows nothing."""
    of = stage.provision(FULL_CLASS, rtmps_secret="standard-ingest-tls")
    theirs: Object = {"labels": {"other/label": "x"}, "annotations": {"other/annotation": "y"}}
    more: dict[str, Object] = {
        "Service": {"spec": {"externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP"}},
        "Secret": {"data": {"extra": "eA=="}},
    }
    for child in applied(of):
        resource, named = resource_of(child), {"name": child["metadata"]["name"], "namespace": of.stream.namespace}
        await api.apply(resource, child, manager=OPERATOR)
        foreign = {"metadata": {**named, **theirs}, **more.get(child["kind"], {})}
        before = await api.apply(resource, foreign, manager="somebody", force=False)
        after = await api.apply(resource, child, manager=OPERATOR)
        assert after == before
        assert held(foreign, after) == [] and held(child, after) == []


async def test_what_is_ours_is_put_back_and_what_we_no_longer_want_goes(api: Client, stage: Stage) -> None:
    full = service(stage.provision(FULL_CLASS))
    made = await api.apply(SERVICES, full, manager=OPERATOR)
    name, namespace = full["metadata"]["name"], full["metadata"]["namespace"]
    drifted: Object = {
        "spec": {"selector": {"app": "mine"}, "externalTrafficPolicy": "Cluster"},
        "metadata": {"annotations": {"a": "b"}},
    }
    await api.patch(SERVICES, name, namespace, drifted, manager="kubectl-edit")
    with pytest.raises(Conflict) as caught:
        await api.apply(SERVICES, full, manager=OPERATOR, force=False)
    assert caught.value.managers == ("kubectl-edit",)
    back = await api.apply(SERVICES, full, manager=OPERATOR)
    # What somebody added to a map of ours stays, as long as it is theirs; what they changed in it is ours again.
    assert held(full, back) == [] and back["metadata"]["annotations"]["a"] == "b"
    plain = await api.apply(SERVICES, service(stage.provision()), manager=OPERATOR)
    assert set(plain["metadata"]["annotations"]) == {"a"} and plain["spec"]["type"] == "ClusterIP"
    # Clients know it by its address.
    assert plain["spec"]["clusterIP"] == made["spec"]["clusterIP"]


async def test_a_service_follows_the_incarnation_and_keeps_its_node_ports(api: Client, stage: Stage) -> None:
    exposed: Object = {"ingest": {"service": {"type": "NodePort"}}}
    first = await api.apply(SERVICES, service(stage.provision(exposed)), manager=OPERATOR)
    second = await api.apply(SERVICES, service(stage.provision(exposed, number=2)), manager=OPERATOR)
    assert first["spec"]["ports"] == second["spec"]["ports"] and all(
        port["nodePort"] for port in first["spec"]["ports"]
    )
    assert second["spec"]["selector"] == service(stage.provision(exposed, number=2))["spec"]["selector"]


async def test_a_claim_stays_as_it_was_made(api: Client, stage: Stage) -> None:
    """Of another class, or smaller: the API server refuses what the class says of claims to come."""
    made = claim(stage, size="60Gi", storageClassName="fast")
    await api.apply(PERSISTENT_VOLUME_CLAIMS, made, manager=OPERATOR)
    others = [claim(stage, size="60Gi", storageClassName="slow"), claim(stage, size="50Gi", storageClassName="fast")]
    for other in others:
        with pytest.raises((Invalid, Forbidden)):
            await api.apply(PERSISTENT_VOLUME_CLAIMS, other, manager=OPERATOR)


def claim(stage: Stage, **wanted: Any) -> Object:
    made = volume_claim(stage.provision({"ingest": {"volume": {"persistentVolumeClaim": wanted}}}))
    assert made is not None
    return made


# Status


def condition(kind: str, status: str = "True") -> Object:
    since = "2026-01-01T00:00:00Z"
    return {"type": kind, "status": status, "reason": "Because", "message": "", "lastTransitionTime": since}


def status_of(stage: Stage, *conditions: Object, **status: Any) -> Object:
    metadata = {"name": stage.stream.name, "namespace": stage.stream.namespace}
    return {"metadata": metadata, "status": {"conditions": list(conditions), **status}}


async def test_conditions_of_others_stay_among_ours(api: Client, stage: Stage) -> None:
    ours = status_of(stage, condition("Ready"), condition("IngestHealthy"), phase="Idle")
    await api.apply_status(LIVE_STREAMS, ours, manager=STATUS)
    await api.apply_status(LIVE_STREAMS, status_of(stage, condition("example.com/Audited")), manager="auditor")
    changed = status_of(stage, condition("Ready", "False"), phase="Active")
    told = (await api.apply_status(LIVE_STREAMS, changed, manager=STATUS))["status"]
    assert {c["type"]: c["status"] for c in told["conditions"]} == {"Ready": "False", "example.com/Audited": "True"}
    assert told["phase"] == "Active"


async def test_the_status_writer_owns_status_and_nothing_else(api: Client, stage: Stage) -> None:
    before = await api.get(LIVE_STREAMS, "keynote", stage.stream.namespace)
    body = status_of(stage, condition("Ready"), phase="Idle", observedGeneration=1)
    hostile = copy.deepcopy(body) | {"spec": {"title": "x", "disabled": True}}
    hostile["metadata"] |= {"labels": {"a": "b"}, "annotations": {"a": "b"}}
    after = await api.apply_status(LIVE_STREAMS, hostile, manager=STATUS)
    changing = {"resourceVersion", "managedFields"}
    kept = [{key: v for key, v in found["metadata"].items() if key not in changing} for found in (before, after)]
    assert kept[0] == kept[1] and before["spec"] == after["spec"] and after["status"] == body["status"]
    (entry,) = (entry for entry in after["metadata"]["managedFields"] if entry["manager"] == STATUS)
    assert entry["subresource"] == "status" and set(entry["fieldsV1"]) == {"f:status"}


async def test_the_same_status_again_is_no_write(api: Client, stage: Stage) -> None:
    body = status_of(stage, condition("Ready"), phase="Idle", playback=[{"name": "main", "id": "keynote-2026"}])
    first = await api.apply_status(LIVE_STREAMS, body, manager=STATUS)
    again = await api.apply_status(LIVE_STREAMS, body, manager=STATUS)
    assert first["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]
    assert first["metadata"]["managedFields"] == again["metadata"]["managedFields"]


async def test_a_status_of_an_object_that_has_changed_is_refused(api: Client, stage: Stage) -> None:
    namespace = stage.stream.namespace
    seen = await api.get(LIVE_STREAMS, "keynote", namespace)
    await api.patch(LIVE_STREAMS, "keynote", namespace, {"spec": {"disabled": True}}, manager="kubectl")
    body = status_of(stage, condition("Ready"))
    body["metadata"]["resourceVersion"] = seen["metadata"]["resourceVersion"]
    with pytest.raises(Conflict):
        await api.apply_status(LIVE_STREAMS, body, manager=STATUS)
    there = await api.get(LIVE_STREAMS, "keynote", namespace)
    assert "status" not in there
    body["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
    assert (await api.apply_status(LIVE_STREAMS, body, manager=STATUS))["status"]


async def test_a_status_of_another_stream_of_that_name_is_refused(api: Client, stage: Stage) -> None:
    """Deleted and made anew meanwhile. The version is what tells: an API server does not look at the uid."""
    namespace = stage.stream.namespace
    seen = await api.get(LIVE_STREAMS, "keynote", namespace)
    await api.delete(LIVE_STREAMS, "keynote", namespace)
    await api.create(LIVE_STREAMS, manifest("LiveStream", {}, "keynote", namespace), manager="test")
    body = status_of(stage, condition("Ready"))
    body["metadata"]["uid"] = stage.stream.uid
    body["metadata"]["resourceVersion"] = seen["metadata"]["resourceVersion"]
    with pytest.raises(Conflict):
        await api.apply_status(LIVE_STREAMS, body, manager=STATUS)


async def test_a_status_does_not_bring_a_deleted_stream_back(api: Client, stage: Stage) -> None:
    await api.delete(LIVE_STREAMS, "keynote", stage.stream.namespace)
    with pytest.raises(NotFound):
        await api.apply_status(LIVE_STREAMS, status_of(stage, condition("Ready")), manager=STATUS)
