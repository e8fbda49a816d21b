"""What the operator process says of LiveStreams that cannot be as they are declared, and that it takes notice when
that changes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from operator_process import (
    Channel,
    Operator,
    class_condition,
    cls,
    delete,
    delete_class,
    path_of,
    secret,
)

from kubelab.nodeless import ControlPlane

pytestmark = [pytest.mark.usefixtures("nodes")]
MakeClass = Callable[..., str]


@pytest.fixture
def classes(control_plane: ControlPlane, operator: Operator) -> Iterator[MakeClass]:
    """Makes classes that go with the test."""
    made: list[str] = []

    def make(name: str, *, default: bool = False, **spec: object) -> str:
        cls(control_plane, name, default=default, **spec)
        made.append(name)
        return name

    yield make
    for name in made:
        delete_class(control_plane, name)


# Stream keys.


def test_a_stream_key_of_ones_own_comes_goes_and_changes(
    control_plane: ControlPlane, operator: Operator, keynote: Channel
) -> None:
    def bring(key: str, field: str = "streamKey") -> None:
        secret(control_plane, keynote.namespace, "mine", **{field: key})

    keynote.declare(streamKey={"secretRef": {"name": "mine", "key": "streamKey"}})
    keynote.becomes("Stalled", "True", "StreamKeySecretMissing")
    bring("a-key-under-another-name", field="other")
    operator.until("it says what is missing", lambda: "has no key streamKey" in keynote.message())
    bring("too short")
    keynote.becomes("Stalled", "True", "StreamKeyUnusable")
    assert "too short" not in str(keynote.status)
    bring("long-enough-for-a-stream-key")
    keynote.ready()
    first = keynote.status["ingest"]["streamKeyFingerprint"]
    assert keynote.status["ingest"]["streamKeySecret"] == {"name": "mine", "key": "streamKey"}
    bring("another-one-for-a-stream-key")
    operator.until("it has the new one", lambda: keynote.status["ingest"]["streamKeyFingerprint"] != first)
    keynote.ready()
    delete(control_plane, path_of("secrets", keynote.namespace, "mine"))
    keynote.becomes("Ready", "False", "StreamKeySecretMissing")
    assert "streamKeyFingerprint" not in keynote.status["ingest"]
    for key in ("long-enough-for-a-stream-key", "another-one-for-a-stream-key"):
        assert key not in operator.log and key not in str(keynote.status)


def test_a_generated_key_that_is_no_longer_wanted_goes(
    control_plane: ControlPlane, operator: Operator, keynote: Channel
) -> None:
    keynote.declare()
    keynote.ready()
    secret(control_plane, keynote.namespace, "mine", streamKey="long-enough-for-a-stream-key")
    keynote.declare(streamKey={"secretRef": {"name": "mine"}})
    operator.until("it is gone", lambda: "secrets/keynote-stream-key" not in keynote.children("secrets"))
    keynote.declare(streamKey={"rotation": "2"})
    operator.until("there is one again", lambda: "secrets/keynote-stream-key" in keynote.children("secrets"))


def test_one_stream_key_belongs_to_one_stream(control_plane: ControlPlane, operator: Operator, namespace: str) -> None:
    other = control_plane.namespace("other", unique=True)
    holder, rival = Channel(control_plane, other, "holder"), Channel(control_plane, namespace, "rival")
    for channel in (holder, rival):
        secret(control_plane, channel.namespace, "mine", streamKey=f"the-same-key-for-both-{other}")
        channel.declare(streamKey={"secretRef": {"name": "mine"}})
        if channel is holder:
            channel.ready()
    rival.becomes("Stalled", "True", "StreamKeyTaken")
    assert "of another namespace" in rival.message() and "streamKeyFingerprint" not in rival.status["ingest"]
    operator.rests()
    holder.touch()  # nothing of this lets the rival forget what it waits for
    rival.touch()
    operator.rests()
    holder.delete()
    rival.ready()


def test_one_playback_id_belongs_to_one_stream(control_plane: ControlPlane, operator: Operator, namespace: str) -> None:
    other = control_plane.namespace("other", unique=True)
    wanted = f"keynote-{other}"
    holder, rival = Channel(control_plane, other, "holder"), Channel(control_plane, namespace, "rival")
    holder.declare(playback=[{"id": wanted}])
    holder.ready()
    rival.declare(playback=[{"id": wanted}, {"name": "derived"}])
    rival.becomes("Stalled", "True", "PlaybackIdTaken")
    assert [entry["name"] for entry in rival.status["playback"]] == ["derived"], "the other one works"
    assert f"{wanted} belongs to a LiveStream of another namespace" in rival.message()
    holder.declare(playback=[])
    rival.ready()
    holder.declare(playback=[{"id": wanted}])
    holder.becomes("Stalled", "True", "PlaybackIdTaken")
    rival.delete()
    holder.ready()
    holder.delete()


# Classes.


def test_a_class_that_is_not_there_yet(operator: Operator, keynote: Channel, classes: MakeClass) -> None:
    keynote.declare(className="late")
    keynote.becomes("Stalled", "True", "ClassNotFound")
    assert not keynote.children() and not {"ingest", "playback", "className"} & set(keynote.status)
    classes("late")
    keynote.ready()
    assert keynote.status["className"] == "late"


def test_a_class_that_goes_leaves_its_streams_as_they_are(
    operator: Operator, keynote: Channel, classes: MakeClass, control_plane: ControlPlane
) -> None:
    classes("going", playback={"hostnames": ["live.example.com"]}, ingest={"hostname": "ingest.example.com"})
    keynote.declare(className="going")
    keynote.ready()
    before, there = keynote.status, keynote.children()
    delete_class(control_plane, "going")
    keynote.becomes("Stalled", "True", "ClassNotFound")
    now = keynote.status
    for field in ("ingest", "playback", "className", "incarnation"):
        assert now[field] == before[field]
    assert now["ingest"]["rtmp"] == "rtmp://ingest.example.com:5222/app"
    assert keynote.condition("UpdatePending")[0] == "False"
    operator.rests()
    assert keynote.children() == there
    classes("going", playback={"hostnames": ["live.example.com"]}, ingest={"hostname": "ingest.example.com"})
    keynote.ready()


def test_a_class_that_exposes_otherwise_gives_other_addresses(
    operator: Operator, keynote: Channel, classes: MakeClass
) -> None:
    """Which node port it is, only the API server's answer says; nothing else comes after it."""
    classes("exposed", ingest={"hostname": "ingest.example.com"})
    keynote.declare(className="exposed")
    keynote.ready()
    operator.rests()
    classes("exposed", ingest={"hostname": "ingest.example.com", "service": {"type": "NodePort"}})

    def told() -> bool:
        port = keynote.child("services", "keynote-ingest")["spec"]["ports"][0].get("nodePort")
        return bool(keynote.status["ingest"]["rtmp"] == f"rtmp://ingest.example.com:{port}/app")

    operator.until("status has the node port", told, 10)


def test_a_class_for_others(operator: Operator, keynote: Channel, classes: MakeClass) -> None:
    classes("theirs", allowedNamespaces={"from": "Selector", "names": ["somewhere-else"]})
    keynote.declare(className="theirs")
    keynote.becomes("Stalled", "True", "NamespaceNotAllowed")
    assert not keynote.children()
    classes("theirs", allowedNamespaces={"from": "Selector", "names": [keynote.namespace]})
    keynote.ready()


def test_of_two_default_classes_the_newest_counts(
    control_plane: ControlPlane, operator: Operator, keynote: Channel, classes: MakeClass
) -> None:
    classes("first", default=True)
    operator.until("it is", lambda: class_condition(control_plane, "first", "Default") == ("True", "MarkedAsDefault"))
    classes("second", default=True)
    answers = [("False", "AnotherIsNewer"), ("True", "MarkedAsDefault")]  # made in the same second, the first by name

    def told() -> list[tuple[str, str]]:
        return sorted(class_condition(control_plane, name, "Default") for name in ("first", "second"))

    operator.until("one of them is", lambda: told() == answers)
    keynote.declare()
    keynote.ready()
    bound = keynote.status["className"]
    assert class_condition(control_plane, bound, "Default")[0] == "True"
    operator.rests()
    before = operator.writes()
    count = operator.reconciles("livestreamclasses")
    classes("third", default=True)
    operator.until("they are told", lambda: operator.reconciles("livestreamclasses") >= count + 3)
    operator.rests()
    written = [(verb, kind, name) for verb, kind, name, _ in operator.writes()[len(before) :]]
    assert len(written) <= 2 + 1, "the new one, and whoever is the default no longer"
    assert keynote.status["className"] == bound, "it was bound once"


def test_addresses_follow_the_service(
    control_plane: ControlPlane, operator: Operator, keynote: Channel, classes: MakeClass
) -> None:
    """Its port is known when it is made, its address when a load balancer has told: nothing else happens then."""

    def named(kind: str, **more: object) -> None:
        classes("exposed", ingest={"service": {"type": kind}, **more})

    def rtmp() -> str:
        address: str = keynote.status["ingest"]["rtmp"]
        return address

    def service() -> dict[str, Any]:
        return keynote.child("services", "keynote-ingest")

    named("ClusterIP", hostname="ingest.example.com")
    keynote.declare(className="exposed")
    keynote.ready()
    assert rtmp() == "rtmp://ingest.example.com:5222/app"
    named("NodePort", hostname="ingest.example.com")
    operator.until("the Service has a port", lambda: "nodePort" in service()["spec"]["ports"][0])
    port = next(entry["nodePort"] for entry in service()["spec"]["ports"] if entry["name"] == "rtmp")
    operator.until("status has it", lambda: rtmp() == f"rtmp://ingest.example.com:{port}/app")
    server = base64.b64decode(keynote.child("secrets", "keynote-stream-key")["data"]["server"]).decode()
    assert server == rtmp()

    named("LoadBalancer")
    keynote.becomes("Ready", "False", "AddressPending")
    assert keynote.condition("Reconciling") == ("True", "AddressPending")
    found = service()
    found["status"]["loadBalancer"] = {"ingress": [{"ip": "2001:db8::7"}]}
    control_plane.api.ask("PUT", path_of("services", keynote.namespace, "keynote-ingest/status"), found)
    keynote.ready()
    assert rtmp() == "rtmp://[2001:db8::7]:5222/app"


def test_a_class_that_changes_waits_for_a_pod_that_does_not_answer(
    operator: Operator, keynote: Channel, classes: MakeClass
) -> None:
    """kwok's pods have no control port. One that is Ready may be live, for all that is known: it is left alone."""
    classes("changing")
    keynote.declare(className="changing")
    keynote.ready()
    pod = keynote.pod()["metadata"]["uid"]
    classes("changing", ingest={"image": "registry.example.com/onair:next"})
    keynote.becomes("UpdatePending", "True", "PodNotAnswering")
    assert keynote.condition("Ready")[0] == "True" and keynote.condition("Reconciling")[0] == "False"
    assert keynote.pod()["metadata"]["uid"] == pod
    classes("changing")
    keynote.becomes("UpdatePending", "False", "NothingPending")
